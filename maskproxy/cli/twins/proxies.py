"""Two proxies with the same rules, keys and names, one before each twin: what differs is in the databases alone."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from maskproxy.base.errors import MaskproxyError
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
    """A proxy before a twin does not let the test in."""


@contextlib.asynccontextmanager
async def twin_proxies(
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
    addresses = []
    async with AsyncExitStack() as stack:
        for twin in twins:
            place = directory / twin
            made = _configure(place, server, twin, settings, database, documents)
            token = await _admit(made, database, scopes)
            await stack.enter_async_context(serving(made))
            port = made.listen.postgres.port if made.listen.postgres else 0
            addresses.append(Address(port, database, PRINCIPAL, token))
        for address, twin in zip(addresses, twins, strict=True):
            await _wait_ready(address, directory / twin / "log")
        yield addresses


def _configure(
    place: Path,
    server: EmbeddedPostgres,
    twin: str,
    settings: Settings,
    database: str,
    documents: Sequence[RulesDocument],
) -> Settings:
    """The rules and their lock are copied: they lie at the same place for both."""
    (place / "rules").mkdir(parents=True)
    for number, document in enumerate(documents):
        _copy_rules(settings, document, place / "rules" / f"{number:03}.yaml")
    if (lock := lock_path(settings, database)).exists():
        shutil.copy(lock, place / "rules")
    write_private(place / "password", server.password.reveal())
    served = {
        "dsn": f"postgresql://{SUPERUSER}@{HOST}:{server.port}/{twin}",
        "password": {"file": "password"},
        "tls": "disable",
        "search_path": list(settings.databases[database].search_path),
    }
    written = {
        "listen": {"postgres": f"{HOST}:{free_port()}"},
        "databases": {database: served},
        "keys": {key: f"../keys/{key}.key" for key in ("token", "audit", "identity")},
        "workers": 1,
    }
    (place / "maskproxy.yaml").write_text(json.dumps(written), encoding="utf-8")  # JSON is YAML
    return load_settings(place / "maskproxy.yaml")


def _copy_rules(settings: Settings, document: RulesDocument, target: Path) -> None:
    """As they are, unless a limit has to be taken out."""
    rules: Any = deepcopy(document.source.data)
    limits = [scope["limits"] for scope in (rules.get("scopes") or {}).values() if (scope or {}).get("limits")]
    if not any(name in each for each in limits for name in _COUNTED):
        shutil.copy(settings.file.parent / document.source.file, target)
        return
    for each in limits:
        for name in _COUNTED:
            each.pop(name, None)
    target.write_text(json.dumps(rules), encoding="utf-8")


async def _admit(settings: Settings, database: str, scopes: Sequence[str]) -> Any:
    until = datetime.now(UTC) + timedelta(hours=_HOURS)
    async with open_store(settings.store) as store:
        await store.add_principal(PRINCIPAL)
        await store.create_grant(PRINCIPAL, database, scopes, until=until, purpose="a test of non-interference")
        return (await store.issue_token(PRINCIPAL, until)).secret


async def _wait_ready(address: Address, log: Path) -> None:
    for _ in range(_ATTEMPTS):
        if await asyncio.to_thread(_lets_in, address):
            return
        await asyncio.sleep(READY_SECONDS / _ATTEMPTS)
    words = await asyncio.to_thread(log.read_text, encoding="utf-8")
    raise ProxyNotStarted("the proxy before a twin does not let the test in", detail=words[-_LOG:])


def _lets_in(address: Address) -> bool:
    try:
        session = RawSession(address, {}, READY_SECONDS)
    except OSError:
        return False
    session.close()
    return any(kind == BackendType.READY_FOR_QUERY for kind, _ in session.frames)
