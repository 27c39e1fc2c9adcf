"""A defect of ours in answer to a call of ours ends the session at fault, and no other waits because of it."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from maskproxy.base.secret import Secret
from maskproxy.proxy.connection import ClientConnection, Phase
from maskproxy.proxy.journal import Journal
from maskproxy.proxy.link import Link
from maskproxy.proxy.pump import Pump
from maskproxy.proxy.statement_timer import StatementTimer
from maskproxy.session.enforce import Policy
from maskproxy.session.postgres import PostgresSession


class Broken(PostgresSession):
    """A session with a defect, whose words quote a value."""

    def recorded(self, number: int, durable: bool) -> None:
        raise KeyError("123-45-6789")

    def client_data(self, data: bytes) -> None:
        raise KeyError("123-45-6789")

    def backend_data(self, data: bytes) -> None:
        raise KeyError("123-45-6789")

    def cancelled(self) -> None:
        raise KeyError("123-45-6789")


@pytest.mark.parametrize("answer", ["client", "server", "recorded", "other"])
def test_the_session_ends_and_nothing_is_quoted(answer: str, policies: dict[str, Policy]) -> None:
    written: list[bytes] = []
    said: list[Any] = []
    recorder: Any = SimpleNamespace(submit=lambda record, done=None: written.append(record))
    worker: Any = SimpleNamespace(
        journal=Journal(recorder, Secret(b"k" * 32), "digest"),
        listener_name="127.0.0.1:6543",
        warn=lambda event, **words: said.append((event, words)),
        forget=said.append,
    )
    connection = ClientConnection(worker)
    session, timer = Broken(policies["support"]), StatementTimer(lambda: None)
    connection._pump = Pump(session, Link(), Link(), connection._journal, timer, connection._act, connection._failed)
    connection.phase = Phase.SESSION
    if answer == "client":
        connection.data_received(b"Q")
    elif answer == "server":
        connection._pump.backend_data(b"Z")
    elif answer == "recorded":
        connection._pump.recorded(1, True)
    else:
        connection._answer(lambda session: session.cancelled())
    assert connection.phase is Phase.CLOSED
    assert said == [("session failed", {"why": "KeyError"}), connection]
    end = orjson.loads(written[-1])
    assert (end["type"], end["out"]) == ("session.end", "error")
    assert b"123-45" not in b"".join(written)
