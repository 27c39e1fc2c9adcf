"""A client of the raw protocol that keeps every byte it is sent, so that two sessions told the same can be compared.

Nothing is left out but authentication (its nonces are random). Two things are made alike because they differ between
any two sessions and tell nothing: the numbers in BackendKeyData and the sender's process id in NotificationResponse.
An end of the connection and an answer that did not come are frames of their own, of type 0.
"""

import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from maskproxy.base.errors import BackendUnavailable
from maskproxy.base.limits import MAX_MESSAGE
from maskproxy.base.secret import Secret
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.backend import BackendLogin
from maskproxy.wire.postgres.backend_messages import BackendType
from maskproxy.wire.postgres.framing import Frames

HOST: Final = "127.0.0.1"
CHUNK: Final = 64 * 1024
ANSWER_SECONDS: Final = 20.0  # above any deadline of the proxy's own

Frame = tuple[int, bytes]
CLOSED: Final[Frame] = (0, b"closed")
NO_ANSWER: Final[Frame] = (0, b"no answer")


@dataclass(frozen=True, slots=True)
class Address:
    port: int
    database: str
    user: str
    token: Secret[str] = field(repr=False)


class RawSession:
    """One session. ``frames`` is what was sent to us; ``open`` is False once the peer has closed or was given up.
    ``copied``: what a COPY FROM STDIN is answered with; it fails where there is nothing."""

    def __init__(self, address: Address, parameters: Mapping[str, str], seconds: float) -> None:
        self.frames: list[Frame] = []
        self.open = True
        self.key: tuple[int, bytes] = (0, b"")
        self.extended = False
        self.status = m.IDLE
        self.copied = ""
        self._seconds = seconds
        self._frames = Frames(MAX_MESSAGE)
        self._ready = 0
        self._socket = socket.create_connection((HOST, address.port), seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._log_in(address, parameters)

    def close(self) -> None:
        self._socket.close()

    def send(self, *messages: m.Message | bytes) -> None:
        data = b"".join(each if isinstance(each, bytes) else each.encode() for each in messages)
        try:
            self._socket.sendall(data)
        except OSError:
            self._end(CLOSED)

    def wait(self, count: int = 1) -> None:
        """Read until ReadyForQuery has come ``count`` times, the peer closes, or nothing comes in time."""
        deadline = time.monotonic() + self._seconds
        while self.open and self._ready < count:
            self._receive(deadline)
        self._ready = 0

    def wait_quietly(self, seconds: float) -> None:
        """Read whatever comes within ``seconds``; that nothing comes is no finding."""
        deadline = time.monotonic() + seconds
        while self.open and (rest := deadline - time.monotonic()) > 0:
            self._socket.settimeout(rest)
            try:
                self._take(self._socket.recv(CHUNK))
            except TimeoutError:
                break
            except OSError:
                self._end(CLOSED)
        self._ready = 0

    def query(self, sql: str) -> None:
        self.extended = False
        self.send(m.Query(sql))
        self.wait()

    def execute(
        self, sql: str, parameters: tuple[bytes | None, ...] = (), formats: tuple[int, ...] = (), rows: int = 0
    ) -> None:
        """Parse, Bind, Describe, Execute, Sync in one write."""
        self.extended = True
        self.send(
            m.Parse("", sql),
            m.Bind("", "", (), parameters, formats),
            m.Describe(m.PORTAL, ""),
            m.Execute("", rows),
            m.Sync(),
        )
        self.wait()

    def execute_twice(self, sql: str) -> None:
        """Prepared once, then run with text results and with binary ones, in one write."""
        self.extended = True
        parts: list[m.Message] = [m.Parse("", sql), m.Describe(m.STATEMENT, "")]
        for formats in ((), (1,)):
            parts += [m.Bind("", "", (), (), formats), m.Describe(m.PORTAL, ""), m.Execute("")]
        self.send(*parts, m.Sync())
        self.wait()

    def _log_in(self, address: Address, parameters: Mapping[str, str]) -> None:
        login = BackendLogin(
            user=address.user,
            password=address.token,
            database=address.database,
            parameters=parameters,
            tls=False,
            nonce=secrets.token_urlsafe(18),
        )
        deadline = time.monotonic() + self._seconds
        self.send(login.start())
        while self.open and not self._ready:
            data = self._receive(deadline)
            try:
                login.receive(data)
            except BackendUnavailable:  # the proxy refuses: its error is kept, and it closes
                continue
            self.send(login.data_to_send())
        self._ready = 0

    def _receive(self, deadline: float) -> bytes:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self._socket.recv(CHUNK)
        except TimeoutError:
            self._end(NO_ANSWER)
            return b""
        except OSError:
            data = b""
        self._take(data)
        return data

    def _take(self, data: bytes) -> None:
        if not data:
            self._end(CLOSED)
            return
        self._frames.feed(data)
        while (frame := self._frames.take()) is not None:
            self._keep(*frame)

    def _keep(self, kind: int, payload: bytes) -> None:
        match kind:
            case BackendType.AUTHENTICATION:
                return
            case BackendType.BACKEND_KEY_DATA:
                self.key = int.from_bytes(payload[:4]), payload[4:]
                payload = bytes(len(payload))
            case BackendType.NOTIFICATION_RESPONSE:
                payload = bytes(4) + payload[4:]
            case BackendType.READY_FOR_QUERY:
                self._ready += 1
                self.status = payload
            case BackendType.COPY_IN_RESPONSE:
                data = (m.CopyData(self.copied.encode()), m.CopyDone()) if self.copied else (m.CopyFail("no data"),)
                self.send(*data, *([m.Sync()] if self.extended else []))
        self.frames.append((kind, payload))

    def _end(self, how: Frame) -> None:
        if self.open:
            self.open = False
            self.frames.append(how)


@contextmanager
def raw_session(
    address: Address, parameters: Mapping[str, str] | None = None, seconds: float = ANSWER_SECONDS
) -> Iterator[RawSession]:
    session = RawSession(address, parameters or {}, seconds)
    try:
        yield session
    finally:
        session.close()


def render(frames: Iterable[Frame]) -> str:
    """Frames for people, and for expressions that look for values: one line each."""
    return "\n".join(_line(kind, payload) for kind, payload in frames)


def _line(kind: int, payload: bytes) -> str:
    if kind == 0:
        return payload.decode().upper()
    message = m.decode_backend(kind, payload)
    match message:
        case m.DataRow():
            return "ROW " + " | ".join("NULL" if value is None else _shown(value) for value in message.values)
        case m.ErrorResponse() | m.NoticeResponse():
            word = "ERR" if isinstance(message, m.ErrorResponse) else "NOTICE"
            return " ".join([word, *(f"{code}={value}" for code, value in message.fields)])
        case m.CommandComplete():
            return f"TAG {message.tag}"
        case m.ParameterStatus():
            return f"PARAM {message.name}={message.value}"
        case m.NotificationResponse():
            return f"NOTIFY {message.channel} {message.payload}"
        case m.CopyData():
            return f"COPY {_shown(message.data)}"
        case m.FunctionCallResponse():
            return f"FUNCRESULT {_shown(message.value or b'')}"
        case m.ReadyForQuery():
            return f"READY {message.status.decode()}"
        case m.RowDescription():
            return "COLUMNS " + ", ".join(f"{c.name}:{c.type_oid}({c.table_oid}.{c.attnum})" for c in message.columns)
        case _:
            return type(message).__name__


def _shown(value: bytes) -> str:
    """Text as it is; anything else byte by byte."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
    return text


def served(frames: Iterable[Frame]) -> bool:
    """Whether no statement failed: nothing was refused, by the proxy or by the server."""
    return all(kind not in (BackendType.ERROR_RESPONSE, 0) for kind, _ in frames)
