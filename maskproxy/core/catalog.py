"""An immutable snapshot of what a database holds, as far as analysis needs it.

A catalog knows *all* relations, the forbidden ones too: a name is first resolved as the server would resolve it and
only then is the relation found refused if the scope may not see it. Looking only among visible relations would be
wrong: a hidden table in an earlier schema of the search path is the one the server reads.

What is hidden and what does not exist must look the same to the client, so both raise the same error with the same
words.

System relations (``pg_catalog``, ``information_schema``) are visible only as ``system_relations.txt`` beside this
file lists them: some columns, and some rows (``Table.filter``), since they would otherwise name every hidden table.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

from maskproxy.base.refs import ColumnRef, Generation, Oid, TableRef
from maskproxy.core.system_relations import SYSTEM_RELATIONS, Sight, SystemColumn, make_sight

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
    declared: Oid = UNKNOWN_OID
    expression: str = ""
    object: str | None = None


class ConstraintKind(StrEnum):
    """What a write to a table is checked against."""

    ROW = "row"  # the row itself: CHECK, expressions of indexes and generated columns, keys of partitions, policies
    UNIQUE = "unique"  # other rows of the table: unique and exclusion constraints, unique indexes
    REFERENCES = "references"  # rows of another table, to which these columns refer
    REFERENCED = "referenced"  # rows of another table that refer to these columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """``columns`` of the table; ``others``: those of the other table. ``nulls``: with a NULL in it, it holds.
    ``always``: it may be false of rows that exist, so that any UPDATE of them tells."""

    kind: ConstraintKind
    columns: frozenset[str]
    others: frozenset[ColumnRef] = frozenset()
    nulls: bool = True
    always: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """One in whose order the server can read rows. ``columns``: of its keys, and of what expressions and predicates in
    it are made of. ``partial``: it has a predicate."""

    name: str
    columns: frozenset[str]
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A relation. Reading it reads its ``children`` too (inheritance, partitions), unless the statement says ONLY.

    ``filter`` is a predicate over its columns: the rows that may be seen at all.
    ``primary_key``: its columns, if there is one that is never deferred; other columns depend on them in GROUP BY.
    ``partition_key``: the columns by which a partitioned table's parts are made. ``definition``: the query of a view.
    ``barrier``: a view behind which predicates must stay (security_barrier).
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
    indexes: tuple[Index, ...] = ()
    partition_key: tuple[str, ...] = ()
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


class ObjectKind(StrEnum):
    INDEX = "indexes"
    SEQUENCE = "sequences"
    CONSTRAINT = "constraints"


@dataclass(frozen=True, slots=True)
class CatalogObject:
    """What exists beside tables. It is in sight when all its ``columns`` are (each as table * 65536 + number: those of
    an index or key, those at both ends of a foreign key, the one that owns a sequence), and the index it needs.

    The loader leaves out what says more than names of columns: checks, exclusions, indexes with expressions or
    predicates."""

    kind: ObjectKind
    oid: Oid
    columns: frozenset[int]
    index: Oid = UNKNOWN_OID


@dataclass(frozen=True, slots=True)
class UserType:
    """A type that is not built in, named by ``ref``. ``parts``: the types it is made of or that are made with it
    (element, base, fields, subtype, array). ``relation``: the relation it is the row type of, ``is_composite`` when it
    is nothing else."""

    ref: TableRef
    parts: tuple[Oid, ...] = ()
    relation: Oid = UNKNOWN_OID
    is_enum: bool = False
    is_composite: bool = False
    of_extension: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFunction:
    """All functions of one name in one schema. ``least`` and ``most`` arguments, ``most`` None when there is no bound.
    ``unfit``: why they cannot be called under a masking scope, whatever the rules say; empty when they can.
    ``only``: no other schema has functions of that name."""

    least: int
    most: int | None
    unfit: str = ""
    only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """``functions``, ``operators``, ``types``: names that exist outside pg_catalog and information_schema and could
    therefore stand for something else than the built-in of that name. Members of extensions are left out by the
    loader. ``cast_types``: types that a user-defined cast turns into another or makes. ``objects`` and ``user_types``
    are what system relations may show beside tables; ``enums``: those among the latter that are in sight and enums.
    ``user_functions`` are all of them, those of extensions too; ``trusted``: those that rules trust."""

    generation: Generation
    tables: Mapping[TableRef, Table]
    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    cast_types: frozenset[Oid] = frozenset()
    objects: tuple[CatalogObject, ...] = ()
    user_types: Mapping[Oid, UserType] = field(default_factory=dict)
    enums: frozenset[TableRef] = frozenset()
    user_functions: Mapping[TableRef, UserFunction] = field(default_factory=dict)
    trusted: Mapping[TableRef, UserFunction] = field(default_factory=dict)

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

    def visible_to(
        self, select: Mapping[TableRef, frozenset[str]], filters: Mapping[TableRef, str] | None = None
    ) -> "Catalog":
        """The same relations, of which a scope may see ``select`` (columns by table), in these the rows that
        ``filters`` let pass, and the allow-listed system relations."""
        visible = _Visible(self, select, filters)
        tables = {ref: visible.table(table) for ref, table in self.tables.items()}
        return replace(self, tables=tables, enums=visible.enums())

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


class _Visible:
    """Marks relations and columns hidden; fills in the filters and expressions of system relations."""

    def __init__(
        self,
        catalog: Catalog,
        select: Mapping[TableRef, frozenset[str]],
        filters: Mapping[TableRef, str] | None = None,
    ) -> None:
        self._catalog = catalog
        self._select = select
        self._filters = filters or {}

    def table(self, table: Table) -> Table:
        if table.ref in self._filters:  # of hidden ones too: views show their rows
            table = replace(table, filter=self._filters[table.ref])
        if table.ref in self._select:
            return _hide_columns(table, self._select[table.ref])
        system = SYSTEM_RELATIONS.get(table.ref)
        if system is None:
            return _hide_columns(replace(table, hidden=True), frozenset())
        columns = tuple(self._system_column(column, system.columns.get(column.name)) for column in table.columns)
        return replace(table, columns=columns, filter=self._sight.fill(system.filter))

    def enums(self) -> frozenset[TableRef]:
        types = (self._catalog.user_types[oid] for oid in self._types())
        return frozenset(each.ref for each in types if each.is_enum)

    def _system_column(self, column: Column, listed: SystemColumn | None) -> Column:
        if listed is None:
            return replace(column, hidden=True)
        expression = f"NULL::{column.type_name}" if listed.is_null else self._sight.fill(listed.expression or "")
        return replace(column, expression=expression, object=listed.object)

    @cached_property
    def _sight(self) -> Sight:
        whole: dict[int, int] = {}
        partly: list[int] = []
        for table, columns in self._selected():
            if len(columns) == len(table.columns):
                whole[table.oid] = max((column.attnum for column in columns), default=0)
            else:
                partly += [column_key(table.oid, column.attnum) for column in columns]
        schemas = {"pg_catalog", "information_schema", "public"} | {ref.schema for ref in self._select}
        return make_sight(self._numbers(), whole, partly, schemas)

    def _numbers(self) -> Mapping[str, frozenset[int]]:
        """Of the objects in sight, by the place they fill."""
        columns = {column_key(table.oid, column.attnum) for table, found in self._selected() for column in found}
        objects = [each for each in self._catalog.objects if each.columns and each.columns <= columns]
        indexes = frozenset(each.oid for each in objects if each.kind is ObjectKind.INDEX)
        types = self._types()
        known = self._catalog.user_types
        return {
            "tables": self._tables | {t.oid for ref, t in self._catalog.tables.items() if ref in SYSTEM_RELATIONS},
            "indexes": indexes,
            "sequences": frozenset(each.oid for each in objects if each.kind is ObjectKind.SEQUENCE),
            "constraints": frozenset(
                each.oid
                for each in objects
                if each.kind is ObjectKind.CONSTRAINT and each.index in indexes | {UNKNOWN_OID}
            ),
            "types": types,
            "composites": frozenset(known[each].relation for each in types if known[each].is_composite),
        }

    def _types(self) -> frozenset[Oid]:
        """Of visible columns and what these are made of, of extensions, and the rows of visible tables. A table that is
        hidden may be the type of a column: its row type stays hidden."""
        known = self._catalog.user_types
        rows = {oid for oid, each in known.items() if each.relation in self._tables}
        hidden = {oid for oid, each in known.items() if each.relation and not each.is_composite} - rows
        hidden |= {oid for oid, each in known.items() if hidden.intersection(each.parts) and not each.relation}
        waiting = [column.declared or column.type_oid for _, columns in self._selected() for column in columns]
        waiting += [*rows, *(oid for oid, each in known.items() if each.of_extension)]
        found: set[Oid] = set()
        while waiting:
            oid = waiting.pop()
            if oid in known and oid not in found | hidden:
                found.add(oid)
                waiting += known[oid].parts
        return frozenset(found)

    @cached_property
    def _tables(self) -> frozenset[int]:
        return frozenset(table.oid for table, _ in self._selected())

    def _selected(self) -> Iterator[tuple[Table, list[Column]]]:
        for ref, names in sorted(self._select.items()):
            if ref in self._catalog.tables:
                table = self._catalog.tables[ref]
                yield table, [column for column in table.columns if column.name in names]


def column_key(table: int, attnum: int) -> int:
    """One number for a column."""
    return table * 65536 + attnum


def _hide_columns(table: Table, visible: frozenset[str]) -> Table:
    columns = tuple(replace(column, hidden=column.name not in visible) for column in table.columns)
    return replace(table, columns=columns)


def _mask_columns(table: Table, names: Iterable[str]) -> Table:
    return replace(table, columns=tuple(replace(each, masked=each.name in names) for each in table.columns))
