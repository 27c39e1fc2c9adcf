"""``maskproxy init``: ask a database what it holds, and write settings and rules to start from."""

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import asyncpg
import typer
from rich.table import Table
from rich.text import Text

from maskproxy.base.errors import ConfigurationError, MaskproxyError
from maskproxy.base.refs import ColumnRef
from maskproxy.base.types import PG_TYPES, Domain
from maskproxy.cli.common import JsonOption, console, fail, print_error, print_json, stop
from maskproxy.cli.embedded import write_private
from maskproxy.cli.proposals import Proposal, Samples, propose, render_rules, render_settings
from maskproxy.cli.rulesets import GENERATION, connected
from maskproxy.core.catalog import Catalog
from maskproxy.core.catalog import Table as Relation
from maskproxy.core.policy.compile import RuleSet, compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.drift import render_lock
from maskproxy.core.policy.patterns import tables_of
from maskproxy.core.settings import Database, Settings, TlsMode, parse_settings
from maskproxy.proxy.catalogs import load_catalog
from maskproxy.store.configuration import create_key

PASSWORD_VARIABLE = "PGPASSWORD"  # noqa: S105 (libpq's name of the variable)
SAMPLED_ROWS = 200
SAMPLE_SECONDS = 5.0


def init(
    dsn: Annotated[
        str, typer.Option(prompt="dsn, as postgresql://user@host:5432/database", help="Without a password.")
    ],
    directory: Annotated[Path, typer.Option("--dir", help="Where to write.")] = Path(),
    samples: Annotated[bool, typer.Option("--samples", help="Look at some values too; none is shown.")] = False,
    tls: Annotated[TlsMode | None, typer.Option(help="Default: verify-full; disable on this machine.")] = None,
    tls_root: Annotated[Path | None, typer.Option(help="The certificate authority to trust.")] = None,
    json: JsonOption = False,
) -> None:
    """Write maskproxy.yaml, keys and proposed rules for one database.

    The password is taken from PGPASSWORD or asked for.
    """
    name = _database_name(dsn)
    files = _Files(directory.absolute(), name)
    files.refuse_to_overwrite()
    try:
        with _password(dsn, files) as source:
            root = None if tls_root is None else str(tls_root.absolute())
            text = render_settings(name, dsn, tls=tls or _default_tls(dsn), tls_root=root, password=source)
            settings = parse_settings(text, str(files.settings), files.directory, processors=1)
            catalog, values = asyncio.run(_read(settings.databases[name], samples))
            proposals = propose(catalog, values)
            rules = render_rules(name, proposals, catalog)
            ruleset = _compile(rules, catalog, name, files)
            warnings = [str(problem) for problem in ruleset.warnings]
            files.write(text, rules, render_lock(catalog, ruleset.governed), settings)
    except ConfigurationError as error:
        stop(error.problems[0].text)
    except MaskproxyError as error:
        fail(error)
    if json:
        print_json(_as_data(files, proposals, warnings))
    else:
        _show(files, proposals)


def _database_name(dsn: str) -> str:
    try:
        parts = urlsplit(dsn)
    except ValueError:
        stop("the dsn must look like postgresql://user@host:5432/database")
    if parts.password is not None:
        stop("the dsn holds a password, which others can see in the list of processes", hint=f"{PASSWORD_VARIABLE}=...")
    return re.sub(r"[^\w-]", "_", parts.path.removeprefix("/")) or "database"


def _default_tls(dsn: str) -> TlsMode:
    local = urlsplit(dsn).hostname in ("localhost", "127.0.0.1", "::1")
    return TlsMode.DISABLE if local else TlsMode.VERIFY_FULL


