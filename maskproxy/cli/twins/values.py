"""The rows of both twins: the same where the scope sees them, different where it must not.

clear in any of the ways it can be reached    the same value in both
named by a row filter, whose rows are seen    the same value in both
masked                                        two values that look alike under every mask it is seen through
nowhere to be seen                            two values
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

import asyncpg

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.cli.twins import pairs
from maskproxy.cli.twins.candidates import Candidates
from maskproxy.cli.twins.layout import Field, Layout, TableLayout
from maskproxy.cli.twins.pairs import Pair
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.policy.ruleset import RuleSet, Scope

ROWS: Final = 20
_DISTINCT: Final = 13  # of a column that need not be unique: some values occur twice
_CANDIDATES: Final = 600
_FOR_TOKENS: Final = 3_000
_NULL_EVERY: Final = 7
_COLUMN: Final = re.compile(r'"\."((?:[^"]|"")+)"')  # of a condition: "table"."column"
_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is seen of a column. ``masks`` is empty for a column in clear and for one that is not to be seen."""

    shown: bool
    masks: tuple[ColumnMask, ...] = ()

    @property
    def clear(self) -> bool:
        return self.shown and not self.masks


HIDDEN: Final = Answer(False)


def read_filters(layout: Layout, scope: Scope) -> None:
    """Fill in ``filtered``."""
    for ref, table in layout.tables.items():
        condition = scope.catalog.tables[ref].filter if ref in scope.catalog.tables else ""
        literals = [each.replace("''", "'") for each in _LITERAL.findall(condition)]
        for column in _COLUMN.findall(condition):
            table.filtered[column.replace('""', '"')] = literals


class Answers:
    """By column, all ways to reach it considered: its table, tables above that, partitions below it, and views."""

    def __init__(self, layout: Layout, scope: Scope, ruleset: RuleSet, protected: Collection[ColumnRef] = ()) -> None:
        self._layout = layout
        self._scope = scope
        self._protected = protected
        seen = {ref for ref, table in scope.catalog.tables.items() if not table.hidden}
        below = (ruleset.views[view].tables for view in seen & ruleset.views.keys())
        self._reached = seen.union(*below)

    def of(self, column: ColumnRef) -> Answer:
        """What is protected and in clear all the same is made to differ, so that it is told."""
        answer = self._by_rules(column)
        return HIDDEN if answer.clear and column in self._protected else answer

    def _by_rules(self, column: ColumnRef) -> Answer:
        if column.column in self._layout.tables[column.table_ref].filtered:
            return Answer(True)
        ways = [self._at(ColumnRef(table.schema, table.name, column.column)) for table in self._ways(column.table_ref)]
        if any(way.clear for way in ways):
            return Answer(True)
        masks = {(mask.rule, mask.name): mask for way in ways for mask in way.masks}
        return Answer(bool(masks), tuple(masks.values()))

    def _at(self, column: ColumnRef) -> Answer:
        """In the table itself. A table of which the parent alone is known has no answers of its own."""
        table = self._scope.catalog.tables.get(column.table_ref)
        if column.table_ref not in self._reached or table is None or table.column(column.column) is None:
            return HIDDEN
        if column in self._scope.denied:
            return HIDDEN
        mask = self._scope.masks.get(column)
        return Answer(True, () if mask is None else (mask,))

    def _ways(self, table: TableRef) -> Iterator[TableRef]:
        yield from self._layout.above(table)
        yield from self._layout.partitions(table)


@dataclass(slots=True)
class Rows:
    """``columns``: a pair of values for each row. ``tokens``: of the right twin's the left one's."""

    columns: dict[ColumnRef, list[Pair]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)


