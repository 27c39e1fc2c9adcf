"""Dates and timestamps: PostgreSQL's int32 days and int64 microseconds since 2000-01-01, and their ISO text.

PostgreSQL's calendar (proleptic Gregorian, 4714-11-24 BC to 5874897 AD) is wider than ``datetime``'s, so the
arithmetic is our own: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", ``days_from_civil`` and its inverse.
Text is DateStyle ISO as ``EncodeDateOnly`` and ``EncodeDateTime`` (datetime.c) write it; other styles raise ValueError,
as do ``infinity`` and anything out of range.
"""

import re
from struct import Struct
from typing import Any

MIN_DATE, MAX_DATE = -2451545, 2145031948  # 4714-11-24 BC, 5874897-12-31 (timestamp.h, date.h)
MIN_TIMESTAMP, END_TIMESTAMP = -211813488000000000, 9223371331200000000  # the end is exclusive: 294277-01-01

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_EPOCH = 730_425  # days from 0000-03-01 to 2000-01-01
_ERA = 146_097  # days of 400 years

_INT32 = Struct(">i")
_INT64 = Struct(">q")

_DATE = rb"(\d{4,7})-(\d\d)-(\d\d)"
_TIME = rb" ([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,6}))?"
_ZONE = rb"([+-])(\d\d)(?::([0-5]\d))?(?::([0-5]\d))?"
_DATE_TEXT = re.compile(_DATE + rb"( BC)?")
_TIMESTAMP_TEXT = re.compile(_DATE + _TIME + rb"( BC)?")
_TIMESTAMPTZ_TEXT = re.compile(_DATE + _TIME + _ZONE + rb"( BC)?")


def days_from_civil(year: int, month: int, day: int) -> int:
    """Return days since 2000-01-01; ``year`` is astronomical (0 is 1 BC). Raises ValueError for a day that is not."""
    shifted = year - (month <= 2)  # years start in March, so that a leap day is the last
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * _ERA + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - _EPOCH
    if civil_from_days(days) != (year, month, day):
        raise ValueError("no such day")
    return days


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Return (astronomical year, month, day) of days since 2000-01-01."""
    era, day_of_era = divmod(days + _EPOCH, _ERA)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    return era * 400 + year_of_era + (month <= 2), month, day


def _match(pattern: re.Pattern[bytes], data: bytes) -> tuple[Any, ...]:
    fields = pattern.fullmatch(data)
    if fields is None:
        raise ValueError("not in ISO style")
    return fields.groups()


def _days(year: bytes, month: bytes, day: bytes, era: bytes | None) -> int:
    if not int(year):
        raise ValueError("no such year")
    return days_from_civil(1 - int(year) if era else int(year), int(month), int(day))


def _microseconds(hour: bytes, minute: bytes, second: bytes, fraction: bytes | None) -> int:
    seconds = (int(hour) * 60 + int(minute)) * 60 + int(second)
    return seconds * _SECOND + int((fraction or b"").ljust(6, b"0"))


def _date_text(days: int) -> tuple[str, str]:
    """Return the date and the suffix that ends the whole text."""
    year, month, day = civil_from_days(days)
    shown, suffix = (year, "") if year > 0 else (1 - year, " BC")
    return f"{shown:04}-{month:02}-{day:02}", suffix


def _in_range(value: object, first: int, last: int) -> int:
    if type(value) is not int or not first <= value <= last:
        raise ValueError("out of range")
    return value


def date_from_text(data: bytes) -> int:
    return _days(*_match(_DATE_TEXT, data))


def date_to_text(value: object) -> bytes:
    return "".join(_date_text(_in_range(value, MIN_DATE, MAX_DATE))).encode()


def date_from_binary(data: bytes) -> int:
    return _in_range(_INT32.unpack(data)[0], MIN_DATE, MAX_DATE)


def date_to_binary(value: object) -> bytes:
    return _INT32.pack(_in_range(value, MIN_DATE, MAX_DATE))


def timestamp_from_text(data: bytes) -> int:
    year, month, day, hour, minute, second, fraction, era = _match(_TIMESTAMP_TEXT, data)
    return _moment(_days(year, month, day, era) * _DAY + _microseconds(hour, minute, second, fraction))


def _moment(value: int) -> int:
    """Rounding to timestamp(p) can bring a value to the end, which the server writes but takes for out of range."""
    return _in_range(value, MIN_TIMESTAMP, END_TIMESTAMP - 1)


def timestamptz_from_text(data: bytes) -> int:
    """Read local time with its offset from UTC, which may have seconds (historical local mean times)."""
    *local, sign, hours, minutes, seconds, era = _match(_TIMESTAMPTZ_TEXT, data)
    year, month, day, hour, minute, second, fraction = local
    offset = ((int(hours) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * _SECOND
    moment = _days(year, month, day, era) * _DAY + _microseconds(hour, minute, second, fraction)
    return _moment(moment - offset if sign == b"+" else moment + offset)


def _timestamp_text(value: object, zone: str) -> bytes:
    days, moment = divmod(_in_range(value, MIN_TIMESTAMP, END_TIMESTAMP - 1), _DAY)
    seconds, fraction = divmod(moment, _SECOND)
    date, suffix = _date_text(days)
    shown = f".{fraction:06}".rstrip("0") if fraction else ""
    time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{date} {time}{shown}{zone}{suffix}".encode()


def timestamp_to_text(value: object) -> bytes:
    return _timestamp_text(value, "")


def timestamptz_to_text(value: object) -> bytes:
    return _timestamp_text(value, "+00")


def timestamp_from_binary(data: bytes) -> int:
    return _moment(_INT64.unpack(data)[0])


def timestamp_to_binary(value: object) -> bytes:
    return _INT64.pack(_in_range(value, MIN_TIMESTAMP, END_TIMESTAMP - 1))
