"""What a mask does, as data: for who computes it otherwise than by calling its function (the row kernel).

A recipe says the same as the function that ``bind`` makes for the column, which is what counts where the two meet.
"""

from dataclasses import dataclass

from maskproxy.base.secret import Secret
from maskproxy.base.types import Domain


@dataclass(frozen=True, slots=True)
class Constant:
    """One value of the column's ``Domain`` for every value."""

    value: object


@dataclass(frozen=True, slots=True)
class Ends:
    """The first and the last characters of a text, ``char`` for each of the others; for all when there are no others.

    ``characters``: how many the column holds, here and below; char(n) is filled up to them."""

    first: int
    last: int
    char: str
    characters: int | None


@dataclass(frozen=True, slots=True)
class Address:
    """The first character of an address and its domain; stars for the rest, and for what is no address."""

    characters: int | None


@dataclass(frozen=True, slots=True)
class StandIn:
    """``prefix`` and ``length`` letters for a text or JSON, a keyed value of the type for others."""

    key: Secret[bytes]
    domain: Domain
    prefix: str
    length: int
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class Beginning:
    """Of the year, quarter, month, day or hour."""

    unit: str


@dataclass(frozen=True, slots=True)
class Multiple:
    """Of a whole number: the nearest, half away from zero, or the next below."""

    step: int
    nearest: bool


@dataclass(frozen=True, slots=True)
class DecimalMultiple:
    """The same of a numeric, in steps of ``step`` / 10 ** ``decimals``. ``whole_digits``: of what the column holds."""

    step: int
    decimals: int
    nearest: bool
    whole_digits: int | None


Recipe = Constant | Ends | Address | StandIn | Beginning | Multiple | DecimalMultiple
