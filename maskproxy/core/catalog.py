"""An immutable snapshot of what a database holds, as far as analysis needs it.

A catalog knows *all* relations, the forbidden ones too: a name is first resolved as the server would resolve it and
only then is the relation found refused if the scope may not see it. Looking only among visible relations would be
wrong: a hidden table in an earlier schema of the search path is the one the server reads.

What is hidden and what does not exist must look the same to the client, so both raise the same error with the same
words.

System relations (``pg_catalog``, ``information_schema``) are visible only as ``system_relations.txt`` beside this
file lists them: some columns, and some rows (``Table.filter``), since they would otherwise name every hidden table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from importlib.resources import files
from typing import Final

from maskproxy.base.refs import ColumnRef, Generation, Oid, TableRef

SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema"})
SearchPath = tuple[str, ...]
UNKNOWN_OID: Final = Oid(0)


class RelationKind(StrEnum):
    """``pg_class.relkind`` of what can stand in FROM."""

    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"
    FOREIGN_TABLE = "f"
    SEQUENCE = "S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """``type_oid`` of a domain is its base type's, 0 when unknown; ``type_name`` is what ``format_type`` says, e.g.
    ``text``. ``sources``: the columns of the same table that a generated column is computed from. ``masked``: a column
    of a view that has a mask of its own, other than what it is made of. ``has_default``: not named in an INSERT, it
    need not be NULL."""

    name: str
    type_oid: Oid = UNKNOWN_OID
    type_name: str = ""
    typmod: int = -1
    attnum: int = 0
    not_null: bool = False
    hidden: bool = False
    sources: tuple[str, ...] = ()
    masked: bool = False
    has_default: bool = False


class ConstraintKind(StrEnum):
    """What a write to a table is checked against."""

    ROW = "row"  # the row itself: CHECK, expressions of indexes and generated columns, the key of partitions
    UNIQUE = "unique"  # other rows of the table: unique and exclusion constraints, unique indexes
    REFERENCES = "references"  # rows of another table, to which these columns refer
    REFERENCED = "referenced"  # rows of another table that refer to these columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """``columns`` of the table; ``others``: those of the other table. ``nulls``: with a NULL in it, it holds."""

    kind: ConstraintKind
    columns: frozenset[str]
    others: frozenset[ColumnRef] = frozenset()
    nulls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A relation. Reading it reads its ``children`` too (inheritance, partitions), unless the statement says ONLY.

    ``filter`` is a predicate over its columns: the rows that may be seen at all. It is set for system relations only.
    ``primary_key``: its columns, if there is one that is never deferred; other columns depend on them in GROUP BY.
    ``definition``: the query of a view. ``barrier``: a view behind which predicates must stay (security_barrier).
    ``has_triggers``: of the owner's making, not those of foreign keys.
    """

    ref: TableRef
    oid: Oid = UNKNOWN_OID
    kind: RelationKind = RelationKind.TABLE
    columns: tuple[Column, ...] = ()
    children: frozenset[TableRef] = frozenset()
    hidden: bool = False
    filter: str = ""
    primary_key: tuple[str, ...] = ()
    has_rules: bool = False
    has_triggers: bool = False
    constraints: tuple[Constraint, ...] = ()
    definition: str = field(default="", repr=False)
    barrier: bool = False

    def unhidden(self) -> "Table":
        """As it is for the definition of a view."""
        return replace(self, hidden=False, columns=tuple(replace(column, hidden=False) for column in self.columns))

    @property
    def visible_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if not column.hidden)

    @property
    def is_partly_visible(self) -> bool:
        """Some columns or rows must not be seen, so a statement may reach it only through a substituted relation."""
        return bool(self.filter) or any(column.hidden for column in self.columns)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """``functions``, ``operators``, ``types``: names that exist outside pg_catalog and information_schema and could
    therefore stand for something else than the built-in of that name. Members of extensions are left out by the
    loader. ``cast_types``: types that a user-defined cast turns into another or makes."""

    generation: Generation
    tables: Mapping[TableRef, Table]
    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    cast_types: frozenset[Oid] = frozenset()

    @classmethod
    def empty(cls) -> "Catalog":
        return cls(generation=Generation(0), tables={})

    def lookup(self, schema: str | None, name: str, search_path: SearchPath) -> Table | None:
        """The relation the server would read, hidden or not; None when there is none.

        Unqualified names: pg_catalog first unless the path lists it (namespace.c, recomputeNamespacePath). pg_temp,
        which the server would search even before, is never looked into: the backend session must not hold temporary
        relations."""
        if schema is not None:
            return self.tables.get(TableRef(schema, name))
        path = search_path if "pg_catalog" in search_path else ("pg_catalog", *search_path)
        found = (self.tables.get(TableRef(each, name)) for each in path)
        return next((table for table in found if table is not None), None)

    def visible_to(self, select: Mapping[TableRef, frozenset[str]]) -> "Catalog":
        """The same relations, of which a scope may see ``select`` (columns by table) and the allow-listed system
        relations."""
        visible = _Visible(self, select)
        return replace(self, tables={ref: visible.table(table) for ref, table in self.tables.items()})

    def with_masks(self, columns: Iterable[ColumnRef]) -> "Catalog":
        """These columns of views have masks of their own."""
        by_table: dict[TableRef, set[str]] = {}
        for ref in columns:
            by_table.setdefault(ref.table_ref, set()).add(ref.column)
        changed = {ref: _mask_columns(self.tables[ref], names) for ref, names in by_table.items()}
        return replace(self, tables={**self.tables, **changed})

    def visible_tables(self) -> tuple[TableRef, ...]:
        """User relations that may be read, sorted; for hints."""
        return tuple(
            sorted(ref for ref, table in self.tables.items() if not table.hidden and ref.schema not in SYSTEM_SCHEMAS)
        )

    def column(self, ref: ColumnRef) -> Column | None:
        table = self.tables.get(ref.table_ref)
        return table.column(ref.column) if table else None


