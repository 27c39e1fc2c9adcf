"""``token``: a keyed stand-in. One value under one label has one token, so joins and counts still work.

HMAC-SHA-256 with a key per label, which the caller derives. Without it a token can be neither recomputed nor guessed
from a list of values; plain hashes, which can, are not offered. Tokens of different labels, and of different kinds of
types, do not match. Tokens of integers are as short as the type: among some 50,000 values in int4 two are likely to
have the same token.

The same in SQL (RFC 2104, section 2): ``sha256(outer || sha256(inner || message))``, where the blocks are the key xor
0x5c and 0x36. Two session settings hold their first half, in hexadecimal; the second half is the constant, as the key
has 32 bytes. The client cannot read or change them; they are read in subqueries that the server evaluates once a
statement.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Annotated, Literal

from pydantic import Field

from maskproxy.base.secret import Secret
from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks import sql
from maskproxy.core.masks.definition import Bound, MaskFunction, MaskRule, Misfit, SqlForm
from maskproxy.core.masks.recipe import Recipe, StandIn
from maskproxy.core.masks.text import Room

MIN_LENGTH = 16  # 81 bits (below), so that a billion values collide with probability below one in a million
MAX_LENGTH = 42  # whole characters in 256 bits

_SYMBOLS, _DIGITS = "+/", "01"
_FOLD = str.maketrans(ascii_uppercase + _SYMBOLS, ascii_lowercase + _DIGITS)
"""Base 64 to lower-case letters and digits: what both sides compute cheaply. Two characters are equal with probability
26/32**2 + 2/32**2 + 8/64**2 = 2**-5.1, which is 5.1 bits each."""

LETTERS = (ascii_uppercase + ascii_lowercase + digits + _SYMBOLS).translate(_FOLD).encode()
"""What stands for each six bits (RFC 4648, table 1, folded)."""

_OUTER, _INNER = 0x5C, 0x36
_KEY = 32  # bytes of a key, half a block of SHA-256
_LARGEST = (1 << 63) - 1  # int8


def _digest(key: bytes, domain: Domain, value: bytes) -> bytes:
    return hmac.digest(key, message_prefix(domain) + value, "sha256")


def message_prefix(domain: Domain) -> bytes:
    """Goes before the value, so that tokens of different kinds of types do not match."""
    return domain.value.encode() + b"\0"


class Token(MaskRule):
    """Text: ``prefix`` and ``length`` lower-case letters and digits; other types: a keyed value of the type."""

    mask: Literal["token"]
    prefix: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_.:\-]*$")] = ""
    length: Annotated[int, Field(strict=True, ge=MIN_LENGTH, le=MAX_LENGTH)] = MIN_LENGTH

    domains = frozenset({Domain.TEXT, Domain.INT, Domain.UUID, Domain.BYTES, Domain.JSON})
    rank = 60
    shows_part = False
    leaks = "which values are equal, and how often each occurs"

    def settings(self, key: bytes, key_setting: str) -> Mapping[str, Secret[str]]:
        blocks = {"outer": _OUTER, "inner": _INNER}
        whole = key.ljust(_KEY, b"\0")  # as HMAC fills up its block
        return {f"{key_setting}_{name}": Secret(bytes(b ^ pad for b in whole).hex()) for name, pad in blocks.items()}

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

    def recipe(self, type: PgType, typmod: int, key: bytes) -> Recipe:
        return StandIn(Secret(key), type.domain, self.prefix, self.length, Room.of(type, typmod).characters)

    def _bind_text(self, room: Room, key: bytes) -> Bound:
        if not room.holds(self.prefix + "a" * self.length):
            needed = len(self.prefix) + self.length
            return Misfit(f"a token of {needed} characters does not fit into {room.characters or room.octets}")
        return room.function(lambda value: self._text(key, Domain.TEXT, value))

    def _text(self, key: bytes, domain: Domain, value: str) -> str:
        digest = _digest(key, domain, value.encode("utf-8", "surrogatepass"))
        return self.prefix + b64encode(digest).decode("ascii")[: self.length].translate(_FOLD)

    def sql(self, type: PgType, typmod: int, key_setting: str) -> SqlForm:
        name = sql.type_name(type, typmod)

        def form(value: str) -> str:
            digest = _sql_digest(key_setting, type.domain, _sql_message(type, value))
            return sql.cast(sql.null_stays(value, type, sql.cast(self._sql_token(type, value, digest), name)), name)

        return form

    def _sql_token(self, type: PgType, value: str, digest: str) -> str:
        match type.domain:
            case Domain.TEXT:
                return self._sql_text(digest)
            case Domain.JSON:
                quote = sql.literal('"')
                return sql.op(sql.op(quote, "||", self._sql_text(digest)), "||", quote)
            case Domain.INT:
                return _sql_int(type, value, digest)
            case Domain.UUID:
                return _sql_uuid(digest)
            case _:
                return sql.call("substr", digest, "1", "16")

    def _sql_text(self, digest: str) -> str:
        letters = sql.call("left", sql.call("encode", digest, sql.literal("base64")), str(self.length))
        token = _sql_folded(letters)
        return sql.op(sql.literal(self.prefix), "||", token) if self.prefix else token


def _bind_int(type: PgType, key: bytes) -> MaskFunction:
    """Never the value itself: that, cut to the positive range, xor something keyed that is not 0."""
    largest = (1 << (8 * type.size - 1)) - 1

    def token(value: int) -> int:
        keyed = int.from_bytes(_digest(key, Domain.INT, b"%d" % value)[:8]) & _LARGEST
        return value & largest ^ keyed % largest + 1

    return token


def _uuid(digest: bytes) -> bytes:
    """Version 8, "custom", RFC 9562 section 5.8."""
    octets = bytearray(digest[:16])
    octets[6] = octets[6] & 0x0F | 0x80
    octets[8] = octets[8] & 0x3F | 0x80
    return bytes(octets)


# --- in SQL ---------------------------------------------------------------------------------------------------------


def _sql_digest(setting: str, domain: Domain, message: str) -> str:
    inner = _sql_block(f"{setting}_inner", f"{_INNER:02x}" * _KEY + domain.value.encode().hex() + "00")
    outer = _sql_block(f"{setting}_outer", f"{_OUTER:02x}" * _KEY)
    digest = sql.call("sha256", sql.op(inner, "||", message))
    return sql.call("sha256", sql.op(outer, "||", digest))


def _sql_block(setting: str, rest: str) -> str:
    """A session that lacks the setting, or has it empty, computes NULL: never a hash without a key."""
    half = sql.call("current_setting", sql.literal(setting), "true")
    is_whole = sql.op(sql.call("length", half), "=", str(2 * _KEY))
    block = sql.call("decode", sql.op(half, "||", sql.literal(rest)), sql.literal("hex"))
    return f"(SELECT {sql.case((is_whole, block))})"


def _sql_folded(letters: str) -> str:
    """translate() alone would do, at four times the cost of everything else. lower() depends on the collation, and one
    that is named would become that of the result: by way of bytes it is forgotten."""
    folded = f'{letters} COLLATE pg_catalog."C"'
    for symbol, digit in zip(_SYMBOLS, _DIGITS, strict=True):
        folded = sql.call("replace", folded, sql.literal(symbol), sql.literal(digit))
    return sql.call("encode", sql.call("convert_to", sql.call("lower", folded), "'UTF8'"), sql.literal("escape"))


def _sql_message(type: PgType, value: str) -> str:
    match type.domain:
        case Domain.UUID:
            return sql.call("uuid_send", value)
        case Domain.BYTES:
            return value
        case _:
            return sql.call("convert_to", sql.text(value), "'UTF8'")


def _sql_int(type: PgType, value: str, digest: str) -> str:
    largest = (1 << (8 * type.size - 1)) - 1
    hexadecimal = sql.call("encode", sql.call("substr", digest, "1", "8"), sql.literal("hex"))
    bits = sql.cast(sql.cast(sql.op(sql.literal("x"), "||", hexadecimal), "bit(64)"), "int8")
    keyed = sql.op(sql.op(bits, "&", sql.constant(_LARGEST, "int8")), "%", sql.constant(largest, "int8"))
    positive = sql.op(sql.cast(value, "int8"), "&", sql.constant(largest, "int8"))
    return sql.op(positive, "#", sql.op(keyed, "+", "1"))


def _sql_uuid(digest: str) -> str:
    """Bits count from the right within each byte (chapter "Binary String Functions and Operators")."""
    octets = sql.call("substr", digest, "1", "16")
    for octet, bit, value in ((6, 7, 1), (6, 6, 0), (6, 5, 0), (6, 4, 0), (8, 7, 1), (8, 6, 0)):
        octets = sql.call("set_bit", octets, str(octet * 8 + bit), str(value))
    return sql.call("encode", octets, sql.literal("hex"))
