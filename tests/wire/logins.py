"""Drives the login machines: a client by hand, and both machines against each other in memory."""

from collections.abc import Iterable

from maskproxy.base.secret import Secret
from maskproxy.wire.postgres.backend import BackendLogin
from maskproxy.wire.postgres.framing import Frames
from maskproxy.wire.postgres.frontend import Authenticated, FrontendLogin, StartupReceived, TlsRequested
from maskproxy.wire.postgres.messages import Message, decode_backend
from maskproxy.wire.postgres.scram import ScramVerifier, derive_keys

from .strategies import cut

ITERATIONS = 2
SALT = b"salt of sixteen."
VERIFIER = ScramVerifier(SALT, ITERATIONS, tuple(derive_keys(word, SALT, ITERATIONS) for word in ("old", "new")))
PARAMETERS = {"server_version": "18.0", "client_encoding": "UTF8"}
PROCESS_ID, KEY = 7, b"\1\2\3\4"


def database(password: str | None = "new", *, tls: bool = False, user: str = "ann") -> BackendLogin:
    return BackendLogin(
        user=user,
        password=None if password is None else Secret(password),
        database="shop",
        parameters={"application_name": "tests"},
        tls=tls,
        nonce="client",
    )


def serve(login: FrontendLogin, pieces: Iterable[bytes]) -> list[object]:
    """Feed ``pieces`` and do what the caller of a frontend does: handshake, verifier, greeting. Return the events."""
    events: list[object] = []
    for piece in pieces:
        waiting = list(login.receive(piece))
        while waiting:
            event = waiting.pop(0)
            events.append(event)
            match event:
                case TlsRequested():
                    login.tls_started()
                case StartupReceived():
                    waiting += login.authenticate(VERIFIER, "server")
                case Authenticated():
                    login.ready(PARAMETERS, PROCESS_ID, KEY)
    return events


def decoded(data: bytes) -> list[Message]:
    frames, found = Frames(2**20), []
    frames.feed(data)
    while (frame := frames.take()) is not None:
        found.append(decode_backend(*frame))
    assert frames.rest() == b""
    return found


def pieces(data: bytes, cuts: Iterable[int] | None) -> list[bytes]:
    """Return ``data`` byte by byte, or cut at the offsets given."""
    return [bytes([byte]) for byte in data] if cuts is None else cut(data, cuts)
