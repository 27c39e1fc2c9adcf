"""``token``: a keyed stand-in. One value under one label has one token, so joins and counts still work.

HMAC-SHA-256 with a key per label, which the caller derives. Without it a token can be neither recomputed nor guessed
from a list of values; plain hashes, which can, are not offered. Tokens of different labels, and of different kinds of
types, do not match. Tokens of integers are as short as the type: among some 50,000 values in int4 two are likely to
have the same token.
"""

import hmac
from base64 import b32encode
from typing import Annotated, Literal

from pydantic import Field

from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks.definition import Bound, MaskFunction, MaskRule, Misfit
from maskproxy.core.masks.text import Room

MIN_LENGTH = 16  # base-32 characters: 80 bits, so that a billion values collide with probability below one in a million
MAX_LENGTH = 51  # whole characters in 256 bits


def _digest(key: bytes, domain: Domain, value: bytes) -> bytes:
    return hmac.digest(key, domain.value.encode() + b"\0" + value, "sha256")


class Token(MaskRule):
    """Text: ``prefix`` and ``length`` characters of lower-case base 32; other types: a keyed value of the type."""

    mask: Literal["token"]
    prefix: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_.:\-]*$")] = ""
    length: Annotated[int, Field(strict=True, ge=MIN_LENGTH, le=MAX_LENGTH)] = MIN_LENGTH

    domains = frozenset({Domain.TEXT, Domain.INT, Domain.UUID, Domain.BYTES, Domain.JSON})
    rank = 60
    shows_part = False
    leaks = "which values are equal, and how often each occurs"

    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        match type.domain:
            case Domain.TEXT:
                return self._bind_text(Room.of(type, typmod), key)
            case Domain.JSON:
                return lambda value: f'"{self._text(key, Domain.JSON, value)}"'
            case Domain.INT:
                return _bind_int(type, key)
            case Domain.UUID:
                return lambda value: _uuid(_digest(key, Domain.UUID, value))
            case _:
                return lambda value: _digest(key, Domain.BYTES, value)[:16]

    def _bind_text(self, room: Room, key: bytes) -> Bound:
        if not room.holds(self.prefix + "a" * self.length):
            needed = len(self.prefix) + self.length
            return Misfit(f"a token of {needed} characters does not fit into {room.characters or room.octets}")
        return room.function(lambda value: self._text(key, Domain.TEXT, value))

    def _text(self, key: bytes, domain: Domain, value: str) -> str:
        digest = _digest(key, domain, value.encode("utf-8", "surrogatepass"))
        return self.prefix + b32encode(digest).decode("ascii").lower()[: self.length]


def _bind_int(type: PgType, key: bytes) -> MaskFunction:
    largest = (1 << (8 * type.size - 1)) - 1  # all ones: the positive range of the type

    def token(value: int) -> int:
        result = int.from_bytes(_digest(key, Domain.INT, b"%d" % value)[:8]) & largest
        return result if result != value else result ^ 1

    return token


def _uuid(digest: bytes) -> bytes:
    """Version 8, "custom", RFC 9562 section 5.8."""
    octets = bytearray(digest[:16])
    octets[6] = octets[6] & 0x0F | 0x80
    octets[8] = octets[8] & 0x3F | 0x80
    return bytes(octets)
