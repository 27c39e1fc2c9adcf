"""Tables whose rows lie where a hidden value put them.

A partition holds the rows of certain values of its key, and a partitioned table is read partition by partition. So
whoever reads one of them learns of the key's values by the order of the rows, or by where he found them. Where a scope
may not see the key, none of the columns of such tables exists for it; ``use: any`` on the key's label gives that up.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import Catalog


def tables_ordered_by(
    secret: Collection[ColumnRef], tables: Iterable[TableRef], catalog: Catalog
) -> Iterator[TableRef]:
    """Those of ``tables`` of which partitions are made by columns that are secret."""
    parents = _parents(catalog)
    for table in tables:
        keys = {name for each in _relatives(table, catalog, parents) for name in catalog.tables[each].partition_key}
        if any(ColumnRef(table.schema, table.name, name) in secret for name in keys):
            yield table


def _parents(catalog: Catalog) -> Mapping[TableRef, TableRef]:
    """By partition."""
    partitioned = ((ref, table) for ref, table in catalog.tables.items() if table.partition_key)
    return {child: ref for ref, table in partitioned for child in table.children}


def _relatives(table: TableRef, catalog: Catalog, parents: Mapping[TableRef, TableRef]) -> Iterator[TableRef]:
    """The table, those it is a part of, and its parts."""
    above = parents.get(table)
    while above is not None:
        yield above
        above = parents.get(above)
    below = [table]
    while below:
        each = below.pop()
        yield each
        below += catalog.tables[each].children & parents.keys()
