# cython: boundscheck=False, wraparound=False
"""``redact``, ``round`` and ``bucket`` on numeric in both formats, as far as 64 bits hold it.

The binary format is told of in ``wire/postgres/numeric.py``.
"""

import cython

from maskproxy.session.kernel.numbers import Whole
from maskproxy.session.kernel.ops import Call, Output, RowMask

LARGEST_STEP = 1 << 60
_LARGEST_STEP = cython.declare(cython.longlong, 1 << 60)
_MOST = cython.declare(cython.Py_ssize_t, 18)  # digits that fit
_NO_BOUND = 1 << 40
_HEADER = cython.declare(cython.Py_ssize_t, 8)  # bytes before the digits of base 10000
_WIDTH = cython.declare(cython.Py_ssize_t, 4)  # decimal digits in one of them
_BASE = cython.declare(cython.longlong, 10_000)
_LARGEST_SCALE = cython.declare(cython.Py_ssize_t, 16_383)
_ROOM = cython.declare(cython.longlong, 10**14)  # a number below it has room for one more digit of base 10000


class DecimalConstant(Call):
    def __init__(self, function: RowMask, value: bytes) -> None:
        super().__init__(function)
        self._value = value

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not self._reads(source, start, size):
            return 0
        out.copy(self._value, 0, len(self._value))
        return 1

    def _reads(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
        return _scale(source, start, start + size) >= 0


class BinaryDecimalConstant(DecimalConstant):
    def _reads(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
        return _groups(source, start, size) >= 0


class DecimalMultiple(Call):
    """Of numbers in text, in steps of ``step`` / 10 ** ``decimals``; ``step`` is at most ``LARGEST_STEP``."""

    def __init__(self, function: RowMask, *, step: int, decimals: int, nearest: bool, whole_digits: int | None) -> None:
        super().__init__(function)
        self._digits = Whole(0)
        self._step = step
        self._decimals = decimals
        self._nearest = nearest
        self._whole_digits = _NO_BOUND if whole_digits is None else whole_digits
        self._value = 0
        self._scale = 0

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not self._read(source, start, size):
            return self.call(out, source, start, size)
        step: cython.longlong = self._step
        place: cython.Py_ssize_t = self._decimals
        while place < self._scale:
            place += 1
            if step > _LARGEST_STEP // 10:
                return self.call(out, source, start, size)
            step *= 10
        value: cython.longlong = self._value  # below 10 ** 18, so nothing overflows
        magnitude: cython.longlong = -value if value < 0 else value
        rest: cython.longlong = magnitude % step
        magnitude -= rest
        if (rest >= step - rest) if self._nearest else (value < 0 and rest > 0):
            magnitude += step
        count: cython.Py_ssize_t = self._digits.decimal(magnitude)
        if magnitude > 0 and count - 1 - self._scale >= self._whole_digits:
            return 0
        self._write(out, value < 0 and magnitude > 0, magnitude, count)
        return 1

    def _read(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        """Sets ``_value`` to the number times 10 ** ``_scale``; 0 where it is none or too long."""
        end: cython.Py_ssize_t = start + size
        scale: cython.Py_ssize_t = _scale(source, start, end)
        if scale < 0:
            return 0
        self._scale = scale if scale > self._decimals else self._decimals
        if size + self._scale - scale > _MOST:  # with its sign and point
            return 0
        value: cython.longlong = 0
        at: cython.Py_ssize_t
        for at in range(start, end):
            if 0x30 <= source[at] <= 0x39:
                value = value * 10 + (source[at] - 0x30)
        while scale < self._scale:
            scale += 1
            value *= 10
        self._value = -value if source[start] == 0x2D else value
        return 1

    def _write(
        self, out: Output, negative: cython.bint, magnitude: cython.longlong, count: cython.Py_ssize_t
    ) -> cython.int:
        """The ``count`` digits, of which ``_scale`` stand behind the point and one at least before it."""
        if negative:
            out.fill(0x2D, 1)
        zeros: cython.Py_ssize_t = self._scale + 1 - count
        if zeros < 0:
            zeros = 0
        out.reserve(zeros + count + 1)
        place: cython.Py_ssize_t
        for place in range(zeros + count):
            if place == zeros + count - self._scale:
                out.bytes[out.at] = 0x2E
                out.at += 1
            out.bytes[out.at] = 0x30 if place < zeros else self._digits.digits[self._digits.first + place - zeros]
            out.at += 1
        return 0


class BinaryDecimalMultiple(DecimalMultiple):
    """Of numbers in binary."""

    def _read(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        """As for text. Digits beyond those that are shown do not count."""
        count: cython.Py_ssize_t = _groups(source, start, size)
        if count < 0:
            return 0
        weight: cython.Py_ssize_t = _two_bytes(source, start + 2)
        if weight >= 0x8000:
            weight -= 0x10000
        scale: cython.Py_ssize_t = _two_bytes(source, start + 6)
        self._scale = scale if scale > self._decimals else self._decimals
        if self._scale > _MOST or weight > _WIDTH:
            return 0
        value: cython.longlong = 0
        rest: cython.Py_ssize_t = scale  # decimals that are still to be read
        first: cython.Py_ssize_t = 0 if weight >= 0 else weight + 1  # what stands before the digits is 0
        index: cython.Py_ssize_t
        group: cython.longlong
        for index in range(first, weight + 1 + (scale + _WIDTH - 1) // _WIDTH):
            if value >= _ROOM:
                return 0
            group = _two_bytes(source, start + _HEADER + 2 * index) if 0 <= index < count else 0
            if index <= weight or rest >= _WIDTH:
                value = value * _BASE + group
                rest -= 0 if index <= weight else _WIDTH
            else:
                value = value * _power(rest) + group // _power(_WIDTH - rest)
        while scale < self._scale:
            if value >= _ROOM * 1000:
                return 0
            scale += 1
            value *= 10
        self._value = -value if source[start + 4] == 0x40 else value
        return 1

    def _write(
        self, out: Output, negative: cython.bint, magnitude: cython.longlong, count: cython.Py_ssize_t
    ) -> cython.int:
        """Digits of base 10000 from the last one on, those that are 0 at either end left out."""
        behind: cython.Py_ssize_t = (self._scale + _WIDTH - 1) // _WIDTH  # the point
        before: cython.Py_ssize_t = (count - self._scale + _WIDTH - 1) // _WIDTH if count > self._scale else 0
        last: cython.Py_ssize_t = before + behind  # behind the last one that is not 0
        cut: cython.Py_ssize_t = self._scale % _WIDTH
        index: cython.Py_ssize_t
        group: cython.longlong
        out.reserve(_HEADER + 2 * last)
        first: cython.Py_ssize_t = last  # the first one that is not 0
        for index in range(before + behind - 1, -1, -1):
            if cut > 0:
                group = magnitude % _power(cut) * _power(_WIDTH - cut)
                magnitude = magnitude // _power(cut)
                cut = 0
            else:
                group = magnitude % _BASE
                magnitude = magnitude // _BASE
            if group != 0:
                first = index
            elif last == index + 1:
                last = index
            _put_two_bytes(out, out.at + _HEADER + 2 * index, group)
        count = last - first if last > first else 0
        for index in range(_HEADER, _HEADER + 2 * count if first > 0 else 0):
            out.bytes[out.at + index] = out.bytes[out.at + index + 2 * first]
        _put_two_bytes(out, out.at, count)
        _put_two_bytes(out, out.at + 2, before - 1 - first if count > 0 else 0)
        _put_two_bytes(out, out.at + 4, 0x4000 if negative else 0)
        _put_two_bytes(out, out.at + 6, self._scale)
        out.at += _HEADER + 2 * count
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def _scale(source: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """How many decimals a numeric in text has; -1 for what is none."""
    if start < end and source[start] == 0x2D:
        start += 1
    first: cython.Py_ssize_t = start
    point: cython.Py_ssize_t = -1
    at: cython.Py_ssize_t
    for at in range(start, end):
        if source[at] == 0x2E and point < 0:
            point = at
        elif source[at] < 0x30 or source[at] > 0x39:
            return -1
    if first == end or point == first or point == end - 1:
        return -1
    return end - point - 1 if point >= 0 else 0


@cython.cfunc
@cython.exceptval(check=False)
def _groups(source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """How many digits of base 10000 a finite numeric in binary has; -1 for what is none."""
    if size < _HEADER or size != _HEADER + 2 * _two_bytes(source, start) or source[start + 5] != 0:
        return -1
    if (source[start + 4] != 0 and source[start + 4] != 0x40) or _two_bytes(source, start + 6) > _LARGEST_SCALE:
        return -1
    at: cython.Py_ssize_t
    for at in range(start + _HEADER, start + size, 2):
        if _two_bytes(source, at) >= _BASE:
            return -1
    return _two_bytes(source, start)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _two_bytes(source: cython.p_const_uchar, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
    return (source[at] << 8) | source[at + 1]


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _put_two_bytes(out: Output, at: cython.Py_ssize_t, value: cython.longlong) -> cython.int:
    out.bytes[at] = (value >> 8) & 0xFF
    out.bytes[at + 1] = value & 0xFF
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _power(exponent: cython.Py_ssize_t) -> cython.longlong:
    """Of ten, from 0 to 3."""
    return 1000 if exponent == 3 else 100 if exponent == 2 else 10 if exponent == 1 else 1
