"""Peers that break the protocol, and clients that do not read. Each attack must cost the attacker alone."""

import os
import random
import socket
import statistics
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import psycopg
import pytest

from maskproxy.base.limits import MAX_MESSAGE, MiB
from tests.integration.conftest import Zoo
from tests.support.proxies import Proxy

pytestmark = pytest.mark.server

HOST = "127.0.0.1"
CLOSED_SECONDS = 0.1
TRIES = 5


def seconds_until_closed(connection: socket.socket, data: bytes) -> float:
    """Sends ``data`` and reads to the end. Raises TimeoutError when the peer keeps the connection."""
    connection.settimeout(5)
    begin = time.perf_counter()
    try:
        connection.sendall(data)
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.perf_counter() - begin


@contextmanager
def logged_in(dsn: str) -> Iterator[socket.socket]:
    """The socket of a session that libpq has opened."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as raw:
            yield raw
        connection.pgconn.finish()


def message(kind: bytes, body: bytes, *, length: int | None = None) -> bytes:
    return kind + struct.pack("!I", len(body) + 4 if length is None else length) + body


GARBAGE = random.Random(20).randbytes(4096)

BEFORE_LOGIN = {
    "garbage": b"\x7f" + GARBAGE,
    "a web browser": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "length of zero": struct.pack("!II", 0, 196608),
    "length of 2 GiB": struct.pack("!II", 0x7FFFFFFF, 196608),
    "startup above the bound": struct.pack("!II", 20_000, 196608) + b"x" * 20_000,
    "protocol 2.0": struct.pack("!II", 8, 131072),
    "startup without an end": struct.pack("!II", 13, 196608) + b"userx",
    "startup without a user": struct.pack("!II", 9, 196608) + b"\0",
}
AFTER_LOGIN = {
    "garbage": b"\xff" + GARBAGE,
    "unknown message": message(b"~", b"x"),
    "length of zero": message(b"Q", b"", length=0),
    "length above the bound": message(b"Q", b"SELECT", length=MAX_MESSAGE + 5),
    "query without an end": message(b"Q", b"SELECT 1"),
    "bind that counts more than it has": message(b"B", b"\0\0" + struct.pack("!HH", 0, 65535)),
    "a server's message": message(b"Z", b"I"),
    "password after login": message(b"p", b"secret\0"),
}


@pytest.mark.parametrize("attack", BEFORE_LOGIN)
def test_garbage_before_login(proxy: Proxy, attack: str) -> None:
    def once() -> float:
        with socket.create_connection((HOST, proxy.direct_port)) as connection:
            return seconds_until_closed(connection, BEFORE_LOGIN[attack])

    assert statistics.median(once() for _ in range(TRIES)) < CLOSED_SECONDS
    assert works(proxy)


@pytest.mark.parametrize("attack", AFTER_LOGIN)
def test_garbage_after_login(proxy: Proxy, attack: str) -> None:
    def once() -> float:
        with logged_in(proxy.dsn(recorded=False)) as connection:
            return seconds_until_closed(connection, AFTER_LOGIN[attack])

    assert statistics.median(once() for _ in range(TRIES)) < CLOSED_SECONDS
    assert works(proxy)


def test_a_message_cut_off(proxy: Proxy) -> None:
    for cut in (1, 4, 5, 9):
        with logged_in(proxy.dsn(recorded=False)) as connection:
            connection.sendall(message(b"Q", b"SELECT 1\0")[:cut])
    with socket.create_connection((HOST, proxy.direct_port)) as connection:
        connection.sendall(b"\0\0")
    assert works(proxy)


def test_garbage_is_logged_at_a_bounded_rate(proxy: Proxy) -> None:
    before = len(proxy.log())
    for _ in range(200):
        with socket.create_connection((HOST, proxy.direct_port)) as connection:
            seconds_until_closed(connection, BEFORE_LOGIN["garbage"])
    assert len(proxy.log()[before:].splitlines()) < 50
    assert works(proxy)


def test_a_client_that_does_not_read_keeps_memory_bounded(zoo: Zoo) -> None:
    """Four gigabytes are asked for and not read, once as they come and once masked."""
    dsn = zoo.proxy.dsn(recorded=False)
    statements = ("SELECT a.filler FROM wide AS a, visits", "SELECT a.filler, a.secret FROM wide AS a, visits")
    with psycopg.connect(dsn) as warm:
        warm.execute("SELECT filler, secret FROM wide").fetchall()
    before = memory(zoo.proxy)
    for statement in statements:
        with logged_in(dsn) as connection:
            connection.sendall(message(b"Q", statement.encode() + b"\0"))
            time.sleep(1.5)
            assert memory(zoo.proxy) - before < 8 * MiB
    assert works(zoo.proxy)


def test_a_client_that_only_sends_keeps_memory_bounded(proxy: Proxy) -> None:
    """A million requests whose answers nobody reads: at some point they are no longer taken."""
    before = memory(proxy)
    requests = message(b"P", b"\0SELECT count(*) FROM orders\0\0\0") + message(b"B", b"\0\0" + bytes(6))
    requests += message(b"E", b"\0" + bytes(4)) + message(b"S", b"")
    with logged_in(proxy.dsn(recorded=False)) as connection:
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            connection.sendall(requests * 1_000_000)
        assert memory(proxy) - before < 32 * MiB
    assert works(proxy)


def works(proxy: Proxy) -> bool:
    with psycopg.connect(proxy.dsn()) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def memory(proxy: Proxy) -> int:
    """Resident bytes of the worker, the process that listens."""
    for process in psutil.Process(proxy.process.pid).children(recursive=True):
        listening = {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        if proxy.direct_port in listening:
            return int(process.memory_info().rss)
    raise AssertionError("no worker listens")
