"""One client: its transport, its login, and the pump between its session and its backend.

    LOGIN --authenticated and admitted--> CONNECTING --backend ready--> SESSION --> CLOSED

Everything that decides is elsewhere (``admission``, ``session``); here bytes are moved, and the slower side sets the
pace.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from maskproxy.base import limits
from maskproxy.base.errors import (
    BackendUnavailable,
    MaskproxyError,
    ProtocolError,
    SessionEnded,
    SessionError,
    StartupRefused,
    TooManySessions,
)
from maskproxy.identity.access import verifier_for
from maskproxy.proxy.admission import Admission, Startup, admit, read_startup
from maskproxy.proxy.backends import BackendConnection, cancel_backend, connect_backend
from maskproxy.proxy.journal import SessionJournal
from maskproxy.proxy.link import Link
from maskproxy.proxy.statement_timer import StatementTimer
from maskproxy.proxy.tls import ALPN
from maskproxy.session import actions as a
from maskproxy.session.postgres import PostgresSession
from maskproxy.session.scrub import FORWARDED_PARAMETERS
from maskproxy.store.configuration import read_password
from maskproxy.store.snapshot import TokenEntry
from maskproxy.wire.postgres.backend import BackendReady
from maskproxy.wire.postgres.errors import error_fields
from maskproxy.wire.postgres.frontend import (
    Authenticated,
    CancelRequested,
    Event,
    FrontendLogin,
    Rejected,
    StartupReceived,
    TlsRequested,
)

if TYPE_CHECKING:
    from maskproxy.proxy.worker import Worker

_CLIENT_HELLO = 0x16  # first byte of a TLS record: a client that starts TLS without asking
_FLUSH_SECONDS = 5.0  # how long a closed client may take to read the last bytes


class Phase(Enum):
    LOGIN = auto()
    CONNECTING = auto()
    SESSION = auto()
    CLOSED = auto()


class ClientConnection(asyncio.Protocol):
    """The transport's protocol object. ``process_id`` and ``cancel_key`` are what the client may cancel with."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self.phase = Phase.LOGIN
        self.admission: Admission | None = None
        self.process_id: int | None = None  # the backend's; None as long as there is nothing to cancel
        self.cancel_key = b""
        self._link = Link()
        self._login = FrontendLogin(tls_available=worker.tls_context is not None)
        self._startup: Startup | None = None
        self._tokens: tuple[TokenEntry, ...] = ()
        self._minor = 0
        self._session: PostgresSession | None = None
        self._backend: BackendConnection | None = None
        self._backend_ready: BackendReady | None = None
        self._abandon: Callable[[], None] = lambda: None  # of the analysis this client waits for
        self._timer = StatementTimer(self.cancel_query)
        self._write_paused = False
        self._seen_bytes = False
        self._tls_requested = False
        self._deadline: asyncio.TimerHandle | None = None
        self._journal = SessionJournal.connected(worker.journal, "unknown", worker.listener_name)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.attach(transport)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else "unix"
        self._journal = SessionJournal.connected(self._worker.journal, address, self._worker.listener_name)
        self._deadline = asyncio.get_running_loop().call_later(limits.LOGIN_SECONDS, self._login_expired)
        if not self._worker.register(self):
            self._fail(TooManySessions("too many sessions"))

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.CLOSED:
            return
        try:
            if not self._seen_bytes:
                self._seen_bytes = True
                if data[0] == _CLIENT_HELLO and self._worker.tls_context is not None:
                    self._login = FrontendLogin(tls_available=True, tls_active=True)
                    self._start_tls()
            if data := self._decrypt(data):
                self._receive(data)
        except ssl.SSLError as error:
            self._broken(f"TLS with the client failed: {error.reason or 'handshake failed'}")
            self._close(None)
        except ProtocolError as error:
            self._broken(error.message)
            self._fail(error)
        except SessionError as error:
            self._journal.denied_session(error)
            self._fail(error)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        expected = self._session is None or self._session.closed or self._session.leaving
        self._close(None if expected else SessionEnded("the client closed the connection"))

    def pause_writing(self) -> None:
        self._write_paused = True
        self._pace()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._pace()

    # bytes

    def _decrypt(self, data: bytes) -> bytes:
        secret = self._link.secret
        clear = self._link.receive(data)
        tls = self._link.tls
        if tls is not None and not secret and tls.established and tls.alpn is None and not self._tls_requested:
            raise ProtocolError(f'direct TLS needs the ALPN protocol "{ALPN}"')
        return clear

    def _start_tls(self) -> None:
        if self._worker.tls_context is None:
            raise ProtocolError("TLS is not configured")
        self._link.start_tls(self._worker.tls_context, server_side=True)

    def _receive(self, data: bytes) -> None:
        if self._session is not None:
            self._session.client_data(data)
            self._flush()
        else:
            self._log_in(data)

    # login

    def _log_in(self, data: bytes) -> None:
        events = self._login.receive(data)
        while events:
            following: list[Event] = []
            for event in events:
                following += self._on_login_event(event)
            events = following
        if out := self._login.data_to_send():
            self._link.write([out])
        if self._tls_requested and self._link.tls is None:
            self._start_tls()  # the answer to SSLRequest was the last thing in the clear

    def _on_login_event(self, event: Event) -> list[Event]:
        match event:
            case TlsRequested():
                self._tls_requested = True
                self._login.tls_started()
            case CancelRequested(process_id, key):
                self._worker.cancel(process_id, key, self._journal)
                self._close(None)
            case StartupReceived(_, minor, parameters):
                self._minor = minor
                self._check_clear_text()
                self._startup = read_startup(parameters)
                tls = None if self._link.tls is None else self._link.tls.version
                self._journal.claims(self._startup.user, self._startup.application_name, tls)
                snapshot, user = self._worker.snapshot, self._startup.user
                entry = snapshot.principals.get(user)
                self._tokens = () if entry is None else entry.tokens  # what ``matched`` counts
                verifier = verifier_for(snapshot, user, self._worker.identity_key.reveal())
                return self._login.authenticate(verifier, secrets.token_urlsafe(18))
            case Authenticated(matched):
                self._authenticated(matched)
            case Rejected():
                self._journal.auth_fail("wrong password or unknown principal")
                self._link.write([self._login.data_to_send()])
                self._close(None)
        return []

    def _check_clear_text(self) -> None:
        if self._link.tls is None and self._worker.tls_required:
            raise StartupRefused("connections without TLS are not allowed", hint="Use sslmode=require or stronger.")

    def _authenticated(self, matched: int) -> None:
        startup = self._startup
        if startup is None:
            raise ProtocolError("authenticated before a startup message")
        worker = self._worker
        try:
            admission = admit(startup, self._tokens[matched], worker.snapshot, worker.databases, worker.now())
        except MaskproxyError as error:
            self._journal.denied_session(error)
            self._fail(error)
            return
        self.admission = admission
        self._journal.admitted(admission, startup.application_name)
        self.phase = Phase.CONNECTING
        worker.spawn(self._connect(admission))

    async def _connect(self, admission: Admission) -> None:
        try:
            database = admission.policies.database
            backend, ready = await connect_backend(database, read_password(database), admission.parameters)
        except MaskproxyError as error:
            self._journal.denied_session(error)
            self._fail(
                error if isinstance(error, SessionError) else BackendUnavailable("the database is not available")
            )
            return
        if self.phase is not Phase.CONNECTING:
            backend.close()
            return
        self._backend, self._backend_ready = backend, ready
        self._begin(admission, backend, ready)

    def _begin(self, admission: Admission, backend: BackendConnection, ready: BackendReady) -> None:
        """The backend is ours: greet the client and join both sides."""
        unrestricted = admission.policy.scope.unrestricted
        shown = {k: v for k, v in ready.parameters.items() if unrestricted or k in FORWARDED_PARAMETERS}
        self.process_id = ready.process_id
        self.cancel_key = secrets.token_bytes(32 if self._minor >= 2 else 4)
        self._login.ready(shown, self.process_id, self.cancel_key)
        self._link.write([self._login.data_to_send()])
        session = PostgresSession(admission.policy, self._worker.meter(admission))
        session.use(admission.policies.policy(admission.grant.scopes))  # replaced meanwhile, perhaps
        self._session = session
        self.phase = Phase.SESSION
        if self._deadline is not None:
            self._deadline.cancel()
        self._journal.started()
        backend.on_data = self._backend_data
        backend.on_lost = self._backend_lost
        backend.on_pace = self._pace
        if backend.early:
            session.backend_data(backend.early)
        if rest := self._login.rest():
            session.client_data(rest)
        self._flush()

    def _login_expired(self) -> None:
        if self.phase in (Phase.LOGIN, Phase.CONNECTING):
            self._fail(SessionEnded("login took too long"))

    # the pump

    def _backend_data(self, data: bytes) -> None:
        if self._session is not None:
            self._session.backend_data(data)
            self._flush()

    def _backend_lost(self) -> None:
        if self._session is not None:
            self._session.backend_lost()
            self._flush()

    def _flush(self) -> None:
        """Carry out everything the session has for us, until it has nothing left."""
        session, backend = self._session, self._backend
        if session is None or backend is None or self.phase is Phase.CLOSED:
            return
        while True:
            if chunks := session.take_to_backend():
                backend.write(chunks)
            if chunks := session.take_to_client():
                self._link.write(chunks)
            actions = session.take_actions()
            if not actions:
                break
            for action in actions:
                self._act(session, action)
        self._pace()

    def _act(self, session: PostgresSession, action: a.Action) -> None:
        match action:
            case a.Analyse(number, text):
                self._analyse(session, number, text)
            case a.RecordIntent(number):
                self._timer.started(number, session.policy.scope.limits.seconds)
                self._journal.intent(
                    action, lambda durable: self._answer(lambda s: s.recorded(number, durable=durable))
                )
            case a.RecordOutcome():
                self._timer.ended(action.number, session.policy.scope.limits.seconds)
                self._journal.outcome(action)
            case a.RecordDenial():
                self._journal.denial(action)
            case a.CatalogDisagrees() | a.SchemaChanged():
                if self.admission is not None:
                    self.admission.policies.refresh()
            case a.CancelStatement():
                self.cancel_query(lambda: self._answer(PostgresSession.cancelled))
            case a.CloseSession(error):
                if isinstance(error, ProtocolError):
                    self._broken(error.message)
                if chunks := session.take_to_client():
                    self._link.write(chunks)
                self._close(error)

    def _analyse(self, session: PostgresSession, number: int, text: str) -> None:
        self._abandon()  # one that was cancelled
        client = None if self.admission is None else self.admission.grant.principal
        self._abandon = self._worker.analysts.submit(
            client, session.policy, text, lambda result: self._answer(lambda s: s.analysed(number, result))
        )

    def _answer(self, answer: Callable[[PostgresSession], None]) -> None:
        if self._session is not None and self.phase is Phase.SESSION:
            answer(self._session)
            self._flush()

    def _pace(self) -> None:
        """Read from each side only while the other keeps up and nothing piles up in between."""
        session, backend = self._session, self._backend
        if session is None or backend is None:
            return
        backend.set_reading(not self._write_paused and not session.backend_full)
        self._link.set_reading(not backend.write_paused and not session.client_full)

    # the end

    def apply_policy(self) -> None:
        """Rules or catalog were replaced."""
        if self._session is None or self.admission is None:
            return
        try:
            self._session.use(self.admission.policies.policy(self.admission.grant.scopes))
        except MaskproxyError:
            self._session.end(SessionEnded("the rules no longer have this session's scope"))
        self._flush()

    def end(self, error: MaskproxyError) -> None:
        """End this connection in whatever phase it is, and tell the client why."""
        if self._session is not None:
            self._session.end(error)
            self._flush()
        else:
            self._fail(error)

    @property
    def idle(self) -> bool:
        return self._session is None or self._session.idle

    def cancel(self) -> None:
        self._answer(PostgresSession.cancel)

    def cancel_query(self, done: Callable[[], None] = lambda: None) -> None:
        """Pass a cancel request on to the server."""
        if self._backend_ready is not None and self.admission is not None and self.phase is Phase.SESSION:
            self._worker.spawn(cancel_backend(self.admission.policies.database, self._backend_ready, done))

    def _fail(self, error: MaskproxyError) -> None:
        """End before there is a session."""
        if self.phase is Phase.CLOSED:
            return
        if self._seen_bytes and self._link.secret:
            self._link.write([error_fields(error, "FATAL").encode()])
        self._close(error)

    def _broken(self, why: str) -> None:
        """Someone broke a protocol: recorded, and logged at a bounded rate."""
        self._journal.protocol_error(why)
        self._worker.warn("protocol error", why=why)

    def _close(self, error: MaskproxyError | None) -> None:
        if self.phase is Phase.CLOSED:
            return
        busy = self._session is not None and not self._session.idle
        if busy and error is not None:
            self.cancel_query()
        if self._session is not None:
            self._journal.ended(error)
        self.phase = Phase.CLOSED
        self._timer.stop()
        self._abandon()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._backend is not None:
            self._backend.close()
        self._link.close(_FLUSH_SECONDS)
        self._worker.forget(self)
