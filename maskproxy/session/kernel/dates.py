# cython: boundscheck=False, wraparound=False
"""``truncate`` and ``redact`` on date, timestamp and timestamptz.

The calendar is that of ``core/masks/dates.py``. In text only what a server in ISO style writes for years 1 to 9999,
and at +00 if there is a zone, is looked at; there the beginning is the same text with other digits.
"""

import cython

from maskproxy.session.kernel.numbers import Whole
from maskproxy.session.kernel.ops import Call, Output, RowMask

UNITS = {"year": 5, "quarter": 4, "month": 3, "day": 2, "hour": 1}
_YEAR = cython.declare(cython.int, 5)
_QUARTER = cython.declare(cython.int, 4)
_MONTH = cython.declare(cython.int, 3)
_DAY = cython.declare(cython.int, 2)

_EPOCH = cython.declare(cython.longlong, 730_425)  # days from 0000-03-01 to 2000-01-01
_HOUR = cython.declare(cython.longlong, 3_600_000_000)  # microseconds
_ERA = cython.declare(cython.longlong, 146_097)  # days in 400 years


class BinaryBeginning(Call):
    """``day``: how much a day is in units of the type. ``first`` and ``last``: what the type holds."""

    def __init__(self, function: RowMask, whole: Whole, *, unit: int, day: int, first: int, last: int) -> None:
        super().__init__(function)
        self._whole = whole
        self._unit = unit
        self._day = day
        self._first = first
        self._last = last

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not self._whole.read(source, start, size):
            return self.call(out, source, start, size)
        value: cython.longlong = self._whole.value
        if value < self._first or value > self._last:
            return 0
        if self._unit >= _MONTH:
            value = _beginning(value // self._day, self._unit) * self._day
        elif self._unit == _DAY:
            value = value // self._day * self._day
        else:
            value = value // _HOUR * _HOUR
        if value < self._first:
            return 0
        self._whole.write(out, value)
        return 1


@cython.cfunc
def _beginning(day: cython.longlong, unit: cython.int) -> cython.longlong:
    """Of the unit that holds a day, both counted from 2000-01-01."""
    shifted: cython.longlong = day + _EPOCH
    era: cython.longlong = shifted // _ERA
    day_of_era: cython.longlong = shifted - era * _ERA
    year: cython.longlong = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year: cython.longlong = day_of_era - (365 * year + year // 4 - year // 100)
    month: cython.longlong = (5 * day_of_year + 2) // 153  # 0 is March
    month = month + 3 if month < 10 else month - 9
    year += era * 400
    if month <= 2:
        year += 1
    if unit == _YEAR:
        month = 1
    elif unit == _QUARTER:
        month = (month - 1) // 3 * 3 + 1
    return _first_of(year, month)


@cython.cfunc
def _first_of(year: cython.longlong, month: cython.longlong) -> cython.longlong:
    if month <= 2:
        year -= 1
    era: cython.longlong = year // 400
    year_of_era: cython.longlong = year - era * 400
    day_of_year: cython.longlong = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return era * _ERA + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - _EPOCH


class BinaryConstant(Call):
    """One moment for each that the type holds."""

    def __init__(self, function: RowMask, value: bytes, whole: Whole, *, first: int, last: int) -> None:
        super().__init__(function)
        self._value = value
        self._whole = whole
        self._first = first
        self._last = last

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not self._whole.read(source, start, size):
            return self.call(out, source, start, size)
        if self._whole.value < self._first or self._whole.value > self._last:
            return 0
        out.copy(self._value, 0, len(self._value))
        return 1


class TextConstant(Call):
    def __init__(self, function: RowMask, value: bytes, *, time: bool, zone: bool) -> None:
        super().__init__(function)
        self._value = value
        self._time = time
        self._zone = zone

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not _is_moment(source, start, size, self._time, self._zone):
            return self.call(out, source, start, size)
        out.copy(self._value, 0, len(self._value))
        return 1


class TextBeginning(Call):
    def __init__(self, function: RowMask, *, unit: int, time: bool, zone: bool) -> None:
        super().__init__(function)
        self._unit = unit
        self._time = time
        self._zone = zone

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not _is_moment(source, start, size, self._time, self._zone):
            return self.call(out, source, start, size)
        month: cython.int = (source[start + 5] - 0x30) * 10 + source[start + 6] - 0x30
        if self._unit == _YEAR:
            month = 1
        elif self._unit == _QUARTER:
            month = (month - 1) // 3 * 3 + 1
        out.copy(source, start, 10)
        out.bytes[out.at - 5] = 0x30 + month // 10
        out.bytes[out.at - 4] = 0x30 + month % 10
        if self._unit >= _MONTH:
            out.bytes[out.at - 2] = 0x30
            out.bytes[out.at - 1] = 0x31
        if self._time:
            out.copy(b" 00:00:00", 0, 9)
            if self._unit < _DAY:
                out.bytes[out.at - 8] = source[start + 11]
                out.bytes[out.at - 7] = source[start + 12]
            if self._zone:
                out.copy(b"+00", 0, 3)
        return 1


@cython.cfunc
@cython.exceptval(check=False)
def _is_moment(
    source: cython.p_const_uchar,
    start: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
    time: cython.bint,
    zone: cython.bint,
) -> cython.bint:
    """Whether it is an ordinary value of the type."""
    return _is_date(source, start, size) and (_is_time(source, start, size, zone) if time else size == 10)


@cython.cfunc
@cython.exceptval(check=False)
def _is_date(source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
    """Whether it begins with a day of the calendar, as 2000-02-29."""
    if size < 10 or source[start + 4] != 0x2D or source[start + 7] != 0x2D:
        return False
    year: cython.int = _two(source, start) * 100 + _two(source, start + 2)
    month: cython.int = _two(source, start + 5)
    day: cython.int = _two(source, start + 8)
    if _two(source, start) < 0 or _two(source, start + 2) < 0 or year < 1 or month < 1 or month > 12 or day < 1:
        return False
    if month == 2:
        return day <= (29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28)
    return day <= (30 if month == 4 or month == 6 or month == 9 or month == 11 else 31)


@cython.cfunc
@cython.exceptval(check=False)
def _is_time(
    source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t, zone: cython.bint
) -> cython.bint:
    """Whether a time follows, with up to six decimals, and with +00 if there is to be a zone."""
    end: cython.Py_ssize_t = start + size
    if zone:
        end -= 3
        if size < 3 or source[end] != 0x2B or source[end + 1] != 0x30 or source[end + 2] != 0x30:
            return False
    if end - start < 19 or end - start == 20 or end - start > 26:
        return False
    if source[start + 10] != 0x20 or source[start + 13] != 0x3A or source[start + 16] != 0x3A:
        return False
    hour: cython.int = _two(source, start + 11)
    minute: cython.int = _two(source, start + 14)
    second: cython.int = _two(source, start + 17)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return False
    at: cython.Py_ssize_t
    for at in range(start + 20, end):
        if source[at] < 0x30 or source[at] > 0x39:
            return False
    return end - start == 19 or source[start + 19] == 0x2E


@cython.cfunc
@cython.exceptval(check=False)
def _two(source: cython.p_const_uchar, at: cython.Py_ssize_t) -> cython.int:
    """The number of two digits, or a negative one."""
    if source[at] < 0x30 or source[at] > 0x39 or source[at + 1] < 0x30 or source[at + 1] > 0x39:
        return -1000
    return (source[at] - 0x30) * 10 + source[at + 1] - 0x30
