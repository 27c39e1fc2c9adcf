# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""From what a worker sends to lines of the log: which records are whole, whether they are records, their indexes.

A worker may be compromised. Its records become lines of a file that all workers share, so each must be one JSON object
on one line with no index of its own: then it can neither break up the file nor pose as another line of it. What it says
of itself is the worker's word. orjson decides what is JSON; ``audit.plain`` knows the narrow form in which workers
write nearly all of theirs. Compiled by Cython when a C compiler is there (``setup.py``); interpreted orjson looks at
everything, with the same answers.
"""

import cython
import orjson

from maskproxy.audit.framing import MAX_RECORD, FramingError
from maskproxy.audit.plain import Plain

COMPILED: bool = cython.compiled
_HEAD = cython.declare(cython.Py_ssize_t, 4)  # bytes of a record's length
_LIMIT = cython.declare(cython.Py_ssize_t, MAX_RECORD)
_plain: Plain = Plain()


def whole_records(data: bytes | bytearray) -> tuple[int, int]:
    """Where the whole records at the beginning of ``data`` end, and how many there are.

    Raises FramingError, whose text shows nothing of a record: for one that is none, and for one that is too long,
    before more of it is waited for.
    """
    view: cython.p_const_uchar
    if isinstance(data, bytearray):
        changing: bytearray = data
        view = changing
    else:
        fixed: bytes = data
        view = fixed
    size: cython.Py_ssize_t = len(data)
    offset: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t = 0
    length: cython.Py_ssize_t
    while offset + _HEAD <= size:
        length = view[offset]
        length = (length << 24) | (view[offset + 1] << 16) | (view[offset + 2] << 8) | view[offset + 3]
        if length > _LIMIT:
            raise FramingError(f"a record of {length} bytes is over the limit of {MAX_RECORD}")
        if offset + _HEAD + length > size:
            break
        offset += _HEAD
        if not cython.compiled or not _is_plain(view, offset, offset + length):
            check_record(bytes(data[offset : offset + length]))
        offset += length
        count += 1
    return offset, count


def add_lines(lines: list[bytes], frames: bytes, index: int) -> int:
    """Adds the lines of whole records that were looked at; ``index`` is that of the first. The next index."""
    view: cython.p_const_uchar = frames
    size: cython.Py_ssize_t = len(frames)
    offset: cython.Py_ssize_t = 0
    length: cython.Py_ssize_t
    number: cython.longlong = index
    while offset < size:
        length = view[offset]
        length = (length << 24) | (view[offset + 1] << 16) | (view[offset + 2] << 8) | view[offset + 3]
        offset += _HEAD
        lines.append(b'{"i":%d,' % number)
        lines.append(frames[offset + 1 : offset + length])
        lines.append(b"\n")
        offset += length
        number += 1
    return int(number)


def check_record(record: bytes) -> None:
    """Raises FramingError."""
    try:
        value = orjson.loads(record)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or not value or "i" in value or b"\n" in record or not record.startswith(b"{"):
        raise FramingError("not a record")


def is_plain(record: bytes) -> bool:
    """Whether this is a record in the workers' own form; if not, it may still be one."""
    return bool(_is_plain(record, 0, len(record)))


@cython.cfunc
def _is_plain(view: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    plain: Plain = _plain
    return end > start and view[start] == 0x7B and plain.members(view, start + 1, end)  # {
