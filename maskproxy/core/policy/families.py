"""Columns that hold the same values under other names: what one of them is labelled or denied for, all are.

Tables share rows with their inheritance children and partitions, so columns of one name there hold the same values. A
generated column is computed from columns of its table, and one of a materialized view from those of other tables, so it
carries what they hold, changed or not.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import Catalog, RelationKind
from maskproxy.core.sql.views import ViewFlows

T = TypeVar("T")


class Carriers:
    """The columns of one catalog that carry what a column holds."""

    def __init__(self, catalog: Catalog, views: Mapping[TableRef, ViewFlows]) -> None:
        self._catalog = catalog
        self._families = _families(catalog)
        self._computed = _computed(catalog)
        self._stored: dict[ColumnRef, set[ColumnRef]] = {}  # by column: those of materialized views that copy it
        for ref, flows in views.items():
            if catalog.tables[ref].kind is RelationKind.MATERIALIZED_VIEW:
                self._add_stored(flows)

    def _add_stored(self, flows: ViewFlows) -> None:
        for target, flow in flows.columns.items():
            for source in flow.sources:
                self._computed.setdefault(source, set()).add(target)
            if flow.direct is not None:
                self._stored.setdefault(flow.direct, set()).add(target)

    def copies(self, column: ColumnRef) -> frozenset[ColumnRef]:
        """``column``, the columns of its name in the tables that share rows with its table, and stored copies of it."""
        return _reached(column, lambda each: self._namesakes(each) | self._stored.get(each, set()))

    def _namesakes(self, column: ColumnRef) -> frozenset[ColumnRef]:
        tables = self._families.get(column.table_ref, frozenset({column.table_ref}))
        found = (ColumnRef(table.schema, table.name, column.column) for table in tables)
        return frozenset(each for each in found if self._catalog.column(each) is not None)

    def all(self, column: ColumnRef) -> frozenset[ColumnRef]:
        """The copies, the generated columns that are computed from them, their copies, and so on."""
        return _reached(column, lambda each: self.copies(each) | self._computed.get(each, set()))


def _families(catalog: Catalog) -> Mapping[TableRef, frozenset[TableRef]]:
    """By table: everything connected to it by inheritance, itself included. Tables without relatives are left out."""
    near: dict[TableRef, set[TableRef]] = {}
    for table in catalog.tables.values():
        for child in table.children:
            near.setdefault(table.ref, set()).add(child)
            near.setdefault(child, set()).add(table.ref)
    found: dict[TableRef, frozenset[TableRef]] = {}
    for start in near:
        if start not in found:
            family = _reached(start, near.__getitem__)
            found.update(dict.fromkeys(family, family))
    return found


def _computed(catalog: Catalog) -> dict[ColumnRef, set[ColumnRef]]:
    """By column: the generated columns that are computed from it."""
    found: dict[ColumnRef, set[ColumnRef]] = {}
    for ref, table in catalog.tables.items():
        for column in table.columns:
            for source in column.sources:
                target = ColumnRef(ref.schema, ref.name, column.name)
                found.setdefault(ColumnRef(ref.schema, ref.name, source), set()).add(target)
    return found


def _reached(start: T, near: Callable[[T], Iterable[T]]) -> frozenset[T]:
    reached, waiting = {start}, [start]
    while waiting:
        fresh = set(near(waiting.pop())) - reached
        reached |= fresh
        waiting.extend(fresh)
    return frozenset(reached)
