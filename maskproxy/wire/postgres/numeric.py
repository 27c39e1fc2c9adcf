"""``numeric``: exact decimals, in text and in the base-10000 binary form of ``numeric_send`` (numeric.c).

    int16 ndigits, int16 weight, uint16 sign, uint16 dscale, then ndigits of uint16 0..9999

The value is sign * sum(digit[i] * 10000 ** (weight - i)); ``dscale`` is how many decimals are shown: 1.50 stays 1.50.
NaN and the infinities raise ValueError, as does anything malformed or beyond what the type holds.
"""

import re
from decimal import Decimal
from struct import Struct, pack, unpack_from

_HEADER = Struct(">HhHH")
_POSITIVE, _NEGATIVE = 0x0000, 0x4000
_BASE = 10_000
_WIDTH = 4  # decimal digits in one of base 10000
_MAX_SCALE = 16_383  # NUMERIC_DSCALE_MAX
_MAX_INTEGER_DIGITS = 131_072  # "Numeric Types" chapter

_TEXT = re.compile(rb"-?\d+(?:\.\d+)?")


def from_text(data: bytes) -> Decimal:
    if not _TEXT.fullmatch(data):
        raise ValueError("not a finite numeric")
    return Decimal(data.decode("ascii"))


def to_text(value: object) -> bytes:
    sign, digits, scale = _parts(value)
    whole, decimals = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return f"{sign}{whole}{'.' if scale else ''}{decimals}".encode()


def from_binary(data: bytes) -> Decimal:
    count, weight, sign, scale = _HEADER.unpack_from(data)
    if sign not in (_POSITIVE, _NEGATIVE) or scale > _MAX_SCALE or len(data) != _HEADER.size + 2 * count:
        raise ValueError("not a finite numeric")
    groups = unpack_from(f">{count}H", data, _HEADER.size)
    if any(group >= _BASE for group in groups):
        raise ValueError("malformed numeric")
    digits = "".join(f"{group:04}" for group in groups) or "0"
    excess = scale - (count - 1 - weight) * _WIDTH if count else scale  # decimals to add, or below 0 to cut
    digits = digits + "0" * excess if excess >= 0 else digits[:excess] or "0"
    return Decimal(f"{'-' if sign == _NEGATIVE else ''}{digits}E-{scale}")


def to_binary(value: object) -> bytes:
    sign, digits, scale = _parts(value)
    whole = len(digits) - scale
    padded = "0" * (-whole % _WIDTH) + digits + "0" * (-scale % _WIDTH)
    groups = [int(padded[start : start + _WIDTH]) for start in range(0, len(padded), _WIDTH)]
    weight = -(-whole // _WIDTH) - 1
    while groups and not groups[0]:
        del groups[0]
        weight -= 1
    while groups and not groups[-1]:
        del groups[-1]
    header = _HEADER.pack(len(groups), weight if groups else 0, _NEGATIVE if sign else _POSITIVE, scale)
    return header + pack(f">{len(groups)}H", *groups)


def _parts(value: object) -> tuple[str, str, int]:
    """Return sign (``-`` or nothing), digits with at least one before the point, and scale."""
    number = Decimal(value) if type(value) is int else value
    if not isinstance(number, Decimal) or not number.is_finite():
        raise ValueError("not a finite numeric")
    negative, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # a letter only for NaN and infinity
    if exponent > _MAX_INTEGER_DIGITS or -exponent > _MAX_SCALE:
        raise ValueError("out of range")
    scale = max(0, -exponent)
    text = ("".join(map(str, digits)) + "0" * max(0, exponent)).lstrip("0")
    if len(text) - scale > _MAX_INTEGER_DIGITS:
        raise ValueError("out of range")
    return "-" if negative and number else "", text.zfill(scale + 1), scale
