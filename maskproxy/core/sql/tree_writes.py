"""A statement that writes, as a tree: INSERT, UPDATE and DELETE beside the queries of ``tree``.

Names of written columns are plain strings, since they can mean nothing but columns of the target."""

from dataclasses import dataclass, field

from maskproxy.core.sql.tree import Expression, FromItem, Item, Query, TableItem, Tail


def _position() -> int | None:
    return field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A column in the list of an INSERT."""

    name: str
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Assignment:
    """``column = value``, or several columns of one subquery: ``(a, b) = (SELECT ...)``."""

    columns: tuple[str, ...]
    value: Expression
    position: int | None = _position()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """ON CONFLICT. ``keys`` and ``where`` name the index that arbitrates, or ``constraint`` does. ``assignments`` is
    empty for DO NOTHING."""

    keys: tuple[Expression, ...] = ()
    where: Expression | None = None
    constraint: str | None = None
    assignments: tuple[Assignment, ...] = ()
    update_where: Expression | None = None
    position: int | None = _position()


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """``columns`` is None without a column list, ``source`` is None for DEFAULT VALUES."""

    tail: Tail
    target: TableItem
    columns: tuple[WrittenColumn, ...] | None
    source: Query | None
    conflict: Conflict | None = None
    returning: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    tail: Tail
    target: TableItem
    assignments: tuple[Assignment, ...]
    from_items: tuple[FromItem, ...] = ()
    where: Expression | None = None
    returning: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """``from_items`` are those of USING."""

    tail: Tail
    target: TableItem
    from_items: tuple[FromItem, ...] = ()
    where: Expression | None = None
    returning: tuple[Item, ...] = ()


WriteTree = Insert | Update | Delete
StatementTree = Query | WriteTree
