"""Many clients, few connections: each has one for a transaction, and nothing of one reaches the other."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import psycopg
import pytest
from psycopg import pq

from tests.integration.test_conversation import MASKED_SSN, READ, SLOW
from tests.integration.test_reuse import GRANTS, figures, wait_until_at_rest
from tests.support.proxies import DEMO_RULES, Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

PID = "SELECT pg_backend_pid()"
PLAIN = "SELECT name FROM customers WHERE id = 1"


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def _one(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server: Server = request.getfixturevalue(request.param)
    database = request.getfixturevalue("shop18" if request.param == "postgres18" else "shop15")
    pool = {"mode": "transaction", "size": 1, "wait_seconds": 2}
    with run_proxy(server, database, grants=GRANTS, pool=pool) as proxy:
        yield proxy


@pytest.fixture
def one(_one: Proxy) -> Iterator[Proxy]:
    """A single connection for all. Ends with a search for canaries."""
    wait_until_at_rest(_one)
    yield _one
    _one.check_canaries()


def connect(proxy: Proxy, principal: str = "agent") -> psycopg.Connection:
    """Not by way of the relay, whose thread libpq would not let run."""
    return psycopg.connect(proxy.dsn(principal, recorded=False), autocommit=True)


def value(session: psycopg.Connection, statement: str = PLAIN, *, prepare: bool | None = None) -> object:
    row = session.execute(statement.encode(), prepare=prepare).fetchone()
    assert row is not None
    return row[0]


def prepare(session: psycopg.Connection, name: str, statement: str) -> pq.PGresult:
    return session.pgconn.prepare(name.encode(), statement.encode())


def run(session: psycopg.Connection, name: str, *, binary: int = 0) -> bytes | None:
    result = session.pgconn.exec_prepared(name.encode(), [], result_format=binary)
    assert result.status == pq.ExecStatus.TUPLES_OK, result.error_message
    return result.get_value(0, 0)


def is_free(proxy: Proxy) -> bool:
    """Somebody else gets the only connection."""
    try:
        with connect(proxy) as other:
            return value(other, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def test_clients_take_turns(one: Proxy) -> None:
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(connect(one)) for _ in range(5)]
        pids = {value(session, PID) for session in sessions * 3}
        assert len(pids) == 1
        assert len({session.info.backend_pid for session in sessions}) == 5
        assert figures(one)["in_use"] == 0
        assert figures(one)["mode"] == "transaction"


def test_many_at_once(one: Proxy) -> None:
    def work(number: int) -> None:
        with connect(one, "agent" if number % 2 else "colleague") as session:
            for turn in range(15):
                assert value(session, READ, prepare=bool(turn % 3)) == MASKED_SSN
                if turn % 5 == 0:
                    with session.transaction():
                        assert value(session, PID) == value(session, PID)
                        assert value(session, f"SELECT {number}") == number

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert figures(one)["waiting"] == 0


def test_a_transaction_keeps_it(one: Proxy) -> None:
    with connect(one) as session:
        session.execute("BEGIN")
        assert not is_free(one)
        with contextlib.suppress(psycopg.Error):
            session.execute("SELECT 1/0")
        assert not is_free(one)
        session.execute("ROLLBACK")
        assert is_free(one)


def test_a_local_setting_ends_with_its_transaction(one: Proxy) -> None:
    with connect(one) as session, connect(one) as other:
        zone = value(other, "SHOW TimeZone")
        with session.transaction():
            session.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
            session.execute("SELECT set_config('extra_float_digits', '2', true)")
            session.execute("SET TRANSACTION READ ONLY")
            assert value(session, "SHOW TimeZone") == "Asia/Tokyo"
        assert value(other, "SHOW TimeZone") == zone
        assert is_free(one)


PINS = {
    "SET TimeZone = 'Asia/Tokyo'": ("SHOW TimeZone", "Asia/Tokyo"),
    "SELECT set_config('extra_float_digits', '2', false)": ("SHOW extra_float_digits", "2"),
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": ("SHOW default_transaction_read_only", "on"),
    "PREPARE mine AS SELECT ssn FROM customers WHERE id = 1": ("EXECUTE mine", MASKED_SSN),
    "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT ssn FROM customers ORDER BY id; COMMIT": (
        "FETCH held",
        MASKED_SSN,
    ),
    "BEGIN; SET TimeZone = 'Asia/Tokyo'; ROLLBACK": ("SELECT 1", 1),
}


@pytest.mark.parametrize("statement", PINS)
def test_what_stays_in_a_session_pins_it(one: Proxy, statement: str) -> None:
    find, found = PINS[statement]
    with connect(one) as session:
        session.execute(statement.encode())
        assert value(session, find) == found
        pid = value(session, PID)
        assert not is_free(one)
    wait_until_at_rest(one)
    with connect(one) as session:
        assert value(session, PID) == pid
        with contextlib.suppress(psycopg.Error):
            assert value(session, find) != found or found == 1
        assert is_free(one)


LEAVE_NOTHING = (
    "BEGIN; DECLARE c CURSOR FOR SELECT ssn FROM customers; FETCH c; COMMIT",
    "BEGIN; SAVEPOINT a; RELEASE a; LOCK TABLE customers IN ACCESS SHARE MODE; COMMIT",
    "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",  # asyncpg, between two users of its pool
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "EXPLAIN SELECT ssn FROM customers",
    "SELECT ssn, random(), clock_timestamp() FROM customers",
)


@pytest.mark.parametrize("statement", LEAVE_NOTHING)
def test_what_leaves_nothing_does_not(one: Proxy, statement: str) -> None:
    with connect(one) as session:
        assert value(session, READ, prepare=True) == MASKED_SSN
        session.execute(statement.encode())
        assert is_free(one)
        assert value(session, READ, prepare=True) == MASKED_SSN


def test_who_waits_may_cancel(one: Proxy) -> None:
    with connect(one) as session, connect(one) as other, ThreadPoolExecutor(1) as pool:
        session.execute("BEGIN")
        waiting = pool.submit(other.execute, SLOW)
        until(lambda: figures(one)["waiting"] == 1)
        other.cancel_safe()
        time.sleep(0.1)
        session.execute("COMMIT")
        with pytest.raises(psycopg.errors.QueryCanceled):
            waiting.result()


def test_what_no_sync_has_ended_keeps_it(one: Proxy) -> None:
    """The server has a transaction open then, though it says so only with its next ReadyForQuery."""
    with contextlib.closing(connect(one)) as session:
        wire = session.pgconn
        wire.enter_pipeline_mode()
        wire.send_prepare(b"flushed", PLAIN.encode())
        wire.send_flush_request()
        wire.flush()
        result = wire.get_result()
        assert result is not None
        assert result.status == pq.ExecStatus.COMMAND_OK
        assert not is_free(one)
        wire.pipeline_sync()
        wire.flush()
        until(lambda: is_free(one))


async def test_asyncpg(one: Proxy) -> None:
    """Its names are numbered, so clients' differ by chance only; with and without statements of its own cache."""
    first, second = await asyncpg.connect(one.dsn()), await asyncpg.connect(one.dsn())
    third = await asyncpg.connect(one.dsn(), statement_cache_size=0)
    queries = {first: READ, second: PLAIN, third: "SELECT email FROM customers WHERE id = $1"}
    expected = {}
    for turn in range(4):
        for connection, query in queries.items():
            got = await connection.fetchval(query, *([1] if connection is third else []))
            assert expected.setdefault(connection, got) == got
            if turn == 2:
                async with connection.transaction():
                    assert await connection.fetchval("SELECT ssn FROM customers WHERE id = $1", 1) == MASKED_SSN
                    async for row in connection.cursor("SELECT ssn FROM customers WHERE id = $1", 1):
                        assert row[0] == MASKED_SSN
    assert expected[first] == MASKED_SSN
    for connection in queries:
        await connection.close()


