"""``maskproxy dsn``: what is handed to an agent, in one line.

The store knows tokens only as verifiers, so each call issues a new one; those before stay good until they expire or
are revoked. The DSN goes to standard output alone: ``psql "$(maskproxy dsn agent shop)"``.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from maskproxy.cli.administration import check_database, with_store
from maskproxy.cli.common import ConfigOption, JsonOption, load, print_error, print_json, stop
from maskproxy.cli.durations import DEFAULT_EXPIRES, ExpiresOption
from maskproxy.core.settings import Settings
from maskproxy.store.rows import IssuedToken
from maskproxy.store.store import Store

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (an address to connect to, not to listen on)


def dsn(
    principal: Annotated[str, typer.Argument(help="Who will connect.")],
    database: Annotated[str, typer.Argument(help="Its name in maskproxy.yaml.")],
    config: ConfigOption,
    expires: ExpiresOption = DEFAULT_EXPIRES,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Use the token in this file and issue none.")
    ] = None,
    scope: Annotated[str | None, typer.Option(help="Ask for this scope, if several grants are active.")] = None,
    host: Annotated[str | None, typer.Option(help="The proxy's name as the agent sees it.")] = None,
    json: JsonOption = False,
) -> None:
    """Print a DSN for an agent, with a token issued for it (good for 30 days, see --expires)."""
    settings = load(config)
    check_database(settings, database)
    until = datetime.now(UTC) + expires

    async def prepare(store: Store) -> IssuedToken | None:
        issued = None if token_file is not None else await store.issue_token(principal, until, "dsn")
        if not any(grant.active(datetime.now(UTC)) for grant in await store.grants(principal, database)):
            advice = f"maskproxy grant create {principal} {database} --scope SCOPE --for 8h"
            print_error(f"no grant is active yet, so logins are refused until: {advice}", word="note")
        return issued

    issued = with_store(settings, prepare)
    secret = issued.secret.reveal() if issued is not None else _read_token(token_file)
    text = make_dsn(settings, principal, database, secret, scope=scope, host=host)
    if not json:
        typer.echo(text)
    elif issued is None:
        print_json({"dsn": text})
    else:
        print_json({"dsn": text, "token_id": issued.id, "expires_at": issued.expires_at})


def make_dsn(
    settings: Settings, principal: str, database: str, secret: str, *, scope: str | None = None, host: str | None = None
) -> str:
    """A URI that libpq, psycopg, asyncpg and SQLAlchemy take."""
    address = settings.listen.postgres
    if address is None:
        stop(f"{settings.file} names no address for PostgreSQL clients", hint="set listen: {postgres: 127.0.0.1:6543}")
    name = host or _EVERYWHERE.get(address.host, address.host)
    name = f"[{name}]" if ":" in name else name
    parameters = []
    if settings.tls is not None:
        parameters.append("sslmode=require")
    if scope is not None:
        parameters.append("options=" + quote(f"-c maskproxy.scope={scope}", safe=""))
    query = "?" + "&".join(parameters) if parameters else ""
    user = f"{quote(principal, safe='')}:{quote(secret, safe='')}"
    return f"postgresql://{user}@{name}:{address.port}/{quote(database, safe='')}{query}"


def _read_token(file: Path | None) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip() if file is not None else ""
    except (OSError, UnicodeDecodeError):
        stop(f"the token file {file} can't be read")
    if not token or len(token.split()) != 1:
        stop(f"the token file {file} does not hold one token")
    return token
