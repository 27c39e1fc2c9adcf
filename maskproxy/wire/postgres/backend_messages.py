"""Messages marked (B): what a server sends, authentication apart. Formats: "Message Formats" chapter.

No ``repr`` shows what may hold row values (rows, error texts, notification payloads) or keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres.authentication import decode_authentication
from maskproxy.wire.postgres.codec import Message, Reader, int16, int32, sized, text, uint8, uint16, uint32
from maskproxy.wire.postgres.framing import Buffer
from maskproxy.wire.postgres.frontend_messages import CopyData, CopyDone


class BackendType:
    """Type bytes as plain integers, which the tables of the hot path index by."""

    AUTHENTICATION = ord("R")
    BACKEND_KEY_DATA = ord("K")
    BIND_COMPLETE = ord("2")
    CLOSE_COMPLETE = ord("3")
    COMMAND_COMPLETE = ord("C")
    COPY_BOTH_RESPONSE = ord("W")
    COPY_DATA = ord("d")
    COPY_DONE = ord("c")
    COPY_IN_RESPONSE = ord("G")
    COPY_OUT_RESPONSE = ord("H")
    DATA_ROW = ord("D")
    EMPTY_QUERY_RESPONSE = ord("I")
    ERROR_RESPONSE = ord("E")
    FUNCTION_CALL_RESPONSE = ord("V")
    NEGOTIATE_PROTOCOL_VERSION = ord("v")
    NO_DATA = ord("n")
    NOTICE_RESPONSE = ord("N")
    NOTIFICATION_RESPONSE = ord("A")
    PARAMETER_DESCRIPTION = ord("t")
    PARAMETER_STATUS = ord("S")
    PARSE_COMPLETE = ord("1")
    PORTAL_SUSPENDED = ord("s")
    READY_FOR_QUERY = ord("Z")
    ROW_DESCRIPTION = ord("T")


@dataclass(frozen=True, slots=True)
class ParameterStatus(Message):
    TYPE: ClassVar[int] = BackendType.PARAMETER_STATUS
    name: str
    value: str

    def _payload(self) -> bytes:
        return text(self.name) + text(self.value)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text(), reader.text())


MIN_CANCEL_KEY = 4  # protocol 3.0: exactly this many bytes
MAX_CANCEL_KEY = 256  # protocol 3.2


def read_cancel_key(reader: Reader) -> tuple[int, bytes]:
    """Return process id and key, as BackendKeyData and CancelRequest hold them."""
    process_id, key = reader.uint32(), reader.rest()
    if not MIN_CANCEL_KEY <= len(key) <= MAX_CANCEL_KEY:
        raise ProtocolError("invalid length of cancel key")
    return process_id, key


@dataclass(frozen=True, slots=True, repr=False)
class BackendKeyData(Message):
    TYPE: ClassVar[int] = BackendType.BACKEND_KEY_DATA
    process_id: int
    key: bytes

    def _payload(self) -> bytes:
        return uint32(self.process_id) + self.key

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(*read_cancel_key(reader))

    def __repr__(self) -> str:
        return f"BackendKeyData({self.process_id}, {len(self.key)} bytes)"


IDLE, IN_TRANSACTION, FAILED = b"I", b"T", b"E"


@dataclass(frozen=True, slots=True)
class ReadyForQuery(Message):
    """``status`` is that of the transaction: ``I`` idle, ``T`` in one, ``E`` in a failed one."""

    TYPE: ClassVar[int] = BackendType.READY_FOR_QUERY
    status: bytes

    def _payload(self) -> bytes:
        return self.status

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        status = reader.take(1)
        if status not in (IDLE, IN_TRANSACTION, FAILED):
            raise ProtocolError("invalid transaction status")
        return cls(status)


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """One output column; ``table_oid`` and ``attnum`` are 0 when it is not simply a column of a table."""

    name: str
    table_oid: int
    attnum: int
    type_oid: int
    type_size: int
    typmod: int
    format: int

    SIZE: ClassVar[int] = 19  # with an empty name

    def encode(self) -> bytes:
        return b"".join(
            (
                *(text(self.name), uint32(self.table_oid), int16(self.attnum), uint32(self.type_oid)),
                *(int16(self.type_size), int32(self.typmod), int16(self.format)),
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> Self:
        name, table_oid, attnum, type_oid = reader.text(), reader.uint32(), reader.int16(), reader.uint32()
        return cls(name, table_oid, attnum, type_oid, reader.int16(), reader.int32(), reader.int16())


@dataclass(frozen=True, slots=True)
class RowDescription(Message):
    TYPE: ClassVar[int] = BackendType.ROW_DESCRIPTION
    columns: tuple[FieldDescription, ...]

    def _payload(self) -> bytes:
        return uint16(len(self.columns)) + b"".join(column.encode() for column in self.columns)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(tuple(FieldDescription.read(reader) for _ in reader.count(FieldDescription.SIZE)))


@dataclass(frozen=True, slots=True)
class ParameterDescription(Message):
    TYPE: ClassVar[int] = BackendType.PARAMETER_DESCRIPTION
    types: tuple[int, ...]

    def _payload(self) -> bytes:
        return uint16(len(self.types)) + b"".join(map(uint32, self.types))

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(tuple(reader.uint32() for _ in reader.count(4)))


@dataclass(frozen=True, slots=True, repr=False)
class DataRow(Message):
    """One row. The hot path never makes one: the row kernel works on the bytes."""

    TYPE: ClassVar[int] = BackendType.DATA_ROW
    values: tuple[bytes | None, ...]

    def _payload(self) -> bytes:
        return uint16(len(self.values)) + b"".join(map(sized, self.values))

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(tuple(reader.sized() for _ in reader.count(4)))

    def __repr__(self) -> str:
        size = sum(len(value) for value in self.values if value is not None)
        return f"DataRow({len(self.values)} values, {size} bytes)"


@dataclass(frozen=True, slots=True)
class CommandComplete(Message):
    TYPE: ClassVar[int] = BackendType.COMMAND_COMPLETE
    tag: str

    def _payload(self) -> bytes:
        return text(self.tag)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text())


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse(Message):
    TYPE: ClassVar[int] = BackendType.EMPTY_QUERY_RESPONSE


@dataclass(frozen=True, slots=True)
class NoData(Message):
    TYPE: ClassVar[int] = BackendType.NO_DATA


@dataclass(frozen=True, slots=True)
class ParseComplete(Message):
    TYPE: ClassVar[int] = BackendType.PARSE_COMPLETE


@dataclass(frozen=True, slots=True)
class BindComplete(Message):
    TYPE: ClassVar[int] = BackendType.BIND_COMPLETE


@dataclass(frozen=True, slots=True)
class CloseComplete(Message):
    TYPE: ClassVar[int] = BackendType.CLOSE_COMPLETE


@dataclass(frozen=True, slots=True)
class PortalSuspended(Message):
    TYPE: ClassVar[int] = BackendType.PORTAL_SUSPENDED


@dataclass(frozen=True, slots=True, repr=False)
class _Report(Message):
    """``fields`` are (code, value) in the server's order; codes: "Error and Notice Message Fields"."""

    fields: tuple[tuple[str, str], ...]

    def get(self, code: str) -> str | None:
        return next((value for known, value in self.fields if known == code), None)

    @property
    def sqlstate(self) -> str:
        return self.get("C") or ""

    @property
    def message(self) -> str:
        return self.get("M") or ""

    def _payload(self) -> bytes:
        return b"".join(code.encode("latin-1") + text(value) for code, value in self.fields) + b"\0"

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        codes = iter(reader.uint8, 0)
        return cls(tuple((chr(code), reader.text()) for code in codes))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sqlstate!r}, fields {''.join(code for code, _ in self.fields)!r})"