@dataclass(frozen=True, slots=True)
class SystemRelation:
    """One line of ``system_relations.txt``. ``filter`` may name {schemas} and {types}, see there."""

    columns: frozenset[str]
    filter: str


def _read_system_relations() -> dict[TableRef, SystemRelation]:
    relations: dict[TableRef, SystemRelation] = {}
    for line in (files(__package__) / "system_relations.txt").read_text("utf-8").splitlines():
        name, _, rest = line.partition(":")
        if line.startswith("#") or not rest:
            continue
        columns, _, condition = rest.partition("|")
        schema, _, relation = name.strip().partition(".")
        relations[TableRef(schema, relation)] = SystemRelation(frozenset(columns.split()), condition.strip())
    return relations


SYSTEM_RELATIONS: Final[Mapping[TableRef, SystemRelation]] = _read_system_relations()


class _Visible:
    """Marks relations and columns hidden; fills in the filters of system relations."""

    def __init__(self, catalog: Catalog, select: Mapping[TableRef, frozenset[str]]) -> None:
        self._catalog = catalog
        self._select = select

    def table(self, table: Table) -> Table:
        if table.ref in self._select:
            return _hide_columns(table, self._select[table.ref])
        system = SYSTEM_RELATIONS.get(table.ref)
        if system is None:
            return _hide_columns(replace(table, hidden=True), frozenset())
        condition = system.filter.replace("{schemas}", self._schemas).replace("{types}", self._types)
        return _hide_columns(replace(table, filter=condition), system.columns)

    @cached_property
    def _schemas(self) -> str:
        return _list({"pg_catalog", "information_schema", "public"} | {ref.schema for ref in self._select})

    @cached_property
    def _types(self) -> str:
        tables = (self._catalog.tables.get(ref) for ref in self._select)
        columns = (
            column.type_oid
            for table in tables
            if table
            for column in table.columns
            if column.name in self._select[table.ref]
        )
        return ", ".join(map(str, sorted(set(columns)))) or "0"


def _hide_columns(table: Table, visible: frozenset[str]) -> Table:
    columns = tuple(replace(column, hidden=column.name not in visible) for column in table.columns)
    return replace(table, columns=columns)


def _mask_columns(table: Table, names: Iterable[str]) -> Table:
    return replace(table, columns=tuple(replace(each, masked=each.name in names) for each in table.columns))


def _list(names: Iterable[str]) -> str:
    return ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(names))
