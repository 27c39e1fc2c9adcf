"""What ``maskproxy explain`` tells of a plan or of a refusal, as data."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, assert_never

from maskproxy.base.errors import ColumnRefused, StatementError
from maskproxy.core.plan import Plan, StatementPlan
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.policy.ruleset import ColumnUse, Scope
from maskproxy.core.sql.statement import Analysis, Output, Use

_NULL: Final = "null"
_NEAR = 40  # characters of the statement shown beside a position


def refusal(sql: str, error: StatementError) -> Mapping[str, Any]:
    told: dict[str, Any] = {
        "sqlstate": error.sqlstate,
        "message": error.message,
        "detail": error.detail,
        "hint": error.hint,
        "position": error.position,
        "near": None if error.position is None else near(sql, error.position),
    }
    if isinstance(error, ColumnRefused):
        told |= {"column": str(error.column), "rule": error.rule, "location": str(error.location)}
    return {"decision": "deny", "error": told}


def permit(plan: Plan, scope: Scope) -> Mapping[str, Any]:
    return {
        "decision": "permit",
        "transparent": plan.transparent,
        "sql": plan.sql,
        "edited": plan.sql != plan.text,
        "statements": [_statement(statement, plan.text, scope) for statement in plan.statements],
    }


def near(sql: str, position: int) -> str:
    """What stands at a position that counts from 1."""
    return sql[position - 1 :].split("\n", 1)[0][:_NEAR]


def _statement(statement: StatementPlan, text: str, scope: Scope) -> Mapping[str, Any]:
    analysis, statement = statement.analysis, statement.carried or statement
    if analysis is None:
        return {}
    return {
        "kind": analysis.kind,
        "evaluation": _evaluation(statement),
        "tables": [str(table) for table in sorted(analysis.tables)],
        "columns": list(_columns(analysis, statement)),
        "uses": list(_uses(analysis, statement, text, scope)),
    }


def _evaluation(statement: StatementPlan) -> str:
    if statement.evaluated:
        return "masked: the database computes with masked values"
    if statement.outputs is not None and any(statement.outputs):
        return "rows: values are masked on their way back"
    return "none: nothing in the answer is masked"


def _columns(analysis: Analysis, statement: StatementPlan) -> Iterator[Mapping[str, Any]]:
    nothing: tuple[ColumnMask, ...] = ()
    for number, output in enumerate(analysis.outputs):
        masks = statement.governed[number] if number < len(statement.governed) else nothing
        by_row = statement.outputs is not None and number < len(statement.outputs) and statement.outputs[number]
        yield {
            "name": output.name,
            "lineage": [str(column) for column in sorted(output.sources)],
            "mask": _mask(output, masks),
            "label": _joined(mask.label for mask in masks),
            "rule": _joined(mask.rule for mask in masks),
            "location": _joined(str(mask.location) for mask in masks),
            "how": "masked in the row" if by_row else _computed(output, masks, statement),
        }


def _mask(output: Output, masks: tuple[ColumnMask, ...]) -> str:
    """``email`` of a column put out as it is, ``of email, token`` of what is computed from such."""
    if not masks:
        return "clear"
    names = ", ".join(dict.fromkeys(mask.name for mask in masks))
    return names if output.direct is not None else f"of {names}"


def _computed(output: Output, masks: tuple[ColumnMask, ...], statement: StatementPlan) -> str:
    if not masks:
        return "as it is"
    if any(_lacks_sql(mask) for mask in masks if mask.column in statement.evaluated):
        return "NULL in its place: the mask has no SQL form for the type"
    return "the masked value" if output.direct is not None else "computed from masked values"


def _uses(analysis: Analysis, statement: StatementPlan, text: str, scope: Scope) -> Iterator[Mapping[str, Any]]:
    seen: set[tuple[str, str, int | None]] = set()
    for use in sorted(analysis.uses, key=lambda each: (each.position is None, each.position or 0, each.column)):
        key = (str(use.column), str(use.kind), use.position)
        if key not in seen:
            seen.add(key)
            mask = scope.masks.get(use.column)
            yield {
                "column": str(use.column),
                "use": str(use.kind),
                "position": None if use.position is None else use.position + 1,
                "near": None if use.position is None else near(text, use.position + 1),
                "mask": "clear" if mask is None else mask.name,
                "rule": None if mask is None else mask.rule,
                "location": None if mask is None else str(mask.location),
                "happens": _happens(use, mask, statement, scope),
            }


def _happens(use: Use, mask: ColumnMask | None, statement: StatementPlan, scope: Scope) -> str:
    if mask is None:
        return "used as it is"
    if use.column in statement.evaluated:
        return "used as NULL: its mask has no SQL form" if _lacks_sql(mask) else "used by its masked value"
    match scope.use_of(use.column):
        case ColumnUse.EQUALITY:
            return f"used as it is, by leave of `use: {ColumnUse.EQUALITY}`: discloses who has the value"
        case ColumnUse.ANY:
            return f"used as it is, by leave of `use: {ColumnUse.ANY}`"
        case ColumnUse.MASKED | ColumnUse.REFUSE:
            return "masked"
        case unreachable:
            assert_never(unreachable)


def _lacks_sql(mask: ColumnMask) -> bool:
    return mask.sql is None and mask.name != _NULL


def _joined(words: Iterator[str]) -> str | None:
    return ", ".join(dict.fromkeys(words)) or None
