"""The first packets of a connection, which have no type byte: int32 length, int32 code, rest.

Sources: "Start-up" and "Message Formats" of the protocol chapter; ``ProcessStartupPacket`` in backend_startup.c for
what a server refuses; ``pg_split_opts`` (postinit.c) and ``ParseLongOption`` (guc.c) for the ``options`` parameter.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

from maskproxy.base import limits
from maskproxy.base.errors import ProtocolError, StartupRefused
from maskproxy.wire.postgres.backend_messages import read_cancel_key
from maskproxy.wire.postgres.codec import Reader, int32, text, uint16, uint32

MAJOR = 3
NEWEST_MINOR = 2


def _packet(rest: bytes) -> bytes:
    return int32(len(rest) + 4) + rest


@dataclass(frozen=True, slots=True)
class StartupMessage:
    major: int
    minor: int
    parameters: dict[str, str]

    def encode(self) -> bytes:
        pairs = b"".join(text(name) + text(value) for name, value in self.parameters.items())
        return _packet(uint16(self.major) + uint16(self.minor) + pairs + b"\0")


@dataclass(frozen=True, slots=True)
class SSLRequest:
    CODE: ClassVar[int] = 80877103

    def encode(self) -> bytes:
        return _packet(int32(self.CODE))


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    CODE: ClassVar[int] = 80877104

    def encode(self) -> bytes:
        return _packet(int32(self.CODE))


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """``key`` has 4 bytes in protocol 3.0 and 4 to 256 in 3.2."""

    CODE: ClassVar[int] = 80877102
    process_id: int
    key: bytes = field(repr=False)

    def encode(self) -> bytes:
        return _packet(int32(self.CODE) + uint32(self.process_id) + self.key)


StartupPacket = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest


def _read_startup(version: int, reader: Reader) -> StartupMessage:
    parameters: dict[str, str] = {}
    for name in iter(reader.text, ""):
        parameters[name] = reader.text()  # of two with one name the server, too, heeds the last
    return StartupMessage(version >> 16, version & 0xFFFF, parameters)


_REQUESTS: Mapping[int, Callable[[Reader], StartupPacket]] = MappingProxyType(
    {
        SSLRequest.CODE: lambda _: SSLRequest(),
        GSSENCRequest.CODE: lambda _: GSSENCRequest(),
        CancelRequest.CODE: lambda reader: CancelRequest(*read_cancel_key(reader)),
    }
)


def take_startup(buffer: bytes | bytearray) -> tuple[StartupPacket, int] | None:
    """Return the packet that ``buffer`` starts with and its size, or None when more bytes are needed.

    Raises ProtocolError for what cannot become a packet, as early as it is known: a length beyond the bounds at the
    fourth byte, an unknown code at the eighth.
    """
    if len(buffer) < 4:
        return None
    length = int.from_bytes(buffer[:4], "big")
    if not 8 <= length <= limits.MAX_STARTUP:
        raise ProtocolError("invalid length of startup packet")
    if len(buffer) < 8:
        return None
    code = int.from_bytes(buffer[4:8], "big")
    if code not in _REQUESTS and code >> 16 != MAJOR:
        raise ProtocolError(
            f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: server supports 3.0 to 3.{NEWEST_MINOR}"
        )
    if len(buffer) < length:
        return None
    reader = Reader(buffer[8:length])
    request = _REQUESTS.get(code)
    packet = request(reader) if request else _read_startup(code, reader)
    reader.end()
    return packet, length


def parse_options(options: str) -> dict[str, str]:
    """Read the ``options`` startup parameter: settings by name, ``-`` in names turned into ``_``, the last one wins.

    Only ``-c name=value``, ``-cname=value`` and ``--name=value`` are known; any other switch raises StartupRefused.
    Letter case is the client's; PostgreSQL compares names of settings without regard to it.
    """
    settings: dict[str, str] = {}
    arguments = _split(options)
    for argument in arguments:
        if argument == "-c":
            assignment = next(arguments, "")
        elif argument.startswith(("-c", "--")):
            assignment = argument[2:]
        else:
            raise StartupRefused("only settings (-c name=value) are allowed in startup options")
        name, equals, value = assignment.partition("=")
        if not (name and equals):
            raise StartupRefused("startup options have a setting without a name or value")
        settings[name.replace("-", "_")] = value
    return settings


_SPACES = " \t\n\v\f\r"


def _split(options: str) -> Iterator[str]:
    """Yield arguments between white space; a backslash takes the next character as it is."""
    argument: str | None = None
    characters = iter(options)
    for character in characters:
        if character in _SPACES:
            if argument is not None:
                yield argument
            argument = None
        else:
            argument = (argument or "") + (next(characters, "") if character == "\\" else character)
    if argument is not None:
        yield argument
