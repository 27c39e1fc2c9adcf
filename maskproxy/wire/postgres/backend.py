"""Our side of a login, facing the database: from the first byte to ReadyForQuery.

Rules of the machine:

1. All transitions stand in ``_TRANSITIONS``: (state, message) -> handler, which sets the next state. What is not there
   is a ProtocolError. ErrorResponse ends the login in any state, NoticeResponse is skipped in any.
2. The answer to SSLRequest is one byte with nothing behind it (the class of CVE-2021-23222): it came unencrypted.
3. A server that was asked for SCRAM proves itself before AuthenticationOk counts. A password in clear goes out under
   TLS only.

We ask for protocol 3.0, which every server speaks; 3.2 adds nothing here but longer cancel keys.

    TLS --"S"--> HANDSHAKE --tls_started()--> ASKED        TLS --"N"--> DECLINED --tls_declined()--> ASKED
    ASKED --SASL--> SCRAM_FIRST --Continue--> SCRAM_FINAL --Final--> ANSWERED
    ASKED --MD5, cleartext--> ANSWERED      ASKED, ANSWERED --Ok--> GREETING --ReadyForQuery--> READY
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import md5
from types import MappingProxyType
from typing import Any

from maskproxy.base import limits
from maskproxy.base.errors import BackendUnavailable, MaskproxyError, ProtocolError
from maskproxy.base.secret import Secret
from maskproxy.wire.postgres.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
)
from maskproxy.wire.postgres.backend_messages import (
    BackendKeyData,
    ErrorResponse,
    NoticeResponse,
    ParameterStatus,
    ReadyForQuery,
    decode_backend,
)
from maskproxy.wire.postgres.codec import Message
from maskproxy.wire.postgres.framing import Frames
from maskproxy.wire.postgres.frontend_messages import PasswordMessage, SASLInitialResponse, SASLResponse
from maskproxy.wire.postgres.scram import MECHANISM, Salting, ScramClient, salted_password
from maskproxy.wire.postgres.startup import MAJOR, SSLRequest, StartupMessage


@dataclass(frozen=True, slots=True)
class TlsAccepted:
    """Do the handshake, then call ``tls_started`` and send what there is."""


@dataclass(frozen=True, slots=True)
class TlsRefused:
    """Close, or call ``tls_declined`` to go on in clear."""


@dataclass(frozen=True, slots=True)
class BackendReady:
    """Logged in: the server's settings, its cancel key (empty if it has none) and the transaction status."""

    parameters: Mapping[str, str]
    process_id: int
    key: bytes = field(repr=False)
    status: bytes


Event = TlsAccepted | TlsRefused | BackendReady


class _State(Enum):
    NEW = auto()
    TLS = auto()
    HANDSHAKE = auto()
    DECLINED = auto()
    ASKED = auto()
    SCRAM_FIRST = auto()
    SCRAM_FINAL = auto()
    ANSWERED = auto()
    GREETING = auto()
    READY = auto()
    CLOSED = auto()


_READING = frozenset({_State.ASKED, _State.SCRAM_FIRST, _State.SCRAM_FINAL, _State.ANSWERED, _State.GREETING})


