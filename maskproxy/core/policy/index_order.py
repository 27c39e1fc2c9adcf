"""Indexes in whose order rows would come, where that order tells what a scope may not see.

The server reads rows through an index when a condition or a sort order of clear columns fits it, and rows that are
equal in those come in the order of its other columns: with an index on (tenant, email) the addresses of a tenant are
sorted in ``ORDER BY tenant LIMIT 50``, whatever mask they have. So do the rows of a partial index come in the order of
its columns where the statement has its condition. And of a table with a row filter that an index fits, the order tells
by which way the server reads the rows, which depends on how many the filter hides.

Sessions of a scope with such indexes read rows through them in the order of the table (``enable_indexscan`` off, which
leaves bitmap scans); ``postgres_settings.txt`` keeps clients from changing that. Index-only scans are off for all
masking scopes. An index on one column that may not be seen is no such index: no condition on its values fits it, since
those are on masked values.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.base.secret import Secret
from maskproxy.core.catalog import Catalog, Index
from maskproxy.core.policy.column_use import ColumnUse
from maskproxy.core.policy.row_filters import Filters, descendants

IN_ORDER_OF_TABLE: Final[Mapping[str, Secret[str]]] = {"enable_indexscan": Secret("off")}
"""What a session must have where there are such indexes."""


def telling_indexes(
    secret: Collection[ColumnRef],
    uses: Mapping[ColumnRef, ColumnUse],
    filters: Filters,
    tables: Iterable[TableRef],
    catalog: Catalog,
) -> Iterator[tuple[TableRef, str]]:
    """Those of ``tables`` and of what is read with them. ``secret``: the columns that may not be seen."""
    for table in sorted(tables):
        for heir in sorted(descendants(table, catalog)):
            filtered = {name for each in filters.get(heir, ()) for name in each.columns}
            for index in catalog.tables[heir].indexes if heir in catalog.tables else ():
                named = {name: _ref(name, table, heir, secret) for name in index.columns}
                hidden = {name: ref for name, ref in named.items() if ref in secret}
                if filtered & index.columns or (hidden and _fits(index, hidden, uses)):
                    yield heir, index.name


def _ref(name: str, table: TableRef, heir: TableRef, secret: Collection[ColumnRef]) -> ColumnRef:
    own = ColumnRef(heir.schema, heir.name, name)
    return own if own in secret else ColumnRef(table.schema, table.name, name)


def _fits(index: Index, hidden: Mapping[str, ColumnRef], uses: Mapping[ColumnRef, ColumnUse]) -> bool:
    """A statement can have the server read it without telling in which order."""
    if index.partial or hidden.keys() < index.columns:
        return True
    return len(hidden) > 1 and any(uses.get(ref) is ColumnUse.EQUALITY for ref in hidden.values())
