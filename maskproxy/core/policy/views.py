"""What a scope sees of views: their columns have the masks of what they are made of, and a view shows nothing that the
tables below it would not.

    a view that cannot be analysed                                    none of its columns exists
    a column made of a denied column                                  does not exist
    a denied column decides the rows of the view                      none of its columns exists
    a masked one does, and the view's rows are stored (materialized)  none of its columns exists
    anything else                                                     flows and masks are those of the columns below it
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import Catalog, RelationKind
from maskproxy.core.sql.views import ViewFlows

if TYPE_CHECKING:
    from maskproxy.core.policy.ruleset import Terms

Views = Mapping[TableRef, ViewFlows]


def reached_tables(selected: "Mapping[TableRef, Terms]", views: Views) -> "dict[TableRef, Terms]":
    """The selected tables and those below selected views, on the view's terms; on both where both are selected."""
    reached = dict(selected)
    for view in selected.keys() & views.keys():
        for table in views[view].tables - {view}:
            reached[table] = reached[table] & selected[view] if table in reached else selected[view]
    return reached


def inherited_labels(column: ColumnRef, views: Views, labels: Mapping[ColumnRef, Collection[str]]) -> frozenset[str]:
    """Labels that a column of a view has by what it is made of: they are dealt with below the view."""
    flows = views.get(column.table_ref)
    sources = flows.columns[column].sources if flows is not None else ()
    return frozenset(label for source in sources for label in labels.get(source, ()))


def hidden_columns(
    selected: Collection[TableRef],
    views: Views,
    catalog: Catalog,
    masked: Collection[ColumnRef],
    denied: Collection[ColumnRef],
) -> Iterator[ColumnRef]:
    """Columns of selected views that do not exist for a scope with these masked and denied columns."""
    for view in sorted(selected & views.keys()):
        flows = views[view]
        is_stored = catalog.tables[view].kind is RelationKind.MATERIALIZED_VIEW
        closed = set(denied) | (set(masked) if is_stored else set())
        is_hidden = flows.problem is not None or bool(flows.influences & closed)
        for column, flow in flows.columns.items():
            if is_hidden or not flow.sources.isdisjoint(denied):
                yield column
