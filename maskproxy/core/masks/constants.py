"""Masks that give the same answer for every value: ``null`` and ``redact``."""

from decimal import Decimal
from typing import Literal
from uuid import UUID

from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks import sql
from maskproxy.core.masks.definition import Bound, MaskRule, SqlForm
from maskproxy.core.masks.recipe import Constant, Recipe
from maskproxy.core.masks.room import NumericRoom
from maskproxy.core.masks.text import Room

REDACTED = "[redacted]"

REDACTED_VALUES: dict[Domain, object] = {
    Domain.TEXT: REDACTED,
    Domain.INT: 0,
    Domain.FLOAT: 0.0,
    Domain.NUMERIC: Decimal(0),  # with the column's scale: 0.00 in numeric(12,2)
    Domain.BOOL: False,
    Domain.BYTES: b"",
    Domain.UUID: bytes(16),  # the nil UUID, RFC 9562 section 5.9
    Domain.JSON: f'"{REDACTED}"',
    Domain.DATE: 0,  # 2000-01-01, PostgreSQL's epoch
    Domain.TIMESTAMP: 0,
    Domain.TIMESTAMPTZ: 0,
}
"""A value of each domain that no one takes for data."""


class Null(MaskRule):
    """NULL, for every type."""

    mask: Literal["null"]

    domains = frozenset(Domain)
    rank = 100
    shows_part = False
    leaks = "nothing"

    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        return None


class Redact(MaskRule):
    """A constant of the column's type; NULL stays NULL."""

    mask: Literal["redact"]

    domains = frozenset(Domain)
    rank = 90
    shows_part = False
    leaks = "whether there is a value"

    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        constant = _constant(type, typmod)
        return lambda value: constant

    def recipe(self, type: PgType, typmod: int, key: bytes) -> Recipe:
        return Constant(_constant(type, typmod))

    def sql(self, type: PgType, typmod: int, key_setting: str) -> SqlForm:
        name = sql.type_name(type, typmod)
        return lambda value: sql.cast(sql.null_stays(value, type, sql.cast(_sql_constant(type, typmod), name)), name)


def _constant(type: PgType, typmod: int) -> object:
    match type.domain:
        case Domain.TEXT:
            room = Room.of(type, typmod)
            width = room.characters or room.octets
            return REDACTED[:width].ljust(room.characters or 0 if room.padded else 0)
        case Domain.NUMERIC:
            return NumericRoom.of(typmod).zero()
        case _:
            return REDACTED_VALUES[type.domain]


def _sql_constant(type: PgType, typmod: int) -> str:
    match type.domain:
        case Domain.DATE:
            return sql.date(0)
        case Domain.TIMESTAMP:
            return sql.timestamp(0)
        case Domain.TIMESTAMPTZ:
            return sql.in_utc(sql.timestamp(0))
        case Domain.BYTES:
            return "''"
        case Domain.UUID:
            return f"'{UUID(int=0)}'"
        case Domain.BOOL:
            return "false"
        case _:
            return f"'{str(_constant(type, typmod)).rstrip(' ')}'"
