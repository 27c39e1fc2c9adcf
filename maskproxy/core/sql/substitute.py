"""Edits of the client's own text: a table becomes a derived table of what the statement may know of it.

``FROM customers c`` becomes ``FROM (SELECT "id", "name" FROM "public"."customers") c`` where a scope may see only some
columns, so that neither a star, a whole row nor a NATURAL join can reach a hidden one (unless the statement provably
cannot, ``mentions``). Under masked evaluation the masked columns in it are SQL expressions of their masks, so that
whatever the statement computes, it computes of masked values. Only the table's name is replaced, where the server's
grammar says it stands; the alias stays the client's.

A derived table has no schema and no primary key. So ``schema.table.column`` loses its schema, and where a statement
groups by the table's key, the columns that depend on it are written before the key (``grouping``). A table that is
written to cannot be replaced; a star of it in RETURNING is, by the columns in sight. The edited text is parsed again
and must differ by exactly these edits."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from functools import lru_cache
from operator import is_not
from typing import Any, Final

from maskproxy.base.errors import Refused
from maskproxy.base.refs import ColumnRef
from maskproxy.core.catalog import Column as CatalogColumn
from maskproxy.core.catalog import Table
from maskproxy.core.sql import server_tree
from maskproxy.core.sql.lex import Token, TokenKind
from maskproxy.core.sql.oracle import Source, parse_statements
from maskproxy.core.sql.oracle_queries import read_query
from maskproxy.core.sql.oracle_writes import read_statement
from maskproxy.core.sql.statement import Splice
from maskproxy.core.sql.target_filter import CLOSING, TargetFilter
from maskproxy.core.sql.tree import (
    Alias,
    Call,
    Column,
    Constant,
    DerivedItem,
    Expression,
    Item,
    Operation,
    Parameter,
    Query,
    Select,
    Star,
    TableItem,
)
from maskproxy.core.sql.tree_writes import Delete, StatementTree, Update, WriteTree

Evaluated = Mapping[ColumnRef, str]
"""The SQL expression that stands for each column under masked evaluation; a column without one stays as it is."""


@dataclass(slots=True)
class Edits:
    """What is to be edited in one statement, by the position of the node that it is done to.

    ``tables``: the reference there, and the derived table that takes its place. ``unqualified``: a column or star that
    loses its schema. ``groups``: a key of GROUP BY, and the columns that are put before it. ``withheld``: a call, and
    the NULL that takes the place of its first argument. ``parameters``: one, and the expression of it that takes its
    place. ``stars``: one in RETURNING, and the columns that it stands for. ``filters``: a table that is updated or
    deleted from, and its row filter.
    """

    tables: dict[int, tuple[TableItem, str]] = field(default_factory=dict)
    unqualified: set[int] = field(default_factory=set)
    groups: dict[int, tuple[Column, ...]] = field(default_factory=dict)
    withheld: dict[int, tuple[Call, str]] = field(default_factory=dict)
    parameters: dict[int, str] = field(default_factory=dict)
    stars: dict[int, tuple[Column, ...]] = field(default_factory=dict)
    filters: dict[int, TargetFilter] = field(default_factory=dict)

    @property
    def of_tables_only(self) -> bool:
        return len(self) == len(self.tables)

    def __len__(self) -> int:
        edits = (self.tables, self.unqualified, self.groups, self.withheld, self.parameters, self.stars, self.filters)
        return sum(map(len, edits))


_NAME_KINDS: Final = (TokenKind.WORD, TokenKind.QUOTED)


def apply_splices(text: str, splices: Iterable[Splice]) -> str:
    """The text with each splice's range replaced. Raises ValueError if two overlap."""
    parts: list[str] = []
    end = 0
    for splice in sorted(splices, key=lambda each: each.start):
        if splice.start < end:
            raise ValueError("splices overlap")
        parts += [text[end : splice.start], splice.replacement]
        end = splice.end
    return "".join([*parts, text[end:]])


def make_splices(edits: Edits, tokens: tuple[Token, ...]) -> tuple[Splice, ...]:
    """The edits as changes of the text, by the tokens that stand there."""
    return (
        *(make_splice(item, derived, tokens) for _, (item, derived) in sorted(edits.tables.items())),
        *(_group_splice(position, columns) for position, columns in sorted(edits.groups.items())),
        *(_unqualify_splice(position, tokens) for position in sorted(edits.unqualified)),
        *(_withhold_splice(call, null, tokens) for _, (call, null) in sorted(edits.withheld.items())),
        *(_parameter_splice(*item, tokens) for item in sorted(edits.parameters.items())),
        *(_star_splice(*item, tokens) for item in sorted(edits.stars.items())),
    )