class Filler:
    def __init__(self, connection: asyncpg.Connection, layout: Layout, answers: Answers, chance: Random) -> None:
        self._connection = connection
        self._layout = layout
        self._answers = answers
        self._candidates = Candidates(layout.types, chance)
        self._making: set[ColumnRef] = set()
        self._begun: set[TableRef] = set()
        self._tables: dict[TableRef, Mapping[str, list[Pair]]] = {}
        self.rows = Rows()

    async def fill(self, table: TableLayout) -> Mapping[str, list[Pair]]:
        """Columns of equal length; shorter than ROWS where a key has no more values."""
        if table.ref not in self._tables:
            self._begun.add(table.ref)
            self._tables[table.ref] = await self._fill(table)
        return self._tables[table.ref]

    async def _fill(self, table: TableLayout) -> Mapping[str, list[Pair]]:
        found = {name: await self._column(table, each) for name, each in table.fields.items() if not each.generated}
        enough = [
            max((self._distinct(found[name]) for name in key if name in found), default=ROWS) for key in table.unique
        ]
        count = min([ROWS, *enough, *(len(values) for values in found.values())])
        return {name: values[:count] for name, values in found.items()}

    def _distinct(self, values: list[Pair]) -> int:
        """How many rows have no value that came before, in either twin."""
        for number, pair in enumerate(values):
            earlier = values[:number]
            if any(pair.left == each.left or pair.right == each.right for each in earlier):
                return number
        return len(values)

    async def _column(self, table: TableLayout, each: Field) -> list[Pair]:
        ref = ColumnRef(table.ref.schema, table.ref.name, each.name)
        if ref not in self.rows.columns:
            self._making.add(ref)
            self.rows.columns[ref] = await self._refer(table, each, ref) or await self._make(table, each, ref)
            self._making.discard(ref)
        return self.rows.columns[ref]

    async def _refer(self, table: TableLayout, each: Field, ref: ColumnRef) -> list[Pair]:
        """Values of the column it refers to, if that is seen in the same way."""
        target = table.foreign.get(each.name)
        if target is None or target in self._making or target.table_ref not in self._layout.tables:
            return []
        other = self._layout.tables[target.table_ref]
        if self._manner(ref) != self._manner(target) or other.fields[target.column].generated:
            return []
        if other.ref in self._begun and other.ref not in self._tables:  # it refers to us as well, or to itself
            found = await self._column(other, other.fields[target.column])
        else:
            found = (await self.fill(other))[target.column]
        values = [pair for pair in found if pair.left is not None]
        step = 1 if any(each.name in key for key in table.unique) else 3
        return [values[(number * step + step - 1) % len(values)] for number in range(ROWS)] if values else []

    def _manner(self, ref: ColumnRef) -> object:
        answer = self._answers.of(ref)
        return answer.shown, frozenset((mask.label, mask.name) for mask in answer.masks)

    async def _make(self, table: TableLayout, each: Field, ref: ColumnRef) -> list[Pair]:
        answer = self._answers.of(ref)
        made = await self._pairs(each, answer, table.bounds.get(each.name, []) + table.filtered.get(each.name, []))
        self.rows.tokens |= {pair.looks[1]: pair.looks[0] for pair in made if pair.looks is not None}
        in_key = any(each.name in key for key in table.unique)
        if not made:
            return [Pair(None, None)] * ROWS
        cycle = made if in_key else made[:_DISTINCT]
        if each.name in table.filtered and not in_key:  # half of the rows pass most filters
            cycle = [found for pair in cycle for found in (cycle[0], pair)]
        column = [cycle[number % len(cycle)] for number in range(ROWS)]
        return column if each.not_null else _with_nulls(column, answer, once=in_key)

    async def _pairs(self, each: Field, answer: Answer, bounds: list[str]) -> list[Pair]:
        tokens = any(mask.name == pairs.TOKEN for mask in answer.masks)
        hint = " ".join([each.name, *(mask.name for mask in answer.masks)])
        candidates = self._candidates.of(each.type, _FOR_TOKENS if tokens else _CANDIDATES, hint)
        values = await pairs.valid(self._connection, each.type, [*bounds, *candidates])
        if answer.clear:
            return pairs.same(values)[:ROWS]
        if not answer.shown or all(mask.apply is None for mask in answer.masks):
            return pairs.different(values)[:ROWS]
        look = pairs.look_of(answer.masks)
        found = pairs.alike(values, look)
        if tokens and len(answer.masks) == 1 and len(found) < ROWS:
            found = pairs.neighbours(values, look, ROWS)
        return found[:ROWS] or pairs.same(values)[:ROWS]


def _with_nulls(column: list[Pair], answer: Answer, *, once: bool) -> list[Pair]:
    """NULL in both, and where that too is hidden, in one of them."""
    places = range(_NULL_EVERY - 2, len(column), len(column) if once else _NULL_EVERY)
    hidden = not answer.clear and all(mask.apply is None for mask in answer.masks)
    changed = list(column)
    for number in places:
        changed[number] = Pair(None, None)
        if hidden and not once and number + 2 < len(column):
            changed[number + 1] = Pair(None, column[number + 1].right)
            changed[number + 2] = Pair(column[number + 2].left, None)
    return changed
