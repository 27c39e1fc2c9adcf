"""``maskproxy test``: whether anything tells protected values apart, with one's own schema and rules."""

import asyncio
from collections import Counter
from random import SystemRandom
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from maskproxy.base.errors import MaskproxyError
from maskproxy.cli.common import ConfigOption, JsonOption, console, errors, fail, load, print_json, stop
from maskproxy.cli.explain import choose_database
from maskproxy.cli.twins.compare import Difference
from maskproxy.cli.twins.run import Findings, Wish, run
from maskproxy.cli.twins.targets import Subject

QUERIES = 500
ENDINGS = ("served", "refused", "failed", "differs")
_SHOWN = 20  # differences; --json has all
_SEEDS = 1_000_000


def test(
    scope: Annotated[list[str], typer.Option("--scope", "-s", help="A scope of the rules; several are combined.")],
    config: ConfigOption,
    noninterference: Annotated[
        bool, typer.Option("--noninterference", help="Compare two databases that differ in protected values only.")
    ] = False,
    database: Annotated[str | None, typer.Option("--database", "-d", help="Default: the only one.")] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(help="A label or schema.table.column that must not be in clear, whatever the rules say."),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="How many statements are sent to both.")] = QUERIES,
    seed: Annotated[int | None, typer.Option(help="Of values and statements.", show_default="random")] = None,
    json: JsonOption = False,
) -> None:
    """Try the rules on two generated databases with the tables of yours, which differ in protected values only.

    Exit 1 when any statement tells them apart, or when nothing was served.
    """
    if not noninterference:
        stop("nothing to test", hint="maskproxy test --noninterference --scope NAME")
    settings = load(config)
    wish = Wish(
        database=choose_database(settings, database),
        scopes=tuple(scope),
        protect=tuple(protect or ()),
        queries=queries,
        seed=SystemRandom().randrange(_SEEDS) if seed is None else seed,
    )
    try:
        findings = asyncio.run(run(settings, wish, _tell))
    except MaskproxyError as error:
        fail(error)
    if json:
        print_json(_as_data(wish, findings))
    else:
        _show(wish, findings)
    if not findings.passed:
        raise typer.Exit(1)


def _tell(text: str) -> None:
    errors.print(f"{text} ...", style="dim", markup=False)


def _as_data(wish: Wish, findings: Findings) -> dict[str, Any]:
    return {
        "ok": findings.passed,
        "database": wish.database,
        "scopes": wish.scopes,
        "seed": wish.seed,
        "queries": wish.queries,
        "columns": [
            {
                "column": str(each.target.column),
                "seen": each.seen,
                "tested": not each.alone,
                **{ending: _endings(findings, each)[ending] for ending in ENDINGS},
            }
            for each in findings.subjects
        ],
        "differences": [
            {
                "column": str(each.play.target.column),
                "statements": each.play.statements,
                "left": each.left,
                "right": each.right,
            }
            for each in findings.results.differences
        ],
        "unsteady": findings.results.unsteady,
        "not_rebuilt": [{"name": note.name, "what": note.what, "reason": note.reason} for note in findings.notes],
    }


def _endings(findings: Findings, subject: Subject) -> Counter[str]:
    return findings.results.endings.get(subject.target.column, Counter())


def _show(wish: Wish, findings: Findings) -> None:
    for note in findings.notes:
        console.print(f"{note.name} {note.what}: {note.reason}", style="yellow", markup=False, soft_wrap=True)
    table = Table("column", "seen", *ENDINGS, "")
    for each in findings.subjects:
        endings = _endings(findings, each)
        comment = "not tested: the same in both" if each.alone else ""
        if each.masked and not endings["served"] + endings["differs"]:
            comment = comment or "nothing was served"
        counts = (str(endings[ending]) for ending in ENDINGS)
        table.add_row(*map(Text, (str(each.target.column), each.seen, *counts, comment)))
    console.print(table)
    if findings.results.unsteady:
        console.print(f"{findings.results.unsteady} statements do not answer twice alike and were not compared")
    for difference in findings.results.differences[:_SHOWN]:
        _show_difference(difference)
    again = f"--queries {wish.queries} --seed {wish.seed}"
    if findings.results.differences:
        count = len(findings.results.differences)
        console.print(f"{count} statements tell the twins apart; again with {again}", style="red bold")
    elif not findings.passed:
        console.print(
            f"no statement about a column that differs was served: nothing was tried; again with {again}",
            style="red bold",
        )
    else:
        console.print(f"no difference ({again})", style="green")


def _show_difference(difference: Difference) -> None:
    console.print(f"\n{difference.play.target.column} is told by", style="red", markup=False)
    for text in (*difference.play.statements, f"left:  {difference.left}", f"right: {difference.right}"):
        console.print(f"  {text}", markup=False, soft_wrap=True)
