"""``maskproxy grant``: who holds which scopes of which database, and until when."""

import getpass
import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
import typer

from maskproxy.base.errors import ConfigurationError
from maskproxy.cli.administration import check_database, print_table, with_store
from maskproxy.cli.common import ConfigOption, JsonOption, console, load, print_error, print_json, stop
from maskproxy.cli.durations import parse_duration, parse_time, show_time
from maskproxy.core.settings import Settings
from maskproxy.store.configuration import load_rules
from maskproxy.store.snapshot import Grant

app = typer.Typer(help="Time-bounded rights: who holds which scope of which database.", no_args_is_help=True)


@app.command()
def create(
    principal: Annotated[str, typer.Argument(help="Who gets it.")],
    database: Annotated[str, typer.Argument(help="Its name in maskproxy.yaml.")],
    config: ConfigOption,
    scope: Annotated[list[str], typer.Option(help="A scope of the rules; may be given several times.")],
    for_: Annotated[
        timedelta | None,
        typer.Option("--for", parser=parse_duration, metavar="DURATION", help="How long: 30m, 8h, 7d."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(parser=parse_time, metavar="TIME", help="Until when, ISO 8601; UTC without a zone."),
    ] = None,
    from_: Annotated[
        datetime | None, typer.Option("--from", parser=parse_time, metavar="TIME", help="From when; now if not given.")
    ] = None,
    purpose: Annotated[str | None, typer.Option(help="Why; it stands in every record.")] = None,
    ticket: Annotated[str | None, typer.Option(help="Where it was asked for.")] = None,
    approved_by: Annotated[str | None, typer.Option(help="Who approved it; you if not given.")] = None,
    json: JsonOption = False,
) -> None:
    """Grant scopes of a database for a time. It acts at once, also for proxies that run."""
    settings = load(config)
    check_database(settings, database)
    _check_scopes(settings, database, scope)
    starts_at = from_ or datetime.now(UTC)
    if (for_ is None) == (until is None):
        raise typer.BadParameter("give one of --for and --until: there are no grants without an end")
    end = until if until is not None else starts_at + (for_ or timedelta())
    grant = with_store(
        settings,
        lambda store: store.create_grant(
            principal,
            database,
            scope,
            starts_at=starts_at,
            until=end,
            purpose=purpose,
            ticket=ticket,
            approved_by=approved_by or _whoever_runs_this(),
        ),
    )
    if json:
        print_json(_as_data(grant, datetime.now(UTC)))
    else:
        scopes = ", ".join(grant.scopes)
        console.print(
            f"{grant.id}: {principal} has {scopes} on {database} until {show_time(grant.until)}", markup=False
        )


@app.command("list")
def list_(
    config: ConfigOption,
    principal: Annotated[str | None, typer.Option(help="Only its grants.")] = None,
    database: Annotated[str | None, typer.Option(help="Only grants on it.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Ended and revoked ones, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Grants that act or will act; with --all also those that did."""
    grants = with_store(load(config), lambda store: store.grants(principal, database))
    now = datetime.now(UTC)
    shown = [grant for grant in grants if all_ or _state(grant, now) in ("active", "not begun")]
    if json:
        print_json([_as_data(grant, now) for grant in shown])
        return
    rows = [
        (
            g.id,
            g.principal,
            g.database,
            ", ".join(g.scopes),
            _state(g, now),
            show_time(g.until),
            g.purpose,
            g.approved_by,
        )
        for g in shown
    ]
    headings = ("id", "principal", "database", "scopes", "state", "until", "purpose", "approved by")
    print_table(headings, rows, empty="no grants")


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `grant list` shows it.")],
    config: ConfigOption,
    json: JsonOption = False,
) -> None:
    """End a grant now, and with it the sessions under it."""
    with_store(load(config), lambda store: store.revoke_grant(id))
    if json:
        print_json({"id": id, "revoked": True})
    else:
        console.print(f"revoked {id}", markup=False)


def _check_scopes(settings: Settings, database: str, scopes: list[str]) -> None:
    """A misspelt scope would only be noticed when the agent is refused. Rules that can't be read are no obstacle."""
    try:
        documents = load_rules(settings, database)
    except ConfigurationError:
        print_error(
            "the rules can't be read, so the scopes were not checked: maskproxy check tells why", word="warning"
        )
        return
    known = sorted({name for document in documents for name in document.model.scopes})
    for name in scopes:
        if name not in known:
            stop(f'the rules of "{database}" have no scope "{name}"', hint=f"one of: {', '.join(known) or 'none'}")


def _whoever_runs_this() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _state(grant: Grant, now: datetime) -> str:
    if grant.revoked_at is not None:
        return "revoked"
    if now < grant.starts_at:
        return "not begun"
    return "active" if grant.active(now) else "ended"


def _as_data(grant: Grant, now: datetime) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(orjson.dumps(grant))
    return {**data, "state": _state(grant, now)}
