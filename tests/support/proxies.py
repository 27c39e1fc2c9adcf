"""The real ``maskproxy serve`` on free ports, in a directory of its own, behind a relay that records what leaves."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from maskproxy.base.secret import Secret
from maskproxy.cli.embedded import HOST, end_with_parent, free_port, write_private
from maskproxy.store.configuration import create_key
from maskproxy.store.store import open_store
from tests.support import canaries
from tests.support.relay import Relay, run_relay
from tests.support.servers import APP, APP_PASSWORD, Server

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO_RULES = REPOSITORY / "rules" / "demo.yaml"
GRANTS: Mapping[str, Sequence[str]] = {"agent": ["support"], "analyst": ["analyst"], "root": ["break-glass"]}
"""Principal -> scopes, for the demo's rules."""

VISIBLE: Mapping[str, frozenset[str]] = {"root": canaries.EVERYTHING}
"""Principal -> labels it may see as they are."""

READY_SECONDS = 90.0

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Proxy:
    """A running proxy. ``port`` is the relay's, ``direct_port`` the proxy's own."""

    directory: Path
    database: str
    direct_port: int
    relay: Relay
    tokens: Mapping[str, str]
    process: subprocess.Popen[bytes]
    visible: Mapping[str, frozenset[str]]
    _seen: int = field(default=0)

    @property
    def config(self) -> Path:
        return self.directory / "maskproxy.yaml"

    @property
    def port(self) -> int:
        return self.relay.port

    def dsn(self, principal: str = "agent", *, recorded: bool = True, **parameters: str) -> str:
        """The DSN of a principal; ``recorded`` False goes round the relay, for what measures or cuts connections."""
        port = self.port if recorded else self.direct_port
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        address = f"{principal}:{quote(self.tokens[principal], safe='')}@{HOST}:{port}/{self.database}"
        return f"postgresql://{address}" + (f"?{query}" if query else "")

    @property
    def rules(self) -> Path:
        return self.directory / "rules" / "rules.yaml"

    def reload(self, rules: str) -> None:
        """Replace the rules and send SIGHUP; what came of it is in the log."""
        self.rules.write_text(rules, encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        return (self.directory / "log").read_text(encoding="utf-8")

    def wait_for_log(self, text: str, seconds: float = 10.0) -> None:
        """Raises TimeoutError when ``text`` does not appear in the log, from what this method has not seen yet."""
        deadline = time.monotonic() + seconds
        while (found := self.log().find(text, self._seen)) < 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise TimeoutError(f"{text!r} is not in the log:\n{self.log()[self._seen :]}")
            time.sleep(0.02)
        self._seen = found + len(text)

    @contextmanager
    def log_contains(self, text: str) -> Iterator[None]:
        """``text`` must be logged from now on until shortly after the block."""
        self._seen = len(self.log())
        yield
        self.wait_for_log(text)

    def records(self) -> list[dict[str, Any]]:
        """The audit log, oldest first."""
        lines = b"".join(path.read_bytes() for path in sorted((self.directory / "audit").glob("*.jsonl"))).splitlines()
        return [json.loads(line) for line in lines]

    def check_canaries(self) -> None:
        """Fails when a marker is in what a client got that may not see it, or in any log or audit file."""
        leaks: dict[str, Mapping[str, int]] = {}
        for number, connection in enumerate(self.relay.connections):
            visible = self.visible.get(connection.user or "", frozenset())
            leaks[f"connection {number} of {connection.user}"] = canaries.found(bytes(connection.sent), visible)
        for path in (self.directory / "log", *(self.directory / "audit").rglob("*")):
            if path.is_file():
                leaks[path.name] = canaries.found(path.read_bytes())
        leaks = {place: columns for place, columns in leaks.items() if columns}
        assert not leaks, f"values of masked columns left: {leaks}"


@dataclass(frozen=True, slots=True)
class Served:
    """A database of the server behind the proxy. ``rules`` is the text of its rule file (None: the demo's), ``pool``
    its settings of that name."""

    database: str
    rules: str | None = None
    user: str = APP
    password: Secret[str] = APP_PASSWORD
    pool: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def run_proxy(
    server: Server,
    database: str,
    *,
    rules: str | None = None,
    grants: Mapping[str, Sequence[str]] = GRANTS,
    visible: Mapping[str, frozenset[str]] = VISIBLE,
    workers: int = 1,
    settings: Mapping[str, Any] | None = None,
    others: Mapping[str, Served] | None = None,
    pool: Mapping[str, Any] | None = None,
) -> Iterator[Proxy]:
    """``database`` of ``server`` behind a proxy, as database ``shop``. Ends with the search for canaries.

    ``rules`` is the text of a rule file for database ``shop`` (None: the demo's); ``settings`` are added to
    ``maskproxy.yaml`` and win. ``others`` are further databases by the name under which they are served, with the same
    grants. ``pool`` are settings of the database's pool.
    """
    directory = Path(tempfile.mkdtemp(prefix="maskproxy-proxy-"))
    port = free_port()
    databases = {"shop": Served(database, rules, pool=pool or {}), **(others or {})}
    try:
        tokens = _prepare(directory, server, databases, port, grants, {"workers": workers, **(settings or {})})
        with _serve(directory) as process, run_relay(port) as relay:
            proxy = Proxy(
                directory=directory,
                database="shop",
                direct_port=port,
                relay=relay,
                tokens=tokens,
                process=process,
                visible=visible,
            )
            proxy.wait_for_log('"ready"', READY_SECONDS)
            yield proxy
            proxy.check_canaries()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _prepare(
    directory: Path,
    server: Server,
    databases: Mapping[str, Served],
    port: int,
    grants: Mapping[str, Sequence[str]],
    settings: Mapping[str, Any],
) -> Mapping[str, str]:
    (directory / "rules").mkdir()
    for key in ("token", "audit", "identity"):
        create_key(directory / "keys" / f"{key}.key")
    tls = {"tls": "verify-full", "tls_root": str(server.ca)} if server.ca else {"tls": "disable"}
    served = {}
    for name, each in databases.items():
        text = DEMO_RULES.read_text(encoding="utf-8") if each.rules is None else each.rules
        file = "rules.yaml" if name == "shop" else f"{name}.yaml"
        (directory / "rules" / file).write_text(text, encoding="utf-8")
        write_private(directory / f"password-{name}", each.password.reveal())
        dsn = f"postgresql://{each.user}@{HOST}:{server.port}/{each.database}"
        served[name] = {"dsn": dsn, "password": {"file": f"password-{name}"}, "pool": dict(each.pool), **tls}
    document = {"listen": {"postgres": f"{HOST}:{port}"}, "databases": served, "rules": ["rules"], **settings}
    (directory / "maskproxy.yaml").write_text(json.dumps(document, indent=1), encoding="utf-8")  # JSON is YAML
    return _run(_grant(directory, grants, tuple(databases)))


async def _grant(directory: Path, grants: Mapping[str, Sequence[str]], databases: Sequence[str]) -> Mapping[str, str]:
    """A principal, a token, and a grant for each database; the tokens by principal."""
    tokens = {}
    until = datetime.now(UTC) + timedelta(days=1)  # long runs take hours
    async with open_store(f"sqlite+aiosqlite:///{directory / 'store.db'}") as store:
        for principal, scopes in grants.items():
            await store.add_principal(principal)
            tokens[principal] = (await store.issue_token(principal, until)).secret.reveal()
            for database in databases:
                await store.create_grant(principal, database, scopes, until=until, purpose="tests")
    return tokens


def _run(work: Coroutine[Any, Any, T]) -> T:
    """In a thread, so that it works inside and outside of a running event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@contextmanager
def _serve(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "maskproxy", "serve", "-c", str(directory / "maskproxy.yaml")],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONWARNINGS": "default"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=end_with_parent(signal.SIGTERM),
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
