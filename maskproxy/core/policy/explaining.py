"""What a plan may show. Without costs, EXPLAIN shows the shape of a plan, names and conditions.

The shape depends on masked values in one way: how many distinct values an expression has is estimated by the
statistics of the raw columns in it (selfuncs.c, estimate_num_groups), and by that the server chooses how to group and
join, with EXISTS, IN (SELECT ...) and LATERAL too. A condition on an expression is estimated by constants
(DEFAULT_EQ_SEL ...), so it may be explained where it cannot be a join. Both are as measured, on tables that differ in
their masked values only.

Names and conditions are those of the client, except in views and of partitions."""

from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.core.catalog import SYSTEM_SCHEMAS, RelationKind
from maskproxy.core.policy.ruleset import ColumnUse, Scope
from maskproxy.core.sql.statement import Analysis, StatementKind, Use, UseKind

_JOINING: Final = frozenset(
    {UseKind.JOIN, UseKind.GROUP, UseKind.DISTINCT, UseKind.WINDOW, UseKind.SET_OPERATION, UseKind.FUNCTION}
)


def shapes_plan(use: Use, analysis: Analysis, scope: Scope) -> bool:
    """This use of a masked column is explained, and the plan could tell of it."""
    if analysis.kind is not StatementKind.EXPLAIN or scope.use_of(use.column) is ColumnUse.ANY:
        return False
    return use.kind in _JOINING or analysis.combines


def refuse_explain(analysis: Analysis, scope: Scope) -> Refused | None:
    """The refusal when the plan would show what the scope must not see: definitions, names of hidden tables."""
    tables = [scope.catalog.tables[ref] for ref in sorted(analysis.tables) if ref in scope.catalog.tables]
    hint = "EXPLAIN of tables that may be read, without views and row filters, is allowed."
    for function in sorted(analysis.trusted):
        return Refused(f"EXPLAIN of a call of {function} could show its definition", hint=hint)
    for table in tables:
        if table.filter and table.ref.schema not in SYSTEM_SCHEMAS:
            return Refused(
                f'EXPLAIN of "{table.ref.name}" is not supported: not all of its rows are visible, and the plan '
                "depends on how many there are",
                hint=hint,
            )
        if table.kind is RelationKind.VIEW:
            return Refused(f'EXPLAIN of view "{table.ref.name}" would show its definition', hint=hint)
        if table.hidden or any(scope.catalog.tables[child].hidden for child in table.children):
            return Refused("EXPLAIN of this statement would show tables that may not be seen", hint=hint)
    return None
