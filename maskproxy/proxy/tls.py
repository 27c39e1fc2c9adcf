"""TLS over bytes in memory, so that a connection decides byte by byte what is clear text and what is not.

The event loop's own ``start_tls`` cannot take back bytes it has read, and cannot look at the first byte of a connection
("direct TLS", protocol chapter "SSL Session Encryption") before a protocol has consumed it.
"""

import ssl
from functools import lru_cache
from pathlib import Path

from maskproxy.base import limits
from maskproxy.core.settings import Database, TlsFiles, TlsMode

ALPN = "postgresql"


class TlsPipe:
    """One end of a TLS connection. ``receive`` and ``send`` leave bytes for the wire in ``outgoing()``.

    Raises ssl.SSLError when the handshake or a record is wrong.
    """

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None:
        self._received = ssl.MemoryBIO()
        self._to_send = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._received, self._to_send, server_side=server_side, server_hostname=server_hostname
        )
        self.established = False
        self.ended = False

    def start(self) -> None:
        """Begin the handshake; the client side has something to send then."""
        self._handshake()

    def receive(self, data: bytes) -> bytes:
        """Clear text that ``data`` completes. ``established`` and ``ended`` may change."""
        self._received.write(data)
        if not self.established and not self._handshake():
            return b""
        chunks: list[bytes] = []
        try:
            while chunk := self._tls.read(limits.READ_SIZE):
                chunks.append(chunk)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(chunks)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]

    def outgoing(self) -> bytes:
        return self._to_send.read()

    @property
    def version(self) -> str | None:
        return self._tls.version()

    @property
    def alpn(self) -> str | None:
        return self._tls.selected_alpn_protocol()

    def _handshake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True


def client_facing_context(files: TlsFiles) -> ssl.SSLContext:
    """For connections that clients open to us: TLS 1.2 or newer, our certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    context.load_cert_chain(files.certificate, files.key)
    return context


def database_context(database: Database) -> ssl.SSLContext | None:
    """For connections that we open to a database, after its ``tls`` setting; None for clear text.

    Reading authorities takes milliseconds, so one context serves until its file changes. Raises OSError."""
    if database.tls is TlsMode.DISABLE:
        return None
    root = database.tls_root
    version = None if root is None else (root.stat().st_mtime_ns, root.stat().st_size, root.stat().st_ino)
    return _client_context(database.tls, root, version)


@lru_cache(maxsize=16)
def _client_context(mode: TlsMode, root: Path | None, version: tuple[int, ...] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if root is None else str(root))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    context.check_hostname = mode is TlsMode.VERIFY_FULL
    if mode is TlsMode.REQUIRE:
        context.verify_mode = ssl.CERT_NONE
    return context
