"""``maskproxy explain``: what the proxy would do with a statement, and why. Nothing is run."""

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from maskproxy.base.errors import MaskproxyError, StatementError
from maskproxy.cli import explained
from maskproxy.cli.common import ConfigOption, JsonOption, console, fail, load, print_json, stop
from maskproxy.cli.rulesets import GENERATION, read_ruleset
from maskproxy.core.plan import Stamp, plan_text
from maskproxy.core.policy.ruleset import Scope
from maskproxy.core.settings import Settings
from maskproxy.core.yaml import did_you_mean
from maskproxy.store.configuration import load_rules


def explain(
    sql: Annotated[str, typer.Argument(help="The statement, as a client would send it.", metavar="SQL")],
    scope: Annotated[list[str], typer.Option("--scope", "-s", help="A scope of the rules; several are combined.")],
    config: ConfigOption,
    database: Annotated[str | None, typer.Option("--database", "-d", help="Default: the only one.")] = None,
    json: JsonOption = False,
) -> None:
    """Show the decision on a statement: the lineage, mask and rule of each output column, what becomes of each use of a
    column, and the SQL that would be sent; or what is refused, where, by which rule, and what would be allowed.

    Exit 0 when there is a decision, also when it is a refusal.
    """
    settings = load(config)
    name = choose_database(settings, database)
    try:
        combined = _scope(settings, name, tuple(scope))
    except MaskproxyError as error:
        fail(error)
    try:
        plan = plan_text(sql, combined, settings.databases[name].search_path, Stamp(GENERATION, GENERATION))
    except StatementError as error:
        told = explained.refusal(sql, error)
    else:
        told = explained.permit(plan, combined)
    decision = {"database": name, "scope": combined.name, **told}
    if json:
        print_json(decision)
    elif decision["decision"] == "deny":
        _show_refusal(sql, decision["error"])
    else:
        _show_permit(decision)


def choose_database(settings: Settings, wanted: str | None) -> str:
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
        else:
            _show_statement(statement)
    console.print("sent to the database:" if decision["edited"] else "sent to the database as it is:")
    console.print(decision["sql"], markup=False, soft_wrap=True)


def _show_statement(statement: dict[str, Any]) -> None:
    console.print(f"masking: {statement['evaluation']}", markup=False)
    table = Table("column", "lineage", "mask", "rule", "where")
    for column in statement["columns"]:
        lineage = ", ".join(column["lineage"]) or "no column"
        cells = (column["name"] or "?", lineage, column["mask"], column["rule"] or "", column["location"] or "")
        table.add_row(*map(Text, cells))
    console.print(table)
    for use in statement["uses"]:
        at = "" if use["position"] is None else f" at {use['position']} ({use['near']})"
        by = "" if use["rule"] is None else f" (mask {use['mask']}, rule {use['rule']} at {use['location']})"
        console.print(f"{use['use']}{at}: {use['column']} is {use['happens']}{by}", markup=False, soft_wrap=True)
