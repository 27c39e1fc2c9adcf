"""Tables that share rows: a parent, its inheritance children and partitions, theirs, and so on."""

from collections.abc import Mapping

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import Catalog

Families = Mapping[TableRef, frozenset[TableRef]]


def families(catalog: Catalog) -> Families:
    """By table: everything connected to it by inheritance, itself included. Tables without relatives are left out."""
    near: dict[TableRef, set[TableRef]] = {}
    for table in catalog.tables.values():
        for child in table.children:
            near.setdefault(table.ref, set()).add(child)
            near.setdefault(child, set()).add(table.ref)
    found: dict[TableRef, frozenset[TableRef]] = {}
    for start in near:
        if start not in found:
            family = _connected(start, near)
            found.update(dict.fromkeys(family, family))
    return found


def _connected(start: TableRef, near: Mapping[TableRef, set[TableRef]]) -> frozenset[TableRef]:
    reached, waiting = {start}, [start]
    while waiting:
        fresh = near[waiting.pop()] - reached
        reached |= fresh
        waiting.extend(fresh)
    return frozenset(reached)


def relatives(column: ColumnRef, known: Families, catalog: Catalog) -> list[ColumnRef]:
    """``column`` and the columns of its name in the tables that share rows with its table."""
    tables = known.get(column.table_ref, frozenset({column.table_ref}))
    found = [ColumnRef(table.schema, table.name, column.column) for table in sorted(tables)]
    return [each for each in found if catalog.column(each) is not None]
