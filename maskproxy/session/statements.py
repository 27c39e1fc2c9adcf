"""Prepared statements and portals of one client, with the plans they were allowed under.

The names belong to the server; this is our copy, and it must never say plan A where the server would run statement B.
A change is made when its message is forwarded and taken back when the server turns out to have skipped it (an error
earlier in the pipeline), so at each moment the copy is the server's state after all messages that were sent so far.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from maskproxy.core.plan import Plan

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class PreparedStatement:
    """``described``: the server's own description of its result was seen and agreed with the plan."""

    plan: Plan
    described: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Portal:
    """``formats``: result format codes as Bind gave them (none: all text; one: for all columns)."""

    statement: PreparedStatement
    formats: tuple[int, ...]
    parameters: tuple[bytes | None, ...] = field(repr=False)


class Names(Generic[T]):
    """A namespace whose changes can be taken back, newest first."""

    def __init__(self) -> None:
        self._items: dict[str, T] = {}

    def __len__(self) -> int:
        return len(self._items)

    def get(self, name: str) -> T | None:
        return self._items.get(name)

    def set(self, name: str, item: T) -> "Change[T]":
        change = Change(self, name, self._items.get(name))
        self._items[name] = item
        return change

    def remove(self, name: str) -> "Change[T]":
        return Change(self, name, self._items.pop(name, None))

    def remove_all(self) -> "list[Change[T]]":
        return [self.remove(name) for name in list(self._items)]

    def clear(self) -> None:
        self._items.clear()

    def restore(self, name: str, item: T | None) -> None:
        if item is None:
            self._items.pop(name, None)
        else:
            self._items[name] = item


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    names: Names[T]
    name: str
    before: T | None

    def undo(self) -> None:
        self.names.restore(self.name, self.before)
