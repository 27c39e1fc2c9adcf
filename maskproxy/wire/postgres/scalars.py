"""One codec per built-in type: from text or binary to the value of its ``Domain``, and back.

Every function raises (ValueError, mostly) for bytes that are no value of the type, for values which the domain cannot
hold and for results which the type cannot; ``values`` turns that into NULL. Text is what the type's output function
writes.
"""

import math
import re
from binascii import hexlify, unhexlify
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from struct import Struct
from types import MappingProxyType
from typing import Any

import orjson

from maskproxy.wire.postgres import dates, numeric

MAX_NAME = 63  # NAMEDATALEN - 1


@dataclass(frozen=True, slots=True)
class Codec:
    from_text: Callable[[bytes], Any]
    to_text: Callable[[Any], bytes]
    from_binary: Callable[[bytes], Any]
    to_binary: Callable[[Any], bytes]


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("not a value of this type")


# --- text -----------------------------------------------------------------------------------------------------------


def _text(data: bytes) -> str:
    return data.decode("utf-8")


def _to_text(value: str) -> bytes:
    _require(type(value) is str and "\0" not in value)
    return value.encode("utf-8")


def _bpchar(data: bytes) -> str:
    """Without the padding, which means nothing in ``character(n)`` and is lost in a cast to text."""
    return data.decode("utf-8").rstrip(" ")


def _to_name(value: str) -> bytes:
    data = _to_text(value)
    _require(len(data) <= MAX_NAME)
    return data


def _char(data: bytes) -> str:
    """``"char"`` holds one byte; those above 127 belong to no character set and are not masked but NULL."""
    _require(len(data) <= 1)
    return data.decode("ascii").rstrip("\0")


def _to_char(value: str) -> bytes:
    data = _to_text(value)
    _require(len(data) <= 1 and value.isascii())
    return data


_TEXT = Codec(_text, _to_text, _text, _to_text)
_BPCHAR = Codec(_bpchar, _to_text, _bpchar, _to_text)
_NAME = Codec(_text, _to_name, _text, _to_name)
_CHAR = Codec(_char, _to_char, _char, lambda value: _to_char(value) or b"\0")


# --- json -----------------------------------------------------------------------------------------------------------

_JSONB_VERSION = b"\x01"  # jsonb_send


def _to_json(value: str) -> bytes:
    data = _to_text(value)
    orjson.loads(data)  # clients parse what they get
    return data


def _jsonb(data: bytes) -> str:
    _require(data[:1] == _JSONB_VERSION)
    return data[1:].decode("utf-8")


_JSON = Codec(_text, _to_json, _text, _to_json)
_JSONB = Codec(_text, _to_json, _jsonb, lambda value: _JSONB_VERSION + _to_json(value))


# --- numbers --------------------------------------------------------------------------------------------------------

_INTEGER = re.compile(rb"-?\d{1,19}")


def _integer(layout: Struct) -> Codec:
    def from_text(data: bytes) -> int:
        _require(_INTEGER.fullmatch(data) is not None)
        return int(data)

    def to_text(value: int) -> bytes:
        to_binary(value)
        return b"%d" % value

    def from_binary(data: bytes) -> Any:
        return layout.unpack(data)[0]

    def to_binary(value: int) -> bytes:
        _require(type(value) is int)
        return layout.pack(value)  # checks the range

    return Codec(from_text, to_text, from_binary, to_binary)


_FLOAT = re.compile(rb"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def _float(layout: Struct, shortest: Callable[[float], str], fixed_below: int) -> Codec:
    """``fixed_below``: from which power of ten on the server writes an exponent (d2s.c, f2s.c)."""

    def from_text(data: bytes) -> float:
        _require(_FLOAT.fullmatch(data) is not None)
        return from_binary(layout.pack(float(data)))  # rounded to the type's precision

    def to_text(value: float) -> bytes:
        return _float_text(Decimal(shortest(from_binary(to_binary(value)))), fixed_below)

    def from_binary(data: bytes) -> float:
        value: float = layout.unpack(data)[0]
        _require(value - value == 0)  # neither NaN nor infinite
        return value

    def to_binary(value: float) -> bytes:
        _require(type(value) in (int, float) and value - value == 0)
        return layout.pack(value)

    return Codec(from_text, to_text, from_binary, to_binary)


def _float_text(value: Decimal, fixed_below: int) -> bytes:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) + exponent - 1 if value else 0
    minus = "-" if sign else ""
    if -4 <= power < fixed_below:
        return (minus + format(Decimal(f"{shown}E{power - len(shown) + 1}"), "f")).encode()
    point = "." if len(shown) > 1 else ""
    return f"{minus}{shown[0]}{point}{shown[1:]}e{power:+03}".encode()


_FLOAT4 = Struct(">f")
_INT4 = Struct(">i")


def _shortest8(value: float) -> str:
    """``repr``, but where that lies half-way to the next float: it reads back because ties go to the even one, which
    the server does not rely upon (d2s.c, ``acceptBounds``)."""
    text = repr(value)
    if abs(value) < 2.0**53:  # a decimal half-way has more digits than are ever written
        return text
    below, above = math.nextafter(abs(value), 0.0), math.nextafter(abs(value), math.inf)
    return text if _nearer(Decimal(text), value, below, above) else _shortest(value, below, above, 17)