def _group_splice(position: int, columns: tuple[Column, ...]) -> Splice:
    return Splice(position, position, "".join(f"{_written(column)}, " for column in columns))


def _star_splice(position: int, columns: tuple[Column, ...], tokens: tuple[Token, ...]) -> Splice:
    """``*``, ``table.*`` or ``schema.table.*``."""
    star = next(each for each in tokens if each.start >= position and each.kind is TokenKind.OPERATOR)
    if star.value != "*":
        raise Refused("this * cannot be edited safely", position=position + 1)
    return Splice(position, star.end, ", ".join(map(_written, columns)))


def _written(column: Column) -> str:
    return ".".join(map(quoted, column.parts))


def _unqualify_splice(position: int, tokens: tuple[Token, ...]) -> Splice:
    """Takes ``schema.`` away."""
    first = next(index for index, token in enumerate(tokens) if token.start == position)
    if tokens[first].kind not in _NAME_KINDS or not tokens[first + 1].is_punctuation("."):
        raise Refused("this column reference cannot be edited safely", position=position + 1)
    return Splice(position, tokens[first + 2].start, "")


def make_splice(item: TableItem, replacement: str, tokens: tuple[Token, ...]) -> Splice:
    """The edit for one table reference, found by the position of its name among the tokens."""
    first = next(index for index, token in enumerate(tokens) if token.start == item.position)
    last = first + 2 if item.schema is not None else first
    start = tokens[first].start
    if item.only:
        if first == 0 or not tokens[first - 1].is_word("only"):
            raise Refused("ONLY (table) is not supported here, write ONLY table", position=start + 1)
        start = tokens[first - 1].start
    prefix = ""
    if first > 0 and tokens[first - 1].is_word("table"):  # ``TABLE name`` takes nothing but a name
        start, prefix = tokens[first - 1].start, "SELECT * FROM "
    _check_name(tokens, first, last, item)
    end = tokens[last].end
    if last + 1 < len(tokens) and tokens[last + 1].kind is TokenKind.OPERATOR and tokens[last + 1].value == "*":
        end = tokens[last + 1].end  # ``table *``, the default spelled out
    alias = "" if item.alias is not None else f" AS {quoted(item.name)}"
    return Splice(start, end, prefix + replacement + alias)


def derived_table(table: Table, evaluated: Evaluated, *, only: bool) -> str:
    """The columns a scope may see of a table, as a derived table. OFFSET 0 keeps the client's predicates behind a row
    filter."""
    return derived_query(
        table, evaluated, f"{'ONLY ' if only else ''}{quoted(table.ref.schema)}.{quoted(table.ref.name)}"
    )


def derived_query(table: Table, evaluated: Evaluated, source: str) -> str:
    """The same of a ``source`` that has the table's columns: its name, or the definition of a view."""
    columns = ", ".join(_column(table, column, evaluated) for column in table.visible_columns)
    rows = f" WHERE {table.filter}" if table.filter else ""
    barrier = " OFFSET 0" if table.filter or table.barrier else ""
    return f"(SELECT {columns} FROM {source}{rows}{barrier})"  # noqa: S608 - names are quoted, the rest is ours


def _column(table: Table, column: CatalogColumn, evaluated: Evaluated) -> str:
    expression = evaluated.get(ColumnRef(table.ref.schema, table.ref.name, column.name))
    expression = expression or column.expression
    return f"{expression} AS {quoted(column.name)}" if expression else quoted(column.name)


def _parameter_splice(position: int, replacement: str, tokens: tuple[Token, ...]) -> Splice:
    token = next(each for each in tokens if each.start == position)
    return Splice(position, token.end, replacement)


def _withhold_splice(call: Call, null: str, tokens: tuple[Token, ...]) -> Splice:
    """The edit that gives a function ``null`` as its first argument."""
    first = next(index for index, token in enumerate(tokens) if token.start == call.position)
    opening = first + (3 if call.schema is not None else 1)
    if not tokens[opening].is_punctuation("("):
        raise Refused("this call cannot be edited safely", position=tokens[first].start + 1)
    depth = 0
    for token in tokens[opening:]:
        if depth == 1 and (token.is_punctuation(",") or token.is_punctuation(")")):
            return Splice(tokens[opening].end, token.start, null)
        depth += (token.value in ("(", "[")) - (token.value in (")", "]")) if token.kind is TokenKind.PUNCTUATION else 0
    raise Refused("this call cannot be edited safely", position=tokens[first].start + 1)


