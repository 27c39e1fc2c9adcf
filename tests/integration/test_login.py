"""Who may come in, and what those are told who may not. TLS on both legs."""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
import trustme

from maskproxy.store.store import open_store
from tests.support import proxies
from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

SNAPSHOT_SECONDS = 1.0  # workers look at the store four times a second


def refusal(dsn: str, **parameters: Any) -> psycopg.OperationalError:
    with pytest.raises(psycopg.OperationalError) as error:
        psycopg.connect(dsn, **parameters).close()
    return error.value


async def add_principal(proxy: Proxy, name: str, *, seconds: float | None, database: str = "shop") -> str:
    """The DSN of a new principal, with a grant for so many seconds, or none."""
    async with open_store(f"sqlite+aiosqlite:///{proxy.directory / 'store.db'}") as store:
        await store.add_principal(name)
        now = datetime.now(UTC)
        token = await store.issue_token(name, now + timedelta(hours=1))
        if seconds is not None:
            until = now + timedelta(seconds=seconds)
            await store.create_grant(name, database, ["support"], until=until, purpose="tests")
    await asyncio.sleep(SNAPSHOT_SECONDS)
    return proxy.dsn().replace(f"agent:{proxy.tokens['agent']}", f"{name}:{token.secret.reveal()}")


def test_wrong_password_and_unknown_principal_look_the_same(proxy: Proxy) -> None:
    wrong = str(refusal(proxy.dsn(), password="wrong"))
    unknown = str(refusal(proxy.dsn(), user="nobody", password="wrong"))
    assert 'password authentication failed for user "agent"' in wrong
    assert unknown.replace("nobody", "agent") == wrong


async def test_wrong_password_has_its_sqlstate(proxy: Proxy) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError) as error:  # 28P01
        await asyncpg.connect(proxy.dsn(), password="wrong")
    assert error.value.sqlstate == "28P01"


async def test_without_a_grant_no_session_but_a_hint(proxy: Proxy) -> None:
    dsn = await add_principal(proxy, "idle", seconds=None)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError) as error:
        await asyncpg.connect(dsn)
    assert error.value.sqlstate == "28000"
    assert "grant" in error.value.hint


async def test_unknown_database(proxy: Proxy) -> None:
    """Only whoever has a grant on a database learns whether it exists."""
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(proxy.dsn(), database="nowhere")
    dsn = await add_principal(proxy, "early", seconds=3600, database="nowhere")
    with pytest.raises(asyncpg.InvalidCatalogNameError):  # 3D000
        await asyncpg.connect(dsn, database="nowhere")


async def test_a_grant_that_ends_ends_the_session(proxy: Proxy) -> None:
    dsn = await add_principal(proxy, "brief", seconds=3.0)
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT count(*) FROM orders") == 20
    ended = (asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError)
    with pytest.raises(ended):
        await ask_for_ever(connection)
    connection.terminate()
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(dsn)


async def ask_for_ever(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(6):
        while True:
            await connection.fetchval("SELECT 1")
            await asyncio.sleep(0.05)


async def test_the_end_of_a_grant_is_told_with_57p01(proxy: Proxy) -> None:
    dsn = await add_principal(proxy, "passing", seconds=2.5)
    with psycopg.connect(dsn, autocommit=True) as connection:
        await asyncio.sleep(3.0)
        with pytest.raises(psycopg.errors.AdminShutdown, match="grant"):
            connection.execute("SELECT 1")


async def test_a_revoked_grant_ends_the_session(proxy: Proxy) -> None:
    dsn = await add_principal(proxy, "revoked", seconds=3600)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT 1")
        async with open_store(f"sqlite+aiosqlite:///{proxy.directory / 'store.db'}") as store:
            for grant in await store.grants("revoked"):
                await store.revoke_grant(grant.id)
        await asyncio.sleep(SNAPSHOT_SECONDS)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_tls_is_refused_politely_where_there_is_none(proxy: Proxy) -> None:
    assert "does not support SSL" in str(refusal(proxy.dsn(), sslmode="require"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(str(directory / "ca.crt"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(directory / "both.pem"))
    certificate.private_key_pem.write_to_path(str(directory / "server.key"))
    (directory / "server.key").chmod(0o600)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (directory / "server.crt").write_bytes(chain)
    return directory


@pytest.fixture(scope="module")
def tls(postgres15: Server, shop15: str, certificates: Path) -> Iterator[Proxy]:
    """TLS on both legs."""
    files = {"certificate": str(certificates / "server.crt"), "key": str(certificates / "server.key")}
    with run_proxy(postgres15, shop15, settings={"tls": files}) as proxy:
        yield proxy


@pytest.mark.parametrize("parameters", [{"sslmode": "require"}, {"sslmode": "verify-full"}])
def test_tls_of_libpq(tls: Proxy, certificates: Path, parameters: dict[str, Any]) -> None:
    root = str(certificates / "ca.crt")
    with psycopg.connect(tls.dsn(), sslrootcert=root, **parameters) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (21,)


def test_direct_tls_of_libpq(tls: Proxy, certificates: Path) -> None:
    with psycopg.connect(
        tls.dsn(), sslmode="verify-full", sslrootcert=str(certificates / "ca.crt"), sslnegotiation="direct"
    ) as connection:
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (21,)


async def test_tls_of_asyncpg(tls: Proxy, certificates: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    connection = await asyncpg.connect(tls.dsn(), ssl=context)
    try:
        assert len(await connection.fetch("SELECT id, ssn FROM customers")) == 21
    finally:
        await connection.close()


def test_a_large_result_over_tls(tls: Proxy) -> None:
    statement = "SELECT a.id, b.id, c.id, a.name, b.email, c.ssn FROM customers a, customers b, customers c"
    with psycopg.connect(tls.dsn(), sslmode="require") as connection:
        rows = connection.execute(statement).fetchall()
    assert len(rows) == 21**3
    assert len(set(rows)) == 21**3


def test_the_server_must_prove_itself(
    postgres15: Server, shop15: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verify-full with somebody else's authority: the proxy never gets ready, and its log says why."""
    wrong = {
        "dsn": f"postgresql://app@127.0.0.1:{postgres15.port}/{shop15}",
        "password": {"file": "password-shop"},
        "tls": "verify-full",
        "tls_root": str(certificates / "ca.crt"),
    }
    monkeypatch.setattr(proxies, "READY_SECONDS", 10.0)
    with (
        pytest.raises(TimeoutError, match="certificate verify failed"),
        run_proxy(postgres15, shop15, settings={"databases": {"shop": wrong}}),
    ):
        pass
