"""One client: its transport, its login, and what is rare in its session; the rest is the pump's.

    LOGIN --admitted, backend ready--> SESSION --> CLOSED

Everything that decides is elsewhere (``login``, ``session``); here bytes are moved, and the slower side sets the pace.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from maskproxy.base.errors import (
    BackendUnavailable,
    MaskproxyError,
    ProtocolError,
    SessionEnded,
    SessionError,
    TooManySessions,
)
from maskproxy.proxy.admission import Admission
from maskproxy.proxy.backends import cancel_backend
from maskproxy.proxy.journal import SessionJournal
from maskproxy.proxy.link import Link
from maskproxy.proxy.login import ClientLogin
from maskproxy.proxy.pool import BackendPool, Lease
from maskproxy.proxy.pump import Pump
from maskproxy.proxy.statement_timer import StatementTimer
from maskproxy.proxy.tenancy import Tenancy
from maskproxy.session import actions as a
from maskproxy.session.postgres import PostgresSession
from maskproxy.session.scrub import FORWARDED_PARAMETERS

if TYPE_CHECKING:
    from maskproxy.proxy.worker import Worker

_MOST_PROCESS_ID = (1 << 31) - 1
_FLUSH_SECONDS = 5.0  # how long a closed client may take to read the last bytes


class Phase(Enum):
    LOGIN = auto()
    SESSION = auto()
    CLOSED = auto()


class ClientConnection(asyncio.Protocol):
    """The transport's protocol object. ``process_id`` and ``cancel_key`` are what the client may cancel with.

    ``admission`` is there as soon as it is known who the client is."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self.phase = Phase.LOGIN
        self.admission: Admission | None = None
        self.process_id: int | None = None  # the backend's; None as long as there is nothing to cancel
        self.cancel_key = b""
        self._link = Link()
        self._login: ClientLogin | None = None
        self._pump: Pump | None = None  # and in it the session
        self._pool: BackendPool | None = None
        self._lease: Lease | None = None  # what we have of the pool: the backend and its cancel key
        self._spoilt = False  # the backend: a cancel request may come late, or an error of ours left it who knows how
        self._tenancy: Tenancy | None = None  # under transaction pooling
        self._abandon: Callable[[], None] = lambda: None  # of the analysis this client waits for
        self._journal = SessionJournal.connected(worker.journal, "unknown", worker.listener_name)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.attach(transport)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else "unix"
        self._journal = SessionJournal.connected(self._worker.journal, address, self._worker.listener_name)
        self._login = ClientLogin(self, self._worker, self._link, self._journal)
        if not self._worker.register(self):
            self._fail(TooManySessions("too many sessions"))

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.CLOSED:
            return
        try:
            if self._pump is None:
                if self._login is not None:
                    self._login.receive(data)
            elif self._link.tls is None or (data := self._link.receive(data)):
                if self._lease is None and self._tenancy is not None:
                    self._ask_for_backend(self._tenancy, self._pump, data)
                else:
                    self._pump.client_data(data)
        except ssl.SSLError as error:
            self._broken(f"TLS with the client failed: {error.reason or 'handshake failed'}")
            self.close()
        except ProtocolError as error:
            self._broken(error.message)
            self._fail(error)
        except SessionError as error:
            self._journal.denied_session(error)
            self._fail(error)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._spoilt = self._spoilt or not isinstance(exc, OSError | None)
        session = None if self._pump is None else self._pump.session
        expected = session is None or session.closed or session.leaving
        self._close(None if expected else SessionEnded("the client closed the connection"))

    def pause_writing(self) -> None:
        self._link.write_paused = True
        self._pace()

    def resume_writing(self) -> None:
        self._link.write_paused = False
        self._pace()

    # the session

    def begin(self, pool: BackendPool, lease: Lease) -> None:
        """The backend is ours: greet the client and join both sides."""
        admission, backend, ready = lease.admission, lease.connection, lease.ready
        login = self._login
        if login is None or self.phase is not Phase.LOGIN:
            pool.discard(lease)
            return
        self._pool, self._lease = pool, lease
        try:
            policy = admission.policies.policy(admission.grant.scopes)  # replaced meanwhile, perhaps
            if not backend.open:
                raise BackendUnavailable("the connection to the database was lost")
        except MaskproxyError as error:
            self._journal.denied_session(error)
            self._fail(error)
            return
        login.stop()
        self._login = None
        unrestricted = admission.policy.scope.unrestricted
        shown = {k: v for k, v in ready.parameters.items() if unrestricted or k in FORWARDED_PARAMETERS}
        shares = pool.shares(admission)
        # Of a session whose backend changes it says nothing; should two be alike, the key tells them apart.
        self.process_id = 1 + secrets.randbelow(_MOST_PROCESS_ID) if shares else ready.process_id
        self.cancel_key = login.greet(shown, self.process_id)
        session = PostgresSession(admission.policy, self._worker.meter(admission))
        session.use(policy)
        timer = StatementTimer(self.cancel_query)
        pump = Pump(session, self._link, backend.link, self._journal, timer, self._act, self._failed)
        self._pump = pump
        if shares:
            self._tenancy = Tenancy(self._worker, pool, admission, self._move_in, self.end)
            session.serve_by(lease.holdings)
            pump.on_portable = self._move_out
        self.phase = Phase.SESSION
        self._journal.started()
        backend.hand_over(pump.backend_data, self._backend_lost, self._pace)
        if rest := login.rest():
            pump.client_data(rest)
        else:
            pump.flush()

    # what is rare

    def _backend_lost(self) -> None:
        if self._pump is not None:
            self._pump.session.backend_lost()
            self._pump.flush()

    def _act(self, action: a.Action) -> None:
        """What is not for the pump."""
        match action:
            case a.Analyse(number, text):
                self._analyse(number, text)
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
                if self._pump is not None:
                    self._pump.flush_to_client()
                self._close(error)

    def _analyse(self, number: int, text: str) -> None:
        self._abandon()  # one that was cancelled
        if self._pump is None or self.admission is None:
            return
        client, policy = self.admission.grant.principal, self._pump.session.policy
        self._abandon = self._worker.analysts.submit(
            client, policy, text, lambda result: self._answer(lambda session: session.analysed(number, result))
        )

    def _answer(self, answer: Callable[[PostgresSession], None]) -> None:
        if self._pump is not None and self.phase is Phase.SESSION:
            try:
                answer(self._pump.session)
                self._pump.flush()
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        """A defect of ours while we answer: whoever called has others to answer, and this client would wait for ever.
        What is said of it may quote no value."""
        self._worker.warn("session failed", why=type(error).__name__)
        self._close(MaskproxyError("a defect of maskproxy ended the session"))

    def _pace(self) -> None:
        if self._pump is not None:
            self._pump.pace()

    # transaction pooling

    def _ask_for_backend(self, tenancy: Tenancy, pump: Pump, data: bytes) -> None:
        """The client says something, and has no backend."""
        if not tenancy.needs(data):
            pump.client_data(data)
        elif (lease := tenancy.seek(data)) is not None:
            self._move_in(lease)
        elif tenancy.full:
            self._link.set_reading(False)

    def _move_in(self, lease: Lease) -> None:
        tenancy, pump, pool = self._tenancy, self._pump, self._pool
        if tenancy is None or pump is None or self.phase is not Phase.SESSION:
            if pool is not None:
                pool.discard(lease)
            return
        self._lease, self._spoilt = lease, False
        try:
            pump.serve_by(lease.connection.link)
            pump.session.serve_by(lease.holdings)
            lease.connection.hand_over(pump.backend_data, self._backend_lost, self._pace)
            pump.client_data(tenancy.take_kept())
            if tenancy.take_cancelled():
                pump.session.cancel()
                pump.flush()
        except Exception as error:
            self._failed(error)

    def _move_out(self) -> None:
        """Others may have the backend until the client says something again."""
        pool, lease, pump = self._pool, self._lease, self._pump
        if pool is None or lease is None or pump is None:
            return
        if not lease.connection.at_rest:  # what it answered was behind no Sync yet: the server has a transaction open
            return
        if any(lease.ready.parameters.get(name) != value for name, value in pump.session.reported.items()):
            pump.session.pin()  # a setting is not what it was, and we do not know why
            return
        self._lease = None
        lease.holdings.pass_on()
        pump.serve_by(None)
        if self._spoilt:
            pool.discard(lease)
        else:
            pool.pass_on(lease)

    # the end

    def apply_policy(self) -> None:
        """Rules or catalog were replaced."""
        if self._pump is None or self.admission is None:
            return
        try:
            self._pump.session.use(self.admission.policies.policy(self.admission.grant.scopes))
            if self._tenancy is not None:
                self._tenancy.renew()
        except MaskproxyError:
            self._pump.session.end(SessionEnded("the rules no longer have this session's scope"))
        self._pump.flush()

    def end(self, error: MaskproxyError) -> None:
        """End this connection in whatever phase it is, and tell the client why."""
        if self._pump is not None:
            self._answer(lambda session: session.end(error))
        else:
            self._fail(error)

    @property
    def idle(self) -> bool:
        waiting = self._tenancy is not None and self._tenancy.waiting
        return self._pump is None or (self._pump.session.idle and not waiting)

    def cancel(self) -> None:
        if self._tenancy is not None and self._tenancy.waiting:
            self._tenancy.cancelled = True
        else:
            self._answer(PostgresSession.cancel)

    def cancel_query(self, done: Callable[[], None] = lambda: None) -> None:
        """Pass a cancel request on to the server."""
        if self._lease is not None and self.phase is Phase.SESSION:
            self._spoilt = True
            self._worker.spawn(cancel_backend(self._lease.admission.policies.database, self._lease.ready, done))

    def close(self) -> None:
        """Without a word: there is nothing to say, or nobody to hear it."""
        self._close(None)

    def _fail(self, error: MaskproxyError) -> None:
        """End before there is a session."""
        if self.phase is Phase.CLOSED:
            return
        if self._login is not None:
            self._login.refuse(error)
        self._close(error)

    def _broken(self, why: str) -> None:
        """Someone broke a protocol: recorded, and logged at a bounded rate."""
        self._journal.protocol_error(why)
        self._worker.warn("protocol error", why=why)

    def _close(self, error: MaskproxyError | None) -> None:
        if self.phase is Phase.CLOSED:
            return
        if not self.idle and error is not None:
            self.cancel_query()
        if self._pump is not None:
            self._journal.ended(error)
            self._pump.stop()
        self.phase = Phase.CLOSED
        self._abandon()
        if self._tenancy is not None:
            self._tenancy.stop()
        if self._login is not None:
            self._login.stop()
        self._part(error)
        self._link.close(_FLUSH_SECONDS)
        self._worker.forget(self)

    def _part(self, error: MaskproxyError | None) -> None:
        """From the backend, which may serve others if nobody has done anything to it that they could notice."""
        pool, lease, pump = self._pool, self._lease, self._pump
        self._lease = None  # what happens to it is none of our business any more
        if pool is None or lease is None:
            return
        peaceful = error is None or isinstance(error, SessionEnded)
        if pump is not None and pump.session.at_rest and peaceful and not self._spoilt:
            pool.give_back(lease, pump.session.reported)
        else:
            pool.discard(lease)