async def test_asyncpgs_pool(one: Proxy) -> None:
    async with asyncpg.create_pool(one.dsn(), min_size=3, max_size=3) as pool:
        assert await asyncio.gather(*(pool.fetchval(READ) for _ in range(12))) == [MASKED_SSN] * 12
    assert (await asyncio.to_thread(figures, one))["dirty"] == 0


def test_a_cancel_request_is_for_its_own_session(one: Proxy) -> None:
    with connect(one) as session, connect(one) as other:
        other.cancel_safe()  # has no connection
        assert value(other) == value(session)
        timer = threading.Timer(0.3, session.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(SLOW)
        timer.join()
        assert value(session) == value(other)
        timer = threading.Timer(0.2, other.cancel_safe)
        timer.start()
        quick = f"SELECT count(*) FROM {', '.join(f'orders AS o{n}' for n in range(5))}"
        assert value(session, quick) == 20**5
        timer.join()


def test_who_waits_too_long_is_told(one: Proxy) -> None:
    with connect(one) as session:
        late = connect(one)
        session.execute("BEGIN")
        with pytest.raises(psycopg.OperationalError, match="too many sessions on database"):
            late.execute("SELECT 1")
        assert figures(one)["waiting"] == 0
        session.execute("COMMIT")
        late.close()
        assert value(session, "SELECT 1") == 1


def test_who_waits_is_served_in_turn(one: Proxy) -> None:
    with connect(one) as session, connect(one) as other:
        session.execute("BEGIN")
        timer = threading.Timer(0.4, lambda: session.execute("COMMIT"))
        timer.start()
        assert value(other, READ) == MASKED_SSN
        timer.join()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_goes_while_waiting_is_forgotten(one: Proxy) -> None:
    with connect(one) as session:
        late = psycopg.connect(one.dsn(recorded=False), autocommit=True)
        session.execute("BEGIN")
        late.pgconn.send_query(b"SELECT 1")
        until(lambda: figures(one)["waiting"] == 1)
        late.close()
        until(lambda: figures(one)["waiting"] == 0)
        session.execute("COMMIT")
        assert is_free(one)
    wait_until_at_rest(one)


def test_its_loss_concerns_nobody(one: Proxy) -> None:
    with connect(one) as session:
        prepare(session, "s", READ)
        pid = value(session, PID)
    with connect(one) as session:
        prepare(session, "s", READ)
        with psycopg.connect(one.dsn("root"), autocommit=True) as root:  # for which the one at rest is closed
            assert value(root, PID) != pid
        assert run(session, "s") == MASKED_SSN.encode()


def test_unrestricted_sessions_keep_theirs(one: Proxy) -> None:
    with connect(one, "root") as root:
        assert value(root, "SELECT 1") == 1
        assert root.info.backend_pid == value(root, PID)
        assert not is_free(one)


def test_new_rules_for_those_without(postgres18: Server, shop18: str) -> None:
    rules = DEMO_RULES.read_text(encoding="utf-8")
    with run_proxy(postgres18, shop18, pool={"mode": "transaction", "size": 2}) as proxy, connect(proxy) as session:
        prepare(session, "s", READ)
        assert run(session, "s") == MASKED_SSN.encode()
        proxy.reload(rules.replace("pii.ssn:   {mask: partial, keep_last: 4}", 'pii.ssn: {mask: "null"}'))
        proxy.wait_for_log("reloaded")
        until(lambda: value(session, READ) is None)
        assert run(session, "s") is None


def test_two_clients_share_two(postgres18: Server, shop18: str) -> None:
    """Each has one when both are busy."""
    with run_proxy(postgres18, shop18, pool={"mode": "transaction", "size": 2, "wait_seconds": 3}) as proxy:
        with connect(proxy) as one, connect(proxy) as two, connect(proxy) as three:
            for session in (one, two, three):
                prepare(session, "s", READ)
            for _ in range(3):
                with one.transaction(), two.transaction():
                    assert value(one, PID) != value(two, PID)
                    assert run(one, "s") == run(two, "s") == MASKED_SSN.encode()
                assert run(three, "s") == MASKED_SSN.encode()
        assert figures(proxy)["opened"] <= 2
