"""What the columns of all views of a catalog are made of, for those who compile rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import Catalog, RelationKind, Table
from maskproxy.core.sql.definitions import SEARCH_PATH, read_definition
from maskproxy.core.sql.findings import Findings, Place
from maskproxy.core.sql.flows import Queries
from maskproxy.core.sql.functions import AllowList
from maskproxy.core.sql.mentions import Mentions
from maskproxy.core.sql.resolve import Flow
from maskproxy.core.sql.statement import UseKind

_VALUES: Final = frozenset({UseKind.EXPRESSION, UseKind.AGGREGATE, UseKind.WINDOW, UseKind.WHOLE_ROW})
"""Uses that make values. Where those decide rows, that is a use of its own."""

VIEWS: Final = frozenset({RelationKind.VIEW, RelationKind.MATERIALIZED_VIEW})


@dataclass(frozen=True, slots=True)
class ViewFlows:
    """``columns``: by column of the view. ``influences``: columns that decide which rows it has. ``tables``: all that
    it reads. ``problem``: why it cannot be analysed; then nothing else is known."""

    columns: Mapping[ColumnRef, Flow]
    influences: frozenset[ColumnRef] = frozenset()
    tables: frozenset[TableRef] = frozenset()
    problem: str | None = None

    @property
    def sources(self) -> frozenset[ColumnRef]:
        """Every column that has a part in it."""
        return self.influences.union(*(flow.sources for flow in self.columns.values()))


def view_flows(catalog: Catalog) -> dict[TableRef, ViewFlows]:
    """Of every view and materialized view. Views on views are seen through; materialized ones are tables to others."""
    return {ref: _flows(catalog, table) for ref, table in catalog.tables.items() if table.kind in VIEWS}


def _flows(catalog: Catalog, table: Table) -> ViewFlows:
    refs = [ColumnRef(table.ref.schema, table.ref.name, column.name) for column in table.columns]
    try:
        query = read_definition(table.definition).query
        findings = Findings(catalog, SEARCH_PATH, AllowList.of_definitions(catalog), Mentions(query), depth=1)
        outputs = Queries(findings).query(query, Place(None, {}))
    except StatementError as error:
        return ViewFlows(dict.fromkeys(refs, Flow()), problem=error.message)
    if [output.name for output in outputs] != [column.name for column in table.columns]:
        return ViewFlows(dict.fromkeys(refs, Flow()), problem="its columns are not those of its definition")
    influences = frozenset(use.column for use in findings.uses if use.kind not in _VALUES)
    columns = {ref: output.flow for ref, output in zip(refs, outputs, strict=True)}
    return ViewFlows(columns, influences, frozenset(findings.tables))
