"""Prepared statements under transaction pooling: they follow their client from one connection to the next."""

# ruff: noqa: F811  (fixtures of another file)

import contextlib

import psycopg
import pytest
from psycopg import pq

from tests.integration.test_conversation import MASKED_SSN, READ, REFUSED
from tests.integration.test_transaction_pooling import PLAIN, _one, connect, one, prepare, run, value  # noqa: F401
from tests.support.proxies import Proxy

pytestmark = pytest.mark.server


@pytest.mark.parametrize("name", ["s", ""])
def test_the_same_name_for_different_statements(one: Proxy, name: str) -> None:
    """What is prepared under it is each client's own, and so are its masks."""
    statements = (READ, PLAIN, "SELECT email FROM customers WHERE id = 1", "SELECT phone FROM customers WHERE id = 1")
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(connect(one)) for _ in statements]
        expected = [
            str(value(session, statement)).encode() for session, statement in zip(sessions, statements, strict=True)
        ]
        for session, statement in zip(sessions, statements, strict=True):
            assert prepare(session, name, statement).status == pq.ExecStatus.COMMAND_OK
        for _ in range(3):
            assert [run(session, name) for session in sessions] == expected
            assert [run(session, name, binary=1) for session in reversed(sessions)] == expected[::-1]
        with sessions[0].transaction():
            assert run(sessions[0], name) == expected[0]
        sessions[1].pgconn.describe_prepared(name.encode())
        assert run(sessions[1], name) == expected[1]


def test_a_name_is_taken_once_and_free_when_closed(one: Proxy) -> None:
    with connect(one) as session, connect(one) as other:
        prepare(session, "s", READ)
        again = prepare(session, "s", PLAIN)
        assert again.error_field(pq.DiagnosticField.SQLSTATE) == b"42P05"
        assert prepare(other, "s", PLAIN).status == pq.ExecStatus.COMMAND_OK
        assert session.pgconn.close_prepared(b"s").status == pq.ExecStatus.COMMAND_OK
        gone = session.pgconn.exec_prepared(b"s", [])
        assert gone.error_field(pq.DiagnosticField.SQLSTATE) == b"26000"
        assert prepare(session, "s", "SELECT 7").status == pq.ExecStatus.COMMAND_OK
        assert (run(session, "s"), run(other, "s")) == (b"7", str(value(other)).encode())


def test_statements_survive_what_fails(one: Proxy) -> None:
    with connect(one) as session, connect(one) as other:
        prepare(session, "s", READ)
        prepare(session, "bad", "SELECT 1/(id - 1) FROM customers")
        for _ in range(2):
            assert session.pgconn.exec_prepared(b"bad", []).status == pq.ExecStatus.FATAL_ERROR
            assert run(session, "s") == MASKED_SSN.encode()
            other.execute("DISCARD ALL")
            assert prepare(session, "wrong", "SELECT nothing FROM customers").status == pq.ExecStatus.FATAL_ERROR
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(REFUSED)
            assert run(session, "s") == MASKED_SSN.encode()


def test_pipelines(one: Proxy) -> None:
    """An error skips what we put in, too."""
    with connect(one) as session, connect(one) as other:
        prepare(session, "s", READ)
        for drop in (False, True, True):
            if drop:
                other.execute("DISCARD ALL")
            with contextlib.suppress(psycopg.errors.DivisionByZero), session.pipeline() as pipeline:
                session.execute("SELECT 1/(id - 1) FROM customers", prepare=True)
                session.execute(READ, prepare=True)
                pipeline.sync()
                pytest.fail("no error")
            assert run(session, "s") == MASKED_SSN.encode()
            with session.pipeline():
                rows = [session.execute(READ, prepare=True) for _ in range(3)]
            assert [row.fetchone() for row in rows] == [(MASKED_SSN,)] * 3


def test_a_local_setting_stays_in_no_statement(one: Proxy) -> None:
    """The server reads literals by it when it prepares a statement."""
    text = "SELECT '2020-01-01 00:00'::timestamptz::text"
    with connect(one) as session, connect(one, "colleague") as other:
        expected = value(other, text, prepare=False)
        session.execute("BEGIN")
        session.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
        prepare(session, "s", text)
        session.execute("COMMIT")
        prepare(other, "t", text)
        assert run(other, "t") == str(expected).encode()


def test_what_is_prepared_again_is_made_anew(one: Proxy) -> None:
    with connect(one) as session:
        seen = set()
        for _ in range(3):
            prepare(session, "s", "SELECT 'now'::timestamptz")
            seen.add(run(session, "s"))
            session.pgconn.close_prepared(b"s")
        assert len(seen) == 3


def test_sql_does_not_reach_what_the_protocol_prepared(one: Proxy) -> None:
    with connect(one) as session:
        prepare(session, "s", READ)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("EXECUTE s")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("PREPARE maskproxy_x AS SELECT 1")
        assert run(session, "s") == MASKED_SSN.encode()
