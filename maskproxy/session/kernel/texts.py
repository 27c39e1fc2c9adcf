# cython: boundscheck=False, wraparound=False
"""``partial`` and ``email`` on UTF-8, by characters. Texts look the same in both formats."""

import cython

from maskproxy.session.kernel.ops import Call, Output, RowMask

if cython.compiled:
    from cython.cimports.maskproxy.session.kernel.ops import characters, sequence, stripped
else:
    from maskproxy.session.kernel.ops import characters, sequence, stripped

_NO_BOUND = 1 << 40  # more than a message can hold


class Text(Call):
    """``most``: characters that varchar(n) and char(n) hold; ``octets``: bytes that ``name`` holds."""

    def __init__(self, function: RowMask, *, most: int | None, octets: int | None, padded: bool) -> None:
        super().__init__(function)
        self._most = _NO_BOUND if most is None else most
        self._octets = _NO_BOUND if octets is None else octets
        self._pad = -1 if not padded else most or 0

    def end(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Where the value ends: padding is not part of it."""
        return start + size if self._pad < 0 else stripped(source, start, start + size)

    def fitted(self, out: Output, head: cython.Py_ssize_t, count: cython.Py_ssize_t) -> cython.int:
        """The text of ``count`` characters that was appended from ``head`` on, padded; 0 when it does not fit."""
        if count > self._most or out.at - head > self._octets:
            return 0
        if self._pad > count:
            out.fill(0x20, self._pad - count)
        return 1


class Partial(Text):
    def __init__(
        self,
        function: RowMask,
        first: int,
        last: int,
        char: bytes,
        *,
        most: int | None,
        octets: int | None,
        padded: bool,
    ) -> None:
        super().__init__(function, most=most, octets=octets, padded=padded)
        self._first = first
        self._last = last
        self._char = char

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        end: cython.Py_ssize_t = self.end(source, start, size)
        count: cython.Py_ssize_t = characters(source, start, end)
        if count < 0:
            return 0
        head: cython.Py_ssize_t = out.at
        hidden: cython.Py_ssize_t = count - self._first - self._last
        front: cython.Py_ssize_t = start  # where the hidden characters begin and end
        back: cython.Py_ssize_t = end
        if hidden <= 0:
            hidden = count
        elif count == end - start:
            front = start + self._first
            back = end - self._last
        else:
            front = _forward(source, start, end, self._first)
            back = _backward(source, start, end, self._last)
        if _has_zero(source, start, front) or _has_zero(source, back, end):
            return 0
        out.copy(source, start, front - start)
        _repeat(out, self._char, hidden)
        out.copy(source, back, end - back)
        return self.fitted(out, head, count)


class Email(Text):
    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        end: cython.Py_ssize_t = self.end(source, start, size)
        count: cython.Py_ssize_t = characters(source, start, end)
        if count < 0:
            return 0
        head: cython.Py_ssize_t = out.at
        at: cython.Py_ssize_t = end - 1
        while at >= start and source[at] != 0x40:
            at -= 1
        if at <= start:  # no local part, or no @
            out.fill(0x2A, count)
            return self.fitted(out, head, count)
        local: cython.Py_ssize_t = characters(source, start, at)
        kept: cython.Py_ssize_t = 0 if local == 1 else sequence(source, start, at)
        if _has_zero(source, start, start + kept) or _has_zero(source, at, end):
            return 0
        out.copy(source, start, kept)
        out.fill(0x2A, local if kept == 0 else local - 1)
        out.copy(source, at, end - at)
        return self.fitted(out, head, count)


@cython.cfunc
@cython.exceptval(check=False)
def _forward(
    source: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t, count: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """The place behind ``count`` characters of well-formed UTF-8."""
    while count > 0 and start < end:
        start += 1
        while start < end and source[start] & 0xC0 == 0x80:
            start += 1
        count -= 1
    return start


@cython.cfunc
@cython.exceptval(check=False)
def _backward(
    source: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t, count: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """The place of the ``count``-th character from the end."""
    while count > 0 and end > start:
        end -= 1
        while end > start and source[end] & 0xC0 == 0x80:
            end -= 1
        count -= 1
    return end


@cython.cfunc
@cython.exceptval(check=False)
def _has_zero(source: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """No text of PostgreSQL holds it, so none is made with it."""
    at: cython.Py_ssize_t
    for at in range(start, end):  # noqa: SIM110 - any() is no C loop
        if source[at] == 0:
            return True
    return False


@cython.cfunc
def _repeat(out: Output, char: bytes, count: cython.Py_ssize_t) -> cython.int:
    each: cython.Py_ssize_t = len(char)
    letters: cython.p_const_uchar = char
    if each == 1:
        return out.fill(letters[0], count)
    out.reserve(each * count)
    while count > 0:
        out.copy(letters, 0, each)
        count -= 1
    return 0