@dataclass(frozen=True, slots=True, repr=False)
class ErrorResponse(_Report):
    TYPE: ClassVar[int] = BackendType.ERROR_RESPONSE


@dataclass(frozen=True, slots=True, repr=False)
class NoticeResponse(_Report):
    TYPE: ClassVar[int] = BackendType.NOTICE_RESPONSE


@dataclass(frozen=True, slots=True, repr=False)
class NotificationResponse(Message):
    TYPE: ClassVar[int] = BackendType.NOTIFICATION_RESPONSE
    process_id: int
    channel: str
    payload: str

    def _payload(self) -> bytes:
        return uint32(self.process_id) + text(self.channel) + text(self.payload)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.uint32(), reader.text(), reader.text())

    def __repr__(self) -> str:
        return f"NotificationResponse({self.process_id}, {self.channel!r}, {len(self.payload)} characters)"


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion(Message):
    """The newest version we speak, and the protocol options we do not know.

    The documentation calls the number a minor version; servers send, and libpq expects, the whole version
    (``SendNegotiateProtocolVersion`` in backend_startup.c, ``pqGetNegotiateProtocolVersion3`` in fe-protocol3.c).
    """

    TYPE: ClassVar[int] = BackendType.NEGOTIATE_PROTOCOL_VERSION
    minor: int
    unrecognised: tuple[str, ...] = ()

    def _payload(self) -> bytes:
        version = uint16(3) + uint16(self.minor)
        return version + uint32(len(self.unrecognised)) + b"".join(map(text, self.unrecognised))

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        if reader.uint16() != 3:
            raise ProtocolError("invalid protocol version negotiation message")
        return cls(reader.uint16(), tuple(reader.text() for _ in reader.count(1, wide=True)))


