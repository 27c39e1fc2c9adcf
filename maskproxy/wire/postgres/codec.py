"""The parts that messages are made of: integers, NUL-terminated text, counted and sized fields.

Text is UTF-8 with ``surrogateescape``: bytes that are not UTF-8 survive a decode and encode unchanged, so that a
transparent session can pass on what a client with another encoding sends.

Counts and lengths are checked against the bytes that are left before anything is allocated for them. PostgreSQL reads
counts as unsigned (a Bind may carry 65535 parameters: ``pq_getmsgint`` in pqformat.c).
"""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Self

from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres.framing import Buffer

_UINT8 = Struct(">B")
_INT16 = Struct(">h")
_UINT16 = Struct(">H")
_INT32 = Struct(">i")
_UINT32 = Struct(">I")

NULL = -1  # the length of a NULL


class Reader:
    """Walks one payload. Every method raises ProtocolError when the payload is too short for what it should hold."""

    __slots__ = ("_data", "_offset")

    def __init__(self, payload: Buffer) -> None:
        self._data = bytes(payload)
        self._offset = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._offset

    def _integer(self, layout: Struct) -> int:
        start = self._offset
        if self.left < layout.size:
            raise ProtocolError("insufficient data left in message")
        self._offset += layout.size
        number: int = layout.unpack_from(self._data, start)[0]
        return number

    def uint8(self) -> int:
        return self._integer(_UINT8)

    def int16(self) -> int:
        return self._integer(_INT16)

    def uint16(self) -> int:
        return self._integer(_UINT16)

    def int32(self) -> int:
        return self._integer(_INT32)

    def uint32(self) -> int:
        return self._integer(_UINT32)

    def count(self, each: int, *, wide: bool = False) -> range:
        """Return a range over a 16-bit (or 32-bit) count of things that take at least ``each`` bytes."""
        number = self.uint32() if wide else self.uint16()
        if number * each > self.left:
            raise ProtocolError("a count exceeds the message")
        return range(number)

    def take(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise ProtocolError("insufficient data left in message")
        start = self._offset
        self._offset += size
        return self._data[start : self._offset]

    def sized(self) -> bytes | None:
        """Return a field with an int32 length before it, None for NULL."""
        size = self.int32()
        return None if size == NULL else self.take(size)

    def text(self) -> str:
        """Return NUL-terminated text."""
        end = self._data.find(b"\0", self._offset)
        if end < 0:
            raise ProtocolError("invalid string in message", detail="The terminator is missing.")
        start, self._offset = self._offset, end + 1
        return self._data[start:end].decode("utf-8", "surrogateescape")

    def rest(self) -> bytes:
        return self.take(self.left)

    def end(self) -> None:
        if self.left:
            raise ProtocolError("invalid message format", detail=f"{self.left} bytes follow its end.")


def uint8(number: int) -> bytes:
    return _UINT8.pack(number)


def int16(number: int) -> bytes:
    return _INT16.pack(number)


def uint16(number: int) -> bytes:
    return _UINT16.pack(number)


def int32(number: int) -> bytes:
    return _INT32.pack(number)


def uint32(number: int) -> bytes:
    return _UINT32.pack(number)


def sized(value: bytes | None) -> bytes:
    return int32(NULL) if value is None else int32(len(value)) + value


def text(value: str) -> bytes:
    """Encode NUL-terminated text. A NUL inside would let a value pose as the next field, hence ValueError."""
    data = value.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise ValueError("text in a message cannot hold NUL")
    return data + b"\0"


def frame(kind: int, payload: bytes) -> bytes:
    return _UINT8.pack(kind) + _INT32.pack(len(payload) + 4) + payload


@dataclass(frozen=True, slots=True)
class Message:
    """One message with a type byte. A subclass says how its payload is read and written; the frame is made here."""

    TYPE: ClassVar[int]

    def _payload(self) -> bytes:
        return b""

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls()

    def encode(self) -> bytes:
        """Return the whole frame, header included."""
        return frame(self.TYPE, self._payload())

    @classmethod
    def decode(cls, payload: Buffer) -> Self:
        """Read a payload without header. Raises ProtocolError for anything that is not exactly such a message."""
        reader = Reader(payload)
        message = cls._read(reader)
        reader.end()
        return message


@dataclass(frozen=True, slots=True, repr=False)
class Opaque(Message):
    """A message whose payload is passed on and never looked at here; its ``repr`` shows the size alone."""

    data: bytes

    def _payload(self) -> bytes:
        return self.data

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.data)} bytes)"
