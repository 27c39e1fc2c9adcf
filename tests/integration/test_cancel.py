"""Cancel requests that come while the server does not know of the statement yet, or while its result is held.

Processes are stopped meanwhile (SIGSTOP), so that what is waited for takes as long as the test likes.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import asyncpg
import psutil
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.integration.test_conversation import MASKED_SSN, READ
from tests.integration.test_processes import recorder_of
from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

AT_ONCE = 3.0  # what is waited for here would take longer


@pytest.fixture(scope="module")
def own(postgres18: Server, shop18: str) -> Iterator[Proxy]:
    """A proxy whose processes are stopped now and then."""
    with run_proxy(postgres18, shop18) as proxy:
        yield proxy


@pytest.fixture
def session(own: Proxy) -> Iterator[psycopg.Connection]:
    with psycopg.connect(own.dsn(), autocommit=True) as connection:
        yield connection


def analysts_of(proxy: Proxy) -> list[psutil.Process]:
    """Those that run: one that was killed is buried a moment later."""
    children = psutil.Process(proxy.process.pid).children(recursive=True)
    running = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in running if "maskproxy.proxy.analyst" in child.cmdline()]


@contextmanager
def stopped(processes: Iterable[psutil.Process]) -> Iterator[None]:
    processes = list(processes)
    assert processes
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


@contextmanager
def cancelled(session: psycopg.Connection, after: float = 0.3) -> Iterator[None]:
    """What is done in here is cancelled, and ends at once."""
    timer = threading.Timer(after, session.cancel_safe)
    began = time.monotonic()
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled, match="canceling statement due to user request"):
        yield
    assert after < time.monotonic() - began < after + AT_ONCE
    timer.join()


def number(name: str) -> str:
    """A statement that was never analysed before."""
    return f"SELECT count(*) AS {name} FROM orders"


def test_while_it_is_analysed(own: Proxy, session: psycopg.Connection) -> None:
    with stopped(analysts_of(own)):
        with cancelled(session):
            session.execute(number("a1"))
        with cancelled(session):
            session.execute(number("a2"))
    assert session.execute(number("a3")).fetchone() == (20,)


def test_a_transaction_fails_with_it(own: Proxy, session: psycopg.Connection) -> None:
    session.execute("BEGIN")
    with stopped(analysts_of(own)), cancelled(session):
        session.execute(number("b1"))
    assert session.info.transaction_status is TransactionStatus.INERROR
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        session.execute(READ)
    session.execute("ROLLBACK")
    assert session.execute(READ).fetchone() == (MASKED_SSN,)


def test_with_parameters(own: Proxy, session: psycopg.Connection) -> None:
    with stopped(analysts_of(own)), cancelled(session):
        session.execute(f"{number('c1')} WHERE id > %s", (0,), prepare=True)
    assert session.execute(f"{number('c1')} WHERE id > %s", (0,), prepare=True).fetchone() == (20,)


def test_the_rest_of_a_pipeline_is_skipped(own: Proxy, session: psycopg.Connection) -> None:
    with stopped(analysts_of(own)), session.pipeline() as pipeline:
        first, second = session.execute(number("d1")), session.execute(number("d2"))
        with cancelled(session):
            first.fetchone()
        with pytest.raises(psycopg.ProgrammingError, match="no result available"):
            second.fetchone()
        pipeline.sync()
    assert session.execute(READ).fetchone() == (MASKED_SSN,)


async def test_by_a_driver_whose_time_is_up(own: Proxy) -> None:
    connection = await asyncpg.connect(own.dsn())
    try:
        with stopped(analysts_of(own)), pytest.raises(asyncio.TimeoutError):
            await connection.fetchval(number("e1"), timeout=0.3)
        assert await connection.fetchval(READ) == MASKED_SSN
    finally:
        await connection.close()


def test_while_its_result_waits_for_its_record(own: Proxy, session: psycopg.Connection) -> None:
    session.execute(READ)
    with stopped([recorder_of(own)]), cancelled(session):
        session.execute(READ)
    assert session.execute(READ).fetchone() == (MASKED_SSN,)


def test_while_a_write_waits_for_its_record(own: Proxy) -> None:
    with psycopg.connect(own.dsn("root"), autocommit=True) as session:
        session.execute("CREATE TABLE public.written (n int)")
        with stopped([recorder_of(own)]), cancelled(session):
            session.execute("INSERT INTO public.written VALUES (1)")
        session.execute("INSERT INTO public.written VALUES (2)")
        assert session.execute("DELETE FROM public.written RETURNING n").fetchall() == [(2,)]
        session.execute("DROP TABLE public.written")
