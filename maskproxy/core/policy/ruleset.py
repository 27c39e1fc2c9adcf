"""Rules compiled against a catalog: what each scope sees of each column, and what several scopes together see.

Per column there are three answers: clear, a mask, or denied (the column does not exist). What decides is the set of
labels that are *not* clear:

    labels not clear    each has a mask      answer
    none                -                    clear
    some                yes                  the strictest of their masks (rank, then parameters)
    some                no                   denied
    any, and the column stands under ``deny``  denied

Several scopes see a table when one of them selects it; a label is clear there only if every scope that selects the
table clears it; what one denies is denied; a row is seen if the filters of all scopes let it be seen: a filter of one
holds also where another scope selects the table without. Sets are united and intersected, so no order can
matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import reduce
from operator import or_

from maskproxy.base.errors import Problem, Refused
from maskproxy.base.limits import MAX_SESSION_KEYS
from maskproxy.base.refs import ColumnRef, Generation, Location, TableRef
from maskproxy.base.secret import Secret
from maskproxy.core.catalog import Catalog, RelationKind
from maskproxy.core.policy.column_use import ColumnUse as ColumnUse
from maskproxy.core.policy.column_use import strictest_use as strictest_use
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.policy.index_order import IN_ORDER_OF_TABLE, telling_indexes
from maskproxy.core.policy.partitions import tables_ordered_by
from maskproxy.core.policy.rights import NO_RIGHTS, Rights
from maskproxy.core.policy.row_filters import Filters, all_of, stored_unfiltered, together
from maskproxy.core.policy.scope_limits import NO_LIMITS, ScopeLimits, strictest_limits
from maskproxy.core.policy.views import Views, hidden_columns, inherited_labels, reached_tables
from maskproxy.core.sql.substitute import quoted


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a column does not exist for a scope."""

    rule: str
    location: Location


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one label of a column asks for: a mask, or denial when the label has none."""

    strictness: tuple[int, Decimal, str]  # rank, parameters, rule: the last makes equal ones comparable
    answer: ColumnMask | Denial


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What a session sees. ``catalog`` shows only selected tables and columns that are not denied.

    ``unrestricted``: every statement runs as it is, nothing is masked; the other fields do not matter then.
    ``uses``: columns with a mask that may be used otherwise than on masked values. ``expressions``: the SQL
    of each masked column for masked evaluation. ``rights``: what it may write. ``labelled_elsewhere``: columns with a
    label in tables that are not selected. ``telling_indexes``: in whose order rows must not come (``index_order``).
    """

    name: str
    unrestricted: bool
    catalog: Catalog
    masks: Mapping[ColumnRef, ColumnMask]
    denied: Mapping[ColumnRef, Denial]
    location: Location
    uses: Mapping[ColumnRef, ColumnUse] = field(default_factory=dict)
    expressions: Mapping[ColumnRef, str] = field(default_factory=dict)
    settings: Mapping[str, Secret[str]] = field(default_factory=dict, repr=False)
    """What a session of the scope must have: keys, so that masks can be evaluated in SQL, and how rows are read.
    Clients cannot read or set it."""
    rights: Rights = NO_RIGHTS
    limits: ScopeLimits = NO_LIMITS
    labelled_elsewhere: frozenset[ColumnRef] = frozenset()
    telling_indexes: tuple[tuple[TableRef, str], ...] = ()

    def use_of(self, column: ColumnRef) -> ColumnUse:
        return self.uses.get(column, ColumnUse.MASKED)

    def hides(self, column: ColumnRef) -> bool:
        """Whether the column, or its table, does not exist here."""
        table = self.catalog.tables.get(column.table_ref)
        found = None if table is None or table.hidden else table.column(column.column)
        return found is None or found.hidden

    def masks_table(self, table: TableRef) -> bool:
        return any(column.table_ref == table for column in self.masks)

    def guards_table(self, table: TableRef) -> bool:
        """Some of it is masked or hidden."""
        found = self.catalog.tables.get(table)
        return found is None or found.is_partly_visible or self.masks_table(table)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a table is seen: the labels that are clear in it, and what columns of the other labels may be used for."""

    clear: frozenset[str] = frozenset()
    uses: Mapping[str, ColumnUse] = field(default_factory=dict)

    def __and__(self, other: "Terms") -> "Terms":
        """What both allow. A label that one of them sees clear may be used for anything as far as that one goes."""
        labels = self.uses.keys() | other.uses.keys()
        return Terms(
            self.clear & other.clear, {label: strictest_use(self.use(label), other.use(label)) for label in labels}
        )

    def use(self, label: str) -> ColumnUse:
        return ColumnUse.ANY if label in self.clear else self.uses.get(label, ColumnUse.MASKED)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one scope says: the tables it selects, on which terms, the columns it denies, what it may write, and the
    filters of rows: of all tables, since views show rows of tables that are not selected."""

    tables: Mapping[TableRef, Terms]
    denied: Mapping[ColumnRef, Denial]
    unrestricted: bool
    location: Location
    rights: Rights = NO_RIGHTS
    filters: Filters = field(default_factory=dict)
    limits: ScopeLimits = NO_LIMITS