def _shortest4(value: float) -> str:
    """Return the shortest decimal that reads back as the same float4; nine digits always do."""
    packed = _FLOAT4.pack(value)
    if abs(value) >= 2.0**24 or math.frexp(value)[0] in (0.5, -0.5):  # as above, or nearer to one neighbour
        (number,) = _INT4.unpack(_FLOAT4.pack(abs(value)))
        below, above = (_FLOAT4.unpack(_INT4.pack(each))[0] for each in (number - 1, number + 1))
        return _shortest(value, below, above, 9)
    candidates = (f"{value:.{digits}e}" for digits in range(9))
    return next(text for text in candidates if _reads_as(text, packed))


def _shortest(value: float, below: float, above: float, digits: int) -> str:
    """The decimal of the fewest digits, up to ``digits``, that is nearest to ``value``."""
    exact = Decimal(abs(value))
    for precision in range(1, digits):
        for rounding in (ROUND_HALF_EVEN, ROUND_CEILING):
            shown = Context(precision, rounding).plus(exact)
            if _nearer(shown, value, below, above):
                return str(shown.copy_sign(Decimal(value)))
    return f"{value:.{digits - 1}e}"


def _nearer(shown: Decimal, value: float, below: float, above: float) -> bool:
    """Whether the decimal is strictly nearer to ``value`` than to its neighbours, all taken without their signs."""
    exact, twice = Fraction(abs(value)), 2 * Fraction(abs(shown))
    upper = Fraction(above) if math.isfinite(above) else 2 * exact - Fraction(below)
    return Fraction(below) + exact < twice < upper + exact


def _reads_as(text: str, packed: bytes) -> bool:
    try:
        return _FLOAT4.pack(float(text)) == packed
    except OverflowError:  # rounded up beyond the greatest float4
        return False


_NUMERIC = Codec(numeric.from_text, numeric.to_text, numeric.from_binary, numeric.to_binary)


# --- the rest -------------------------------------------------------------------------------------------------------


def _bool_codec(false: bytes, true: bytes) -> tuple[Callable[[bytes], bool], Callable[[bool], bytes]]:
    values = {false: False, true: True}

    def to_bytes(value: bool) -> bytes:
        _require(type(value) is bool)
        return true if value else false

    return values.__getitem__, to_bytes


_ESCAPE = re.compile(rb"\\(\\|[0-3][0-7]{2})")
_ESCAPED = re.compile(rb"(?:[^\\]|\\\\|\\[0-3][0-7]{2})*", re.DOTALL)


def _bytea(data: bytes) -> bytes:
    """Read either ``bytea_output``: hex, or escape, where a backslash is doubled and other bytes are octal."""
    if data.startswith(b"\\x"):
        return unhexlify(data[2:])
    _require(_ESCAPED.fullmatch(data) is not None)
    return _ESCAPE.sub(lambda match: b"\\" if match[1] == b"\\" else bytes([int(match[1], 8)]), data)


def _raw(value: bytes) -> bytes:
    _require(type(value) is bytes)
    return value


_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _uuid_from_text(data: bytes) -> bytes:
    _require(_UUID.fullmatch(data) is not None)
    return unhexlify(data.replace(b"-", b""))


def _uuid_to_text(value: bytes) -> bytes:
    return hexlify(_uuid(value)[:4]) + b"".join(
        b"-" + hexlify(value[start:end]) for start, end in ((4, 6), (6, 8), (8, 10), (10, 16))
    )


def _uuid(value: bytes) -> bytes:
    _require(type(value) is bytes and len(value) == 16)
    return value


SCALARS: Mapping[str, Codec] = MappingProxyType(
    {
        "text": _TEXT,
        "varchar": _TEXT,
        "bpchar": _BPCHAR,
        "name": _NAME,
        "char": _CHAR,
        "json": _JSON,
        "jsonb": _JSONB,
        "int2": _integer(Struct(">h")),
        "int4": _integer(Struct(">i")),
        "int8": _integer(Struct(">q")),
        "float4": _float(_FLOAT4, _shortest4, 6),
        "float8": _float(Struct(">d"), _shortest8, 15),
        "numeric": _NUMERIC,
        "bool": Codec(*_bool_codec(b"f", b"t"), *_bool_codec(b"\x00", b"\x01")),
        "bytea": Codec(_bytea, lambda value: b"\\x" + hexlify(_raw(value)), _raw, _raw),
        "uuid": Codec(_uuid_from_text, _uuid_to_text, _uuid, _uuid),
        "date": Codec(dates.date_from_text, dates.date_to_text, dates.date_from_binary, dates.date_to_binary),
        "timestamp": Codec(
            *(dates.timestamp_from_text, dates.timestamp_to_text),
            *(dates.timestamp_from_binary, dates.timestamp_to_binary),
        ),
        "timestamptz": Codec(
            *(dates.timestamptz_from_text, dates.timestamptz_to_text),
            *(dates.timestamp_from_binary, dates.timestamp_to_binary),
        ),
    }
)
"""Codecs by the type's name, as in ``base.types.PG_TYPES``."""
