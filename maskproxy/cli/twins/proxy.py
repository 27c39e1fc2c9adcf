"""A proxy before both twins, with the same rules and keys for each: what differs is in the databases alone."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from maskproxy.base.errors import MaskproxyError
from maskproxy.base.secret import Secret
from maskproxy.cli.embedded import HOST, SUPERUSER, EmbeddedPostgres, free_port, write_private
from maskproxy.cli.serving import serving
from maskproxy.cli.twins.transcript import Address, RawSession
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.settings import Settings
from maskproxy.store.configuration import create_key, load_settings, lock_path
from maskproxy.store.store import open_store
from maskproxy.wire.postgres.backend_messages import BackendType

PRINCIPAL: Final = "agent"
READY_SECONDS: Final = 60.0
_ATTEMPTS: Final = 300
_LOG: Final = 2_000  # characters, the last
_HOURS: Final = 12
_COUNTED: Final = ("statements_per_minute", "equalities")
"""Limits over time, which a test would use up at once. The others hold here too."""


class ProxyNotStarted(MaskproxyError):
    """The proxy before the twins does not let the test in."""


@contextlib.asynccontextmanager
async def twin_proxy(
    directory: Path,
    server: EmbeddedPostgres,
    twins: Sequence[str],
    settings: Settings,
    database: str,
    documents: Sequence[RulesDocument],
    scopes: Sequence[str],
) -> AsyncIterator[list[Address]]:
    """How to reach each of ``twins``. Raises ProxyNotStarted, ConfigurationError."""
    for key in ("token", "audit", "identity"):
        create_key(directory / "keys" / f"{key}.key")
    for twin in twins:
        (directory / twin).mkdir()
        for number, document in enumerate(documents):
            (directory / twin / f"{number:03}.yaml").write_text(_rules(document, twin), encoding="utf-8")
        if (lock := lock_path(settings, database)).exists():
            shutil.copy(lock, directory / twins[0] / f"{twin}.lock")
    made = _configure(directory, server, twins, settings.databases[database].search_path)
    token = await _admit(made, twins, scopes)
    async with serving(made):
        port = made.listen.postgres.port if made.listen.postgres else 0
        addresses = [Address(port, twin, PRINCIPAL, token) for twin in twins]
        for address in addresses:
            await _wait_ready(address, directory / "log")
        yield addresses


def _rules(document: RulesDocument, twin: str) -> str:
    """For the twin, without limits over time. JSON is YAML."""
    rules: Any = deepcopy(document.source.data)
    for scope in (rules.get("scopes") or {}).values():
        for name in _COUNTED:
            ((scope or {}).get("limits") or {}).pop(name, None)
    return json.dumps({**rules, "database": twin})


def _configure(directory: Path, server: EmbeddedPostgres, twins: Sequence[str], search_path: Sequence[str]) -> Settings:
    write_private(directory / "password", server.password.reveal())
    served = {
        twin: {
            "dsn": f"postgresql://{SUPERUSER}@{HOST}:{server.port}/{twin}",
            "password": {"file": "password"},
            "tls": "disable",
            "search_path": list(search_path),
        }
        for twin in twins
    }
    listen = {"postgres": f"{HOST}:{free_port()}"}
    written = {"listen": listen, "databases": served, "rules": list(twins), "workers": 1}
    (directory / "maskproxy.yaml").write_text(json.dumps(written), encoding="utf-8")
    return load_settings(directory / "maskproxy.yaml")


async def _admit(settings: Settings, twins: Sequence[str], scopes: Sequence[str]) -> Secret[str]:
    until = datetime.now(UTC) + timedelta(hours=_HOURS)
    async with open_store(settings.store) as store:
        await store.add_principal(PRINCIPAL)
        for twin in twins:
            await store.create_grant(PRINCIPAL, twin, scopes, until=until, purpose="a test of non-interference")
        return (await store.issue_token(PRINCIPAL, until)).secret


async def _wait_ready(address: Address, log: Path) -> None:
    for _ in range(_ATTEMPTS):
        if await asyncio.to_thread(_lets_in, address):
            return
        await asyncio.sleep(READY_SECONDS / _ATTEMPTS)
    words = await asyncio.to_thread(log.read_text, encoding="utf-8")
    raise ProxyNotStarted("the proxy before the twins does not let the test in", detail=words[-_LOG:])


def _lets_in(address: Address) -> bool:
    try:
        session = RawSession(address, {}, READY_SECONDS)
    except OSError:
        return False
    session.close()
    return any(kind == BackendType.READY_FOR_QUERY for kind, _ in session.frames)
