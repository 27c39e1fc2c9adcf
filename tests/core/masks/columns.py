"""Columns to try masks on, and values that can stand in them."""

import struct
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import strategies as st

from maskproxy.base.types import PG_TYPES, Domain, PgType

KEY = bytes(range(32))
BY_NAME: dict[str, PgType] = {type.name: type for type in PG_TYPES.values()}


@dataclass(frozen=True)
class ColumnType:
    """A type with its atttypmod, as ``format_type`` would write it."""

    text: str
    type: PgType
    typmod: int = -1

    def __repr__(self) -> str:
        return self.text


def numeric(precision: int, scale: int) -> ColumnType:
    typmod = ((precision << 16) | (scale & 0x7FF)) + 4
    return ColumnType(f"numeric({precision},{scale})", BY_NAME["numeric"], typmod)


def varchar(length: int) -> ColumnType:
    return ColumnType(f"varchar({length})", BY_NAME["varchar"], length + 4)


def char(length: int) -> ColumnType:
    return ColumnType(f"char({length})", BY_NAME["bpchar"], length + 4)


COLUMNS = [
    *(ColumnType(type.name, type) for type in PG_TYPES.values()),
    *(numeric(*each) for each in [(12, 2), (4, 0), (3, 3), (2, 4), (5, -2)]),
    *map(varchar, (1, 5, 20, 200)),
    *map(char, (1, 9, 40)),
    ColumnType("varchar(5)[]", BY_NAME["varchar[]"], 9),
]

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
_ADDRESS = st.builds("{}@{}".format, _TEXT, _TEXT)


def values(column: ColumnType) -> st.SearchStrategy[object]:
    """Every value the server could hold in ``column``; elements of an array."""
    scalar = column.type.element or column.type
    match scalar.domain:
        case Domain.TEXT:
            return (_TEXT | _ADDRESS).filter(lambda text: fits(text, column)).map(lambda text: pad(text, column))
        case Domain.INT:
            bound = 1 << (8 * scalar.size - 1)
            return st.integers(-bound, bound - 1)
        case Domain.FLOAT:
            return st.floats(width=32 if scalar.size == 4 else 64)
        case Domain.NUMERIC:
            return _numerics(column)
        case Domain.BOOL:
            return st.booleans()
        case Domain.BYTES:
            return st.binary(max_size=50)
        case Domain.UUID:
            return st.binary(min_size=16, max_size=16)
        case Domain.JSON:
            return st.sampled_from(['{"a": 1}', "[]", '"x"', "null", "1.5"])
        case Domain.DATE:
            return st.integers(-2_451_545, 2_145_031_948)
        case Domain.TIMESTAMP | Domain.TIMESTAMPTZ:
            return st.integers(-211_813_488_000_000_000, 9_223_371_331_199_999_999)


def _numerics(column: ColumnType) -> st.SearchStrategy[Decimal]:
    if column.typmod == -1:
        digits = st.integers(-(10**60), 10**60)
        return st.builds(lambda number, scale: Decimal(number).scaleb(-scale), digits, st.integers(0, 40))
    precision, scale = _precision(column)
    return st.integers(-(10**precision) + 1, 10**precision - 1).map(
        lambda number: Decimal((number < 0, tuple(map(int, str(abs(number)))), -scale))
    )


def _precision(column: ColumnType) -> tuple[int, int]:
    packed = column.typmod - 4
    scale = packed & 0x7FF
    return packed >> 16, scale - 2048 if scale >= 1024 else scale


def _limit(column: ColumnType) -> int | None:
    return column.typmod - 4 if column.typmod >= 4 else None


def pad(text: str, column: ColumnType) -> str:
    """char(n) comes padded from the server, whatever was written into it."""
    if (column.type.element or column.type).name == "bpchar":
        return text.rstrip(" ").ljust(_limit(column) or 0)
    return text


def fits(value: object, column: ColumnType) -> bool:
    """Whether the server would take ``value`` back into ``column`` without an error or a change."""
    scalar = column.type.element or column.type
    match scalar.domain:
        case Domain.TEXT:
            assert isinstance(value, str)
            octets = {"char": 1, "name": 63}.get(scalar.name)
            limit = _limit(column)
            return (limit is None or len(value) <= limit) and (octets is None or len(value.encode()) <= octets)
        case Domain.INT:
            return type(value) is int and -(1 << (8 * scalar.size - 1)) <= value < 1 << (8 * scalar.size - 1)
        case Domain.FLOAT:
            assert type(value) is float
            struct.pack(">f" if scalar.size == 4 else ">d", value)
            return value - value == 0
        case Domain.NUMERIC:
            assert type(value) is Decimal
            if not value.is_finite() or column.typmod == -1:
                return value.is_finite()
            precision, scale = _precision(column)
            exponent = value.as_tuple().exponent
            assert isinstance(exponent, int)
            return abs(value) < Decimal(10) ** (precision - scale) and exponent >= -max(scale, 0)
        case Domain.BOOL:
            return type(value) is bool
        case Domain.UUID:
            return type(value) is bytes and len(value) == 16
        case Domain.BYTES:
            return type(value) is bytes
        case Domain.JSON:
            return type(value) is str
        case Domain.DATE:
            return type(value) is int and -2_451_545 <= value < 2_145_031_949
        case Domain.TIMESTAMP | Domain.TIMESTAMPTZ:
            return type(value) is int and -211_813_488_000_000_000 <= value < 9_223_371_331_200_000_000
