"""A client's way in: from its first byte to a backend that is logged in.

    CONNECTED --password fits, admitted--> ADMITTED --backend ready--> in: ``begin`` of the connection

Everything that decides is in ``admission``; what becomes of a client that is in, or is out, in ``connection``.
"""

import asyncio
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from maskproxy.base import limits
from maskproxy.base.errors import (
    BackendUnavailable,
    MaskproxyError,
    ProtocolError,
    SessionEnded,
    SessionError,
    StartupRefused,
)
from maskproxy.identity.access import verifier_for
from maskproxy.proxy.admission import Admission, Startup, admit, read_startup
from maskproxy.proxy.journal import SessionJournal
from maskproxy.proxy.link import Link
from maskproxy.proxy.pool import BackendPool
from maskproxy.proxy.tls import ALPN
from maskproxy.store.snapshot import TokenEntry
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
    from maskproxy.proxy.connection import ClientConnection
    from maskproxy.proxy.worker import Worker

_CLIENT_HELLO = 0x16  # first byte of a TLS record: a client that starts TLS without asking


class ClientLogin:
    """Use: ``receive`` bytes; ``client`` hears how it ends. After ``stop`` nothing more happens."""

    def __init__(self, client: "ClientConnection", worker: "Worker", link: Link, journal: SessionJournal) -> None:
        self._client = client
        self._worker = worker
        self._link = link
        self._journal = journal
        self._protocol = FrontendLogin(tls_available=worker.tls_context is not None)
        self._startup: Startup | None = None
        self._tokens: tuple[TokenEntry, ...] = ()
        self._minor = 0
        self._seen_bytes = False
        self._tls_requested = False
        self._connecting: asyncio.Task[None] | None = None
        self._deadline = asyncio.get_running_loop().call_later(limits.LOGIN_SECONDS, self._expired)

    def stop(self) -> None:
        """The client is in, or gone."""
        self._deadline.cancel()
        if self._connecting is not None:
            self._connecting.cancel()

    def _expired(self) -> None:
        self._client.end(SessionEnded("login took too long"))

    # bytes

    def receive(self, data: bytes) -> None:
        """Raises ProtocolError, SessionError, ssl.SSLError."""
        if not self._seen_bytes:
            self._seen_bytes = True
            if data[0] == _CLIENT_HELLO and self._worker.tls_context is not None:
                self._protocol = FrontendLogin(tls_available=True, tls_active=True)
                self._start_tls()
        if clear := self._decrypt(data):
            self._take(clear)

    def refuse(self, error: MaskproxyError) -> None:
        """Tell the client why it is not let in, unless it would read that in the clear."""
        if self._seen_bytes and self._link.secret:
            self._link.write([error_fields(error, "FATAL").encode()])

    def greet(self, shown: Mapping[str, str], process_id: int) -> bytes:
        """Tell the client that it is in; the key with which it may cancel."""
        key = secrets.token_bytes(32 if self._minor >= 2 else 4)
        self._protocol.ready(shown, process_id, key)
        self._link.write([self._protocol.data_to_send()])
        return key

    def rest(self) -> bytes:
        """What the client sent behind its login."""
        return self._protocol.rest()

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

    def _take(self, data: bytes) -> None:
        events = self._protocol.receive(data)
        while events:
            following: list[Event] = []
            for event in events:
                following += self._on_event(event)
            events = following
        if out := self._protocol.data_to_send():
            self._link.write([out])
        if self._tls_requested and self._link.tls is None:
            self._start_tls()  # the answer to SSLRequest was the last thing in the clear

    # who it is

    def _on_event(self, event: Event) -> list[Event]:
        match event:
            case TlsRequested():
                self._tls_requested = True
                self._protocol.tls_started()
            case CancelRequested(process_id, key):
                self._worker.cancel(process_id, key, self._journal)
                self._client.close()
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
                return self._protocol.authenticate(verifier, secrets.token_urlsafe(18))
            case Authenticated(matched):
                self._authenticated(matched)
            case Rejected():
                self._journal.auth_fail("wrong password or unknown principal")
                self._link.write([self._protocol.data_to_send()])
                self._client.close()
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
            self._deny(error)
            return
        self._client.admission = admission
        self._journal.admitted(admission, startup.application_name)
        self._deadline.cancel()  # the wait for a backend has its own
        pool = worker.pools[admission.policies.database.name]
        if (lease := pool.take(admission)) is not None:
            self._client.begin(pool, lease)
        else:
            self._connecting = worker.spawn(self._connect(pool, admission))
            if self._connecting is None:
                self._client.end(SessionEnded("maskproxy is shutting down", hint="Connect again."))

    def _deny(self, error: MaskproxyError) -> None:
        self._journal.denied_session(error)
        self._client.end(error)

    # its backend

    async def _connect(self, pool: BackendPool, admission: Admission) -> None:
        try:
            lease = await pool.wait(admission)
        except SessionError as error:
            self._connecting = None
            self._deny(error)
        except MaskproxyError as error:
            self._connecting = None
            self._journal.denied_session(error)
            self._client.end(BackendUnavailable("the database is not available"))
        else:
            self._connecting = None
            self._client.begin(pool, lease)
