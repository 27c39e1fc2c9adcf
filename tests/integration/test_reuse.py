"""Sessions through the proxy that follow each other in one connection to the database."""

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import psycopg
import pytest

from maskproxy.proxy.control import ask, control_path
from tests.integration.test_conversation import MASKED_SSN, READ, SLOW
from tests.integration.test_keys import EVALUATED, TOKENS, rows
from tests.support.proxies import DEMO_RULES, Proxy, Served, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

GRANTS = {"agent": ["support"], "colleague": ["support"], "analyst": ["analyst"], "root": ["break-glass"]}


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def _own(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server: Server = request.getfixturevalue(request.param)
    database = request.getfixturevalue("shop18" if request.param == "postgres18" else "shop15")
    twin = Served(database, DEMO_RULES.read_text(encoding="utf-8").replace("database: shop", "database: twin"))
    with run_proxy(server, database, grants=GRANTS, others={"twin": twin}) as proxy:
        yield proxy


@pytest.fixture
def own(_own: Proxy) -> Iterator[Proxy]:
    """A proxy whose connections nobody else uses. Ends with a search for canaries."""
    wait_until_at_rest(_own)
    yield _own
    _own.check_canaries()


@pytest.fixture
def narrow(postgres18: Server, shop18: str) -> Iterator[Proxy]:
    """Two connections are all there are."""
    with run_proxy(postgres18, shop18, grants=GRANTS, pool={"size": 2, "wait_seconds": 3}) as proxy:
        yield proxy


def connect(proxy: Proxy, principal: str = "agent", **parameters: str) -> psycopg.Connection:
    return psycopg.connect(proxy.dsn(principal, **parameters), autocommit=True)


def figures(proxy: Proxy, database: str = "shop") -> dict[str, Any]:
    status = asyncio.run(ask(control_path(proxy.directory / "run", 0), {"op": "status"}))
    assert status is not None
    pool: dict[str, Any] = status["databases"][database]["pool"]
    return pool


def wait_until_at_rest(proxy: Proxy) -> None:
    """No session is left, and what they had is clean or closed."""
    deadline = time.monotonic() + 10
    while figures(proxy)["in_use"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pid_of(proxy: Proxy, principal: str = "agent", **parameters: str) -> int:
    with connect(proxy, principal, **parameters) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
        pid = session.info.backend_pid
    wait_until_at_rest(proxy)
    return pid


def test_the_next_session_costs_no_connect(own: Proxy) -> None:
    before = figures(own)
    first = pid_of(own)
    assert [pid_of(own) for _ in range(5)] == [first] * 5
    after = figures(own)
    assert after["hits"] - before["hits"] >= 5
    assert after["opened"] - before["opened"] <= 1


def test_another_principal_of_the_same_scope_shares_it(own: Proxy) -> None:
    assert pid_of(own, "colleague") == pid_of(own)


def test_nobody_else_does(own: Proxy) -> None:
    ours = pid_of(own)
    others = [
        pid_of(own, "analyst"),
        pid_of(own, "root"),
        pid_of(own, application_name="another"),
        pid_of(own, options="-c TimeZone=CET"),
    ]
    with psycopg.connect(own.dsn().replace("/shop", "/twin")) as session:
        others.append(session.info.backend_pid)
    assert ours not in others
    assert pid_of(own) == ours


def test_unrestricted_sessions_have_new_ones(own: Proxy) -> None:
    assert pid_of(own, "root") != pid_of(own, "root")


def test_drivers_that_keep_state(own: Proxy) -> None:
    """Names of prepared statements and cursors are free again, settings are what they were."""
    for zone in ("EET", "CET"):
        with connect(own, options="-c TimeZone=UTC") as session:
            assert session.info.parameter_status("TimeZone") == "UTC"
            session.execute(f"SET TimeZone = '{zone}'")
            session.execute("SET application_name = 'CANARY'")
            session.execute("PREPARE mine AS SELECT ssn FROM customers WHERE id = 1")
            assert session.execute("EXECUTE mine").fetchone() == (MASKED_SSN,)
            session.execute("DECLARE held CURSOR WITH HOLD FOR SELECT ssn FROM customers ORDER BY id")
            assert session.execute("FETCH held").fetchone() == (MASKED_SSN,)
            assert session.execute(READ, prepare=True).fetchone() == (MASKED_SSN,)
            pid = session.info.backend_pid
        wait_until_at_rest(own)
        assert pid_of(own, options="-c TimeZone=UTC") == pid
    with connect(own, options="-c TimeZone=UTC") as session:
        assert session.info.backend_pid == pid
        assert session.info.parameter_status("application_name") != "CANARY"
        assert session.execute("SHOW TimeZone").fetchone() == ("UTC",)
        for statement in ("EXECUTE mine", "FETCH held", "DEALLOCATE mine", "CLOSE held"):
            with pytest.raises(psycopg.Error):
                session.execute(statement.encode())


async def test_asyncpg(own: Proxy) -> None:
    pids = set()
    for _ in range(3):
        connection = await asyncpg.connect(own.dsn())
        assert await connection.fetchval(READ) == MASKED_SSN
        pids.add(connection.get_server_pid())
        await connection.close()
        await asyncio.to_thread(wait_until_at_rest, own)
    assert len(pids) == 1


def test_tokens_are_those_of_a_new_connection(own: Proxy) -> None:
    tokens = []
    for _ in range(2):
        with connect(own) as session:
            masked = rows(session, TOKENS)
            assert rows(session, EVALUATED) == masked
            tokens.append((session.info.backend_pid, masked))
        wait_until_at_rest(own)
    assert tokens[0] == tokens[1]


def test_a_client_that_just_goes_leaves_it_too(own: Proxy) -> None:
    session = connect(own)
    pid = session.info.backend_pid
    with socket.socket(fileno=session.pgconn.socket) as ours:
        ours.shutdown(socket.SHUT_RDWR)
        ours.detach()
    wait_until_at_rest(own)
    session.close()
    assert pid_of(own) == pid


def in_transaction(session: psycopg.Connection) -> None:
    session.execute("BEGIN")
    session.execute(READ)


def in_failed_transaction(session: psycopg.Connection) -> None:
    session.execute("BEGIN")
    with contextlib.suppress(psycopg.Error):
        session.execute("SELECT 1/0")


def in_a_result(session: psycopg.Connection) -> None:
    session.pgconn.send_query(SLOW.encode())


def cancelled(session: psycopg.Connection) -> None:
    """The request has done its work, and could all the same have been late."""
    timer = threading.Timer(0.2, session.cancel_safe)
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        session.execute(SLOW)
    timer.join()


def broke_the_protocol(session: psycopg.Connection) -> None:
    with socket.socket(fileno=session.pgconn.socket) as ours:
        ours.sendall(b"\xff\0\0\0\4")
        ours.detach()
    time.sleep(0.2)


@pytest.mark.parametrize("end", [in_transaction, in_failed_transaction, in_a_result, cancelled, broke_the_protocol])
def test_what_ended_otherwise_is_not_used_again(own: Proxy, end: Callable[[psycopg.Connection], None]) -> None:
    session = connect(own)
    pid = session.info.backend_pid
    end(session)
    session.close()
    wait_until_at_rest(own)
    assert pid_of(own) != pid


def test_a_cancel_request_of_the_former_session_is_for_nobody(own: Proxy) -> None:
    former = psycopg.connect(own.dsn(recorded=False))  # libpq does not let the relay's thread run meanwhile
    late = former.pgconn.get_cancel()
    pid = former.info.backend_pid
    former.close()
    wait_until_at_rest(own)
    with connect(own) as latter:
        assert latter.info.backend_pid == pid
        timer = threading.Timer(0.1, late.cancel)
        timer.start()
        quick = f"SELECT count(*) FROM {', '.join(f'orders AS o{n}' for n in range(5))}"
        assert latter.execute(quick).fetchone() == (20**5,)
        timer.join()


def test_a_connection_closed_by_the_server_is_not_offered(own: Proxy) -> None:
    pid = pid_of(own)
    with connect(own, "root") as root:
        root.execute("SELECT pg_terminate_backend(%s)", (pid,))
    time.sleep(0.2)
    assert pid_of(own) != pid


def test_new_rules_with_other_keys(postgres18: Server, shop18: str) -> None:
    """What was opened with the keys of the old rules is closed."""
    rules = DEMO_RULES.read_text(encoding="utf-8")
    with run_proxy(postgres18, shop18) as proxy:
        pid = pid_of(proxy)
        proxy.reload(
            rules.replace("pii.phone: {mask: partial, keep_first: 3, keep_last: 2}", "pii.phone: {mask: token}")
        )
        deadline = time.monotonic() + 10
        while figures(proxy)["idle"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert pid_of(proxy) != pid


def test_who_waits_too_long_is_told(narrow: Proxy) -> None:
    with connect(narrow), connect(narrow) as second:
        with pytest.raises(psycopg.OperationalError, match=r"too many sessions on database(?s:.*)pool\.size"):
            connect(narrow)
        pid = second.info.backend_pid
        timer = threading.Timer(0.3, second.close)
        timer.start()
        with connect(narrow) as third:
            assert third.info.backend_pid == pid
        timer.join()


def test_who_goes_while_waiting_is_forgotten(narrow: Proxy) -> None:
    with connect(narrow), connect(narrow):
        impatient = psycopg.pq.PGconn.connect_start(narrow.dsn(recorded=False).encode())
        deadline = time.monotonic() + 5
        while not figures(narrow)["waiting"]:
            impatient.connect_poll()
            time.sleep(0.01)
            assert time.monotonic() < deadline
        impatient.finish()
        while figures(narrow)["waiting"]:
            time.sleep(0.01)
            assert time.monotonic() < deadline
    wait_until_at_rest(narrow)
    assert figures(narrow)["idle"] == 2


def test_status_shows_it(own: Proxy) -> None:
    pid_of(own)
    with connect(own):
        command = [sys.executable, "-m", "maskproxy", "status", "-c", str(own.config)]
        shown = subprocess.run(
            command, env={**os.environ, "COLUMNS": "400"}, capture_output=True, text=True, check=True
        )
    assert "1 of 100 in use" in shown.stdout


ENDS = (in_transaction, in_failed_transaction, in_a_result, cancelled)


def test_many_at_once(narrow: Proxy) -> None:
    """Sessions of several kinds that come, leave traces and go in every way: each finds what a new one would."""
    wrong: list[object] = []

    def come_and_go(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(12):
            principal = chance.choice(["agent", "colleague", "analyst"])
            with contextlib.closing(psycopg.connect(narrow.dsn(principal, recorded=False), autocommit=True)) as session:
                found = session.execute("SHOW TimeZone").fetchone(), session.info.parameter_status("application_name")
                if found != ((server_zone,), ""):
                    wrong.append(found)
                session.execute("SET TimeZone = 'Asia/Tokyo'; SET application_name = 'CANARY'")
                session.execute("PREPARE mine AS SELECT email FROM customers WHERE id = 1")
                if (masked := session.execute("EXECUTE mine").fetchone()) != masked_email:
                    wrong.append(masked)
                if chance.random() < 0.3:
                    chance.choice(ENDS)(session)

    with connect(narrow) as session:
        masked_email = session.execute("SELECT email FROM customers WHERE id = 1").fetchone()
        server_zone = session.info.parameter_status("TimeZone")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, range(4)))
    assert not wrong
    wait_until_at_rest(narrow)
    assert figures(narrow)["hits"] > 0
    assert figures(narrow)["dirty"] == 0
