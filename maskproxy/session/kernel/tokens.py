# cython: boundscheck=False, wraparound=False
"""``token`` on texts, JSON, integers, uuid and bytea. What is computed: ``core/masks/token.py``."""

import cython

from maskproxy.core.masks.token import LETTERS
from maskproxy.session.kernel.digests import Keyed
from maskproxy.session.kernel.numbers import Whole
from maskproxy.session.kernel.ops import Call, Output, RowMask

if cython.compiled:
    from cython.cimports.maskproxy.session.kernel.ops import characters, stripped
else:
    from maskproxy.session.kernel.ops import characters, stripped


class TextToken(Call):
    """``before`` and ``after`` the letters; ``width`` of char(n), or -1; ``version`` of binary jsonb, or -1."""

    def __init__(
        self,
        function: RowMask,
        keyed: Keyed,
        *,
        before: bytes,
        after: bytes,
        length: int,
        width: int = -1,
        version: int = -1,
    ) -> None:
        super().__init__(function)
        self._keyed = keyed
        self._before = before
        self._after = after
        self._letters = LETTERS
        self._length = length
        self._pad = width
        self._version = version

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        end: cython.Py_ssize_t = start + size
        if self._pad >= 0:
            end = stripped(source, start, end)
        if self._version >= 0:
            if size == 0 or source[start] != self._version:
                return 0
            start += 1
        if characters(source, start, end) < 0:
            return 0
        self._keyed.compute(source, start, end - start)
        head: cython.Py_ssize_t = out.at
        out.copy(self._before, 0, len(self._before))
        _append_letters(out, self._keyed.digest, self._letters, self._length)
        if len(self._after):
            out.copy(self._after, 0, len(self._after))
        if self._pad > out.at - head:
            out.fill(0x20, self._pad - (out.at - head))
        return 1


@cython.cfunc
def _append_letters(
    out: Output, digest: cython.p_const_uchar, letters: cython.p_const_uchar, count: cython.int
) -> cython.int:
    """A letter for each six bits."""
    out.reserve(count)
    bits: cython.uint = 0
    held: cython.int = 0  # how many of the low bits are not used yet
    octet: cython.int = 0
    number: cython.int
    for number in range(count):
        if held < 6:
            bits = (bits << 8 | digest[octet]) & 0xFFFF
            octet += 1
            held += 8
        held -= 6
        out.bytes[out.at + number] = letters[bits >> held & 0x3F]
    out.at += count
    return 0


class WholeToken(Call):
    def __init__(self, function: RowMask, keyed: Keyed, whole: Whole, size: int) -> None:
        super().__init__(function)
        self._keyed = keyed
        self._whole = whole
        self._largest = (1 << (8 * size - 1)) - 1

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        if not self._whole.read(source, start, size):
            return self.call(out, source, start, size)
        value: cython.longlong = self._whole.value
        count: cython.Py_ssize_t = self._whole.decimal(value)
        self._keyed.compute(self._whole.digits, self._whole.first, count)
        keyed: cython.longlong = self._keyed.digest[0] & 0x7F
        octet: cython.int
        for octet in range(1, 8):
            keyed = keyed << 8 | self._keyed.digest[octet]
        self._whole.write(out, (value & self._largest) ^ (keyed % self._largest + 1))
        return 1


class BytesToken(Call):
    """bytea and uuid. ``raw``: the value as bytes at the end of the output, where they are overwritten."""

    def __init__(self, function: RowMask, keyed: Keyed, *, binary: bool, uuid: bool) -> None:
        super().__init__(function)
        self._keyed = keyed
        self._binary = binary
        self._uuid = uuid

    def mask(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.int:
        digest: cython.p_uchar = self._keyed.digest
        if self._binary:
            if self._uuid and size != 16:
                return 0
            self._keyed.compute(source, start, size)
        else:
            count: cython.Py_ssize_t = self._raw(out, source, start, size)
            if count < 0:
                return self.call(out, source, start, size)
            self._keyed.compute(out.bytes, out.at, count)
        if self._uuid:
            digest[6] = digest[6] & 0x0F | 0x80
            digest[8] = digest[8] & 0x3F | 0x80
        if self._binary:
            out.copy(digest, 0, 16)
            return 1
        if not self._uuid:
            out.copy(b"\\x", 0, 2)
        _append_hex(out, digest, self._uuid)
        return 1

    def _raw(
        self, out: Output, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Its length; -1 where the text is not the usual one: hexadecimal in lower case."""
        if self._uuid:
            if size != 36:
                return -1
        elif size < 2 or size & 1 or source[start] != 0x5C or source[start + 1] != 0x78:
            return -1
        out.reserve(size)
        at: cython.Py_ssize_t = start if self._uuid else start + 2
        end: cython.Py_ssize_t = start + size
        count: cython.Py_ssize_t = 0
        high: cython.int
        low: cython.int
        while at < end:
            if self._uuid and _is_hyphen(at - start):
                if source[at] != 0x2D:
                    return -1
                at += 1
                continue
            if at + 1 >= end:
                return -1
            high = _nibble(source[at])
            low = _nibble(source[at + 1])
            if high < 0 or low < 0:
                return -1
            out.bytes[out.at + count] = high << 4 | low
            count += 1
            at += 2
        return count


@cython.cfunc
@cython.exceptval(check=False)
def _is_hyphen(place: cython.Py_ssize_t) -> cython.bint:
    """In the text of a uuid."""
    return place == 8 or place == 13 or place == 18 or place == 23


@cython.cfunc
@cython.exceptval(check=False)
def _nibble(digit: cython.int) -> cython.int:
    if 0x30 <= digit <= 0x39:
        return digit - 0x30
    if 0x61 <= digit <= 0x66:
        return digit - 0x61 + 10
    return -1


@cython.cfunc
def _append_hex(out: Output, digest: cython.p_const_uchar, hyphens: cython.bint) -> cython.int:
    """Sixteen bytes."""
    letters: cython.p_const_uchar = b"0123456789abcdef"
    out.reserve(36)
    octet: cython.int
    for octet in range(16):
        if hyphens and (octet == 4 or octet == 6 or octet == 8 or octet == 10):
            out.bytes[out.at] = 0x2D
            out.at += 1
        out.bytes[out.at] = letters[digest[octet] >> 4]
        out.bytes[out.at + 1] = letters[digest[octet] & 0x0F]
        out.at += 2
    return 0
