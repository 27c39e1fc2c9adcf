"""Messages marked (F): what a client sends once its startup packet is through. Formats: "Message Formats" chapter.

No ``repr`` shows SQL text, parameters, passwords or proofs: they hold what must not reach a log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres.codec import Message, Opaque, Reader, int16, int32, sized, text, uint16, uint32
from maskproxy.wire.postgres.framing import Buffer


class FrontendType:
    """Type bytes as plain integers, which the tables of the hot path index by."""

    BIND = ord("B")
    CLOSE = ord("C")
    COPY_DATA = ord("d")
    COPY_DONE = ord("c")
    COPY_FAIL = ord("f")
    DESCRIBE = ord("D")
    EXECUTE = ord("E")
    FLUSH = ord("H")
    FUNCTION_CALL = ord("F")
    PARSE = ord("P")
    PASSWORD = ord("p")  # PasswordMessage, SASLInitialResponse, SASLResponse: which one, the exchange knows
    QUERY = ord("Q")
    SYNC = ord("S")
    TERMINATE = ord("X")


@dataclass(frozen=True, slots=True, repr=False)
class Query(Message):
    TYPE: ClassVar[int] = FrontendType.QUERY
    sql: str

    def _payload(self) -> bytes:
        return text(self.sql)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text())

    def __repr__(self) -> str:
        return f"Query({len(self.sql)} characters)"


@dataclass(frozen=True, slots=True, repr=False)
class Parse(Message):
    """``param_types`` are OIDs, 0 where the server is to infer the type; there may be fewer than parameters."""

    TYPE: ClassVar[int] = FrontendType.PARSE
    name: str
    sql: str
    param_types: tuple[int, ...] = ()

    def _payload(self) -> bytes:
        types = b"".join(map(uint32, self.param_types))
        return text(self.name) + text(self.sql) + uint16(len(self.param_types)) + types

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        name, sql = reader.text(), reader.text()
        return cls(name, sql, tuple(reader.uint32() for _ in reader.count(4)))

    def __repr__(self) -> str:
        return f"Parse({self.name!r}, {len(self.sql)} characters, {len(self.param_types)} types)"


@dataclass(frozen=True, slots=True, repr=False)
class Bind(Message):
    """Format codes: none (all text), one for all, or one for each."""

    TYPE: ClassVar[int] = FrontendType.BIND
    portal: str
    statement: str
    param_formats: tuple[int, ...] = ()
    params: tuple[bytes | None, ...] = ()
    result_formats: tuple[int, ...] = ()

    def _payload(self) -> bytes:
        return b"".join(
            (
                text(self.portal),
                text(self.statement),
                uint16(len(self.param_formats)),
                *map(int16, self.param_formats),
                uint16(len(self.params)),
                *map(sized, self.params),
                uint16(len(self.result_formats)),
                *map(int16, self.result_formats),
            )
        )

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(
            reader.text(),
            reader.text(),
            tuple(reader.int16() for _ in reader.count(2)),
            tuple(reader.sized() for _ in reader.count(4)),
            tuple(reader.int16() for _ in reader.count(2)),
        )

    def __repr__(self) -> str:
        size = sum(len(param) for param in self.params if param is not None)
        return f"Bind({self.portal!r}, {self.statement!r}, {len(self.params)} parameters, {size} bytes)"


STATEMENT, PORTAL = b"S", b"P"


@dataclass(frozen=True, slots=True)
class _Target(Message):
    """What Describe and Close point at: a prepared statement (``S``) or a portal (``P``) by its name."""

    kind: bytes
    name: str

    def _payload(self) -> bytes:
        return self.kind + text(self.name)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        kind = reader.take(1)
        if kind not in (STATEMENT, PORTAL):
            raise ProtocolError(f"invalid {cls.__name__.upper()} message subtype {kind[0]}")
        return cls(kind, reader.text())


@dataclass(frozen=True, slots=True)
class Describe(_Target):
    TYPE: ClassVar[int] = FrontendType.DESCRIBE


@dataclass(frozen=True, slots=True)
class Close(_Target):
    TYPE: ClassVar[int] = FrontendType.CLOSE


@dataclass(frozen=True, slots=True)
class Execute(Message):
    """``max_rows`` 0 (and, as the server reads it, anything below) means all."""

    TYPE: ClassVar[int] = FrontendType.EXECUTE
    portal: str
    max_rows: int = 0

    def _payload(self) -> bytes:
        return text(self.portal) + int32(self.max_rows)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text(), reader.int32())


@dataclass(frozen=True, slots=True)
class Sync(Message):
    TYPE: ClassVar[int] = FrontendType.SYNC


@dataclass(frozen=True, slots=True)
class Flush(Message):
    TYPE: ClassVar[int] = FrontendType.FLUSH


@dataclass(frozen=True, slots=True)
class Terminate(Message):
    TYPE: ClassVar[int] = FrontendType.TERMINATE


@dataclass(frozen=True, slots=True, repr=False)
class FunctionCall(Opaque):
    """The obsolete fast path: refused, or passed on as it is."""

    TYPE: ClassVar[int] = FrontendType.FUNCTION_CALL


@dataclass(frozen=True, slots=True, repr=False)
class CopyData(Opaque):
    """The same in both directions."""

    TYPE: ClassVar[int] = FrontendType.COPY_DATA


@dataclass(frozen=True, slots=True)
class CopyDone(Message):
    """The same in both directions."""

    TYPE: ClassVar[int] = FrontendType.COPY_DONE


@dataclass(frozen=True, slots=True, repr=False)
class CopyFail(Message):
    TYPE: ClassVar[int] = FrontendType.COPY_FAIL
    reason: str

    def _payload(self) -> bytes:
        return text(self.reason)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text())

    def __repr__(self) -> str:
        return f"CopyFail({len(self.reason)} characters)"


@dataclass(frozen=True, slots=True, repr=False)
class PasswordMessage(Message):
    """A password in clear, or its MD5 answer."""

    TYPE: ClassVar[int] = FrontendType.PASSWORD
    password: str

    def _payload(self) -> bytes:
        return text(self.password)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text())

    def __repr__(self) -> str:
        return "PasswordMessage(***)"


@dataclass(frozen=True, slots=True, repr=False)
class SASLInitialResponse(Message):
    """``data`` is None when the client sends no initial response."""

    TYPE: ClassVar[int] = FrontendType.PASSWORD
    mechanism: str
    data: bytes | None

    def _payload(self) -> bytes:
        return text(self.mechanism) + sized(self.data)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text(), reader.sized())

    def __repr__(self) -> str:
        return f"SASLInitialResponse({self.mechanism!r}, {len(self.data or b'')} bytes)"


@dataclass(frozen=True, slots=True, repr=False)
class SASLResponse(Opaque):
    TYPE: ClassVar[int] = FrontendType.PASSWORD


FRONTEND_MESSAGES: Mapping[int, type[Message]] = MappingProxyType(
    {
        message.TYPE: message
        for message in (
            *(Query, Parse, Bind, Describe, Execute, Close, Sync, Flush, Terminate),
            *(FunctionCall, CopyData, CopyDone, CopyFail),
        )
    }
)
"""The messages of the query phase by type byte."""


def decode_frontend(kind: int, payload: Buffer) -> Message:
    """Decode a message of the query phase. Raises ProtocolError for an unknown type or a malformed payload."""
    if (message := FRONTEND_MESSAGES.get(kind)) is None:
        raise ProtocolError(f"invalid frontend message type {kind}")
    return message.decode(payload)
