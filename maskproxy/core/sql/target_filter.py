"""The row filter of a table that is updated or deleted from.

A target cannot become a derived table, so its filter goes into the statement's own WHERE, before the condition there:

    WHERE condition    WHERE CASE WHEN (filter) THEN (condition) ELSE false END

CASE evaluates its parts in order and only as far as needed (PostgreSQL 18, 4.2.14), so the client's condition, which
may fail, is never run on a row that the filter hides. No index serves a CASE. So comparisons ``column = constant``,
which cannot fail or tell anything, are repeated before it: ``WHERE id = 7 AND CASE ...``."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.core.sql.lex import Token, TokenKind, lex
from maskproxy.core.sql.statement import Splice

_NAMES: Final = (TokenKind.WORD, TokenKind.QUOTED)
_CONSTANTS: Final = (TokenKind.STRING, TokenKind.NUMBER, TokenKind.PARAMETER)
COMPARED: Final = frozenset({16, 20, 21, 23, 25, 26, 1042, 1043, 1082, 1114, 1184, 1700, 2950})
"""Types whose ``=`` gives true, false or NULL for all values: bool, integers, oid, texts, dates, numeric, uuid."""


@dataclass(slots=True)
class TargetFilter:
    """``condition``, in parentheses, names columns by the target's ``alias``. ``columns``: those whose comparisons may
    be repeated, without the alias only if the target is ``alone``. What was repeated stands in ``keys`` after the
    splices were made."""

    condition: str
    alias: str
    columns: frozenset[str]
    alone: bool
    keys: str = field(default="", repr=False)

    @property
    def opening(self) -> str:
        return f"{self.keys}CASE WHEN {self.condition} THEN ("


CLOSING: Final = ") ELSE false END"


def filter_splices(
    target: int, found: TargetFilter, tokens: tuple[Token, ...], text: str, repeated: set[int | None]
) -> Iterator[Splice]:
    """The edits for the target at this position; ``repeated`` takes the offsets of constants that are written twice."""
    where, end = _where(target, tokens)
    if where is None:
        position = tokens[end - 1].end
        yield Splice(position, position, f" WHERE {found.condition}")
        return
    if where + 1 >= end:
        raise Refused("this statement cannot be edited safely")
    keys = tuple(_keys(tokens[where + 1 : end], found))
    repeated.update(key[-1].start for key in keys)
    found.keys = "".join(f"{text[key[0].start : key[-1].end]} AND " for key in keys)
    first, last = tokens[where + 1].start, tokens[end - 1].end
    yield Splice(first, first, found.opening)
    yield Splice(last, last, CLOSING)


def _where(target: int, tokens: tuple[Token, ...]) -> tuple[int | None, int]:
    """The index of WHERE, if there is one, and of what follows the condition or the statement without one."""
    start = next(index for index, token in enumerate(tokens) if token.start == target)
    depth, where = 0, None
    for index in range(start, len(tokens)):
        token = tokens[index]
        if token.kind is TokenKind.PUNCTUATION:
            depth += (token.value in ("(", "[")) - (token.value in (")", "]"))
        ends = depth == 0 and token.is_word("returning") and not tokens[index - 1].is_punctuation(".")
        if depth < 0 or ends or token.is_punctuation(";"):
            return where, index
        if depth == 0 and where is None and token.is_word("where") and not tokens[index - 1].is_punctuation("."):
            where = index
    return where, len(tokens)


def _keys(condition: tuple[Token, ...], found: TargetFilter) -> Iterator[tuple[Token, ...]]:
    """Comparisons that the condition begins with, each bound by AND."""
    if any(token.is_word("or") for token in condition):
        return
    start = 0
    while True:
        size = _comparison(condition[start:], found)
        after = start + size
        if not size or (after < len(condition) and not condition[after].is_word("and")):
            return
        yield condition[start:after]
        start = after + 1


def _comparison(tokens: tuple[Token, ...], found: TargetFilter) -> int:
    """How many tokens ``[alias.]column = constant`` has here; 0 when it is something else."""
    names = 3 if len(tokens) > 1 and tokens[1].is_punctuation(".") else 1
    if len(tokens) < names + 2:
        return 0
    column, operator, constant = tokens[names - 1 : names + 2]
    named = found.alone if names == 1 else tokens[0].kind in _NAMES and tokens[0].value == found.alias
    if not named or column.kind not in _NAMES or column.value not in found.columns:
        return 0
    compares = operator.kind is TokenKind.OPERATOR and operator.value == "=" and constant.kind in _CONSTANTS
    return names + 2 if compares else 0


def requalified(condition: str, old: str, new: str) -> str:
    """A filter's condition, whose columns stand after ``old``, a quoted name, with another in its place. Nothing else
    in it is a quoted name before a dot."""
    parts: list[str] = []
    end = 0
    tokens = lex(condition)
    for token, following in pairwise(tokens):
        if following.is_punctuation(".") and condition[token.start : token.end] == old:
            parts += [condition[end : token.start], new]
            end = token.end
    return "".join([*parts, condition[end:]])
