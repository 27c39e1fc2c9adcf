"""Prepared statements and portals of one client, with the plans they were allowed under.

The names belong to the server; this is our copy, and it must never say plan A where the server would run statement B.

A name is set when its message is forwarded and taken back when the server turns out to have skipped it (an error
earlier in the pipeline). Requests that were sent meanwhile and rely on what was taken back are ``void``: the server may
have run an older statement of that name for them, so their replies are dropped. A name is removed when the server has
confirmed it; until then our copy holds a name that the server may not have, and the server's error is the answer.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from maskproxy.core.plan import Plan
from maskproxy.session.masking import RowMasks, row_masks


@dataclass(slots=True, eq=False)
class PreparedStatement:
    """``described``: the server's own description of its result was seen and agreed with the plan."""

    plan: Plan
    described: bool = False
    void: bool = False
    _masks: dict[tuple[int, ...], RowMasks | None] = field(default_factory=dict)  # by result formats

    def replan(self, plan: Plan) -> None:
        """The same statement, decided anew."""
        self.plan = plan
        self.described = False
        self._masks.clear()

    def masks(self, formats: tuple[int, ...]) -> RowMasks | None:
        """What to do with its rows, in these formats; None when they are forwarded as they are."""
        if formats not in self._masks:
            outputs = self.plan.statements[0].outputs if self.plan.statements else None
            self._masks[formats] = None if outputs is None else row_masks(outputs, formats)
        return self._masks[formats]


@dataclass(slots=True, eq=False)
class Portal:
    """``formats``: result format codes as Bind gave them (none: all text; one: for all columns)."""

    statement: PreparedStatement
    formats: tuple[int, ...]
    parameters: tuple[bytes | None, ...] = field(repr=False)
    void: bool = False


T = TypeVar("T", PreparedStatement, Portal)


class Names(Generic[T]):
    """One namespace."""

    def __init__(self) -> None:
        self._items: dict[str, T] = {}

    def __len__(self) -> int:
        return len(self._items)

    def get(self, name: str) -> T | None:
        return self._items.get(name)

    def set(self, name: str, item: T) -> "Change[T]":
        change = Change(self, name, self._items.get(name), item)
        self._items[name] = item
        return change

    def removal(self, name: str) -> "Removal[T]":
        return Removal(self, name, self._items.get(name))

    def removal_of_all(self) -> "list[Removal[T]]":
        return [self.removal(name) for name in self._items]

    def clear(self) -> None:
        self._items.clear()

    def put(self, name: str, item: T | None) -> None:
        if item is None:
            self._items.pop(name, None)
        else:
            self._items[name] = item


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """A name that was set before the server has confirmed it."""

    names: Names[T]
    name: str
    before: T | None
    after: T

    def undo(self) -> None:
        self.after.void = True
        self.names.put(self.name, self.before)


@dataclass(frozen=True, slots=True)
class Removal(Generic[T]):
    """A name that goes once the server has confirmed it, unless it was set anew in the meantime."""

    names: Names[T]
    name: str
    item: T | None

    def apply(self) -> None:
        if self.names.get(self.name) is self.item:
            self.names.put(self.name, None)