def unite(sights: Iterable[Sight]) -> Sight:
    """Several scopes at once. An unrestricted one adds nothing to others: it counts only alone."""
    sights = sorted(sights, key=lambda sight: sight.location)
    restricted = [sight for sight in sights if not sight.unrestricted] or sights[:1]
    tables: dict[TableRef, Terms] = {}
    denied: dict[ColumnRef, Denial] = {}
    for sight in restricted:
        for table, terms in sight.tables.items():
            tables[table] = tables.get(table, terms) & terms
        for column, denial in sight.denied.items():
            denied.setdefault(column, denial)
    rights = reduce(or_, (sight.rights for sight in restricted))
    filters = together(sight.filters for sight in restricted)
    unrestricted = all(sight.unrestricted for sight in sights)
    limits = strictest_limits(sight.limits for sight in restricted)
    return Sight(tables, denied, unrestricted, restricted[0].location, rights, filters, limits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSet:
    """All scopes of one database. ``labels``: by column and label, what the label asks for. ``governed``: the tables
    that scopes see something of, themselves or in views. ``drifted``: columns of these that nobody has reviewed, and
    why."""

    generation: Generation
    digest: str  # SHA-256 over the documents, hexadecimal
    catalog: Catalog
    views: Views
    labels: Mapping[ColumnRef, Mapping[str, Candidate]]
    sights: Mapping[str, Sight]
    scopes: Mapping[str, Scope]
    warnings: tuple[Problem, ...]
    governed: frozenset[TableRef] = frozenset()
    drifted: Mapping[ColumnRef, str] = field(default_factory=dict)

    def combine(self, names: tuple[str, ...]) -> Scope:
        """The scope of a session whose grants name these scopes. Raises Refused for unknown ones and for none."""
        unknown = sorted(set(names) - self.sights.keys())
        if unknown or not names:
            raise Refused(f"the rules have no scope {', '.join(unknown)}" if unknown else "no scope is granted")
        distinct = sorted(set(names))
        if len(distinct) == 1:
            return self.scopes[distinct[0]]
        sight = unite(self.sights[name] for name in distinct)
        return see("+".join(distinct), sight, self.catalog, self.views, self.labels)


def see(
    name: str, sight: Sight, catalog: Catalog, views: Views, labels: Mapping[ColumnRef, Mapping[str, Candidate]]
) -> Scope:
    """The answer for every column of the selected tables and of those below selected views, by the table at the top."""
    masks: dict[ColumnRef, ColumnMask] = {}
    uses: dict[ColumnRef, ColumnUse] = {}
    denied: dict[ColumnRef, Denial] = dict(sight.denied)
    reached = reached_tables(sight.tables, views)
    for table, terms in reached.items():
        for column in catalog.tables[table].columns:
            ref = ColumnRef(table.schema, table.name, column.name)
            below = inherited_labels(ref, views, labels) if catalog.tables[table].kind is RelationKind.VIEW else ()
            own = {label: each for label, each in labels.get(ref, {}).items() if label not in below}
            asked = {label: each for label, each in own.items() if label not in terms.clear}
            match strictest(asked.values()):
                case Denial() as denial:
                    denied.setdefault(ref, denial)
                case ColumnMask() as mask if ref not in denied:
                    masks[ref] = mask
                    uses[ref] = strictest_use(*map(terms.use, asked))
                case _:
                    pass
    secret = {*denied, *(ref for ref, use in uses.items() if use is not ColumnUse.ANY)}
    ordered = set(tables_ordered_by(secret, reached, catalog))
    for table in sight.tables:
        if table in ordered or (table in views and not views[table].tables.isdisjoint(ordered)):
            for column in catalog.tables[table].columns:
                ref = ColumnRef(table.schema, table.name, column.name)
                denied.setdefault(ref, Denial(f"scopes.{name}.select", sight.location))
    telling = tuple(telling_indexes(secret, uses, sight.filters, reached, catalog))
    for table in stored_unfiltered(sight.tables.keys(), sight.filters, views, catalog):
        for column in catalog.tables[table].columns:
            denied.setdefault(
                ColumnRef(table.schema, table.name, column.name), Denial(f"scopes.{name}.rows", sight.location)
            )
    for ref in hidden_columns(sight.tables.keys(), views, catalog, masks.keys(), denied.keys()):
        denied.setdefault(ref, Denial(f"scopes.{name}.select", sight.location))
    visible = catalog.visible_to(
        {table: _visible_columns(catalog, table, denied) for table in sight.tables},
        {table: all_of(filters) for table, filters in sight.filters.items()},
    )
    visible = visible.with_masks(ref for ref in masks if ref.table_ref in views)
    masks, settings = _with_settings(masks)
    expressions = {ref: _expression(mask, catalog) for ref, mask in masks.items()}
    return Scope(
        name,
        sight.unrestricted,
        visible,
        masks,
        denied,
        sight.location,
        uses,
        expressions,
        {**settings, **(IN_ORDER_OF_TABLE if telling else {})},
        rights=sight.rights,
        limits=sight.limits,
        labelled_elsewhere=frozenset(column for column in labels if column.table_ref not in sight.tables),
        telling_indexes=telling,
    )


def _expression(mask: ColumnMask, catalog: Catalog) -> str:
    """The mask in SQL; NULL of the column's type where it has no such form."""
    if mask.sql is not None:
        return mask.sql(quoted(mask.column.column))
    column = catalog.column(mask.column)
    assert column is not None  # masks are made for columns of the catalog only
    return f"NULL::{column.type_name}"


def _with_settings(
    masks: Mapping[ColumnRef, ColumnMask],
) -> tuple[dict[ColumnRef, ColumnMask], dict[str, Secret[str]]]:
    """The settings that the masks need. Labels for which the startup message has no room have no SQL form."""
    labels = sorted({mask.label for mask in masks.values() if mask.settings})[:MAX_SESSION_KEYS]
    settings: dict[str, Secret[str]] = {}
    kept: dict[ColumnRef, ColumnMask] = {}
    for column, mask in masks.items():
        fits = not mask.settings or mask.label in labels
        kept[column] = mask if fits else replace(mask, sql=None, settings={})
        settings |= kept[column].settings
    return kept, settings


def strictest(candidates: Iterable[Candidate]) -> ColumnMask | Denial | None:
    """Denial before any mask, then the mask that hides most; None (clear) when nothing is asked."""
    ordered = sorted(candidates, key=lambda each: (isinstance(each.answer, Denial), each.strictness))
    return ordered[-1].answer if ordered else None


def _visible_columns(catalog: Catalog, table: TableRef, denied: Mapping[ColumnRef, Denial]) -> frozenset[str]:
    return frozenset(
        column.name
        for column in catalog.tables[table].columns
        if ColumnRef(table.schema, table.name, column.name) not in denied
    )
