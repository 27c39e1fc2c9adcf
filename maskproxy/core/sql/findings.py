"""What is gathered while a statement is interpreted, and where in it one is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused
from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import SYSTEM_SCHEMAS, Catalog, RelationKind, SearchPath, Table
from maskproxy.core.sql.functions import AllowList
from maskproxy.core.sql.mentions import Mentions
from maskproxy.core.sql.resolve import Field, Flow, Scope
from maskproxy.core.sql.statement import SessionCommand, Use, UseKind, Write
from maskproxy.core.sql.substitute import Edits, Evaluated
from maskproxy.core.sql.tree import TableItem

Ctes = Mapping[str, tuple[Field, ...] | None]
"""CTEs in sight by name; None for one that may not be named here (a forward or a second recursive reference)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a query stands: the query level around it (None outside of all), the CTEs in sight and the named
    windows."""

    scope: Scope | None
    ctes: Ctes
    windows: Mapping[str | None, Flow] = field(default_factory=dict)

    def inside(self, scope: Scope | None) -> "Place":
        return replace(self, scope=scope)


@dataclass(frozen=True, slots=True)
class Output:
    """One output column of a query at any depth. ``name`` is what the server calls it; ``named`` if the client says
    so, by an alias or as a column."""

    name: str
    flow: Flow
    position: int | None = None
    named: bool = False


@dataclass(slots=True)
class Findings:
    """Of one statement. The one thing here that changes while interpretation goes on."""

    catalog: Catalog
    search_path: SearchPath
    allow: AllowList
    mentions: Mentions
    evaluated: Evaluated = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    tables: set[TableRef] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    trusted: set[TableRef] = field(default_factory=set)
    edits: Edits = field(default_factory=Edits)
    depth: int = 0  # of the views around
    writes: list[Write] = field(default_factory=list)
    locks: set[TableRef] = field(default_factory=set)
    relations: int = 0
    parameters: int = 0
    session: SessionCommand | None = None

    def check_computable(self, flow: Flow, position: int | None) -> None:
        """Raises Refused for a column whose type has a user-defined cast: computing with it may call that function."""
        column = self.catalog.column(flow.direct) if self.catalog.cast_types and flow.direct else None
        if column is not None and column.type_oid in self.catalog.cast_types:
            raise Refused(
                f'computing with column "{column.name}" is not supported: its type has a user-defined cast',
                position=None if position is None else position + 1,
            )

    def same_type(self, first: ColumnRef | None, second: ColumnRef | None) -> bool:
        """Both are columns, of one type: no cast is needed to bring them together."""
        columns = [self.catalog.column(each) for each in (first, second) if each is not None]
        types = {(column.type_oid, column.type_name, column.typmod) for column in columns if column is not None}
        return len(columns) == 2 and len(types) == 1

    def substitutes(self, item: TableItem, table: Table) -> bool:
        """Whether a derived table must take the place of this reference."""
        if self._evaluates(table) or (table.is_partly_visible and self.mentions.can_reach_hidden(item, table)):
            return True
        return not self.depth and table.ref.schema not in SYSTEM_SCHEMAS and self.mentions.takes_unnamed(item)

    def substitute(self, item: TableItem, derived: str) -> None:
        if item.position is None:
            raise Refused(f'"{item.name}" cannot be read here under a masking scope')
        self.edits.tables[item.position] = (item, derived)

    def unqualify(self, position: int | None) -> None:
        """The schema that stands there before a substituted table's column goes."""
        if position is None:
            raise Refused("a column with a schema is not supported here under a masking scope")
        self.edits.unqualified.add(position)

    def primary_key(self, table: Table) -> frozenset[ColumnRef]:
        """What identifies a row of a table as the statement sees it; empty if nothing does. Masked, a key may repeat;
        children of a table (unless they are its partitions) do not share its key."""
        key = frozenset(ColumnRef(table.ref.schema, table.ref.name, name) for name in table.primary_key)
        shared = bool(table.children) and table.kind is not RelationKind.PARTITIONED
        return frozenset() if shared or any(column in self.evaluated for column in key) else key

    def _evaluates(self, table: Table) -> bool:
        ref = table.ref
        return bool(self.evaluated) and any(
            ColumnRef(ref.schema, ref.name, column.name) in self.evaluated for column in table.visible_columns
        )

    def count_relation(self, number: int = 1) -> None:
        self.relations += number
        if self.relations > limits.MAX_RELATIONS:
            raise LimitExceeded("statement reads too many relations")

    def use(self, sources: Iterable[ColumnRef], kind: UseKind, position: int | None, compared: int = 0) -> None:
        self.absorb(Use(column, kind, position, compared) for column in sorted(sources))

    def absorb(self, uses: Iterable[Use]) -> None:
        self.uses += uses
        if len(self.uses) > limits.MAX_USES:
            raise LimitExceeded("statement uses too many columns")

    def use_outputs(self, outputs: Iterable[Output], kind: UseKind) -> None:
        for output in outputs:
            self.use(output.flow.sources, kind, output.position)

    def used_since(self, mark: int) -> frozenset[ColumnRef]:
        """Columns of the uses found after there were ``mark`` of them."""
        return frozenset(use.column for use in self.uses[mark:])