@dataclass(frozen=True, slots=True)
class _CopyResponse(Message):
    overall_format: int
    column_formats: tuple[int, ...]

    def _payload(self) -> bytes:
        return uint8(self.overall_format) + uint16(len(self.column_formats)) + b"".join(map(int16, self.column_formats))

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.uint8(), tuple(reader.int16() for _ in reader.count(2)))


@dataclass(frozen=True, slots=True)
class CopyInResponse(_CopyResponse):
    TYPE: ClassVar[int] = BackendType.COPY_IN_RESPONSE


@dataclass(frozen=True, slots=True)
class CopyOutResponse(_CopyResponse):
    TYPE: ClassVar[int] = BackendType.COPY_OUT_RESPONSE


@dataclass(frozen=True, slots=True)
class CopyBothResponse(_CopyResponse):
    TYPE: ClassVar[int] = BackendType.COPY_BOTH_RESPONSE


@dataclass(frozen=True, slots=True, repr=False)
class FunctionCallResponse(Message):
    TYPE: ClassVar[int] = BackendType.FUNCTION_CALL_RESPONSE
    value: bytes | None

    def _payload(self) -> bytes:
        return sized(self.value)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.sized())

    def __repr__(self) -> str:
        return f"FunctionCallResponse({len(self.value or b'')} bytes)"


BACKEND_MESSAGES: Mapping[int, type[Message]] = MappingProxyType(
    {
        message.TYPE: message
        for message in (
            *(ParameterStatus, BackendKeyData, ReadyForQuery, RowDescription, ParameterDescription, DataRow),
            *(CommandComplete, EmptyQueryResponse, NoData, ParseComplete, BindComplete, CloseComplete, PortalSuspended),
            *(ErrorResponse, NoticeResponse, NotificationResponse, NegotiateProtocolVersion),
            *(CopyInResponse, CopyOutResponse, CopyBothResponse, CopyData, CopyDone, FunctionCallResponse),
        )
    }
)
"""Every message but Authentication by type byte."""


def decode_backend(kind: int, payload: Buffer) -> Message:
    """Decode any message of a server. Raises ProtocolError for an unknown type or a malformed payload."""
    if kind == BackendType.AUTHENTICATION:
        return decode_authentication(payload)
    if (message := BACKEND_MESSAGES.get(kind)) is None:
        raise ProtocolError(f"invalid backend message type {kind}")
    return message.decode(payload)
