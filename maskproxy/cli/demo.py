"""``maskproxy demo``: a shop's database, the proxy in front of it, and a tour. All it makes lies in one directory:

maskproxy.yaml   the settings; every other command takes them with ``-c``
rules/shop.yaml  the rules, to be edited: ``maskproxy reload`` puts them in force
postgres/        the private server     store.db  principals, tokens, grants
keys/, audit/, run/, log                as ``maskproxy serve`` has them anywhere
"""

import asyncio
import contextlib
import fcntl
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Annotated

import asyncpg
import platformdirs
import typer
from rich.console import Console

from maskproxy.base.errors import MaskproxyError
from maskproxy.base.secret import Secret
from maskproxy.cli.common import console, fail, stop
from maskproxy.cli.embedded import HOST, EmbeddedPostgres, free_port, write_private
from maskproxy.cli.rulesets import read_ruleset
from maskproxy.cli.sample import make_sample
from maskproxy.cli.serving import serving
from maskproxy.cli.tour import SCOPE, Tour
from maskproxy.core.policy.drift import render_lock
from maskproxy.core.settings import Settings
from maskproxy.store.configuration import create_key, load_rules, load_settings, lock_path
from maskproxy.store.store import open_store

PRINCIPAL = "agent"
DATABASE = "shop"
ROLE = "maskproxy_shop"
GRANT_DAYS = 7
READY_SECONDS = 30.0
LABEL = "demo"
WIDTH = 160  # of what is printed into a file or a log

SETTINGS = """\
# Written by `maskproxy demo` each time it starts.
listen:
  postgres: {host}:{port}
databases:
  {database}:
    dsn: postgresql://{role}@{host}:{server_port}/{database}
    password: {{file: keys/shop.password}}
    tls: disable                     # the server is on this machine
rules: [rules/shop.yaml]
workers: 2
"""

INVITATION = """\
export MASKPROXY_CONFIG={file}
psql "$({program} dsn {principal} {database})" -c 'select * from customers limit 5'
{program} explain --scope {scope} 'select ssn from customers'
{program} grant list
{program} status
"""


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the tour; exit 1 if a raw value came through.")
    ] = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where everything is kept.", show_default="the user's data directory")
    ] = None,
    port: Annotated[int, typer.Option(help="Where the proxy listens, if it is free.")] = 6543,
) -> None:
    """An embedded PostgreSQL with sample data, the proxy before it, and a tour raw beside masked."""
    directory = (directory or platformdirs.user_data_path("maskproxy")).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with _only_one(directory), EmbeddedPostgres(directory / "postgres") as server:
            problems = asyncio.run(_run(server, directory, port, once=once))
    except MaskproxyError as error:
        fail(error)
    if problems:
        stop("; ".join(problems))


async def _run(server: EmbeddedPostgres, directory: Path, wanted_port: int, *, once: bool) -> list[str]:
    port = free_port(wanted_port)
    if port != wanted_port:
        console.print(f"port {wanted_port} is taken, the proxy listens on {port}")
    password = await _load(server)
    settings = _configure(directory, server.port, port, password)
    await _lock(settings)
    dsn = f"postgresql://{PRINCIPAL}:{(await _admit(settings)).reveal()}@{HOST}:{port}/{DATABASE}"
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with serving(settings) as proxy:
        masked = await _login(dsn, proxy, directory)
        raw = await asyncpg.connect(server.dsn(DATABASE))
        console.print(f"[bold]DSN of {PRINCIPAL}:[/bold] {dsn}", soft_wrap=True)
        wide = console if console.is_terminal else Console(width=WIDTH, highlight=False)
        problems = await Tour(wide, raw, masked, settings.file).run()
        await raw.close()
        await masked.close()
        if not once:
            _invite(settings.file)
            await _wait_for_end(stopping, proxy)
    return problems


