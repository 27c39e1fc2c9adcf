"""Connections to databases: opened and authenticated here, then only bytes in and bytes out."""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence

from maskproxy.base import limits
from maskproxy.base.errors import BackendUnavailable, MaskproxyError
from maskproxy.base.secret import Secret
from maskproxy.core.settings import Database
from maskproxy.proxy.link import Link
from maskproxy.proxy.tls import database_context
from maskproxy.wire.postgres.backend import BackendLogin, BackendReady, TlsAccepted, TlsRefused
from maskproxy.wire.postgres.messages import IDLE, ReadyForQuery, Terminate
from maskproxy.wire.postgres.scram import Salting, salted_password
from maskproxy.wire.postgres.startup import CancelRequest, SSLRequest

_AT_REST = ReadyForQuery(IDLE).encode()
_GOODBYE = Terminate().encode()
_GOODBYE_SECONDS = 5.0  # how long a server may take to read what is still on its way


def _nothing() -> None:
    pass


def _ignore(data: bytes) -> None:
    pass


class BackendConnection(asyncio.Protocol):
    """One connection to a database. ``ready`` ends with what the server said at login, or with the error.

    After login it serves whoever it was handed over to last: bytes go to ``on_data``; ``on_lost`` is called once when
    the connection is gone; ``on_pace`` whenever ``link.write_paused`` changes.
    """

    def __init__(self, login: BackendLogin, context: ssl.SSLContext | None, hostname: str) -> None:
        self._login: BackendLogin | None = login
        self._context = context
        self._hostname = hostname
        self.link = Link()
        self.ready: asyncio.Future[BackendReady] = asyncio.get_running_loop().create_future()
        self._early = b""  # what the server sent right behind its login
        self._last = b""  # bytes of all that the server sent
        self._on_data: Callable[[bytes], None] = self._keep
        self._on_lost: Callable[[], None] = _nothing
        self._on_pace: Callable[[], None] = _nothing

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.link.attach(transport)
        if self._login is not None:
            self.link.write([self._login.start()])

    def data_received(self, data: bytes) -> None:
        try:
            data = self.link.receive(data)
            if self._login is not None:
                self._log_in(self._login, data)
            elif data:
                self._last = (data if len(data) >= len(_AT_REST) else self._last + data)[-len(_AT_REST) :]
                self._on_data(data)
        except (MaskproxyError, ssl.SSLError) as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(BackendUnavailable("the database closed the connection during login"))
        self._on_lost()

    def pause_writing(self) -> None:
        self.link.write_paused = True
        self._on_pace()

    def resume_writing(self) -> None:
        self.link.write_paused = False
        self._on_pace()

    # use

    @property
    def open(self) -> bool:
        return self.link.open

    @property
    def at_rest(self) -> bool:
        """The server's last word was that it waits for a query outside of any transaction; what was sent to it since
        is for the caller to know.

        No other message that can be the last of an answer ends with the bytes of that one.
        """
        return self._last.endswith(_AT_REST)

    def hand_over(
        self,
        on_data: Callable[[bytes], None],
        on_lost: Callable[[], None],
        on_pace: Callable[[], None] | None = None,
    ) -> None:
        """From now on it serves these, and nobody else."""
        self._on_data, self._on_lost, self._on_pace = on_data, on_lost, on_pace or _nothing
        early, self._early = self._early, b""
        if early:
            on_data(early)

    def write(self, chunks: Sequence[bytes]) -> None:
        self.link.write(chunks)

    def set_reading(self, reading: bool) -> None:
        self.link.set_reading(reading)

    def close(self) -> None:
        self._forget()
        if self._login is None:
            self.link.write([_GOODBYE])
        self.link.close(_GOODBYE_SECONDS)

    def abort(self) -> None:
        self._forget()
        self.link.abort()

    def _forget(self) -> None:
        self._on_data, self._on_lost, self._on_pace = _ignore, _nothing, _nothing

    # login

    def _log_in(self, login: BackendLogin, data: bytes) -> None:
        for event in login.receive(data):
            if isinstance(event, TlsAccepted) and self._context is not None:
                self.link.start_tls(self._context, server_side=False, server_hostname=self._hostname)
                login.tls_started()
            elif isinstance(event, TlsRefused | TlsAccepted):
                raise BackendUnavailable("the database does not offer TLS", hint="See the setting databases.*.tls.")
            elif isinstance(event, BackendReady):
                self._login = None
                self._early = login.rest()
                self._last = (ReadyForQuery(event.status).encode() + self._early)[-len(_AT_REST) :]
                if not self.ready.done():
                    self.ready.set_result(event)
        if self.link.secret and (out := login.data_to_send()):
            self.link.write([out])

    def _fail(self, error: Exception) -> None:
        if not self.ready.done():
            if isinstance(error, ssl.SSLError):
                reason = getattr(error, "verify_message", None) or error.reason or "handshake failed"
                error = BackendUnavailable(f"TLS with the database failed: {reason}")
            self.ready.set_exception(error)
        self.link.abort()

    def _keep(self, data: bytes) -> None:
        self._early += data


async def connect_backend(
    database: Database,
    password: Secret[str] | None,
    parameters: Mapping[str, str],
    salting: Salting = salted_password,
) -> tuple[BackendConnection, BackendReady]:
    """A connection that is logged in. Raises BackendUnavailable."""
    connection: BackendConnection | None = None
    try:
        context = database_context(database)
        login = BackendLogin(
            user=database.user,
            password=password,
            database=database.dbname,
            parameters=parameters,
            tls=context is not None,
            nonce=secrets.token_urlsafe(18),
            salting=salting,
        )
        async with asyncio.timeout(limits.BACKEND_CONNECT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: BackendConnection(login, context, database.host), database.host, database.port
            )
            return connection, await connection.ready
    except BaseException as error:
        if connection is not None:
            connection.abort()
        if isinstance(error, OSError | TimeoutError):
            raise BackendUnavailable(f'database "{database.name}" cannot be reached') from error
        raise


async def cancel_backend(database: Database, ready: BackendReady, done: Callable[[], None]) -> None:
    """Ask the server to cancel what this backend runs. Best effort, like the protocol's own request."""
    await _send_cancel(database, ready)
    done()


async def _send_cancel(database: Database, ready: BackendReady) -> None:
    try:
        context = database_context(database)
        async with asyncio.timeout(limits.BACKEND_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(database.host, database.port)
            try:
                if context is not None:
                    writer.write(SSLRequest().encode())
                    if await reader.readexactly(1) != b"S":
                        return
                    await writer.start_tls(context, server_hostname=database.host)
                writer.write(CancelRequest(ready.process_id, ready.key).encode())
                await writer.drain()
                await reader.read(1)  # the server closes when it has passed the request on
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ssl.SSLError):
        return
