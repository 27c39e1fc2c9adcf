"""The server's tree of a whole text, compared as it comes from libpg_query: JSON with every field of every node, of
which those are left out that say where something stands.

That a text with derived tables in it is the client's own otherwise is seen here without reading either into a tree of
ours: the masks of one table may be ten times as long as the statement. Each derived table is parsed once by itself;
what remains is an equality of strings.

In JSON the quotes inside of a string are escaped. What is looked for below has one that is not, with a colon behind it
or a brace before it, so it is never found in a literal or a name.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from postgast.errors import PgQueryError, check_error
from postgast.native import lib  # the package has no other way to the JSON

# keys that end so, and their numbers; one expression each, for what begins with a constant is found fastest
_POSITIONS: Final = tuple(map(re.compile, (rb'location":-?\d+', rb'list_(?:start|end)":-?\d+', rb'stmt_len":\d+')))
_STRING: Final = rb'"(?:[^"\\]|\\.)*"'
_NAME: Final = rb'\{"String":\{"sval":%s\}\}' % _STRING
_TABLE: Final = re.compile(
    rb'\{"RangeVar":\{(?:"schemaname":%(s)s,)?"relname":(?P<name>%(s)s),(?:"inh":true,)?"relpersistence":"p"'
    rb'(?P<alias>,"alias":\{"aliasname":%(s)s(?:,"colnames":\[%(n)s(?:,%(n)s)*\])?\})?,"location":(?P<at>\d+)\}\}'
    % {b"s": _STRING, b"n": _NAME}
)
_DERIVED: Final = b'{"RangeSubselect":{"subquery":%s%s}}'
_HEAD: Final = re.compile(rb'\{"version":\d+,"stmts":\[\{"stmt":')
_TAIL: Final = b"}]}"


class Different(Exception):
    """The texts differ by something else, or it cannot be told."""


def check_derived(text: str, edited: str, tables: Mapping[int, str]) -> None:
    """Raises Different unless ``edited`` parses to the tree of ``text`` in which, by the position of its name, each of
    these tables has become a derived one, under the alias or else the name that it had."""
    where = {str(_bytes_before(text, position)).encode(): position for position in tables}
    replaced: set[bytes] = set()

    def derived(found: re.Match[bytes]) -> bytes:
        position = where.get(found["at"])
        if position is None:
            return found[0]
        replaced.add(found["at"])  # more than once in ``SET (a, b) = (SELECT ...)``, whose right side each column has
        return _DERIVED % (_query(tables[position]), found["alias"] or b',"alias":{"aliasname":%s}' % found["name"])

    expected = _TABLE.sub(derived, tree(text))
    if replaced != where.keys() or _without_positions(expected) != _without_positions(tree(edited)):
        raise Different


def tree(text: str) -> bytes:
    """Of all statements of a text. Raises Different for one that the grammar does not accept."""
    result = lib.pg_query_parse(text.encode())
    try:
        check_error(result)
        return bytes(result.parse_tree)
    except PgQueryError:
        raise Different from None  # its words may quote the text
    finally:
        lib.pg_query_free_parse_result(result)


def _without_positions(tree: bytes) -> bytes:
    """The keys stay, but for those of a node at the very beginning, which have none: nothing is edited before it."""
    for position in _POSITIONS:
        tree = position.sub(b"", tree)
    return tree


def _bytes_before(text: str, position: int) -> int:
    return position if text.isascii() else len(text[:position].encode())


@lru_cache(maxsize=256)
def _query(derived: str) -> bytes:
    """The one node that a derived table's text is, without positions."""
    whole = _without_positions(tree(derived))
    head = _HEAD.match(whole)
    if head is None or not whole.endswith(_TAIL):
        raise Different
    return whole[head.end() : -len(_TAIL)]
