"""``truncate``: dates and times to the year, quarter, month, day or hour; timestamptz in UTC.

Python's ``datetime`` ends at year 9999 and PostgreSQL does not, so the calendar is computed: the algorithms are Howard
Hinnant's ``civil_from_days`` and ``days_from_civil`` (proleptic Gregorian, as PostgreSQL's).
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks import sql
from maskproxy.core.masks.definition import Bound, MaskRule, Misfit, SqlForm
from maskproxy.core.masks.recipe import Beginning, Recipe

Unit = Literal["year", "quarter", "month", "day", "hour"]

_EPOCH = 730_425  # days from 0000-03-01, where the algorithms count from, to 2000-01-01
_HOUR = 3_600_000_000  # microseconds
_DAY = 24 * _HOUR
_FIRST_DATE = -2_451_545  # 4714-11-24 BC: Julian day 0, POSTGRES_EPOCH_JDATE in datatype/timestamp.h
_FIRST_TIMESTAMP = _FIRST_DATE * _DAY


def civil_from_days(days: int) -> tuple[int, int]:
    """Year (astronomical: 0 is 1 BC) and month of a day counted from 2000-01-01."""
    days += _EPOCH
    era, day_of_era = divmod(days, 146_097)  # days in 400 years
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153  # 0 is March
    month = month + 3 if month < 10 else month - 9
    return year_of_era + era * 400 + (month <= 2), month


def days_from_civil(year: int, month: int) -> int:
    """The first of the month, counted in days from 2000-01-01."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - _EPOCH


def _year(days: int) -> int:
    return days_from_civil(civil_from_days(days)[0], 1)


def _quarter(days: int) -> int:
    year, month = civil_from_days(days)
    return days_from_civil(year, (month - 1) // 3 * 3 + 1)


def _month(days: int) -> int:
    return days_from_civil(*civil_from_days(days))


_BY_DAYS: dict[str, Callable[[int], int]] = {"year": _year, "quarter": _quarter, "month": _month}
_BY_MICROSECONDS = {"day": _DAY, "hour": _HOUR}
_STRICTNESS = {"year": 5, "quarter": 4, "month": 3, "day": 2, "hour": 1}


class Truncate(MaskRule):
    """The beginning of the unit that holds the value."""

    mask: Literal["truncate"]
    to: Unit

    domains = frozenset({Domain.DATE, Domain.TIMESTAMP, Domain.TIMESTAMPTZ})
    rank = 30
    leaks = "the value to the unit"
    coarsens = True

    @property
    def strictness(self) -> Decimal:
        return Decimal(_STRICTNESS[self.to])

    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        if type.domain is Domain.DATE:
            return self._bind_date()
        if by_days := _BY_DAYS.get(self.to):
            return _bound_below(lambda value: by_days(value // _DAY) * _DAY, _FIRST_TIMESTAMP)
        size = _BY_MICROSECONDS[self.to]
        return _bound_below(lambda value: value // size * size, _FIRST_TIMESTAMP)

    def recipe(self, type: PgType, typmod: int, key: bytes) -> Recipe:
        return Beginning(self.to)

    def _bind_date(self) -> Bound:
        by_days = _BY_DAYS.get(self.to)
        if by_days is None:
            return Misfit(f"truncating to the {self.to} changes no date")
        return _bound_below(by_days, _FIRST_DATE)

    def sql(self, type: PgType, typmod: int, key_setting: str) -> SqlForm:
        name = sql.type_name(type, typmod)
        first = _first_whole(self.to)
        start = _sql_date if type.domain is Domain.DATE else _sql_timestamp

        def form(value: str) -> str:
            shown, lowest = value, sql.date(first) if type.domain is Domain.DATE else sql.timestamp(first)
            if type.domain is Domain.TIMESTAMPTZ:
                shown = sql.in_utc(value)
            result = start(shown, self.to)
            result = sql.case((sql.op(shown, ">=", lowest), result))
            if type.domain is Domain.TIMESTAMPTZ:
                result = sql.in_utc(result)
            return sql.cast(sql.null_stays(value, type, result), name)

        return form


def _bound_below(apply: Callable[[int], int], first: int) -> Callable[[int], int | None]:
    """The year that holds PostgreSQL's first day begins before it: None."""

    def bounded(value: int) -> int | None:
        result = apply(value)
        return result if result >= first else None

    return bounded


def _first_whole(unit: Unit) -> int:
    """The first day whose unit begins within PostgreSQL's calendar."""
    by_days = _BY_DAYS.get(unit)
    if by_days is None:
        return _FIRST_DATE
    return next(day for day in range(_FIRST_DATE, _FIRST_DATE + 366) if by_days(day) >= _FIRST_DATE)


_CYCLE = 146_097  # days of 400 years, after which the calendar repeats
_FAR = 100_000_000  # days: before the end of timestamp (year 294276), which date goes beyond


def _sql_timestamp(value: str, unit: Unit) -> str:
    return sql.call("date_trunc", sql.literal(unit), value)


def _sql_date(value: str, unit: Unit) -> str:
    """By way of timestamp, for which far dates are moved back by whole cycles of the calendar."""
    cycles = sql.op(sql.op(value, "-", sql.date(0)), "/", str(_CYCLE))
    moved = sql.op(cycles, "*", str(_CYCLE))
    return sql.case(
        (sql.op(value, "<", sql.date(_FAR)), _sql_near_date(value, unit)),
        otherwise=sql.op(_sql_near_date(sql.op(value, "-", moved), unit), "+", moved),
    )


def _sql_near_date(value: str, unit: Unit) -> str:
    return sql.cast(_sql_timestamp(sql.cast(value, "timestamp"), unit), "date")
