"""Our side of a login, facing the client: from the first byte to the query phase.

Rules of the machine:

1. All transitions stand in ``_TRANSITIONS``: (state, packet) -> handler, which sets the next state. ``_READERS`` says
   what a state reads; anything else is a ProtocolError. Every error closes the machine; the caller may still tell the
   client why with ``refuse``.
2. No byte is read before TLS and used after it: anything behind an SSLRequest that we accept is an error
   (the class of CVE-2021-23222).
3. A state without a reader waits for the caller: the handshake (``tls_started``), the verifier (``authenticate``), the
   greeting (``ready``). What the client sends meanwhile is kept, within a bound, or is an error.

    STARTUP --SSLRequest--> HANDSHAKE --tls_started()--> STARTUP
    STARTUP --StartupMessage--> NAMED --authenticate()--> SASL_FIRST --> SASL_FINAL --> PROVEN --ready()--> READY
    STARTUP --CancelRequest--> CLOSED                               SASL_FINAL --wrong proof--> CLOSED
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from maskproxy.base import limits
from maskproxy.base.errors import AuthenticationFailed, MaskproxyError, ProtocolError, StartupRefused
from maskproxy.wire.postgres.authentication import (
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
)
from maskproxy.wire.postgres.backend_messages import (
    IDLE,
    BackendKeyData,
    NegotiateProtocolVersion,
    ParameterStatus,
    ReadyForQuery,
)
from maskproxy.wire.postgres.errors import error_fields
from maskproxy.wire.postgres.framing import HEADER, next_frame
from maskproxy.wire.postgres.frontend_messages import FrontendType, SASLInitialResponse, SASLResponse
from maskproxy.wire.postgres.scram import MECHANISM, ScramServer, ScramVerifier
from maskproxy.wire.postgres.startup import (
    NEWEST_MINOR,
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    take_startup,
)

OPTION_PREFIX = "_pq_."  # names of protocol options in a StartupMessage; we know none
MAX_UNREAD = limits.MAX_AUTH_MESSAGE + limits.READ_SIZE


@dataclass(frozen=True, slots=True)
class TlsRequested:
    """``S`` has been answered: do the handshake, then call ``tls_started``."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The connection has no other purpose: pass it on and close."""

    process_id: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartupReceived:
    """Who wants what: the version agreed on and the startup parameters. Call ``authenticate`` or ``refuse``."""

    major: int
    minor: int
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Authenticated:
    """``matched`` is the index of the verifier's key that the client's password fits."""

    matched: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The password was wrong, and the client has been told."""


Event = TlsRequested | CancelRequested | StartupReceived | Authenticated | Rejected
_Incoming = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest | SASLInitialResponse | SASLResponse


class _State(Enum):
    STARTUP = auto()
    HANDSHAKE = auto()
    NAMED = auto()
    SASL_FIRST = auto()
    SASL_FINAL = auto()
    PROVEN = auto()
    READY = auto()
    CLOSED = auto()


class FrontendLogin:
    """One client's login. ``receive`` takes bytes and returns events; ``data_to_send`` returns bytes for the client.

    ``receive`` raises ProtocolError or StartupRefused; call ``refuse`` with it, send what is left, and close.
    """

    def __init__(self, *, tls_available: bool, tls_active: bool = False) -> None:
        self._state = _State.STARTUP
        self._tls_available = tls_available
        self._tls_active = tls_active
        self._asked: set[type[_Incoming]] = set()
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._user = ""
        self._scram: ScramServer | None = None

    def receive(self, data: bytes) -> list[Event]:
        if self._state is _State.CLOSED:
            return []
        try:
            if data and self._state is _State.HANDSHAKE:
                raise ProtocolError("received unencrypted data after SSL request")
            self._incoming += data
            events = self._advance()
            if len(self._incoming) > MAX_UNREAD:
                raise ProtocolError("too much data before the login is complete")
        except MaskproxyError:
            self._close()
            raise
        return events

    def data_to_send(self) -> bytes:
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def rest(self) -> bytes:
        """Return what the client sent beyond the login."""
        return self._consume(len(self._incoming))

    def tls_started(self) -> None:
        self._expect(_State.HANDSHAKE)
        self._tls_active = True
        self._state = _State.STARTUP

    def authenticate(self, verifier: ScramVerifier, nonce: bytes | str) -> list[Event]:
        """Ask for the password. Events come at once only if the client sent its answer before the question."""
        self._expect(_State.NAMED)
        self._scram = ScramServer(verifier, nonce)
        self._outgoing += AuthenticationSASL((MECHANISM,)).encode()
        self._state = _State.SASL_FIRST
        return self.receive(b"")

    def refuse(self, error: MaskproxyError) -> None:
        """Tell the client why this is the end."""
        self._outgoing += error_fields(error, "FATAL").encode()
        self._close()

    def ready(self, parameters: Mapping[str, str], process_id: int, key: bytes) -> None:
        """Greet the client with its settings and cancel key: it may send queries from now on."""
        self._expect(_State.PROVEN)
        for name, value in parameters.items():
            self._outgoing += ParameterStatus(name, value).encode()
        self._outgoing += BackendKeyData(process_id, key).encode()
        self._outgoing += ReadyForQuery(IDLE).encode()
        self._state = _State.READY

    def _expect(self, state: _State) -> None:
        if self._state is not state:
            raise RuntimeError(f"the login is in state {self._state.name}, not {state.name}")

    def _close(self) -> None:
        self._state = _State.CLOSED
        self._incoming.clear()

    def _consume(self, size: int) -> bytes:
        data = bytes(self._incoming[:size])
        del self._incoming[:size]
        return data

    def _advance(self) -> list[Event]:
        events: list[Event] = []
        while (read := _READERS.get(self._state)) and (packet := read(self)) is not None:
            events += _TRANSITIONS[self._state, type(packet)](self, packet)
        return events

    def _take_startup(self) -> _Incoming | None:
        if (taken := take_startup(self._incoming)) is None:
            return None
        packet, size = taken
        self._consume(size)
        return packet

    def _take_sasl_first(self) -> _Incoming | None:
        payload = self._take_password()
        return None if payload is None else SASLInitialResponse.decode(payload)

    def _take_sasl_final(self) -> _Incoming | None:
        payload = self._take_password()
        return None if payload is None else SASLResponse.decode(payload)

    def _take_password(self) -> bytes | None:
        end = next_frame(self._incoming, 0, limits.MAX_AUTH_MESSAGE)
        if not end:
            return None
        if self._incoming[0] != FrontendType.PASSWORD:
            raise ProtocolError("expected a SASL response", detail=f"The message type is {self._incoming[0]}.")
        return self._consume(end)[HEADER:]

    def _once(self, packet: SSLRequest | GSSENCRequest) -> None:
        """Encryption is asked for at most once each, and not inside TLS (``ProcessStartupPacket``)."""
        if self._tls_active or type(packet) in self._asked:
            raise ProtocolError("unexpected request for encryption")
        self._asked.add(type(packet))

    def _on_ssl_request(self, packet: SSLRequest) -> list[Event]:
        self._once(packet)
        if not self._tls_available:
            self._outgoing += b"N"
            return []
        if self._incoming:
            raise ProtocolError("received unencrypted data after SSL request")
        self._outgoing += b"S"
        self._state = _State.HANDSHAKE
        return [TlsRequested()]

    def _on_gssenc_request(self, packet: GSSENCRequest) -> list[Event]:
        self._once(packet)
        self._outgoing += b"N"
        return []

    def _on_cancel_request(self, packet: CancelRequest) -> list[Event]:
        self._close()
        return [CancelRequested(packet.process_id, packet.key)]

    def _on_startup_message(self, packet: StartupMessage) -> list[Event]:
        self._user = packet.parameters.get("user", "")
        if not self._user:
            raise StartupRefused("no user name specified in startup packet")
        options = tuple(name for name in packet.parameters if name.startswith(OPTION_PREFIX))
        minor = min(packet.minor, NEWEST_MINOR)
        if options or minor != packet.minor:
            self._outgoing += NegotiateProtocolVersion(minor, options).encode()
        self._state = _State.NAMED
        parameters = {name: value for name, value in packet.parameters.items() if name not in options}
        return [StartupReceived(packet.major, minor, parameters)]

    def _on_sasl_first(self, packet: SASLInitialResponse) -> list[Event]:
        assert self._scram is not None
        if packet.mechanism != MECHANISM or packet.data is None:
            raise ProtocolError("client selected an invalid SASL authentication mechanism")
        self._outgoing += AuthenticationSASLContinue(self._scram.first(packet.data)).encode()
        self._state = _State.SASL_FINAL
        return []

    def _on_sasl_final(self, packet: SASLResponse) -> list[Event]:
        assert self._scram is not None
        server_final = self._scram.final(packet.data)
        if server_final is None or self._scram.matched is None:
            # the words of PostgreSQL, the same for a wrong password and an unknown principal
            self.refuse(AuthenticationFailed(f'password authentication failed for user "{self._user}"'))
            return [Rejected()]
        self._outgoing += AuthenticationSASLFinal(server_final).encode() + AuthenticationOk().encode()
        self._state = _State.PROVEN
        return [Authenticated(self._scram.matched)]


_READERS: Mapping[_State, Callable[[FrontendLogin], _Incoming | None]] = MappingProxyType(
    {
        _State.STARTUP: FrontendLogin._take_startup,
        _State.SASL_FIRST: FrontendLogin._take_sasl_first,
        _State.SASL_FINAL: FrontendLogin._take_sasl_final,
    }
)

_TRANSITIONS: Mapping[tuple[_State, type[_Incoming]], Callable[[FrontendLogin, Any], list[Event]]] = MappingProxyType(
    {
        (_State.STARTUP, SSLRequest): FrontendLogin._on_ssl_request,
        (_State.STARTUP, GSSENCRequest): FrontendLogin._on_gssenc_request,
        (_State.STARTUP, CancelRequest): FrontendLogin._on_cancel_request,
        (_State.STARTUP, StartupMessage): FrontendLogin._on_startup_message,
        (_State.SASL_FIRST, SASLInitialResponse): FrontendLogin._on_sasl_first,
        (_State.SASL_FINAL, SASLResponse): FrontendLogin._on_sasl_final,
    }
)