@contextlib.contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Two demos in one directory would take each other's database."""
    with (directory / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stop(f"a demo runs in {directory} already", hint=f"maskproxy status -c {directory / 'maskproxy.yaml'}")
        yield


async def _load(server: EmbeddedPostgres) -> Secret[str]:
    """Make the shop unless it is there, under a name of its own first: a half-loaded one is thrown away.

    Returns the new password of the role that the proxy logs in with, which may read and nothing else.
    """
    password = secrets.token_urlsafe(24)
    admin = await asyncpg.connect(server.dsn())
    try:
        if not await admin.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", ROLE):
            await admin.execute(f"CREATE ROLE {ROLE} LOGIN")
        await admin.execute(f"ALTER ROLE {ROLE} PASSWORD '{password}'")
        if not await admin.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
            await admin.execute(f"DROP DATABASE IF EXISTS {DATABASE}_new")
            await admin.execute(f"CREATE DATABASE {DATABASE}_new")
            await _fill(server.dsn(f"{DATABASE}_new"))
            await admin.execute(f"ALTER DATABASE {DATABASE}_new RENAME TO {DATABASE}")
    finally:
        await admin.close()
    return Secret(password)


async def _fill(dsn: str) -> None:
    sample = make_sample()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_data("shop.sql"))
        for table in ("customers", "orders", "payroll"):
            await connection.copy_records_to_table(table, schema_name="public", records=getattr(sample, table))
        await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}")
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def _configure(directory: Path, server_port: int, port: int, password: Secret[str]) -> Settings:
    """Rules that were edited stay; the rest is written anew."""
    rules = directory / "rules" / "shop.yaml"
    rules.parent.mkdir(exist_ok=True)
    if not rules.exists():
        rules.write_text(_data("rules.yaml"), encoding="utf-8")
    for key in ("token", "audit", "identity"):
        create_key(directory / "keys" / f"{key}.key")
    write_private(directory / "keys" / "shop.password", password.reveal())
    file = directory / "maskproxy.yaml"
    text = SETTINGS.format(host=HOST, port=port, server_port=server_port, database=DATABASE, role=ROLE)
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


async def _lock(settings: Settings) -> None:
    """What is in the shop was reviewed, unless somebody has written down something else."""
    path = lock_path(settings, DATABASE)
    if not path.exists():
        ruleset = await read_ruleset(settings, DATABASE, load_rules(settings, DATABASE))
        path.write_text(render_lock(ruleset.catalog, ruleset.governed), encoding="utf-8")


def _data(name: str) -> str:
    return resources.files("maskproxy.cli").joinpath("data", name).read_text(encoding="utf-8")


async def _admit(settings: Settings) -> Secret[str]:
    """The principal with a grant, and a token of this run; those of earlier runs are revoked."""
    now = datetime.now(UTC)
    until = now + timedelta(days=GRANT_DAYS)
    async with open_store(settings.store) as store:
        if not any(principal.name == PRINCIPAL for principal in await store.principals()):
            await store.add_principal(PRINCIPAL)
        for token in await store.tokens(PRINCIPAL):
            if token.label == LABEL:
                await store.revoke_token(token.id)
        grants = await store.grants(PRINCIPAL, DATABASE)
        if not any(grant.active(now) and SCOPE in grant.scopes for grant in grants):
            await store.create_grant(
                PRINCIPAL, DATABASE, [SCOPE], until=until, purpose="a tour of the demo", approved_by="demo"
            )
        return (await store.issue_token(PRINCIPAL, until, LABEL)).secret


async def _login(dsn: str, proxy: asyncio.subprocess.Process, directory: Path) -> asyncpg.Connection:
    """The first session, as soon as the proxy lets one in."""
    error: Exception = TimeoutError()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_SECONDS):
            while proxy.returncode is None:
                try:
                    return await asyncpg.connect(dsn, timeout=READY_SECONDS)
                except (OSError, asyncpg.PostgresError) as latest:
                    error = latest
                    await asyncio.sleep(0.1)
    stop(
        f"the proxy does not let the agent in: {error or type(error).__name__}", hint=f"its log is {directory / 'log'}"
    )


def _invite(file: Path) -> None:
    here = Path(sys.executable).with_name("maskproxy")
    program = "maskproxy" if shutil.which("maskproxy") or not here.exists() else here
    names = {"file": file, "program": program, "principal": PRINCIPAL, "database": DATABASE, "scope": SCOPE}
    console.print("\n[bold]Now you.[/bold] The proxy runs until Ctrl-C.")
    for line in INVITATION.format(**names).splitlines():
        console.print(f"  {line}", soft_wrap=True, markup=False)


async def _wait_for_end(stopping: asyncio.Event, proxy: asyncio.subprocess.Process) -> None:
    """Until Ctrl-C, or until the proxy ends by itself, which is a problem."""
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(stopping.wait()), group.create_task(proxy.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
    if not stopping.is_set():
        stop("the proxy has ended by itself", hint="its log is beside its settings")
