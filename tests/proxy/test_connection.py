"""A defect of ours in answer to a call of ours ends the session at fault, and no other waits because of it."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from maskproxy.base.secret import Secret
from maskproxy.proxy.connection import ClientConnection, Phase
from maskproxy.proxy.journal import Journal


class Broken:
    """A session with a defect, whose words quote a value."""

    idle = at_rest = False

    def recorded(self, number: int, *, durable: bool) -> None:
        raise KeyError("123-45-6789")

    def cancelled(self) -> None:
        raise KeyError("123-45-6789")


@pytest.mark.parametrize("answer", ["recorded", "other"])
def test_the_session_ends_and_nothing_is_quoted(answer: str) -> None:
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
    session: Any = Broken()
    connection._session, connection.phase = session, Phase.SESSION
    if answer == "recorded":
        connection._recorded(1, True)
    else:
        connection._answer(lambda session: session.cancelled())
    assert connection.phase is Phase.CLOSED
    assert said == [("session failed", {"why": "KeyError"}), connection]
    end = orjson.loads(written[-1])
    assert (end["type"], end["out"]) == ("session.end", "error")
    assert b"123-45" not in b"".join(written)
