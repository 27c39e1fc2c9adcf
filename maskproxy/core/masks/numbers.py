"""Masks that make numbers coarse: ``round`` (nearest multiple) and ``bucket`` (lower end of the interval).

Integers and numerics are exact; the scale of a numeric stays as it was. Floats that are too large to be rounded in
binary64 (the step vanishes in the last digit) become None, as does every result that the column cannot hold.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks.definition import Bound, MaskFunction, MaskRule, Misfit, SqlForm
from maskproxy.core.masks.numbers_sql import coarse
from maskproxy.core.masks.recipe import DecimalMultiple, Multiple, Recipe
from maskproxy.core.masks.room import CONTEXT, EXACT, FLOAT4_MAX, MOST_DIGITS, NumericRoom

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
    number = Decimal(str(value)).normalize(CONTEXT)  # 100.0 adds no decimals to a numeric
    exponent = number.as_tuple().exponent
    return number.quantize(Decimal(1), context=CONTEXT) if isinstance(exponent, int) and exponent > 0 else number


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

    def recipe(self, type: PgType, typmod: int, key: bytes) -> Recipe | None:
        return _recipe(type, typmod, self.to, nearest=True)

    def sql(self, type: PgType, typmod: int, key_setting: str) -> SqlForm:
        return coarse(type, typmod, self.to, down=False)


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

    def recipe(self, type: PgType, typmod: int, key: bytes) -> Recipe | None:
        return _recipe(type, typmod, self.width, nearest=False)

    def sql(self, type: PgType, typmod: int, key_setting: str) -> SqlForm:
        return coarse(type, typmod, self.width, down=True)


def _bind(type: PgType, typmod: int, width: Decimal, snap: Snap) -> Bound:
    match type.domain:
        case Domain.INT:
            return _bind_int(type, width, snap)
        case Domain.NUMERIC:
            return _bind_numeric(NumericRoom.of(typmod), width, snap)
        case _:
            return _bind_float(type, width, snap)


def _recipe(type: PgType, typmod: int, width: Decimal, *, nearest: bool) -> Recipe | None:
    match type.domain:
        case Domain.INT:
            return Multiple(int(width), nearest)
        case Domain.NUMERIC:
            exponent = _exponent(width)
            return DecimalMultiple(_scaled(width, exponent), -exponent, nearest, NumericRoom.of(typmod).whole_digits)
        case _:
            return None


def _bind_int(type: PgType, width: Decimal, snap: Snap) -> Bound:
    if width != int(width) or width < 2:
        return Misfit(f"a step of {width} changes no {type.name}: a whole number from 2 is needed")
    step, bound = int(width), 1 << (8 * type.size - 1)

    def masked(value: int) -> int | None:
        result = snap(value, step)
        return result if -bound <= result < bound else None

    return masked


def _bind_numeric(room: NumericRoom, width: Decimal, snap: Snap) -> Bound:
    if room.step is not None and (width <= room.step or CONTEXT.remainder(width, room.step)):
        return Misfit(f"a step of {width} is no multiple of the column's smallest step {room.step:f}")
    width_exponent = _exponent(width)

    def masked(value: Decimal) -> Decimal | None:
        if not value.is_finite() or value.adjusted() >= MOST_DIGITS:
            return None
        exponent = min(_exponent(value), width_exponent, 0)
        result = Decimal(snap(_scaled(value, exponent), _scaled(width, exponent)))
        result = result.scaleb(exponent, CONTEXT)
        return result if room.holds(result) else None

    return masked


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _scaled(value: Decimal, exponent: int) -> int:
    return int(value.scaleb(-exponent, CONTEXT))


def _bind_float(type: PgType, width: Decimal, snap: Snap) -> MaskFunction:
    step = float(width)
    largest = FLOAT4_MAX if type.size == 4 else math.inf

    def masked(value: float) -> float | None:
        if not abs(value) < step * EXACT:  # also NaN and the infinities
            return None
        if snap is floor:
            multiple = math.floor(value / step) if abs(value) >= step else -(value < 0)
        else:
            multiple = int(math.copysign(math.floor(abs(value / step) + 0.5), value)) if abs(value) * 2 >= step else 0
        # by way of decimals: 3 * 0.1 is 0.3, not 0.30000000000000004
        result = float(CONTEXT.multiply(Decimal(multiple), width))
        return result if abs(result) <= largest and math.isfinite(result) else None

    return masked
