"""Names: which relation or column a name means at a place, exactly as PostgreSQL's parse_relation.c finds it.

A ``Scope`` is one query level: the items of its FROM so far, and the level outside. Each item has two visibilities:
its columns can be named without it (not when a join covers them) and it can be named itself (not when the join has an
alias).

Columns of all levels are tried first, inner to outer; only then does a bare name mean a whole row. ``rel.name`` never
continues outwards once ``rel`` is found. A qualified name that is no column would be functional notation on the
server; here it is unknown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from maskproxy.base.errors import AmbiguousColumn, Refused, UnknownColumn, UnknownTable
from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.sql.tree import Alias, Column, Star

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
NOTHING: frozenset[ColumnRef] = frozenset()


@dataclass(frozen=True, slots=True)
class Flow:
    """What a value is made of: ``sources`` can reach it, ``direct`` is the one column it copies unchanged.

    ``composite``: it may be a row, so functions in FROM could spread it into columns that are not known here.
    ``object``: it is the number or the name of a visible object of that kind, or NULL; ``reg``: it may be of type
    regclass, regtype or the like, see ``flows_objects``.
    """

    sources: frozenset[ColumnRef] = NOTHING
    direct: ColumnRef | None = None
    composite: bool = False
    object: str | None = None
    reg: bool = False


def computed(*flows: Flow) -> Flow:
    """A value computed from these."""
    sources = NOTHING.union(*(flow.sources for flow in flows))
    return Flow(sources, None, any(flow.composite for flow in flows), None, any(flow.reg for flow in flows))


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a relation in FROM."""

    name: str
    flow: Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """An item of a namespace. ``name`` is None for a join without alias; ``ref`` is set for a table without alias.

    ``unqualify`` is set for a table that a derived table takes the place of: it is told where a schema stands before a
    column, since no derived table has one. ``key``: the columns that identify a row, of such a table.
    """

    name: str | None
    fields: tuple[Field, ...]
    ref: TableRef | None = None
    is_base: bool = False  # has system columns
    unqualify: Callable[[int | None], None] | None = field(default=None, compare=False, repr=False)
    key: frozenset[ColumnRef] = NOTHING
    columns_visible: bool = True
    _by_name: dict[str, list[Field]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for each in self.fields:
            self._by_name.setdefault(each.name, []).append(each)

    def named(self, name: str) -> list[Field]:
        return self._by_name.get(name, [])

    def row(self) -> Flow:
        return replace(computed(*(field.flow for field in self.fields)), composite=True)

    def covered(self) -> "Relation":
        """As a join hides it: named itself only."""
        return replace(self, columns_visible=False)

    def aliased(self, alias: Alias | None, position: int | None = None) -> "Relation":
        """Under the client's alias. Raises Refused when the alias names more columns than there are."""
        if alias is None:
            return self
        return replace(
            self, name=alias.name, ref=None, fields=renamed(self.fields, alias.columns, alias.name, position)
        )


def renamed(
    fields: tuple[Field, ...], names: tuple[str, ...], relation: str, position: int | None = None
) -> tuple[Field, ...]:
    """The first columns under new names, the rest as they are."""
    if len(names) > len(fields):
        raise Refused(
            f'table "{relation}" has {len(fields)} columns available but {len(names)} columns specified',
            position=_shown(position),
        )
    head = (Field(name, field.flow) for name, field in zip(names, fields, strict=False))
    return (*head, *fields[len(names) :])


@dataclass(frozen=True, slots=True)
class WholeRow:
    relation: Relation


@dataclass(frozen=True, slots=True)
class Scope:
    """One query level and, through ``parent``, those around it."""

    items: tuple[Relation, ...] = ()
    parent: "Scope | None" = None

    def levels(self) -> "Iterator[Scope]":
        level: Scope | None = self
        while level is not None:
            yield level
            level = level.parent

    def column(self, column: Column) -> Field | WholeRow:
        """What a column reference means. Raises UnknownColumn, UnknownTable, AmbiguousColumn, Refused (system
        columns)."""
        if len(column.parts) > 1:
            return _field(self.relation(column.parts[:-1], column.position), column)
        name = column.parts[0]
        for level in self.levels():
            found = level.local(column)
            if found is not None:
                return found
        relation = self._find(column.parts, column.position)
        if relation is None:
            raise UnknownColumn(f'column "{name}" does not exist', position=_shown(column.position))
        return WholeRow(relation)

    def local(self, column: Column) -> Field | None:
        """An unqualified column of this level only."""
        name = column.parts[0]
        visible = [item for item in self.items if item.columns_visible]
        found = [field for item in visible for field in item.named(name)]
        if len(found) > 1:
            raise AmbiguousColumn(f'column reference "{name}" is ambiguous', position=_shown(column.position))
        if not found and name in SYSTEM_COLUMNS and any(item.is_base for item in visible):
            raise _system_column(name, column.position)
        return found[0] if found else None

    def relation(self, name: tuple[str, ...], position: int | None) -> Relation:
        """The relation that stands before a dot. Raises UnknownTable."""
        relation = self._find(name, position)
        if relation is None:
            raise UnknownTable(f'missing FROM-clause entry for table "{name[-1]}"', position=_shown(position))
        return relation

    def star(self, star: Star) -> tuple[Field, ...]:
        """What ``*`` or ``t.*`` expands to in a select list."""
        if star.qualifier:
            return self.relation(star.qualifier, star.position).fields
        visible = [item for item in self.items if item.columns_visible]
        if not visible:
            raise Refused("SELECT * with no tables specified is not valid", position=_shown(star.position))
        return tuple(field for item in visible for field in item.fields)

    def _find(self, name: tuple[str, ...], position: int | None) -> Relation | None:
        for level in self.levels():
            found = [item for item in level.items if _is_named(item, name)]
            if len(found) > 1:
                raise AmbiguousColumn(f'table reference "{name[-1]}" is ambiguous', position=_shown(position))
            if found:
                if len(name) > 1 and found[0].unqualify is not None:
                    self._unqualify(found[0], name, position)
                return found[0]
        return None

    def _unqualify(self, relation: Relation, name: tuple[str, ...], position: int | None) -> None:
        """Without its schema the name must still mean the same table."""
        assert relation.unqualify is not None
        try:
            same = self._find(name[1:], position) is relation
        except AmbiguousColumn:
            same = False
        if not same:
            raise Refused(
                f"{name[0]}.{name[1]} is not supported before a column here under a masking scope",
                hint="Give the table an alias.",
                position=_shown(position),
            )
        relation.unqualify(position)


def check_names(items: tuple[Relation, ...]) -> None:
    """Two items of one FROM may share a name only as tables of different schemas (checkNameSpaceConflicts)."""
    seen: dict[str, TableRef | None] = {}
    for item in items:
        if item.name is None:
            continue
        if item.name in seen and (item.ref is None or seen[item.name] is None or seen[item.name] == item.ref):
            raise Refused(f'table name "{item.name}" specified more than once')
        seen[item.name] = item.ref


def _is_named(item: Relation, name: tuple[str, ...]) -> bool:
    if len(name) == 1:
        return item.name == name[0]
    return item.ref == TableRef(name[0], name[1])


def _field(relation: Relation, column: Column) -> Field:
    name = column.parts[-1]
    found = relation.named(name)
    if len(found) > 1:
        raise AmbiguousColumn(f'column reference "{name}" is ambiguous', position=_shown(column.position))
    if found:
        return found[0]
    if name in SYSTEM_COLUMNS:
        raise _system_column(name, column.position)
    raise UnknownColumn(f"column {column.parts[-2]}.{name} does not exist", position=_shown(column.position))


def _system_column(name: str, position: int | None) -> Refused:
    return Refused(f'system column "{name}" is not supported under a masking scope', position=_shown(position))


def _shown(position: int | None) -> int | None:
    """As in an error: counted from 1."""
    return None if position is None else position + 1
