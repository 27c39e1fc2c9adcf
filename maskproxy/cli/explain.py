"""``maskproxy explain``: what the proxy would do with a statement, and why. Nothing is run."""

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from maskproxy.base.errors import ColumnRefused, MaskproxyError, StatementError
from maskproxy.cli.common import ConfigOption, JsonOption, console, fail, load, print_json, stop
from maskproxy.cli.rulesets import GENERATION, read_ruleset
from maskproxy.core.plan import Plan, Stamp, StatementPlan, plan_text
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.policy.ruleset import Scope
from maskproxy.core.settings import Settings
from maskproxy.core.sql.statement import Output
from maskproxy.core.yaml import did_you_mean
from maskproxy.store.configuration import load_rules


def explain(
    sql: Annotated[str, typer.Argument(help="The statement, as a client would send it.", metavar="SQL")],
    scope: Annotated[list[str], typer.Option("--scope", "-s", help="A scope of the rules; several are combined.")],
    config: ConfigOption,
    database: Annotated[str | None, typer.Option("--database", "-d", help="Default: the only one.")] = None,
    json: JsonOption = False,
) -> None:
    """Show the decision on a statement: per output column its lineage, mask and rule, and the SQL that would be sent.

    Exit 0 when there is a decision, also when it is a refusal.
    """
    settings = load(config)
    name = _database(settings, database)
    try:
        combined = _scope(settings, name, tuple(scope))
    except MaskproxyError as error:
        fail(error)
    try:
        plan = plan_text(sql, combined, settings.databases[name].search_path, Stamp(GENERATION, GENERATION))
    except StatementError as error:
        decision = _refusal(error)
    else:
        decision = _permit(plan)
    decision = {"database": name, "scope": combined.name, **decision}
    if json:
        print_json(decision)
    elif decision["decision"] == "deny":
        _show_refusal(sql, decision["error"])
    else:
        _show_permit(decision)


def _database(settings: Settings, wanted: str | None) -> str:
    known = list(settings.databases)
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None:
        stop("which database?", hint=f"--database with one of {', '.join(known)}")
    if wanted not in known:
        stop(f"unknown database {wanted}{did_you_mean(wanted, known)}")
    return wanted


def _scope(settings: Settings, database: str, names: tuple[str, ...]) -> Scope:
    ruleset = asyncio.run(read_ruleset(settings, database, load_rules(settings, database)))
    for name in names:
        if name not in ruleset.scopes:
            stop(f"unknown scope {name}{did_you_mean(name, ruleset.scopes)}")
    return ruleset.combine(names)


def _refusal(error: StatementError) -> dict[str, Any]:
    told: dict[str, Any] = {
        "sqlstate": error.sqlstate,
        "message": error.message,
        "detail": error.detail,
        "hint": error.hint,
        "position": error.position,
    }
    if isinstance(error, ColumnRefused):
        told |= {"column": str(error.column), "rule": error.rule, "location": str(error.location)}
    return {"decision": "deny", "error": told}


def _permit(plan: Plan) -> dict[str, Any]:
    return {
        "decision": "permit",
        "transparent": plan.transparent,
        "sql": plan.sql,
        "statements": [_statement(statement) for statement in plan.statements],
    }


def _statement(statement: StatementPlan) -> dict[str, Any]:
    analysis, statement = statement.analysis, statement.carried or statement
    if analysis is None:
        return {}
    return {
        "kind": analysis.kind,
        "tables": [str(table) for table in sorted(analysis.tables)],
        "columns": [_column(*each) for each in zip(analysis.outputs, statement.outputs or (), strict=False)],
        "uses": sorted({f"{use.column} ({use.kind})" for use in analysis.uses}),
    }


def _column(output: Output, mask: ColumnMask | None) -> dict[str, Any]:
    return {
        "name": output.name,
        "lineage": [str(column) for column in sorted(output.sources)],
        "mask": "clear" if mask is None else mask.name,
        "label": None if mask is None else mask.label,
        "rule": None if mask is None else mask.rule,
        "location": None if mask is None else str(mask.location),
    }


def _show_refusal(sql: str, error: dict[str, Any]) -> None:
    console.print(f"denied with SQLSTATE {error['sqlstate']}", style="red bold")
    console.print(error["message"], markup=False, soft_wrap=True)
    if error["position"]:
        _show_position(sql, error["position"])
    for word in ("detail", "hint"):
        if error[word]:
            console.print(f"{word}: {error[word]}", markup=False, soft_wrap=True)


def _show_position(sql: str, position: int) -> None:
    """The line of the text with a caret under the place, as psql does."""
    start = sql.rfind("\n", 0, position - 1) + 1
    line = sql[start:].split("\n", 1)[0]
    console.print(f"  {line}\n  {' ' * (position - 1 - start)}^", markup=False, soft_wrap=True)


def _show_permit(decision: dict[str, Any]) -> None:
    if decision["transparent"]:
        console.print(f"permitted: scope {decision['scope']} is unrestricted, the statement is sent as it is")
        return
    console.print("permitted", style="green bold")
    for statement in decision["statements"]:
        if statement["kind"] == "session":
            console.print("a statement about the session: nothing in its answer is masked")
            continue
        table = Table("column", "lineage", "mask", "rule", "where")
        for column in statement["columns"]:
            lineage = ", ".join(column["lineage"]) or "no column"
            cells = (column["name"] or "?", lineage, column["mask"], column["rule"] or "", column["location"] or "")
            table.add_row(*map(Text, cells))
        console.print(table)
        if statement["uses"]:
            console.print(f"also reads: {', '.join(statement['uses'])}", markup=False)
    console.print("sent to the database:")
    console.print(decision["sql"], markup=False, soft_wrap=True)
