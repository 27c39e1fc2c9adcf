# cython: boundscheck=False, wraparound=False
"""The row kernel: walks DataRow messages in a buffer and masks them. Compiled by Cython when a C compiler is there.

A DataRow is ``'D' int32 length, int16 columns, then per column int32 length (-1: NULL) and that many bytes``
("Message Formats", protocol chapter). Pure-Python mode: the file is valid Python and gives the same bytes interpreted.

A 32-bit number is put together in ``length`` from its first byte on: the shift of a single byte is done in C's int,
whose sign bit a length of -1 would reach.
"""

import cython

from maskproxy.base.errors import ProtocolError
from maskproxy.session.kernel.ops import Op, Output

COMPILED: bool = cython.compiled
_DATA_ROW = cython.declare(cython.int, 0x44)
_NULL = cython.declare(cython.Py_ssize_t, 0xFFFFFFFF)  # the length that stands for it
_SPARE_ROOM = cython.declare(cython.Py_ssize_t, 1 << 20)

_spare: list[Output] = []
"""The buffer that is used again. Whoever writes to it has taken it out of here; one that had to grow large is left to
the garbage collector."""


class RowMasks:
    """One op per output column; None where the value is released as it is."""

    def __init__(self, each: tuple[Op | None, ...]) -> None:
        if not all(op is None or isinstance(op, Op) for op in each):
            raise TypeError("an op per column is needed")
        self.ops = each


def row_run(data: bytes, start: cython.Py_ssize_t) -> tuple[int, int]:
    """End offset and number of the complete DataRow messages that lie side by side from ``start``.

    Raises ProtocolError for a length that no DataRow can have.
    """
    if start < 0:
        raise ValueError("rows that are not in the data")
    view: cython.p_const_uchar = data
    size: cython.Py_ssize_t = len(data)
    offset: cython.Py_ssize_t = start
    length: cython.Py_ssize_t
    rows: cython.Py_ssize_t = 0
    while offset + 5 <= size and view[offset] == _DATA_ROW:
        length = view[offset + 1]
        length = (length << 24) | (view[offset + 2] << 16) | (view[offset + 3] << 8) | view[offset + 4]
        if length < 6 or length > 0x7FFFFFFF:
            raise ProtocolError("invalid length of a DataRow message")
        if offset + 1 + length > size:
            break
        offset += 1 + length
        rows += 1
    return offset, rows


def mask_rows(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, masks: RowMasks) -> bytes:
    """The complete DataRow messages in ``data[start:end]``, masked.

    Raises ProtocolError when a row does not have exactly one column per op of ``masks`` or its lengths do not add up.
    """
    if start < 0 or end > len(data):
        raise ValueError("rows that are not in the data")
    source: cython.p_const_uchar = data
    out: Output = _spare.pop() if _spare else Output()
    out.at = 0
    try:
        while start < end:
            start = _mask_row(source, start, end, masks.ops, out)
        return out.taken()
    finally:
        if out.room <= _SPARE_ROOM and not _spare:
            _spare.append(out)


def oversized(data: bytes, start: cython.Py_ssize_t, masks: RowMasks, limit: int) -> bool:
    """Whether the DataRow at ``start``, complete or not, has a masked value or, together, clear values over ``limit``.

    They are kept apart, so that the size of clear values, which a client chooses, never tells a masked value's length.
    """
    size: cython.Py_ssize_t = len(data)
    offset: cython.Py_ssize_t = start + 7
    clear: cython.Py_ssize_t = 0
    for op in masks.ops:
        if offset + 4 > size:
            break
        length: cython.Py_ssize_t = int.from_bytes(data[offset : offset + 4], "big", signed=True)
        offset += 4 + max(length, 0)
        if op is None:
            clear += max(length, 0)
        elif length > limit:
            return True
    return bool(clear > limit)


@cython.cfunc
def _mask_row(
    source: cython.p_const_uchar,
    start: cython.Py_ssize_t,
    limit: cython.Py_ssize_t,
    ops: tuple[Op | None, ...],
    out: Output,
) -> cython.Py_ssize_t:
    """Append one masked row to ``out``; the offset behind it."""
    columns: cython.Py_ssize_t = len(ops)
    if start + 7 > limit:
        raise ProtocolError("a row is cut off")
    end: cython.Py_ssize_t = start + 1 + _length(source, start + 1)
    if end > limit or ((source[start + 5] << 8) | source[start + 6]) != columns:
        raise ProtocolError("a row does not have the columns of its plan")
    head: cython.Py_ssize_t = out.at
    copied: cython.Py_ssize_t = start  # everything before this offset is in ``out``
    offset: cython.Py_ssize_t = start + 7
    length: cython.Py_ssize_t
    column: cython.Py_ssize_t
    at: cython.Py_ssize_t
    for column in range(columns):
        if offset + 4 > end:
            raise ProtocolError("a row is shorter than its columns")
        length = _length(source, offset)
        offset += 4
        if length == _NULL:
            continue
        if offset + length > end:
            raise ProtocolError("a column is longer than its row")
        if ops[column] is not None:
            out.copy(source, copied, offset - copied)
            at = out.at
            if cython.cast(Op, ops[column]).mask(out, source, offset, length):
                out.length(at - 4, out.at - at)
            else:
                out.at = at
                out.length(at - 4, -1)
            copied = offset + length
        offset += length
    if offset != end:
        raise ProtocolError("a row is longer than its columns")
    out.copy(source, copied, end - copied)
    out.length(head + 1, out.at - head - 1)
    return end


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _length(source: cython.p_const_uchar, offset: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The unsigned 32-bit number there. A single byte is shifted in C's int, hence the steps."""
    length: cython.Py_ssize_t = source[offset]
    return (length << 24) | (source[offset + 1] << 16) | (source[offset + 2] << 8) | source[offset + 3]
