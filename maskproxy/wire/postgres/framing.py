"""Cuts a stream into frames: type byte, int32 length (which counts itself), payload.

Message formats: "Overview" of the "Frontend/Backend Protocol" chapter. The claimed length is judged as soon as its four
bytes are there, so a hostile peer cannot make anyone wait for, or reserve, more than ``limit``.
"""

from maskproxy.base import limits
from maskproxy.base.errors import ProtocolError

Buffer = bytes | bytearray | memoryview

HEADER = 5  # type byte and length


def next_frame(buffer: Buffer, offset: int, limit: int) -> int:
    """Return where the frame that starts at ``offset`` ends, or 0 when more bytes are needed.

    Raises ProtocolError when the length field is below 4 or the whole frame is longer than ``limit`` bytes.
    """
    available = len(buffer) - offset
    if available < HEADER:
        return 0
    length = (buffer[offset + 1] << 24) | (buffer[offset + 2] << 16) | (buffer[offset + 3] << 8) | buffer[offset + 4]
    if length < 4:
        raise ProtocolError("invalid message length", detail=f"The length field says {length}.")
    if length >= limit:
        raise ProtocolError("message too long", detail=f"It has {length + 1} bytes, {limit} are allowed.")
    return offset + 1 + length if length < available else 0


class Frames:
    """The buffer of a login machine: whole frames out, whatever the segmentation in."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = limits.MAX_AUTH_MESSAGE) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def take(self) -> tuple[int, bytes] | None:
        """Return the next frame's type byte and payload, or None; raises ProtocolError as ``next_frame`` does."""
        end = next_frame(self._buffer, 0, self._limit)
        if not end:
            return None
        kind, payload = self._buffer[0], bytes(self._buffer[HEADER:end])
        del self._buffer[:end]
        return kind, payload

    def rest(self) -> bytes:
        """Return what has not been read and forget it."""
        unread = bytes(self._buffer)
        self._buffer.clear()
        return unread
