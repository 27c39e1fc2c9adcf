"""maskproxy before the database, as ``maskproxy serve`` runs it, with one principal for each scope that is measured."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import Cpu, cpu
from benchmarks.targets import HOST, START_SECONDS, Pooling, Target, free_port, wait_for_port
from maskproxy.store.configuration import create_key
from maskproxy.store.store import open_store

QUIET_SECONDS = 0.05  # of CPU in one second

SETTINGS = """\
listen: {{postgres: {host}:{listen}}}
databases:
  {database}:
    dsn: "postgresql://{user}@{host}:{port}/{database}"
    password: {{file: password}}
    tls: disable
    pool: {{mode: {mode}, size: {connections}}}
limits: {{sessions: {sessions}}}
"""

RULES = """\
version: 1
database: {database}
labels:
  filler: [public.pgbench_accounts.filler]
  id:     [public.bench_rows.id]
  name:   [public.bench_rows.name]
  email:  [public.bench_rows.email]
  ssn:    [public.bench_rows.ssn]
  amount: [public.bench_rows.amount]
  made:   [public.bench_rows.made]
masks:
  filler: {{mask: partial, keep_last: 4}}
  id:     {{mask: bucket, width: 1000}}
  name:   {{mask: partial, keep_last: 4}}
  email:  {{mask: token}}
  ssn:    {{mask: partial, keep_last: 4}}
  amount: {{mask: round, to: 100}}
  made:   {{mask: truncate, to: month}}
scopes:
  six:    {{select: [public.pgbench_accounts, public.bench_rows]}}
  masked: {{include: [six], clear: [id, name, amount, made]}}
  clear:  {{include: [masked], clear: [filler, email, ssn]}}
  other:  {{include: [masked]}}
"""


@contextmanager
def maskproxy(direct: Target, directory: Path, scopes: Mapping[str, str], pooling: Pooling) -> Iterator[list[Target]]:
    """A target for each of ``scopes``, name to scope; they share one proxy, whose workers take as many clients each."""
    listen = free_port()
    settings = configure(direct, directory, listen, pooling)
    tokens = asyncio.run(grant(f"sqlite+aiosqlite:///{directory}/store.db", direct.database, set(scopes.values())))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "maskproxy", "serve", "-c", str(settings)], stdout=log, stderr=log
        )
    try:
        wait_for_port(listen, process)
        wait_until_quiet(process.pid)
        yield [
            replace(direct, name=name, port=listen, user=scope, password=tokens[scope], pid=process.pid)
            for name, scope in scopes.items()
        ]
    finally:
        process.terminate()
        process.wait()


def wait_until_quiet(root: int) -> None:
    """Until all processes have started, a spare worker last: for a second they do next to nothing."""
    deadline, before = time.monotonic() + START_SECONDS, Cpu(0.0, 0.0)
    while time.monotonic() < deadline and ((now := cpu(root)) - before).total > QUIET_SECONDS:
        before = now
        time.sleep(1.0)


def configure(direct: Target, directory: Path, listen: int, pooling: Pooling) -> Path:
    (directory / "rules").mkdir(parents=True)
    (directory / "rules" / "bench.yaml").write_text(RULES.format(database=direct.database), encoding="utf-8")
    (directory / "password").write_text(direct.password, encoding="utf-8")
    for key in ("token", "audit", "identity"):
        create_key(directory / "keys" / f"{key}.key")
    settings = directory / "maskproxy.yaml"
    text = SETTINGS.format(
        host=HOST,
        listen=listen,
        database=direct.database,
        user=direct.user,
        port=direct.port,
        mode=pooling.mode,
        connections=pooling.size,
        sessions=pooling.sessions,
    )
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
