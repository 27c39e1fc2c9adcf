"""A database with a column of every type that masks know, direct and behind a proxy, before each server version."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import APP, Server

HERE = Path(__file__).parent
MARKERS = (b"CANARY", b"909090", b"1961-07")
"""Parts of every sensitive value in ``zoo.sql``."""

_NUMBERS_OF_OURS = re.compile(rb'[A-Za-z0-9_+/=]{20,}|"mono":\d+|"ms":[\d.]+|"(?:ts|timestamp)": ?"[^"]*"')
"""Keyed hashes, ids and clocks in records and logs, which may hold any six digits."""


@dataclass(frozen=True, slots=True)
class Zoo:
    """``agent`` sees people masked, ``root`` sees everything through the proxy, ``direct`` goes round it."""

    proxy: Proxy
    direct: str

    @property
    def agent(self) -> str:
        return self.proxy.dsn("agent")

    @property
    def root(self) -> str:
        return self.proxy.dsn("root")

    def check_canaries(self) -> None:
        for connection in self.proxy.relay.connections:
            if connection.user != "root":
                assert not [marker for marker in MARKERS if marker in connection.sent]
        for path in (self.proxy.directory / "log", *(self.proxy.directory / "audit").rglob("*")):
            if path.is_file():
                content = _NUMBERS_OF_OURS.sub(b"", path.read_bytes())
                assert not [marker for marker in MARKERS if marker in content], path.name


@pytest.fixture(scope="session", params=["postgres18", "postgres15"])
def _zoo(request: pytest.FixtureRequest) -> Iterator[Zoo]:
    server: Server = request.getfixturevalue(request.param)
    database = server.create_database((HERE / "zoo.sql").read_text(encoding="utf-8"))
    grants = {"agent": ["support"], "root": ["break-glass"]}
    with run_proxy(server, database, rules=(HERE / "zoo.yaml").read_text(encoding="utf-8"), grants=grants) as proxy:
        yield Zoo(proxy, server.dsn(database, APP))


@pytest.fixture
def zoo(_zoo: Zoo) -> Iterator[Zoo]:
    """On PostgreSQL 15 the proxy speaks TLS with the server, verify-full. Ends with a search for canaries."""
    _zoo.proxy.relay.forget()
    yield _zoo
    _zoo.check_canaries()
