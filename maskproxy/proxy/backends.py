"""Connections to databases: opened and authenticated here, then only bytes in and bytes out."""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Iterable, Mapping

from maskproxy.base import limits
from maskproxy.base.errors import BackendUnavailable, MaskproxyError
from maskproxy.base.secret import Secret
from maskproxy.core.settings import Database
from maskproxy.proxy.link import Link
from maskproxy.proxy.tls import database_context
from maskproxy.wire.postgres.backend import BackendLogin, BackendReady, TlsAccepted, TlsRefused
from maskproxy.wire.postgres.startup import CancelRequest, SSLRequest


class BackendConnection(asyncio.Protocol):
    """One connection to a database. ``ready`` ends with what the server said at login, or with the error.

    After login bytes go to ``on_data``; ``on_lost`` is called once when the connection is gone; ``on_pace`` whenever
    ``write_paused`` changes.
    """

    def __init__(self, login: BackendLogin, context: ssl.SSLContext | None, hostname: str) -> None:
        self._login: BackendLogin | None = login
        self._context = context
        self._hostname = hostname
        self._link = Link()
        self.ready: asyncio.Future[BackendReady] = asyncio.get_running_loop().create_future()
        self.early = b""  # what the server sent right behind its login
        self.write_paused = False
        self.on_data: Callable[[bytes], None] = self._keep
        self.on_lost: Callable[[], None] = lambda: None
        self.on_pace: Callable[[], None] = lambda: None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.attach(transport)
        if self._login is not None:
            self._link.write([self._login.start()])

    def data_received(self, data: bytes) -> None:
        try:
            data = self._link.receive(data)
            if self._login is not None:
                self._log_in(self._login, data)
            elif data:
                self.on_data(data)
        except (MaskproxyError, ssl.SSLError) as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(BackendUnavailable("the database closed the connection during login"))
        self.on_lost()

    def pause_writing(self) -> None:
        self.write_paused = True
        self.on_pace()

    def resume_writing(self) -> None:
        self.write_paused = False
        self.on_pace()

    # use

    def write(self, chunks: Iterable[bytes]) -> None:
        self._link.write(chunks)

    def set_reading(self, reading: bool) -> None:
        self._link.set_reading(reading)

    def close(self) -> None:
        self.on_lost = lambda: None
        self._link.close()

    def abort(self) -> None:
        self.on_lost = lambda: None
        self._link.abort()

    # login

    def _log_in(self, login: BackendLogin, data: bytes) -> None:
        for event in login.receive(data):
            if isinstance(event, TlsAccepted) and self._context is not None:
                self._link.start_tls(self._context, server_side=False, server_hostname=self._hostname)
                login.tls_started()
            elif isinstance(event, TlsRefused | TlsAccepted):
                raise BackendUnavailable("the database does not offer TLS", hint="See the setting databases.*.tls.")
            elif isinstance(event, BackendReady):
                self._login = None
                self.early = login.rest()
                if not self.ready.done():
                    self.ready.set_result(event)
        if self._link.secret and (out := login.data_to_send()):
            self._link.write([out])

    def _fail(self, error: Exception) -> None:
        if not self.ready.done():
            if isinstance(error, ssl.SSLError):
                reason = getattr(error, "verify_message", None) or error.reason or "handshake failed"
                error = BackendUnavailable(f"TLS with the database failed: {reason}")
            self.ready.set_exception(error)
        self._link.abort()

    def _keep(self, data: bytes) -> None:
        self.early += data


async def connect_backend(
    database: Database, password: Secret[str] | None, parameters: Mapping[str, str]
) -> tuple[BackendConnection, BackendReady]:
    """A connection that is logged in. Raises BackendUnavailable."""
    context = database_context(database)
    login = BackendLogin(
        user=database.user,
        password=password,
        database=database.dbname,
        parameters=parameters,
        tls=context is not None,
        nonce=secrets.token_urlsafe(18),
    )
    connection: BackendConnection | None = None
    try:
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
    context = database_context(database)
    try:
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
