"""Pairs of values that differ and look alike under a mask: one for each twin.

Candidates are sorted by how they look. Of two neighbours that look the same a mask shows nothing that differs. A token
shows equality and nothing else, but no two values have the same: the tokens of two neighbours are as near to each
other as can be, so that any order among the pairs is the same in both twins, and the transcripts are compared with one
token for the other.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import asyncpg

from maskproxy.core.policy.decision import ColumnMask
from maskproxy.session.masking import row_mask

TOKEN: Final = "token"  # noqa: S105 - the mask of this name
_TEXT_FORMAT: Final = 0

Look = Callable[[str], tuple[str | None, ...]]
"""How a value looks, under every mask it is seen through."""


@dataclass(frozen=True, slots=True)
class Pair:
    """None is NULL. ``looks``: the tokens of both, where they differ."""

    left: str | None
    right: str | None
    looks: tuple[str, str] | None = None


async def valid(connection: asyncpg.Connection, type: str, candidates: Sequence[str]) -> list[str]:
    """Those that are values of the type, as the server writes them."""
    statement = (
        f"SELECT pg_catalog.format('%s', v::{type}) FROM unnest($1::text[]) AS v"  # noqa: S608 - format_type's words
        f" WHERE pg_catalog.pg_input_is_valid(v, $2)"
    )
    try:
        rows = await connection.fetch(statement, list(candidates), type)
    except asyncpg.PostgresError:  # no input function takes text, or a check stands in the way
        return []
    return list(dict.fromkeys(row[0] for row in rows))


def look_of(masks: Iterable[ColumnMask]) -> Look:
    functions = [row_mask(mask, _TEXT_FORMAT) for mask in masks]

    def look(value: str) -> tuple[str | None, ...]:
        shown = (function(value.encode()) for function in functions)
        return tuple(None if each is None else each.decode() for each in shown)

    return look


def same(values: Iterable[str]) -> list[Pair]:
    return [Pair(value, value) for value in values]


def different(values: Sequence[str]) -> list[Pair]:
    """Nothing of them is shown."""
    return [Pair(*two) for two in zip(values[::2], values[1::2], strict=False)]


def alike(values: Iterable[str], look: Look) -> list[Pair]:
    """Distinct values, of groups that look the same, from each group in turn."""
    groups: dict[tuple[str | None, ...], list[str]] = {}
    for value in values:
        groups.setdefault(look(value), []).append(value)
    waiting = [different(group) for group in groups.values() if len(group) > 1]
    made: list[Pair] = []
    while waiting:
        made += [pairs.pop(0) for pairs in waiting]
        waiting = [pairs for pairs in waiting if pairs]
    return made


def neighbours(values: Iterable[str], look: Look, count: int) -> list[Pair]:
    """Pairs of values with tokens that begin alike; their order is that of the tokens."""
    shown = {value: str(look(value)[0]).strip('{}"') for value in values}
    ordered = sorted(shown, key=lambda value: _order(shown[value]))
    pairs = [Pair(a, b, (shown[a], shown[b])) for a, b in zip(ordered[::2], ordered[1::2], strict=False)]
    pairs = [pair for pair in pairs if pair.looks is not None and len(pair.looks[0]) == len(pair.looks[1])]
    return sorted(pairs, key=_beginning, reverse=True)[:count]


def _order(token: str) -> tuple[int, str]:
    return (int(token), "") if token.lstrip("-").isdecimal() else (0, token)


def _beginning(pair: Pair) -> int:
    left, right = pair.looks or ("", "")
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(left, right, strict=True)))
