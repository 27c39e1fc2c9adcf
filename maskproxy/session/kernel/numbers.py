# cython: boundscheck=False, wraparound=False
"""int2, int4 and int8 in both formats, and masks on them: ``redact``, ``round`` and ``bucket``."""

import cython

from maskproxy.session.kernel.ops import Call, Output, RowMask

LARGEST_STEP = 1 << 61
_DIGITS = cython.declare(cython.Py_ssize_t, 20)  # of a number with its sign, in 64 bits
_PLAIN = cython.declare(cython.Py_ssize_t, 18)  # digits of a number that is below 2 ** 62 for sure
_BOUND = cython.declare(cython.longlong, 1 << 62)


class Whole:
    """Reads and writes numbers of one type: as many bytes as ``width``, or text (0).

    ``value`` is what was read last, within 2 ** 62 from 0; ``digits`` has from ``first`` on what was last put there as
    text."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._digits = bytearray(20)
        self.digits = self._digits
        self.first = 0
        self.value = 0

    def read(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        """0 where it is no number or not an ordinary one: that is for the function to say."""
        value: cython.longlong = 0
        at: cython.Py_ssize_t
        if self._width > 0:
            if size != self._width:
                return 0
            value = source[start]
            if value >= 0x80:
                value -= 0x100
            for at in range(start + 1, start + size):
                value = value * 256 + source[at]
            self.value = value
            return -_BOUND < value < _BOUND
        end: cython.Py_ssize_t = start + size
        negative: cython.bint = size > 0 and source[start] == 0x2D
        if negative:
            start += 1
        if start == end or end - start > _PLAIN:
            return 0
        for at in range(start, end):
            if source[at] < 0x30 or source[at] > 0x39:
                return 0
            value = value * 10 + (source[at] - 0x30)
        self.value = -value if negative else value
        return 1

    def write(self, out: Output, value: cython.longlong) -> cython.int:
        count: cython.Py_ssize_t = self._width
        if count == 0:
            count = self.decimal(value)
            return out.copy(self.digits, self.first, count)
        out.reserve(count)
        at: cython.Py_ssize_t
        for at in range(count):
            out.bytes[out.at + at] = value >> (8 * (count - 1 - at)) & 0xFF
        out.at += count
        return 0

    def decimal(self, value: cython.longlong) -> cython.Py_ssize_t:
        """Puts the text into ``digits``; its length."""
        rest: cython.ulonglong = -value if value < 0 else value
        at: cython.Py_ssize_t = _DIGITS
        while rest > 0 or at == _DIGITS:
            at -= 1
            self.digits[at] = 0x30 + rest % 10
            rest = rest // 10
        if value < 0:
            at -= 1
            self.digits[at] = 0x2D
        self.first = at
        return _DIGITS - at


class WholeConstant(Call):
    """One number for all numbers in text."""

    def __init__(self, function: RowMask, value: bytes, whole: Whole) -> None:
        super().__init__(function)
        self._value = value
        self._whole = whole

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not self._whole.read(source, start, size):
            return self.call(out, source, start, size)
        out.copy(self._value, 0, len(self._value))
        return 1


class Multiple(Call):
    """``step`` is at most ``LARGEST_STEP``; ``size``: bytes of the type."""

    def __init__(self, function: RowMask, whole: Whole, *, step: int, nearest: bool, size: int) -> None:
        super().__init__(function)
        self._whole = whole
        self._step = step
        self._nearest = nearest
        self._bound = (1 << (8 * size - 1)) - 1

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not self._whole.read(source, start, size):
            return self.call(out, source, start, size)
        value: cython.longlong = self._whole.value  # nothing below overflows
        magnitude: cython.longlong = -value if value < 0 else value
        rest: cython.longlong = magnitude % self._step
        if not self._nearest:
            value = value // self._step * self._step
        else:
            magnitude += self._step - rest if rest >= self._step - rest else -rest
            value = magnitude if value >= 0 else -magnitude
        if value > self._bound or value < -self._bound - 1:
            return 0
        self._whole.write(out, value)
        return 1
