"""Clients that try to have the server's answers taken for those to other statements, whose masks are others.

The result of HIGH and that of LOW look alike: names are equal, and the server names no table for either."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator

import psycopg
import pytest

from maskproxy.wire.postgres import messages as m
from tests.integration.test_reuse import figures
from tests.support.proxies import DEMO_RULES, Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

RULES = (
    DEMO_RULES.read_text()
    + """
  writer:
    select: [public.customers, public.orders]
    insert: [public.orders]
    clear: [finance]
"""
)
UNION = "SELECT x FROM (SELECT {0} AS x FROM {1} WHERE id = 1 UNION ALL SELECT {0} FROM {1} WHERE id = 2) u"
HIGH = UNION.format("ssn", "customers")
LOW = UNION.format("status", "orders")
FAILS = "SELECT x FROM (SELECT (1/0)::text AS x UNION ALL SELECT 'a') u"
SLOW = HIGH.replace(") u", " AND (SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e) > 0) u")
COPY = "COPY orders (id) FROM STDIN"
SYNC = m.Sync().encode()
READY = m.ReadyForQuery(m.IDLE).encode()
BAD_DATA = m.CopyData(b"abc\n").encode()
DATA = m.CopyData(b"1\n").encode()
DONE = m.CopyDone().encode()


@pytest.fixture(params=["session", "transaction"])
def one(request: pytest.FixtureRequest, postgres18: Server, shop18: str) -> Iterator[Proxy]:
    pool = {"mode": request.param, "size": 2 if request.param == "session" else 1, "wait_seconds": 2}
    grants = {"writer": ["writer"], "other": ["writer"]}
    with run_proxy(postgres18, shop18, rules=RULES, grants=grants, pool=pool) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def secrets(postgres18: Server, shop18: str) -> list[bytes]:
    with postgres18.admin(shop18) as admin:
        return [str(row[0]).encode() for row in admin.execute("SELECT ssn FROM customers WHERE id IN (1, 2)")]


@contextlib.contextmanager
def raw(proxy: Proxy, principal: str = "writer") -> Iterator[socket.socket]:
    with psycopg.connect(proxy.dsn(principal, recorded=False), autocommit=True) as connection:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
            yield wire
        connection.pgconn.finish()


def query(text: str) -> bytes:
    return m.Query(text).encode()


def bound(text: str) -> bytes:
    return b"".join(part.encode() for part in (m.Parse("", text, ()), m.Bind("", "", (), (), ()), m.Execute("", 0)))


def answer(wire: socket.socket, ready: int) -> bytes:
    """All that comes until the server was ready so often, or the session has ended, or nothing has come for a while."""
    wire.settimeout(4)
    data = b""
    with contextlib.suppress(OSError):
        while data.count(READY) < ready and (part := wire.recv(65536)):
            data += part
    return data


def plan_ahead(wire: socket.socket, *texts: str) -> None:
    for text in texts:
        wire.sendall(query(text))
        assert READY in answer(wire, 1)


def new_text() -> str:
    """Nobody has analysed it, and that takes a while."""
    counts = (f"(SELECT count(*) FROM orders o{n} WHERE o{n}.id < {n})" for n in range(60))
    return f"SELECT {time.time_ns()} AS z, {', '.join(counts)}"


def test_a_query_that_is_analysed_while_the_pipeline_fails(one: Proxy, secrets: list[bytes]) -> None:
    """The server ignores it up to Sync, and never answers."""
    with raw(one) as wire:
        plan_ahead(wire, HIGH, LOW, FAILS, "SELECT 1/(id-1) FROM customers")
        behind = query(FAILS) + query(HIGH) + query(FAILS)
        wire.sendall(bound("SELECT 1/(id-1) FROM customers") + query(new_text()) + SYNC + behind)
        seen = answer(wire, 4)
    assert b"22012" in seen
    assert not [secret for secret in secrets if secret in seen]
    assert b"4001" in seen  # masked: all was answered, each in its turn


@pytest.mark.parametrize("start", [query(COPY), bound(COPY) + SYNC])
@pytest.mark.parametrize("behind", [query(HIGH) + query(LOW), query(HIGH) + query(LOW) * 2, bound(HIGH) + SYNC])
def test_a_sync_behind_the_data_that_ends_a_copy(one: Proxy, secrets: list[bytes], start: bytes, behind: bytes) -> None:
    """Whether the server reads it within COPY or behind is not for us to know: the session ends."""
    with raw(one) as wire:
        plan_ahead(wire, HIGH, LOW)
        wire.sendall(start + BAD_DATA + SYNC + DATA + DONE + SYNC + behind)
        seen = answer(wire, 9)
    assert b"22P02" in seen
    assert not [secret for secret in secrets if secret in seen]


def test_nothing_of_it_reaches_another_client(one: Proxy, secrets: list[bytes]) -> None:
    with raw(one) as wire, raw(one, "other") as other:
        plan_ahead(wire, HIGH, LOW, SLOW)
        wire.sendall(query(COPY) + BAD_DATA + SYNC + DATA + DONE + query(SLOW))
        time.sleep(0.02)
        other.sendall(query(LOW))
        seen, told = answer(wire, 3), answer(other, 1)
    assert not [secret for secret in secrets if secret in seen + told]
    assert told.count(m.BackendType.DATA_ROW.to_bytes()) >= 2
    deadline = time.monotonic() + 3
    while figures(one)["in_use"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert figures(one)["in_use"] == 0
