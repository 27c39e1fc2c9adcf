"""maskproxy before the database, as ``maskproxy serve`` runs it, with one principal for each scope that is measured."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.targets import HOST, Target, free_port, wait_for_port
from maskproxy.store.configuration import create_key
from maskproxy.store.store import open_store

SETTINGS = """\
listen: {{postgres: {host}:{listen}}}
databases:
  {database}: {{dsn: "postgresql://{user}@{host}:{port}/{database}", password: {{file: password}}, tls: disable}}
"""

RULES = """\
version: 1
database: {database}
labels:
  filler: [public.pgbench_accounts.filler]
  email:  [public.bench_rows.email]
  ssn:    [public.bench_rows.ssn]
masks:
  filler: {{mask: partial, keep_last: 4}}
  email:  {{mask: token}}
  ssn:    {{mask: partial, keep_last: 4}}
scopes:
  masked: {{select: [public.pgbench_accounts, public.bench_rows]}}
  clear:  {{include: [masked], clear: [filler, email, ssn]}}
"""


@contextmanager
def maskproxy(direct: Target, directory: Path, scopes: Mapping[str, str]) -> Iterator[list[Target]]:
    """A target for each of ``scopes``, name to scope; they share one proxy."""
    listen = free_port()
    settings = configure(direct, directory, listen)
    tokens = asyncio.run(grant(f"sqlite+aiosqlite:///{directory}/store.db", direct.database, set(scopes.values())))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "maskproxy", "serve", "-c", str(settings)], stdout=log, stderr=log
        )
    try:
        wait_for_port(listen, process)
        yield [
            replace(direct, name=name, port=listen, user=scope, password=tokens[scope], pid=process.pid)
            for name, scope in scopes.items()
        ]
    finally:
        process.terminate()
        process.wait()


def configure(direct: Target, directory: Path, listen: int) -> Path:
    (directory / "rules").mkdir(parents=True)
    (directory / "rules" / "bench.yaml").write_text(RULES.format(database=direct.database), encoding="utf-8")
    (directory / "password").write_text(direct.password, encoding="utf-8")
    for key in ("token", "audit", "identity"):
        create_key(directory / "keys" / f"{key}.key")
    settings = directory / "maskproxy.yaml"
    text = SETTINGS.format(host=HOST, listen=listen, database=direct.database, user=direct.user, port=direct.port)
    settings.write_text(text, encoding="utf-8")
    return settings


async def grant(url: str, database: str, scopes: set[str]) -> Mapping[str, str]:
    """A principal of the same name for each scope, with a grant for an hour; name to token."""
    tokens = {}
    async with open_store(url) as store:
        until = datetime.now(UTC) + timedelta(hours=1)
        for scope in scopes:
            await store.add_principal(scope)
            tokens[scope] = (await store.issue_token(scope, until)).secret.reveal()
            await store.create_grant(scope, database, [scope], until=until, purpose="benchmark")
    return tokens