def check_derived(text: str, edited: str, edits: Edits) -> None:
    """What ``check_edited`` does, for a whole text in which nothing but tables is edited, in a fraction of the time."""
    try:
        server_tree.check_derived(text, edited, {position: derived for position, (_, derived) in edits.tables.items()})
    except server_tree.Different:
        raise Refused("this statement cannot be edited safely") from None


def check_edited(tree: StatementTree, edited: str, edits: Edits) -> None:
    """Raises Refused unless the edited text parses to the client's tree with the edits in it."""
    source = Source(edited)
    statements = parse_statements(source)
    if len(statements) != 1:
        raise Refused("this statement cannot be edited safely")
    if read_statement(source, *statements[0][1:]) != substituted(tree, edits):
        raise Refused("this statement cannot be edited safely")


def substituted(tree: StatementTree, edits: Edits) -> StatementTree:
    """The tree that the edited text must have."""
    result = _replace(tree, edits)
    assert isinstance(result, type(tree))
    return result


def _replace(node: Any, edits: Edits) -> Any:
    """The node itself where nothing in it changes."""
    if isinstance(node, tuple):
        parts = tuple(_replace(each, edits) for each in node)
        return parts if any(map(is_not, parts, node)) else node
    if isinstance(node, TableItem) and node.position is not None and node.position in edits.tables:
        return _derived_item(node, edits.tables[node.position][1])
    if isinstance(node, Column) and node.position in edits.unqualified:
        return replace(node, parts=node.parts[1:])
    if isinstance(node, Star) and node.position in edits.unqualified:
        return replace(node, qualifier=node.qualifier[1:])
    if not is_dataclass(node) or isinstance(node, type):
        return node  # a name, a number, nothing
    if isinstance(node, Call) and node.position is not None and node.position in edits.withheld:
        return replace(node, args=(_expression(edits.withheld[node.position][1]), *node.args[1:]))
    if isinstance(node, Parameter | Constant) and node.position is not None and node.position in edits.parameters:
        return _expression(edits.parameters[node.position])
    if isinstance(node, Select) and edits.groups:
        node = replace(node, group_by=tuple(_with_dependents(node, edits)))
    if isinstance(node, WriteTree) and edits.stars:
        node = replace(node, returning=tuple(_listed(node.returning, edits)))
    changed = {
        name: new for name in type(node).__slots__ if (new := _replace(old := getattr(node, name), edits)) is not old
    }
    if isinstance(node, Update | Delete) and node.target.position in edits.filters:
        where = changed.get("where", node.where)
        changed["where"] = _filtered(where, edits.filters[node.target.position])
    return replace(node, **changed) if changed else node


def _with_dependents(query: Select, edits: Edits) -> Iterator[Expression]:
    for key in query.group_by:
        if isinstance(key, Column | Constant) and key.position is not None:
            yield from edits.groups.get(key.position, ())
        yield key


def _listed(items: Iterable[Item], edits: Edits) -> Iterator[Item]:
    for item in items:
        star = item.expression
        if isinstance(star, Star) and star.position in edits.stars:
            yield from map(Item, edits.stars[star.position])
        else:
            yield item


def _filtered(where: Expression | None, found: TargetFilter) -> Expression:
    """The condition behind the filter: it stands where the NULL is read."""
    if where is None:
        return _expression(found.condition)
    return _with_condition(_expression(f"{found.opening}NULL{CLOSING}"), where)


def _with_condition(barred: Expression, condition: Expression) -> Expression:
    """``barred`` is the CASE itself, or ends in it after AND."""
    assert isinstance(barred, Operation)
    if barred.name != "case":
        return replace(barred, args=(*barred.args[:-1], _with_condition(barred.args[-1], condition)))
    when, default = barred.args
    assert isinstance(when, Operation)
    return replace(barred, args=(replace(when, args=(when.args[0], condition)), default))


def _derived_item(item: TableItem, replacement: str) -> DerivedItem:
    return DerivedItem(query=_read(replacement), alias=item.alias or Alias(item.name))


@lru_cache(maxsize=256)
def _read(text: str) -> Query:
    source = Source(text)
    return read_query(source, parse_statements(source)[0][2])


def _expression(text: str) -> Expression:
    query = _read(f"SELECT {text}")
    assert isinstance(query, Select)
    return query.items[0].expression


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check_name(tokens: tuple[Token, ...], first: int, last: int, item: TableItem) -> None:
    """The tokens spell the name that the grammar read there."""
    names = [item.name] if item.schema is None else [item.schema, item.name]
    spelled = [token.value for token in tokens[first : last + 1 : 2] if token.kind in _NAME_KINDS]
    if spelled != names or (item.schema is not None and not tokens[first + 1].is_punctuation(".")):
        raise Refused("this table reference cannot be edited safely", position=tokens[first].start + 1)
