"""Masks that make numbers coarse: ``round`` (nearest multiple) and ``bucket`` (lower end of the interval).

Integers and numerics are exact; the scale of a numeric stays as it was. Floats that are too large to be rounded in
binary64 (the step vanishes in the last digit) become None, as does every result that the column cannot hold.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks.definition import Bound, MaskFunction, MaskRule, Misfit

_VARHDRSZ = 4
_FLOAT4_MAX = 3.4028234663852886e38
_EXACT = 2**53  # binary64 holds every integer up to here

# numeric holds up to 131,072 digits before and 16,383 after the point (chapter "Numeric Types"); no traps: what does
# not fit becomes NaN, never an exception
_CONTEXT = Context(prec=200_000, traps=[])


@dataclass(frozen=True, slots=True)
class NumericRoom:
    """What numeric(precision, scale) holds; None for plain ``numeric``."""

    precision: int | None
    scale: int | None

    @classmethod
    def of(cls, typmod: int) -> "NumericRoom":
        """``atttypmod`` is ((precision << 16) | (scale & 0x7ff)) + 4, scale an 11-bit signed number (numeric.c)."""
        if typmod < _VARHDRSZ:
            return cls(None, None)
        packed = typmod - _VARHDRSZ
        return cls((packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024)

    @property
    def step(self) -> Decimal | None:
        """The smallest difference between two values."""
        return None if self.scale is None else Decimal((0, (1,), -self.scale))

    def zero(self) -> Decimal:
        return Decimal((0, (0,), -max(self.scale or 0, 0)))

    def holds(self, value: Decimal) -> bool:
        if self.precision is None or self.scale is None:
            return True
        return not value or value.adjusted() < self.precision - self.scale


Snap = Callable[[int, int], int]
"""(value, width), both scaled to integers, to a multiple of width."""


def nearest(value: int, width: int) -> int:
    """Half goes away from zero, as PostgreSQL's ``round(numeric)`` does."""
    multiple = (2 * abs(value) + width) // (2 * width) * width
    return multiple if value >= 0 else -multiple


def floor(value: int, width: int) -> int:
    return value // width * width


def _exact(value: object) -> object:
    """YAML's 0.1 as the decimal that was written, not as the nearest binary64."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return Decimal(str(value))


Width = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, allow_inf_nan=False, max_digits=30)]


class _Coarse(MaskRule):
    domains = frozenset({Domain.INT, Domain.FLOAT, Domain.NUMERIC})
    coarsens = True


class Round(_Coarse):
    """The nearest multiple of ``to``."""

    mask: Literal["round"]
    to: Width

    rank = 30
    leaks = "the value to half of `to`"

    @property
    def strictness(self) -> Decimal:
        return self.to

    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        return _bind(type, typmod, self.to, nearest)


class Bucket(_Coarse):
    """The lower end of the interval of ``width`` that holds the value; intervals start at zero."""

    mask: Literal["bucket"]
    width: Width

    rank = 35
    leaks = "the interval of the value"

    @property
    def strictness(self) -> Decimal:
        return self.width

    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        return _bind(type, typmod, self.width, floor)


def _bind(type: PgType, typmod: int, width: Decimal, snap: Snap) -> Bound:
    match type.domain:
        case Domain.INT:
            return _bind_int(type, width, snap)
        case Domain.NUMERIC:
            return _bind_numeric(NumericRoom.of(typmod), width, snap)
        case _:
            return _bind_float(type, width, snap)


def _bind_int(type: PgType, width: Decimal, snap: Snap) -> Bound:
    if width != int(width) or width < 2:
        return Misfit(f"a step of {width} changes no {type.name}: a whole number from 2 is needed")
    step, bound = int(width), 1 << (8 * type.size - 1)

    def coarse(value: int) -> int | None:
        result = snap(value, step)
        return result if -bound <= result < bound else None

    return coarse


def _bind_numeric(room: NumericRoom, width: Decimal, snap: Snap) -> Bound:
    if room.step is not None and (width <= room.step or width % room.step):
        return Misfit(f"a step of {width} is no multiple of the column's smallest step {room.step:f}")
    width_exponent = _exponent(width)

    def coarse(value: Decimal) -> Decimal | None:
        if not value.is_finite():
            return None
        exponent = min(_exponent(value), width_exponent, 0)
        result = Decimal(snap(_scaled(value, exponent), _scaled(width, exponent)))
        result = result.scaleb(exponent, _CONTEXT)
        return result if room.holds(result) else None

    return coarse


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _scaled(value: Decimal, exponent: int) -> int:
    return int(value.scaleb(-exponent, _CONTEXT))


def _bind_float(type: PgType, width: Decimal, snap: Snap) -> MaskFunction:
    step = float(width)
    largest = _FLOAT4_MAX if type.size == 4 else math.inf

    def coarse(value: float) -> float | None:
        if not abs(value) < step * _EXACT:  # also NaN and the infinities
            return None
        steps = value / step
        multiple = math.floor(steps) if snap is floor else int(math.copysign(math.floor(abs(steps) + 0.5), value))
        result = float(multiple * width)  # by way of decimals: 3 * 0.1 is 0.3, not 0.30000000000000004
        return result if abs(result) <= largest and math.isfinite(result) else None

    return coarse
