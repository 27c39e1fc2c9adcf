"""The policy decision point: what analysis found, against what the scope may see.

    the column is   where it is found                                       decision
    clear           anywhere                                                nothing to do
    masked          an output copies it unchanged, and nothing else of      the output is masked
                    the output is masked
    masked          an output is computed from it                           deny
    masked          it influences rows, order, groups (any use)             deny
    denied          anywhere                                                deny

Any deny denies the statement. The refusal reported is the first in the text, so the order of rules never shows.
"""

from collections.abc import Iterator
from typing import assert_never

from maskproxy.base.errors import ColumnRefused
from maskproxy.base.refs import ColumnRef
from maskproxy.core.policy.decision import ColumnMask, Decision, Deny, Permit
from maskproxy.core.policy.ruleset import Denial, Scope
from maskproxy.core.sql.statement import Analysis, Output, UseKind

_WHERE_USED = {
    UseKind.FILTER: "a condition (WHERE, HAVING, FILTER, LIMIT)",
    UseKind.JOIN: "a join condition",
    UseKind.GROUP: "GROUP BY",
    UseKind.ORDER: "ORDER BY",
    UseKind.DISTINCT: "DISTINCT",
    UseKind.WINDOW: "a window definition",
    UseKind.AGGREGATE: "an aggregate",
    UseKind.EXPRESSION: "an expression",
    UseKind.WHOLE_ROW: "a whole-row reference",
    UseKind.FUNCTION: "a table function",
    UseKind.SET_OPERATION: "UNION, INTERSECT, EXCEPT or VALUES",
    UseKind.SAMPLE: "TABLESAMPLE, which draws rows by where they are stored",
}
_MAX_SUGGESTED = 5  # clear columns named in a hint


def decide(analysis: Analysis, scope: Scope) -> Decision:
    """The one combining algorithm; the table above is its specification."""
    refusals = sorted(_refusals(analysis, scope), key=_position)
    if refusals:
        return Deny(refusals[0])
    return Permit(tuple(_mask(output, scope) for output in analysis.outputs))


def _position(error: ColumnRefused) -> tuple[bool, int, str]:
    return error.position is None, error.position or 0, str(error.column)


def _refusals(analysis: Analysis, scope: Scope) -> Iterator[ColumnRefused]:
    for use in analysis.uses:
        if use.column in scope.masks or use.column in scope.denied:
            yield refuse_column(use.column, scope, f"used in {_WHERE_USED[use.kind]}", _at(use.position))
    for output in analysis.outputs:
        for column in output.sources:
            if column in scope.denied or (column in scope.masks and column != output.direct):
                yield refuse_column(column, scope, "used to compute an output column", _at(output.position))
        if output.direct is not None and output.direct in scope.denied:
            yield refuse_column(output.direct, scope, "an output column", _at(output.position))


def _mask(output: Output, scope: Scope) -> ColumnMask | None:
    return None if output.direct is None else scope.masks.get(output.direct)


def _at(offset: int | None) -> int | None:
    """ErrorResponse counts from 1."""
    return None if offset is None else offset + 1


def refuse_column(column: ColumnRef, scope: Scope, where: str, position: int | None) -> ColumnRefused:
    """The refusal for ``column``, which must be masked or denied in ``scope``."""
    reason = scope.denied.get(column) or scope.masks[column]
    return ColumnRefused(
        f'permission denied for column "{column.column}" of "{column.table}" (rule `{reason.rule}`)',
        column=column,
        rule=reason.rule,
        location=reason.location,
        detail=f"The column is {where}. The rule stands at {reason.location}.",
        hint=_hint(column, reason, scope),
        position=position,
    )


def _hint(column: ColumnRef, reason: ColumnMask | Denial, scope: Scope) -> str:
    clear = _clear_columns(column, scope)
    instead = f"; filter, join and sort on clear columns such as {', '.join(clear)}" if clear else ""
    match reason:
        case ColumnMask(name=name):
            return f"Select the column as it is to get its masked value (mask {name}){instead}."
        case Denial():
            return f"Leave the column out{instead}."
        case unreachable:
            assert_never(unreachable)


def _clear_columns(column: ColumnRef, scope: Scope) -> list[str]:
    table = scope.catalog.tables.get(column.table_ref)
    if table is None or table.hidden:
        return []
    names = (each.name for each in table.visible_columns)
    clear = [name for name in names if ColumnRef(column.schema, column.table, name) not in scope.masks]
    return clear[:_MAX_SUGGESTED]
