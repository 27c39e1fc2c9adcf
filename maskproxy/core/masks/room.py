"""What columns of numbers hold: the bounds that ``round`` and ``bucket`` respect, in Python and in SQL."""

from dataclasses import dataclass
from decimal import Context, Decimal

_VARHDRSZ = 4
FLOAT4_MAX = 3.4028234663852886e38
EXACT = 2**53  # binary64 holds every integer up to here
MOST_DIGITS = 1_000  # before the point of a numeric: the most that a precision can ask for; beyond, time is quadratic

# numeric holds up to 131,072 digits before and 16,383 after the point (chapter "Numeric Types"); no traps: what does
# not fit becomes NaN, never an exception
CONTEXT = Context(prec=200_000, traps=[])


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

    @property
    def whole_digits(self) -> int | None:
        """How many digits stand before the point at most; below 0 when the first ones after it are always 0."""
        return None if self.precision is None or self.scale is None else self.precision - self.scale

    def zero(self) -> Decimal:
        return Decimal((0, (0,), -max(self.scale or 0, 0)))

    def holds(self, value: Decimal) -> bool:
        return self.whole_digits is None or not value or value.adjusted() < self.whole_digits
