"""The row kernel: walks DataRow messages in a buffer and masks them. Compiled by Cython when a C compiler is there.

A DataRow is ``'D' int32 length, int16 columns, then per column int32 length (-1: NULL) and that many bytes``
("Message Formats", protocol chapter). Pure-Python mode: the file is valid Python and gives the same bytes interpreted.

A 32-bit number is put together in ``length`` from its first byte on: the shift of a single byte is done in C's int,
whose sign bit a length of -1 would reach.
"""

from collections.abc import Callable

import cython

from maskproxy.base.errors import ProtocolError

RowMask = Callable[[bytes], bytes | None]
"""One column's value as it stands on the wire, in the format of the result; None answers NULL. Never raises."""

COMPILED: bool = cython.compiled
_DATA_ROW = 0x44
_NULL = b"\xff\xff\xff\xff"


def row_run(data: bytes, start: cython.Py_ssize_t) -> tuple[int, int]:
    """End offset and number of the complete DataRow messages that lie side by side from ``start``.

    Raises ProtocolError for a length that no DataRow can have.
    """
    view: cython.const[cython.uchar][::1] = data  # type: ignore[valid-type]
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


def mask_rows(
    data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, masks: tuple[RowMask | None, ...]
) -> bytes:
    """The complete DataRow messages in ``data[start:end]``, masked.

    Raises ProtocolError when a row does not have exactly one column per entry of ``masks`` or its lengths do not add
    up.
    """
    out = bytearray()
    offset: cython.Py_ssize_t = start
    while offset < end:
        offset = _mask_row(data, offset, end, masks, out)
    return bytes(out)


def oversized(data: bytes, start: cython.Py_ssize_t, masks: tuple[RowMask | None, ...], limit: int) -> bool:
    """Whether the DataRow at ``start``, complete or not, has a masked value or, together, clear values over ``limit``.

    They are kept apart, so that the size of clear values, which a client chooses, never tells a masked value's length.
    """
    size: cython.Py_ssize_t = len(data)
    offset: cython.Py_ssize_t = start + 7
    clear: cython.Py_ssize_t = 0
    for mask in masks:
        if offset + 4 > size:
            break
        length: cython.Py_ssize_t = int.from_bytes(data[offset : offset + 4], "big", signed=True)
        offset += 4 + max(length, 0)
        if mask is None:
            clear += max(length, 0)
        elif length > limit:
            return True
    return bool(clear > limit)


@cython.cfunc  # type: ignore[untyped-decorator]
def _mask_row(
    data: bytes, start: cython.Py_ssize_t, limit: cython.Py_ssize_t, masks: tuple[RowMask | None, ...], out: bytearray
) -> cython.Py_ssize_t:
    """Append one masked row to ``out``; the offset behind it."""
    view: cython.const[cython.uchar][::1] = data  # type: ignore[valid-type]
    columns: cython.Py_ssize_t = len(masks)
    length: cython.Py_ssize_t
    column: cython.Py_ssize_t
    length = view[start + 1]
    length = (length << 24) | (view[start + 2] << 16) | (view[start + 3] << 8) | view[start + 4]
    end: cython.Py_ssize_t = start + 1 + length
    if end > limit or ((view[start + 5] << 8) | view[start + 6]) != columns:
        raise ProtocolError("a row does not have the columns of its plan")
    head: cython.Py_ssize_t = len(out)
    copied: cython.Py_ssize_t = start  # everything before this offset is in ``out``
    offset: cython.Py_ssize_t = start + 7
    for column in range(columns):
        if offset + 4 > end:
            raise ProtocolError("a row is shorter than its columns")
        length = view[offset]
        length = (length << 24) | (view[offset + 1] << 16) | (view[offset + 2] << 8) | view[offset + 3]
        offset += 4
        if length == 0xFFFFFFFF:
            continue
        if offset + length > end:
            raise ProtocolError("a column is longer than its row")
        mask = masks[column]
        if mask is not None:
            out += data[copied : offset - 4]
            value = mask(data[offset : offset + length])
            if value is None:
                out += _NULL
            else:
                out += len(value).to_bytes(4, "big")
                out += value
            copied = offset + length
        offset += length
    if offset != end:
        raise ProtocolError("a row is longer than its columns")
    out += data[copied:end]
    out[head + 1 : head + 5] = (len(out) - head - 1).to_bytes(4, "big")
    return end
