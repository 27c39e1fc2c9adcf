# cython: boundscheck=False, wraparound=False
"""The output of the row kernel, what its ops have in common, and the ops that work on any value."""

from collections.abc import Callable

import cython

if cython.compiled:
    from cython.cimports.libc.string import memcpy, memset

RowMask = Callable[[bytes], bytes | None]
"""One column's value as it stands on the wire, in the format of the result; None answers NULL. Never raises."""

FIRST_ROOM = 1 << 16
_NOT_ASCII = cython.declare(cython.ulonglong, 0x8080808080808080)  # the bit of eight bytes that says so


class Output:
    """A buffer that grows by doubling. ``at`` is where the next byte goes."""

    def __init__(self) -> None:
        self._buffer = bytearray(FIRST_ROOM)
        self.bytes = self._buffer
        self.room = FIRST_ROOM
        self.at = 0

    def reserve(self, size: cython.Py_ssize_t) -> cython.int:
        """Room for ``size`` more bytes: to be asked for before any is written."""
        if self.room - self.at < size:
            room: cython.Py_ssize_t = max(2 * self.room, self.at + size)
            larger: bytearray = bytearray(room)
            larger[: self.at] = memoryview(self._buffer)[: self.at]
            self._buffer = larger
            self.bytes = self._buffer
            self.room = room
        return 0

    def copy(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        if self.room - self.at < size:
            self.reserve(size)
        if cython.compiled:
            memcpy(self.bytes + self.at, source + start, size)  # type: ignore[operator]
        else:
            self.bytes[self.at : self.at + size] = source[start : start + size]
        self.at += size
        return 0

    def fill(self, byte: cython.int, size: cython.Py_ssize_t) -> cython.int:
        if self.room - self.at < size:
            self.reserve(size)
        if cython.compiled:
            memset(self.bytes + self.at, byte, size)  # type: ignore[operator]
        else:
            self.bytes[self.at : self.at + size] = bytes((byte,)) * size
        self.at += size
        return 0

    def length(self, at: cython.Py_ssize_t, value: cython.Py_ssize_t) -> cython.int:
        """A 32-bit number at a place that has been written already; -1 is NULL."""
        if value < -1 or value > 0x7FFFFFFF:
            raise OverflowError("longer than a message can be")
        self.bytes[at] = (value >> 24) & 0xFF
        self.bytes[at + 1] = (value >> 16) & 0xFF
        self.bytes[at + 2] = (value >> 8) & 0xFF
        self.bytes[at + 3] = value & 0xFF
        return 0

    def taken(self) -> bytes:
        """Everything that was written; the next byte goes to the beginning."""
        size: cython.Py_ssize_t = self.at
        self.at = 0
        return self.bytes[:size] if cython.compiled else bytes(self.bytes[:size])  # type: ignore[return-value]


class Op:
    """What is done with the values of one column; this one makes them NULL.

    ``mask`` appends the masked form of ``source[start:start + size]``. 0: it is NULL, and what was appended is taken
    back."""

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        return 0

    def __call__(self, value: bytes) -> bytes | None:
        """One value on its own."""
        out = Output()
        return out.taken() if self.mask(out, value, 0, len(value)) else None


class Call(Op):
    """Asks a Python function. Other ops are made of it, for the values on which they do not decide themselves."""

    def __init__(self, function: RowMask) -> None:
        self._function = function

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        return self.call(out, source, start, size)

    def call(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        raw: bytes = source[start : start + size]
        value: bytes | None = self._function(raw)
        if value is None:
            return 0
        out.copy(value, 0, len(value))
        return 1


# --- UTF-8 ----------------------------------------------------------------------------------------------------------


def characters(source: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """How many there are; -1 where Python's strict decoder refuses."""
    count: cython.Py_ssize_t = 0
    at: cython.Py_ssize_t = start
    size: cython.Py_ssize_t
    if cython.compiled:
        word: cython.ulonglong = 0
        while at + 8 <= end:
            memcpy(cython.address(word), source + at, 8)
            if word & _NOT_ASCII:
                break
            at += 8
        count = at - start
    while at < end:
        if source[at] < 0x80:
            at += 1
        else:
            size = sequence(source, at, end)
            if size == 0:
                return -1
            at += size
        count += 1
    return count


def sequence(source: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Bytes of the well-formed sequence at ``start`` (The Unicode Standard, table 3-7); 0 where there is none."""
    lead: cython.int = source[start]
    size: cython.Py_ssize_t = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if size == 1:
        return 1
    if lead < 0xC2 or lead > 0xF4 or size > end - start:
        return 0
    second: cython.int = source[start + 1]
    lowest: cython.int = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
    highest: cython.int = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
    if second < lowest or second > highest:
        return 0
    at: cython.Py_ssize_t
    for at in range(start + 2, start + size):
        if source[at] & 0xC0 != 0x80:
            return 0
    return size


def stripped(source: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The end of a char(n) without its padding."""
    while end > start and source[end - 1] == 0x20:
        end -= 1
    return end


# --- constants ------------------------------------------------------------------------------------------------------


class Constant(Call):
    """One value for every value that can be read: of exactly ``width`` bytes, or of any number of bytes (-1)."""

    def __init__(self, function: RowMask, value: bytes, width: int) -> None:
        super().__init__(function)
        self._value = value
        self._width = width

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if self._width >= 0 and size != self._width:
            return 0
        out.copy(self._value, 0, len(self._value))
        return 1


class BoolConstant(Call):
    """False for both."""

    def __init__(self, function: RowMask, false: bytes, true: bytes) -> None:
        super().__init__(function)
        self._false = false
        self._true = true

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        false: cython.p_const_uchar = self._false
        true: cython.p_const_uchar = self._true
        if size != 1 or (source[start] != false[0] and source[start] != true[0]):
            return 0
        out.copy(self._false, 0, 1)
        return 1


class TextConstant(Call):
    """The same for UTF-8 behind ``version``, the first byte of a binary jsonb, if there is to be one (else -1)."""

    def __init__(self, function: RowMask, value: bytes, version: int) -> None:
        super().__init__(function)
        self._value = value
        self._version = version

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        end: cython.Py_ssize_t = start + size
        if self._version >= 0:
            if size == 0 or source[start] != self._version:
                return 0
            start += 1
        if characters(source, start, end) < 0:
            return 0
        out.copy(self._value, 0, len(self._value))
        return 1
