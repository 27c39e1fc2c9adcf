"""Views in FROM: flows go through a view's definition to the tables below it.

Inside a definition nothing is hidden: what of it a scope may see is decided by the columns that reach the view's own
(``policy.views``). Where a statement may not touch what is below the view as it is (masked evaluation, row filters),
the edited definition takes the place of the view's name. That drops the rights of the view's owner: what the proxy's
role may not read itself, the server refuses then.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused, StatementError
from maskproxy.base.refs import ColumnRef
from maskproxy.core.catalog import Table
from maskproxy.core.sql.definitions import SEARCH_PATH, Definition, read_definition
from maskproxy.core.sql.findings import Findings, Output, Place
from maskproxy.core.sql.functions import AllowList
from maskproxy.core.sql.mentions import Mentions
from maskproxy.core.sql.resolve import Field, Flow, Relation
from maskproxy.core.sql.statement import Use
from maskproxy.core.sql.substitute import (
    apply_splices,
    check_edited,
    derived_query,
    derived_table,
    make_splices,
    quoted,
)
from maskproxy.core.sql.tree import Query, TableItem

Interpreter = Callable[[Findings, Query, Place], tuple[Output, ...]]
"""Interprets a query into findings of its own."""

_OUTSIDE: Final = Place(None, {})


class Views:
    """Interprets views for one statement."""

    def __init__(self, findings: Findings, interpret: Interpreter) -> None:
        self._findings = findings
        self._interpret = interpret

    def relation(self, item: TableItem, table: Table) -> Relation:
        """What a reference to a view brings into sight. Raises Refused for a view that cannot be analysed."""
        findings = self._findings
        if findings.depth >= limits.MAX_VIEW_DEPTH:
            raise LimitExceeded("views are nested too deeply")
        try:
            definition, inside, outputs = self._read(table)
        except LimitExceeded:
            raise
        except StatementError:
            # the reason would tell of a definition that the client may not see
            raise Refused(
                f'view "{item.name}" cannot be read under a masking scope',
                hint="Its definition cannot be analysed: maskproxy check says why.",
                position=None if item.position is None else item.position + 1,
            ) from None
        _absorb(findings, inside, item)
        is_substituted = len(inside.edits) > 0 or findings.substitutes(item, table)
        if is_substituted:
            findings.substitute(item, _in_place(table, definition, inside))
        pairs = zip(table.columns, outputs, strict=True)
        fields = tuple(
            Field(column.name, _flow(table, column.name, output)) for column, output in pairs if not column.hidden
        )
        return Relation(
            name=item.name, fields=fields, ref=table.ref, unqualify=findings.unqualify if is_substituted else None
        )

    def _read(self, table: Table) -> tuple[Definition, Findings, tuple[Output, ...]]:
        findings = self._findings
        definition = read_definition(table.definition)
        inside = Findings(
            catalog=findings.catalog,
            search_path=SEARCH_PATH,
            allow=AllowList.of_definitions(findings.catalog),
            mentions=Mentions(definition.query),
            evaluated=findings.evaluated,
            depth=findings.depth + 1,
        )
        outputs = self._interpret(inside, definition.query, _OUTSIDE)
        _check_outputs(table, outputs)
        return definition, inside, outputs


def _check_outputs(table: Table, outputs: tuple[Output, ...]) -> None:
    if [output.name for output in outputs] != [column.name for column in table.columns]:
        raise Refused(f'the columns of view "{table.ref.name}" are not those of its definition')


def _absorb(findings: Findings, inside: Findings, item: TableItem) -> None:
    """What the view reads, the statement reads, where it names the view. A comparison in the definition is none that
    the client makes."""
    if inside.session is not None or inside.parameters:
        raise Refused(f'view "{item.name}" cannot be analysed')
    findings.absorb(Use(use.column, use.kind, item.position) for use in inside.uses)
    findings.tables |= inside.tables
    findings.trusted |= inside.trusted
    findings.count_relation(inside.relations)


def _flow(table: Table, name: str, output: Output) -> Flow:
    """A column of a view copies what its definition copies; with a mask of its own it is a column by itself."""
    ref = ColumnRef(table.ref.schema, table.ref.name, name)
    column = table.column(name)
    masked = column is not None and column.masked
    flow = output.flow
    return replace(flow, sources=flow.sources | {ref}, direct=ref if masked else flow.direct)


def _in_place(table: Table, definition: Definition, inside: Findings) -> str:
    if not len(inside.edits):
        return derived_table(table, inside.evaluated, only=False)
    edited = apply_splices(definition.text, make_splices(inside.edits, definition.tokens))
    check_edited(definition.query, edited, inside.edits)
    return derived_query(table, inside.evaluated, f"({edited}) AS {quoted(table.ref.name)}")
