"""What a session lives through: refusals, transactions, pipelines, cancelling. On the demo's rules."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator

import asyncpg
import pg8000.native
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.integration.clients import address
from tests.support.canaries import CUSTOMERS
from tests.support.proxies import Proxy

pytestmark = pytest.mark.server

MASKED_SSN = f"*******{CUSTOMERS[0].ssn[-4:]}"
READ = "SELECT ssn FROM customers WHERE id = 1"
REFUSED = "SELECT id FROM customers WHERE ssn = '900-77-4001'"
SLOW = f"SELECT count(*) FROM {', '.join(f'orders AS o{n}' for n in range(9))}"  # 20 ** 9 rows: never ends by itself


@pytest.fixture
def session(proxy: Proxy) -> Iterator[psycopg.Connection]:
    with psycopg.connect(proxy.dsn(), autocommit=True) as connection:
        yield connection


def value(session: psycopg.Connection, statement: str = READ) -> object:
    row = session.execute(statement).fetchone()
    assert row is not None
    return row[0]


def test_a_refusal_costs_neither_connection_nor_transaction(session: psycopg.Connection) -> None:
    session.execute("BEGIN")
    assert value(session) == MASKED_SSN
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as refusal:
        session.execute(REFUSED)
    assert refusal.value.diag.message_hint
    assert session.info.transaction_status is TransactionStatus.INTRANS
    assert value(session) == MASKED_SSN
    session.execute("COMMIT")
    assert session.info.transaction_status is TransactionStatus.IDLE


def test_a_refusal_in_a_prepared_statement(session: psycopg.Connection) -> None:
    session.execute("BEGIN")
    for _ in range(3):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT id FROM customers WHERE ssn = %s", ("x",), prepare=True)
        assert session.execute("SELECT id FROM orders WHERE id = %s", (1,), prepare=True).fetchone() == (1,)
    session.execute("COMMIT")


def test_several_statements_in_one_query(proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn(), autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"{READ}; {REFUSED}")
        assert value(connection) == MASKED_SSN


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("SELEC 1", "42601"),
        ("SELECT 'open", "42601"),
        ("SELECT nothing FROM customers", "42703"),
        ("SELECT notes FROM customers", "42703"),
        ("SELECT 1 FROM no_such_table", "42P01"),
        ("SELECT * FROM payroll", "42P01"),
        ("SELECT pg_sleep(1)", "42501"),
        ("SELECT pg_read_file('/etc/passwd')", "42501"),
        ("DELETE FROM orders", "42501"),
        ("CREATE TABLE mine (id int)", "42501"),
        ("COPY customers FROM STDIN", "42501"),
        ("SELECT lower(ssn) FROM customers", "42501"),
        ("SELECT id FROM customers ORDER BY ssn", "42501"),
        ("SELECT count(DISTINCT ssn) FROM customers", "42501"),
        ("SELECT c FROM customers AS c", "42501"),
    ],
)
def test_refusals(session: psycopg.Connection, statement: str, sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as error:
        session.execute(statement)
    assert error.value.sqlstate == sqlstate
    assert value(session) == MASKED_SSN


def test_an_error_of_the_server_keeps_the_session(session: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        session.execute("SELECT 1 / (id - id) FROM orders")
    assert value(session) == MASKED_SSN


def test_a_failed_transaction_is_as_the_server_has_it(session: psycopg.Connection) -> None:
    session.execute("BEGIN")
    with pytest.raises(psycopg.errors.DivisionByZero):
        session.execute("SELECT 1 / (id - id) FROM orders")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        session.execute("SELECT 1")
    session.execute("ROLLBACK")
    assert value(session) == MASKED_SSN


def test_savepoints(session: psycopg.Connection) -> None:
    with session.transaction():
        with pytest.raises(psycopg.errors.DivisionByZero), session.transaction():
            session.execute("SELECT 1 / (id - id) FROM orders")
        assert value(session) == MASKED_SSN


def test_cancel(session: psycopg.Connection) -> None:
    timer = threading.Timer(0.5, session.cancel_safe)
    begin = time.monotonic()
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        session.execute(SLOW)
    timer.join()
    assert time.monotonic() - begin < 5
    assert value(session) == MASKED_SSN


async def test_cancel_by_timeout(proxy: Proxy) -> None:
    connection = await asyncpg.connect(proxy.dsn())
    try:
        with pytest.raises(asyncio.TimeoutError):
            await connection.fetchval(SLOW, timeout=0.5)
        assert await connection.fetchval(READ) == MASKED_SSN
    finally:
        await connection.close()


def test_somebody_elses_key_cancels_nothing(proxy: Proxy, session: psycopg.Connection) -> None:
    def forge() -> None:
        with socket.create_connection(("127.0.0.1", proxy.direct_port)) as connection:
            connection.sendall(struct.pack("!IIII", 16, 80877102, session.info.backend_pid, 1))

    timer = threading.Timer(0.2, forge)
    timer.start()
    quick = f"SELECT count(*) FROM {', '.join(f'orders AS o{n}' for n in range(5))}"
    assert value(session, quick) == 20**5
    timer.join()


def test_pg8000_after_a_refusal(proxy: Proxy) -> None:
    with pg8000.native.Connection(**address(proxy.dsn())) as connection:
        connection.run("BEGIN")
        with pytest.raises(pg8000.native.DatabaseError, match="42501"):
            connection.run("SELECT id FROM customers WHERE ssn = :ssn", ssn="x")
        assert connection.run(READ) == [[MASKED_SSN]]
        connection.run("COMMIT")


async def test_asyncpg_after_a_refusal(proxy: Proxy) -> None:
    connection = await asyncpg.connect(proxy.dsn())
    try:
        async with connection.transaction():
            assert await connection.fetchval(READ) == MASKED_SSN
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("SELECT id FROM customers WHERE ssn = $1", "x")
            assert await connection.fetchval(READ) == MASKED_SSN
    finally:
        await connection.close()
