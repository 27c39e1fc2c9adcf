"""Under an unrestricted scope the drivers' own test suites pass through us exactly as they pass directly.

Each suite runs against two equal servers at once, against one directly and against the other through the proxy, and how
each test ended is compared. PostgreSQL 15 of Debian, because it has all that the suites use: TLS, XML, hstore. They
want a superuser, so the proxy's role is one; the principal has the same name, since some tests ask who they are.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from maskproxy.cli.embedded import HOST, SUPERUSER
from maskproxy.store.store import open_store
from tests.integration.foreign import run
from tests.integration.foreign.explained import EXPLAINED, Difference
from tests.integration.foreign.fetch import Sources, fetch
from tests.integration.foreign.run import Endpoint, Outcome, Outcomes, Suite
from tests.support import servers
from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

SUITES: Mapping[str, Suite] = {"psycopg2": run.psycopg2, "pg8000": run.pg8000}
PASSING = {"psycopg2": 725, "pg8000": 840}  # directly, of 749 and 851: what does not run says nothing
DATABASES = ("postgres", "psycopg2_test", "pg8000_scram_sha_256")
ABSENT = ("missing-db", "pg8000_md5", "pg8000_password", "pg8000_sn\uff6fw")
"""pg8000 asks for these to be told that they do not exist, which is told to whoever has a grant on them."""

RULES = "version: 1\ndatabase: {database}\nscopes: {{everything: {{unrestricted: true}}}}\n"
TRIES = 3  # a test that depends on timing may differ once; what differs each time is a difference


@dataclass(frozen=True, slots=True)
class Sides:
    direct: Endpoint
    proxied: Endpoint


@pytest.fixture(scope="module")
def sources() -> Sources:
    return fetch()


@pytest.fixture(scope="module")
def sides(postgres15: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with servers.postgres15() as twin:
        for server in (postgres15, twin):
            _prepare(server)
        with _proxy(postgres15, tmp_path_factory.mktemp("foreign")) as proxy:
            asyncio.run(_grant(proxy))
            direct = Endpoint("localhost", twin.port, SUPERUSER, twin.postgres.password.reveal())
            yield Sides(direct, Endpoint("localhost", proxy.direct_port, SUPERUSER, proxy.tokens[SUPERUSER]))


def _prepare(server: Server) -> None:
    for database in DATABASES[1:]:
        server.create_database(name=database)
    for database in DATABASES:
        with server.admin(database) as admin:
            admin.execute("CREATE EXTENSION hstore")


def _proxy(server: Server, directory: Path) -> AbstractContextManager[Proxy]:
    """Before all databases of the suites, with TLS for clients, as the server has it."""
    certificate = trustme.CA().issue_cert(HOST, "localhost")
    certificate.private_key_pem.write_to_path(str(directory / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(directory / "server.crt"))
    (directory / "server.key").chmod(0o600)
    for database in DATABASES:
        (directory / f"{database}.yaml").write_text(RULES.format(database=database), encoding="utf-8")
    password = {"file": str(server.postgres.directory / "password")}
    tls = {"tls": "verify-full", "tls_root": str(server.ca)}
    settings = {
        "databases": {
            name: {"dsn": f"postgresql://{SUPERUSER}@{HOST}:{server.port}/{name}", "password": password, **tls}
            for name in DATABASES
        },
        "tls": {"certificate": str(directory / "server.crt"), "key": str(directory / "server.key")},
        "rules": [str(directory)],
    }
    return run_proxy(server, "postgres", grants={SUPERUSER: ["everything"]}, settings=settings)


async def _grant(proxy: Proxy) -> None:
    async with open_store(f"sqlite+aiosqlite:///{proxy.directory / 'store.db'}") as store:
        until = datetime.now(UTC) + timedelta(hours=1)
        for database in (*DATABASES, *ABSENT):
            await store.create_grant(SUPERUSER, database, ["everything"], until=until, purpose="tests")
    await asyncio.sleep(1.0)  # workers look at the store four times a second


@pytest.mark.parametrize("name", SUITES)
def test_suite(name: str, sources: Sources, sides: Sides, tmp_path: Path) -> None:
    explained = {test: each.difference for test, each in EXPLAINED[name].items()}
    direct, differences = _compare(SUITES[name], sources, sides, tmp_path)
    assert Counter(direct.values())[Outcome.PASSED] >= PASSING[name]
    assert explained.items() <= differences.items(), "explained, but no longer different"
    surprises = {test: difference for test, difference in differences.items() if test not in explained}
    for _ in range(TRIES - 1):
        if surprises:
            _, surprises = _compare(SUITES[name], sources, sides, tmp_path, *surprises)
    assert not surprises


def _compare(
    suite: Suite, sources: Sources, sides: Sides, scratch: Path, *only: str
) -> tuple[Outcomes, Mapping[str, Difference]]:
    """How each test ended directly, and those that ended otherwise through the proxy."""

    def outcomes(name: str, endpoint: Endpoint) -> Outcomes:
        directory = scratch / name
        directory.mkdir(exist_ok=True)
        return suite(sources, endpoint, directory, only)

    with ThreadPoolExecutor() as pool:
        direct, proxied = pool.map(outcomes, ("direct", "proxied"), (sides.direct, sides.proxied))
    assert direct.keys() == proxied.keys()
    return direct, {test: Difference(direct[test], proxied[test]) for test in direct if direct[test] != proxied[test]}
