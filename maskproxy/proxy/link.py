"""One end of a connection: a transport, with or without TLS on it. Compiled by Cython, with ``link.pxd``."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import cast

import cython

from maskproxy.base import limits
from maskproxy.proxy.tls import TlsPipe


class Link:
    """Clear bytes in, clear bytes out. Nothing is written after it was closed.

    ``write_paused``: more is on its way than should; whoever is the transport's protocol is told, and says so here."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self.write_paused = False
        self.tls: TlsPipe | None = None

    def attach(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._transport.set_write_buffer_limits(high=limits.HIGH_WATER)

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def secret(self) -> bool:
        """Whether what is written now cannot be read on the way, or need not be hidden: no handshake is under way."""
        return self.tls is None or self.tls.established

    def start_tls(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None:
        self.tls = TlsPipe(context, server_side=server_side, server_hostname=server_hostname)
        if not server_side:
            self.tls.start()
        self._send_tls()

    def receive(self, data: bytes) -> bytes:
        """The clear bytes that these complete. Raises ssl.SSLError."""
        if self.tls is None:
            return data
        try:
            clear = self.tls.receive(data)
        finally:
            self._send_tls()
        if self.tls.ended:
            self.close()
        return clear

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self.tls is None:
            if len(chunks) == 1:
                self._transport.write(chunks[0])
            else:
                self._transport.writelines(chunks)
        elif self.tls.established:
            self.tls.send(b"".join(chunks))
            self._send_tls()

    def set_reading(self, reading: cython.bint) -> None:
        if reading == self._reading or self._transport is None or self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def close(self, patience: float | None = None) -> None:
        """Close when everything is written; after ``patience`` seconds all the same."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.close()
        if patience is not None:
            asyncio.get_running_loop().call_later(patience, self._transport.abort)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send_tls(self) -> None:
        if self.tls is not None and self._transport is not None and (out := self.tls.outgoing()):
            self._transport.write(out)
