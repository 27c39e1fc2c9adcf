"""Authentication requests (B), which share one type byte and differ in an int32 code."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres.codec import Message, Reader, int32, text
from maskproxy.wire.postgres.framing import Buffer


@dataclass(frozen=True, slots=True)
class Authentication(Message):
    """One request; a subclass writes and reads what follows the code."""

    TYPE: ClassVar[int] = ord("R")
    CODE: ClassVar[int]

    def _request(self) -> bytes:
        return b""

    @classmethod
    def _read_request(cls, reader: Reader) -> Self:
        return cls()

    def _payload(self) -> bytes:
        return int32(self.CODE) + self._request()

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        if reader.int32() != cls.CODE:
            raise ProtocolError("unexpected authentication request")
        return cls._read_request(reader)


@dataclass(frozen=True, slots=True)
class AuthenticationOk(Authentication):
    CODE: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class AuthenticationCleartextPassword(Authentication):
    CODE: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class AuthenticationMD5Password(Authentication):
    """``salt`` has 4 bytes."""

    CODE: ClassVar[int] = 5
    salt: bytes

    def _request(self) -> bytes:
        return self.salt

    @classmethod
    def _read_request(cls, reader: Reader) -> Self:
        return cls(reader.take(4))


@dataclass(frozen=True, slots=True)
class AuthenticationSASL(Authentication):
    CODE: ClassVar[int] = 10
    mechanisms: tuple[str, ...]

    def _request(self) -> bytes:
        return b"".join(map(text, self.mechanisms)) + b"\0"

    @classmethod
    def _read_request(cls, reader: Reader) -> Self:
        return cls(tuple(iter(reader.text, "")))


@dataclass(frozen=True, slots=True, repr=False)
class _Challenge(Authentication):
    data: bytes

    def _request(self) -> bytes:
        return self.data

    @classmethod
    def _read_request(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationSASLContinue(_Challenge):
    CODE: ClassVar[int] = 11


@dataclass(frozen=True, slots=True, repr=False)
class AuthenticationSASLFinal(_Challenge):
    CODE: ClassVar[int] = 12


AUTHENTICATIONS: Mapping[int, type[Authentication]] = MappingProxyType(
    {
        request.CODE: request
        for request in (
            *(AuthenticationOk, AuthenticationCleartextPassword, AuthenticationMD5Password),
            *(AuthenticationSASL, AuthenticationSASLContinue, AuthenticationSASLFinal),
        )
    }
)


def decode_authentication(payload: Buffer) -> Authentication:
    """Decode any request we know. Raises ProtocolError for others (Kerberos, GSSAPI, SSPI) and malformed ones."""
    code = Reader(payload).int32()
    if (request := AUTHENTICATIONS.get(code)) is None:
        raise ProtocolError(f"authentication method {code} is not supported")
    return request.decode(payload)
