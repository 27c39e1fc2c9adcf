"""Prepared statements and portals of one client, with the plans they were allowed under.

The names belong to the server; this is our copy, and it must never say plan A where the server would run statement B.
So each namespace is what the server has confirmed, plus the operations that were sent and are not answered yet, in
order. A look-up sees the last of these; an answer moves one to what is confirmed; when the server turns out to have
skipped it (an error earlier in the pipeline) it is struck out, wherever it stands.

Requests that were sent meanwhile and rely on what was struck out are ``void``: the server may have run an older
statement of that name for them, so their replies are dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from maskproxy.core.plan import Plan, StatementPlan
from maskproxy.session.masking import RowMasks, row_masks


@dataclass(slots=True, eq=False)
class PreparedStatement:
    """``types``: of its parameters, as far as Parse declared them.

    ``made_in_sql``: by DECLARE or PREPARE; its plan cannot be made anew, since its text is a part of another.
    ``alias``: its name on the server under transaction pooling (``holdings``)."""

    plan: Plan
    types: tuple[int, ...] = ()
    void: bool = False
    made_in_sql: bool = False
    alias: str | None = None
    _masks: dict[tuple[int, ...], RowMasks | None] = field(default_factory=dict)  # by result formats

    def replan(self, plan: Plan) -> None:
        """The same statement, decided anew."""
        self.plan = plan
        self._masks.clear()

    @property
    def has_result(self) -> bool:
        """It returns rows that analysis has looked at."""
        return bool(self.plan.statements) and self.plan.statements[0].returns_rows

    @property
    def reads_rows(self) -> bool:
        """It is a query and nothing else, so SQL may fetch from it."""
        return self.has_result and self.plan.reads_only and self.plan.statements[0].session is None

    def masks(self, formats: tuple[int, ...]) -> RowMasks | None:
        """What to do with its rows, in these formats; None when they are forwarded as they are."""
        if formats not in self._masks:
            outputs = self.plan.statements[0].outputs if self.plan.statements else None
            self._masks[formats] = None if outputs is None else row_masks(outputs, formats)
        return self._masks[formats]


@dataclass(slots=True, eq=False)
class Portal:
    """``formats``: result format codes as Bind gave them (none: all text; one: for all columns).

    ``target``: what a portal of FETCH or EXECUTE returned rows of when it was bound. ``described``: the plan with which
    the server's description of its rows is compared, before the first of them comes: the server makes a statement anew
    when tables have changed, and its tables stay locked from Bind on. ``hold``: a cursor that outlives its
    transaction. ``started``: it was executed once; ``rows``: of it, released so far."""

    statement: PreparedStatement
    formats: tuple[int, ...]
    parameters: tuple[bytes | None, ...] = field(repr=False)
    parameter_formats: tuple[int, ...] = ()
    void: bool = False
    target: "Source | None" = None
    described: StatementPlan | None = None
    started: bool = False
    rows: int = 0
    hold: bool = False


Source = PreparedStatement | Portal
"""What EXECUTE and FETCH return rows of."""

T = TypeVar("T", PreparedStatement, Portal)


class Names(Generic[T]):
    """One namespace."""

    def __init__(self) -> None:
        self._confirmed: dict[str, T] = {}
        self._pending: list[Operation[T]] = []

    def __len__(self) -> int:
        return len(self._confirmed) + len(self._pending)

    def get(self, name: str) -> T | None:
        for operation in reversed(self._pending):
            if operation.name == name or operation.name is None:
                return operation.item
        return self._confirmed.get(name)

    def set(self, name: str, item: T) -> "Operation[T]":
        return self._sent(Operation(self, name, item))

    def put(self, name: str, item: T) -> None:
        """The server has it already, and nothing is under way."""
        self._confirmed[name] = item

    def remove(self, name: str | None) -> "Operation[T]":
        """None removes all."""
        return self._sent(Operation(self, name, None))

    def keep(self, kept: Callable[[T], bool]) -> None:
        """The server has forgotten all others, and nothing is under way."""
        self._confirmed = {name: item for name, item in self._confirmed.items() if kept(item)}
        self._pending.clear()

    def _sent(self, operation: "Operation[T]") -> "Operation[T]":
        self._pending.append(operation)
        return operation

    def settle(self, operation: "Operation[T]", *, done: bool) -> None:
        self._pending.remove(operation)
        if not done:
            if operation.item is not None:
                operation.item.void = True
        elif operation.name is None:
            self._confirmed.clear()
        elif operation.item is None:
            self._confirmed.pop(operation.name, None)
        else:
            self._confirmed[operation.name] = operation.item


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[T]):
    """A name that is set, or removed (``item`` None); ``name`` None stands for all names. Settled once."""

    names: Names[T]
    name: str | None
    item: T | None

    def confirm(self) -> None:
        """The server did it."""
        self.names.settle(self, done=True)

    def undo(self) -> None:
        """The server skipped it."""
        self.names.settle(self, done=False)
