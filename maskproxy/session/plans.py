"""Plans that were made once, for the next one who sends the text: the same text, or one that differs in literals only.

The second kind rests on two things. The texts have one *shape* (``core/sql/shape``): the same tokens but for plain
literals. And the literals whose values the analysis looked at (``Analysis.literals``), such as ordinals and names of
settings, are the same. An analysis that looks at nothing else cannot come out otherwise, so the plan is taken over:
its edits are made in the new text, between the new literals, and what it says of positions is dropped.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Final, Generic, TypeVar

from maskproxy.base import limits
from maskproxy.core.plan import Plan, StatementPlan
from maskproxy.core.sql.shape import LiteralKind, Shape, shape
from maskproxy.core.sql.statement import Splice, StatementKind
from maskproxy.core.sql.substitute import apply_splices

PLAN_BYTES: Final = 4 * limits.KiB  # of a plan that reads a table or two, besides its text
COLUMN_BYTES: Final = 512  # for each column it returns
_PART_BYTES: Final = 128  # for each literal of a text, and each piece between them
_LONGEST: Final = 16 * limits.KiB  # characters of a text that is looked up by its shape
_MOST_VARIANTS: Final = 16  # of one shape, by the values of literals that matter
_SHARED: Final = frozenset({StatementKind.SELECT})
"""Statements whose literals reach the analysis as constants of its tree, and in no other way."""


class PlanCache:
    """Least recently used first out, bounded by an estimate of bytes."""

    def __init__(self, bound: int) -> None:
        self._texts: Bounded[str, Plan] = Bounded(bound)
        self._shapes: Bounded[tuple[str | LiteralKind, ...], list[Pattern]] = Bounded(bound)

    @property
    def weight(self) -> int:
        return self._texts.weight + self._shapes.weight

    def get(self, text: str) -> Plan | None:
        return self._texts.get(text) or self._similar(text)

    def put(self, plan: Plan) -> None:
        weight = _weight(plan)
        self._texts.put(plan.text, plan, weight)
        found = shape(plan.text) if len(plan.text) <= _LONGEST else None
        pattern = make_pattern(plan, found) if found is not None and found.literals else None
        if found is None or pattern is None:
            return
        variants = self._shapes.get(found.key) or []
        self._shapes.put(
            found.key,
            [pattern, *variants][:_MOST_VARIANTS],
            (1 + len(variants)) * (weight + _PART_BYTES * len(found.key)),
        )

    def _similar(self, text: str) -> Plan | None:
        found = shape(text) if len(text) <= _LONGEST else None
        variants = None if found is None else self._shapes.get(found.key)
        if found is None or variants is None:
            return None
        return next((each.plan(text, found.literals) for each in variants if each.fits(found.literals)), None)


def _weight(plan: Plan) -> int:
    columns = sum(len(each.outputs or ()) for each in plan.statements)
    return PLAN_BYTES + COLUMN_BYTES * columns + 4 * len(plan.text)


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A plan to be taken over. ``fixed``: literals that matter, by number. ``parts``: the SQL to send, with every
    second part, a literal, to be replaced; None when texts are sent as they are."""

    original: Plan = field(repr=False)
    fixed: tuple[tuple[int, str], ...] = field(repr=False)
    parts: tuple[str, ...] | None = field(repr=False)

    def fits(self, literals: Sequence[str]) -> bool:
        return all(literals[number] == value for number, value in self.fixed)

    def plan(self, text: str, literals: Sequence[str]) -> Plan:
        sql = text
        if self.parts is not None:
            parts = list(self.parts)
            parts[1::2] = literals
            sql = "".join(parts)
        return replace(self.original, text=text, sql=sql, pattern=self.original)


def make_pattern(plan: Plan, found: Shape) -> Pattern | None:
    """None for a plan that cannot be taken over."""
    if len(plan.statements) != 1:
        return None
    analysis = plan.statements[0].analysis
    if analysis is None or analysis.kind not in _SHARED or analysis.session is not None:
        return None
    chunks = found.chunks()
    places = _places(chunks, found.literals)
    numbers = {start: number for number, (start, _) in enumerate(places)}
    if not numbers.keys() >= analysis.literals:  # also when there is one whose place is not known, or with a sign
        return None
    matter = {numbers[start] for start in analysis.literals if start is not None}
    matter |= {number for number in range(len(places)) if "float" in chunks[number].lower()}  # FLOAT(n) names a type
    parts: tuple[str, ...] | None = None
    if analysis.splices:
        parts = _parts(chunks, found.literals, places, analysis.splices)
        if parts is None:
            return None
    if plan.sql != (plan.text if parts is None else "".join(parts)):
        return None
    original = replace(plan, statements=(_without_positions(plan.statements[0]),))
    fixed = tuple((number, found.literals[number]) for number in sorted(matter))
    return Pattern(original, fixed, parts)


def _places(chunks: Sequence[str], literals: Sequence[str]) -> list[tuple[int, int]]:
    """Start and end of each literal in the text."""
    ends = list(accumulate(len(chunk) + len(literal) for chunk, literal in zip(chunks, literals, strict=False)))
    return [(end - len(literal), end) for end, literal in zip(ends, literals, strict=True)]


def _parts(
    chunks: Sequence[str], literals: Sequence[str], places: Sequence[tuple[int, int]], splices: Sequence[Splice]
) -> tuple[str, ...] | None:
    """The edited text, cut at its literals. None when an edit reaches over one."""
    begin = 0
    left = list(splices)
    parts: list[str] = []
    for chunk, literal, (_, following) in zip(chunks, (*literals, ""), (*places, (0, 0)), strict=True):
        end = begin + len(chunk)
        inside = [each for each in left if begin <= each.start and each.end <= end]
        left = [each for each in left if each not in inside]
        edits = (replace(each, start=each.start - begin, end=each.end - begin) for each in inside)
        parts += [apply_splices(chunk, edits), literal]
        begin = following
    return None if left else tuple(parts[:-1])


def _without_positions(statement: StatementPlan) -> StatementPlan:
    analysis = statement.analysis
    if analysis is None:
        return statement
    outputs = tuple(replace(output, position=None) for output in analysis.outputs)
    bare = replace(analysis, start=0, end=0, outputs=outputs, uses=(), splices=(), literals=frozenset())
    return replace(statement, analysis=bare)


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """A mapping that forgets what was not used for longest when its values weigh too much together."""

    def __init__(self, bound: int) -> None:
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bound = bound
        self.weight = 0

    def get(self, key: K) -> V | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        _, before = self._values.pop(key, (None, 0))
        self._values[key] = (value, weight)
        self.weight += weight - before
        while self.weight > self._bound:
            _, (_, lost) = self._values.popitem(last=False)
            self.weight -= lost
