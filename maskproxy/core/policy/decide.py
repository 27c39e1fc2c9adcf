"""The policy decision point: what analysis found, against what the scope may see.

    the column is   where it is found                                 decision
    clear           anywhere                                          nothing to do
    masked          only where outputs copy it unchanged              those outputs are masked
    masked          it influences rows, order, groups (any use), or   by its ``use``:
                    an output is computed from it                       refuse    deny
                                                                        masked    masked evaluation
                                                                        equality  raw, if all that is done is to compare
                                                                                  it with given values; else as masked
                                                                        any       raw, unless an output is computed from
                                                                                  it; else as masked
    masked          sampled: storage decides                          deny
    masked          EXPLAIN of grouping, joining ... by it            deny (see ``explaining``)
    denied          anywhere                                          deny

Masked evaluation is of all masked columns of the statement, but for those that are used raw. Any deny denies the
statement. The refusal reported is the first in the text, so the order of rules never shows.
"""

from collections.abc import Iterator
from typing import assert_never

from maskproxy.base.errors import ColumnRefused
from maskproxy.base.refs import ColumnRef
from maskproxy.core.policy.decision import ColumnMask, Decision, Deny, Permit
from maskproxy.core.policy.explaining import refuse_explain, shapes_plan
from maskproxy.core.policy.ruleset import ColumnUse, Denial, Scope
from maskproxy.core.sql.statement import Analysis, Output, StatementKind, Use, UseKind

WHERE_USED = {
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
    UseKind.CONFLICT: "a key of ON CONFLICT",
    UseKind.WRITE: "a written value",
}
_MAX_SUGGESTED = 5  # clear columns named in a hint


def decide(analysis: Analysis, scope: Scope, *, evaluate: bool = False) -> Decision:
    """The one combining algorithm; the table above is its specification.

    ``evaluate``: the rows cannot be masked on their way, so whatever is masked must be evaluated so.
    """
    found = _Found(analysis, scope)
    refusals = sorted(_refusals(found, evaluate=evaluate), key=_position)
    if refusals:
        return Deny(refusals[0])
    if analysis.kind is StatementKind.EXPLAIN and (error := refuse_explain(analysis, scope)) is not None:
        return Deny(error)
    evaluated = found.masked - found.used_raw if evaluate or found.evaluates else frozenset()
    outputs = tuple(_mask(output, scope, evaluated) for output in analysis.outputs)
    return Permit(outputs, evaluated, found.disclosed())


class _Found:
    """What a statement does with the masked columns of its tables."""

    def __init__(self, analysis: Analysis, scope: Scope) -> None:
        self.analysis = analysis
        self.scope = scope
        self.masked = frozenset(column for column in scope.masks if column.table_ref in analysis.tables)
        self.uses = [use for use in analysis.uses if use.column in scope.masks]
        self.computed = frozenset(
            column
            for output in analysis.outputs
            for column in output.sources
            if column in scope.masks and column != output.direct
        )
        used = {use.column for use in self.uses}
        evaluable = {use.column for use in self.uses if not self._allows(use)}
        self.used_raw = frozenset(used - evaluable - self.computed)
        """Used as they are, by leave of their label's ``use``."""
        self.evaluates = bool(evaluable or self.computed)

    def _allows(self, use: Use) -> bool:
        match self.scope.use_of(use.column):
            case ColumnUse.ANY:
                return True
            case ColumnUse.EQUALITY:
                return use.compared > 0
            case ColumnUse.MASKED | ColumnUse.REFUSE:
                return False
            case unreachable:
                assert_never(unreachable)

    def disclosed(self) -> dict[ColumnRef, int]:
        counts: dict[ColumnRef, int] = {}
        for use in self.uses:
            if use.column in self.used_raw and use.compared:
                counts[use.column] = counts.get(use.column, 0) + use.compared
        return counts


def _position(error: ColumnRefused) -> tuple[bool, int, str]:
    return error.position is None, error.position or 0, str(error.column)


def _refusals(found: _Found, *, evaluate: bool) -> Iterator[ColumnRefused]:
    scope = found.scope
    for use in found.analysis.uses:
        if use.column in scope.denied or (use.column in scope.masks and _refuses(use, scope)):
            yield refuse_column(use.column, scope, f"used in {WHERE_USED[use.kind]}", _at(use.position))
        elif use.column in scope.masks and shapes_plan(use, found.analysis, scope):
            where = f"used in {WHERE_USED[use.kind]}, where the plan depends on how many distinct values it has"
            yield refuse_column(use.column, scope, where, _at(use.position))
    for output in found.analysis.outputs:
        if output.direct is not None and output.direct in scope.denied:
            yield refuse_column(output.direct, scope, "an output column", _at(output.position))
        for column in output.sources:
            if column in scope.denied or (
                column in found.computed and column != output.direct and scope.use_of(column) is ColumnUse.REFUSE
            ):
                yield refuse_column(column, scope, "used to compute an output column", _at(output.position))
            elif evaluate and column in found.used_raw:
                yield refuse_column(column, scope, "compared as it is and put out here as well", _at(output.position))


def _refuses(use: Use, scope: Scope) -> bool:
    return use.kind is UseKind.SAMPLE or scope.use_of(use.column) is ColumnUse.REFUSE


def _mask(output: Output, scope: Scope, evaluated: frozenset[ColumnRef]) -> ColumnMask | None:
    return None if output.direct is None or output.direct in evaluated else scope.masks.get(output.direct)


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