class _Files:
    """What is written. A file that is there already is never touched."""

    def __init__(self, directory: Path, database: str) -> None:
        self.directory = directory
        self.settings = directory / "maskproxy.yaml"
        self.rules = directory / "rules" / f"{database}.yaml"
        self.lock = directory / "rules" / f"{database}.lock"
        self.password = directory / "secrets" / f"{database}.password"

    def refuse_to_overwrite(self) -> None:
        for path in (self.settings, self.rules, self.lock, self.password):
            if path.exists():
                stop(f"{path} is there already", hint="--dir with another directory, or edit the file")

    def write(self, settings: str, rules: str, lock: str, parsed: Settings) -> None:
        self.rules.parent.mkdir(parents=True, exist_ok=True)
        for path, text in ((self.rules, rules), (self.lock, lock), (self.settings, settings)):
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        for key in (parsed.keys.token, parsed.keys.audit, parsed.keys.identity):
            create_key(key)


def _compile(rules: str, catalog: Catalog, name: str, files: _Files) -> RuleSet:
    """As ``check`` will see it. Keys do not matter to that."""
    document = RulesDocument.parse(rules, str(files.rules.relative_to(files.directory)))
    return compile_rules([document], catalog, name, lambda label: b"", GENERATION)


@contextmanager
def _password(dsn: str, files: _Files) -> Iterator[dict[str, str] | None]:
    """Where the proxy finds the password from now on. A typed one is kept in a file only if it worked."""
    if os.environ.get(PASSWORD_VARIABLE):
        yield {"env": PASSWORD_VARIABLE}
        return
    typed = (
        typer.prompt("password (empty for none)", default="", hide_input=True, show_default=False, err=True)
        if sys.stdin.isatty()
        else ""
    )
    if not typed:
        yield None
        return
    files.password.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(files.password, typed)
    try:
        yield {"file": str(files.password.relative_to(files.directory))}
    except BaseException:
        files.password.unlink()
        raise


async def _read(database: Database, with_samples: bool) -> tuple[Catalog, Samples]:
    async with connected(database) as connection:
        catalog = await load_catalog(connection, GENERATION)
        if not with_samples:
            return catalog, {}
        values: dict[ColumnRef, list[str]] = {}
        for table in tables_of(catalog):
            values |= await _sample(connection, table)
        return catalog, values


async def _sample(connection: asyncpg.Connection, table: Relation) -> dict[ColumnRef, list[str]]:
    """Some values of the table's text columns; a table that cannot be read in time is left to its names."""
    columns = [
        column.name
        for column in table.columns
        if (type := PG_TYPES.get(column.type_oid)) and type.domain is Domain.TEXT and type.element is None
    ]
    if not columns:
        return {}
    names = ", ".join(map(_quoted, columns))
    query = f"SELECT {names} FROM {_quoted(table.ref.schema)}.{_quoted(table.ref.name)} LIMIT {SAMPLED_ROWS}"  # noqa: S608
    try:
        async with connection.transaction(readonly=True):
            rows = await connection.fetch(query, timeout=SAMPLE_SECONDS)
    except (asyncpg.PostgresError, TimeoutError):
        print_error(f"{table.ref} could not be read: its labels come from names only", word="note")
        return {}
    return {
        ColumnRef(table.ref.schema, table.ref.name, name): [row[name] for row in rows if isinstance(row[name], str)]
        for name in columns
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_data(files: _Files, proposals: list[Proposal], warnings: list[str]) -> dict[str, object]:
    return {
        "settings": str(files.settings),
        "rules": str(files.rules),
        "proposals": [
            {"column": str(each.column), "label": each.label, "mask": each.mask, "because": each.because}
            for each in proposals
        ],
        "warnings": warnings,
    }


def _show(files: _Files, proposals: list[Proposal]) -> None:
    table = Table("column", "label", "mask", "because of its")
    for each in proposals:
        mask = "denied" if each.mask is None else str(each.mask["mask"])
        table.add_row(*map(Text, (str(each.column), each.label, mask, each.because)))
    console.print(table)
    console.print(f"wrote {files.settings} and {files.rules}: review them, then", markup=False, soft_wrap=True)
    console.print(f"  maskproxy check -c {files.settings}", markup=False, soft_wrap=True)
