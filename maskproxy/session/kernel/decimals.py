# cython: boundscheck=False, wraparound=False
"""``redact``, ``round`` and ``bucket`` on numeric in text, as far as 64 bits hold it."""

import cython

from maskproxy.session.kernel.numbers import Whole
from maskproxy.session.kernel.ops import Call, Output, RowMask

LARGEST_STEP = 1 << 60
_LARGEST_STEP = cython.declare(cython.longlong, 1 << 60)
_MOST = cython.declare(cython.Py_ssize_t, 18)  # digits that fit
_NO_BOUND = 1 << 40


class DecimalConstant(Call):
    def __init__(self, function: RowMask, value: bytes) -> None:
        super().__init__(function)
        self._value = value

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if _scale(source, start, start + size) < 0:
            return 0
        out.copy(self._value, 0, len(self._value))
        return 1


class DecimalMultiple(Call):
    """In steps of ``step`` / 10 ** ``decimals``; ``step`` is at most ``LARGEST_STEP``."""

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
        if value < 0 and magnitude > 0:
            out.fill(0x2D, 1)
        self._write(out, count)
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

    def _write(self, out: Output, count: cython.Py_ssize_t) -> cython.int:
        """The digits, of which ``_scale`` stand behind the point and one at least before it."""
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