class BackendLogin:
    """One login. ``receive`` raises BackendUnavailable when the server refuses, ProtocolError when it cheats.

    ``nonce`` is the SCRAM client's, random and used once; ``parameters`` are startup parameters besides those named.
    ``salting`` may know the password's salted form from an earlier login.
    """

    def __init__(
        self,
        *,
        user: str,
        password: Secret[str] | None,
        database: str,
        parameters: Mapping[str, str],
        tls: bool,
        nonce: bytes | str,
        salting: Salting = salted_password,
    ) -> None:
        self._startup = StartupMessage(MAJOR, 0, {"user": user, "database": database, **parameters})
        self._user = user
        self._password = password
        self._ask_tls = tls
        self._tls_active = False
        self._nonce = nonce
        self._salting = salting
        self._scram: ScramClient | None = None
        self._state = _State.NEW
        self._frames = Frames(limits.MAX_AUTH_MESSAGE)
        self._outgoing = bytearray()
        self._settings: dict[str, str] = {}
        self._process_id, self._key = 0, b""

    def start(self) -> bytes:
        """Return the first bytes for the server."""
        self._expect(_State.NEW)
        if self._ask_tls:
            self._state = _State.TLS
            return SSLRequest().encode()
        self._state = _State.ASKED
        return self._startup.encode()

    def receive(self, data: bytes) -> list[Event]:
        if self._state is _State.CLOSED or not data:
            return []
        try:
            if self._state is _State.TLS:
                return self._on_tls_answer(data)
            if self._state in (_State.NEW, _State.HANDSHAKE, _State.DECLINED):
                raise ProtocolError("the server sent data before the startup message")
            self._frames.feed(data)
            return self._advance()
        except MaskproxyError:
            self._state = _State.CLOSED
            raise

    def data_to_send(self) -> bytes:
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def rest(self) -> bytes:
        """Return what the server sent after ReadyForQuery."""
        return self._frames.rest()

    def tls_started(self) -> None:
        self._expect(_State.HANDSHAKE)
        self._tls_active = True
        self._send(self._startup, _State.ASKED)

    def tls_declined(self) -> None:
        self._expect(_State.DECLINED)
        self._send(self._startup, _State.ASKED)

    def _expect(self, state: _State) -> None:
        if self._state is not state:
            raise RuntimeError(f"the login is in state {self._state.name}, not {state.name}")

    def _send(self, message: Message | StartupMessage, state: _State) -> None:
        self._outgoing += message.encode()
        self._state = state

    def _on_tls_answer(self, data: bytes) -> list[Event]:
        answer = _TLS_ANSWERS.get(data)
        if answer is None:  # an ErrorResponse, too: unauthenticated text is not shown to anyone (CVE-2024-10977)
            raise ProtocolError("the server gave an invalid answer to the request for TLS")
        self._state, event = answer
        return [event]

    def _advance(self) -> list[Event]:
        events: list[Event] = []
        while self._state in _READING and (frame := self._frames.take()) is not None:
            message = decode_backend(*frame)
            handle = _ANY_STATE.get(type(message)) or _TRANSITIONS.get((self._state, type(message)))
            if handle is None:
                raise ProtocolError(f"the server sent {type(message).__name__} at a wrong time during login")
            events += handle(self, message)
        return events

    def _secret(self) -> str:
        if self._password is None:
            raise BackendUnavailable("the database asks for a password and none is configured")
        return self._password.reveal()

    def _on_error(self, message: ErrorResponse) -> list[Event]:
        raise BackendUnavailable(f"the database refused the login: {message.message} (SQLSTATE {message.sqlstate})")

    def _on_notice(self, message: NoticeResponse) -> list[Event]:
        return []

    def _on_ok(self, message: AuthenticationOk) -> list[Event]:
        self._state = _State.GREETING
        return []

    def _on_cleartext(self, message: AuthenticationCleartextPassword) -> list[Event]:
        if not self._tls_active:
            raise BackendUnavailable("the database asks for a password in clear, which needs TLS")
        self._send(PasswordMessage(self._secret()), _State.ANSWERED)
        return []

    def _on_md5(self, message: AuthenticationMD5Password) -> list[Event]:
        inner = _md5((self._secret() + self._user).encode())
        self._send(PasswordMessage("md5" + _md5(inner.encode() + message.salt)), _State.ANSWERED)
        return []

    def _on_sasl(self, message: AuthenticationSASL) -> list[Event]:
        if MECHANISM not in message.mechanisms:
            raise BackendUnavailable(f"the database does not offer {MECHANISM}")
        self._scram = ScramClient(self._secret(), self._nonce, self._salting)
        self._send(SASLInitialResponse(MECHANISM, self._scram.first()), _State.SCRAM_FIRST)
        return []

    def _on_sasl_continue(self, message: AuthenticationSASLContinue) -> list[Event]:
        assert self._scram is not None
        self._send(SASLResponse(self._scram.continue_(message.data)), _State.SCRAM_FINAL)
        return []

    def _on_sasl_final(self, message: AuthenticationSASLFinal) -> list[Event]:
        assert self._scram is not None
        self._scram.finish(message.data)
        self._state = _State.ANSWERED
        return []

    def _on_setting(self, message: ParameterStatus) -> list[Event]:
        self._settings[message.name] = message.value
        return []

    def _on_key(self, message: BackendKeyData) -> list[Event]:
        self._process_id, self._key = message.process_id, message.key
        return []

    def _on_ready(self, message: ReadyForQuery) -> list[Event]:
        self._state = _State.READY
        return [BackendReady(self._settings, self._process_id, self._key, message.status)]


def _md5(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()  # what the server's configuration asks for


_TLS_ANSWERS: Mapping[bytes, tuple[_State, Event]] = MappingProxyType(
    {b"S": (_State.HANDSHAKE, TlsAccepted()), b"N": (_State.DECLINED, TlsRefused())}
)

_Handler = Callable[[BackendLogin, Any], list[Event]]

_ANY_STATE: Mapping[type[Message], _Handler] = MappingProxyType(
    {ErrorResponse: BackendLogin._on_error, NoticeResponse: BackendLogin._on_notice}
)

_TRANSITIONS: Mapping[tuple[_State, type[Message]], _Handler] = MappingProxyType(
    {
        (_State.ASKED, AuthenticationOk): BackendLogin._on_ok,
        (_State.ASKED, AuthenticationCleartextPassword): BackendLogin._on_cleartext,
        (_State.ASKED, AuthenticationMD5Password): BackendLogin._on_md5,
        (_State.ASKED, AuthenticationSASL): BackendLogin._on_sasl,
        (_State.SCRAM_FIRST, AuthenticationSASLContinue): BackendLogin._on_sasl_continue,
        (_State.SCRAM_FINAL, AuthenticationSASLFinal): BackendLogin._on_sasl_final,
        (_State.ANSWERED, AuthenticationOk): BackendLogin._on_ok,
        (_State.GREETING, ParameterStatus): BackendLogin._on_setting,
        (_State.GREETING, BackendKeyData): BackendLogin._on_key,
        (_State.GREETING, ReadyForQuery): BackendLogin._on_ready,
    }
)
