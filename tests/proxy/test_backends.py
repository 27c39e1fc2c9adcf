"""One connection to a database and those that it serves one after another; bytes are fed by hand."""

import pytest

from maskproxy.proxy.backends import BackendConnection
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.backend import BackendLogin

READY = m.ReadyForQuery(m.IDLE).encode()
GREETING = m.AuthenticationOk().encode() + m.BackendKeyData(7, b"key!").encode() + READY
PARSED = m.ParseComplete().encode()


@pytest.fixture
async def connection() -> BackendConnection:
    """Logged in."""
    login = BackendLogin(user="app", password=None, database="shop", parameters={}, tls=False, nonce="n")
    login.start()
    connection = BackendConnection(login, None, "localhost")
    connection.data_received(GREETING)
    assert (await connection.ready).process_id == 7
    return connection


class Owner:
    def __init__(self, connection: BackendConnection) -> None:
        self.data = b""
        self.lost = self.paced = 0
        connection.hand_over(self._take, self._lose, self._pace)

    def _take(self, data: bytes) -> None:
        self.data += data

    def _lose(self) -> None:
        self.lost += 1

    def _pace(self) -> None:
        self.paced += 1


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 1000])
async def test_at_rest_is_what_the_server_said_last(connection: BackendConnection, size: int) -> None:
    Owner(connection)

    def comes(data: bytes) -> bool:
        for start in range(0, len(data), size):
            connection.data_received(data[start : start + size])
        return connection.at_rest

    assert connection.at_rest
    assert not comes(PARSED)
    assert not comes(READY[:-1])
    assert comes(READY[-1:])
    assert not comes(m.ReadyForQuery(m.IN_TRANSACTION).encode())
    assert comes(m.DataRow((b"value",)).encode() + m.CommandComplete("SELECT 1").encode() + READY)
    assert not comes(m.NoticeResponse((("M", "hello"),)).encode())
    assert not comes(m.ReadyForQuery(m.FAILED).encode())
    assert comes(READY)


async def test_what_comes_right_behind_the_login_is_for_its_first_owner() -> None:
    login = BackendLogin(user="app", password=None, database="shop", parameters={}, tls=False, nonce="n")
    login.start()
    connection = BackendConnection(login, None, "localhost")
    connection.data_received(GREETING + b"N\0\0")
    assert not connection.at_rest
    connection.data_received(b"\0\5\0")
    first, second = Owner(connection), Owner(connection)
    assert (first.data, second.data) == (b"N\0\0\0\5\0", b"")


async def test_only_the_last_owner_hears_of_it(connection: BackendConnection) -> None:
    former, latter = Owner(connection), Owner(connection)
    connection.data_received(PARSED)
    connection.pause_writing()
    connection.resume_writing()
    connection.connection_lost(None)
    assert (former.data, former.lost, former.paced) == (b"", 0, 0)
    assert (latter.data, latter.lost, latter.paced) == (PARSED, 1, 2)


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_who_closes_it_hears_nothing_more(connection: BackendConnection, end: str) -> None:
    owner = Owner(connection)
    getattr(connection, end)()
    connection.data_received(PARSED)
    connection.pause_writing()
    connection.connection_lost(None)
    assert (owner.data, owner.lost, owner.paced) == (b"", 0, 0)
