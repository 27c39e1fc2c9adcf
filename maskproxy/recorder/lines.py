# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""From what a worker sends to lines of the log: which records are whole, whether they are records, their indexes.

A worker may be compromised. Its records become lines of a file that all workers share, so each must be one JSON object
on one line with no index of its own: then it can neither break up the file nor pose as another line of it. What it says
of itself is the worker's word. orjson decides what is JSON; ``is_plain`` knows the narrow form in which workers write
nearly all of theirs, in a third of the time, and accepts nothing that orjson would not. Compiled by Cython when a C
compiler is there (``setup.py``); interpreted orjson looks at everything, with the same answers.
"""

import cython
import orjson

from maskproxy.audit.framing import MAX_RECORD, FramingError

COMPILED: bool = cython.compiled
_HEAD = cython.declare(cython.Py_ssize_t, 4)  # bytes of a record's length
_LIMIT = cython.declare(cython.Py_ssize_t, MAX_RECORD)
_DEPTH = cython.declare(cython.int, 12)  # containers in containers
_DIGITS = cython.declare(cython.Py_ssize_t, 17)  # of a number's part; more of them may be no number for orjson
_NAME = cython.declare(cython.int, 0)  # what may come next in a record
_VALUE = cython.declare(cython.int, 1)
_NEXT = cython.declare(cython.int, 2)


def whole_records(data: bytes | bytearray) -> tuple[int, int]:
    """Where the whole records at the beginning of ``data`` end, and how many there are.

    Raises FramingError, whose text shows nothing of a record: for one that is none, and for one that is too long,
    before more of it is waited for.
    """
    view: cython.const[cython.uchar][::1] = data  # type: ignore[valid-type]
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
    view: cython.const[cython.uchar][::1] = frames  # type: ignore[valid-type]
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
    """Whether this is a record in the workers' own form; if not, it may still be one. Without white space, empty lists
    and objects, signs, exponents, ``\\u`` and what is not ASCII; with plain names."""
    return bool(_is_plain(record, 0, len(record)))


@cython.cfunc
def _is_plain(
    view: cython.const[cython.uchar][::1],  # type: ignore[valid-type]
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.bint:
    """``kinds`` has a bit for each container that is open, the innermost last: 1 for an object."""
    offset: cython.Py_ssize_t = start + 1
    begin: cython.Py_ssize_t
    depth: cython.int = 1
    kinds: cython.uint = 1
    expected: cython.int = _NAME
    byte: cython.uchar
    if end <= start or view[start] != 0x7B:  # {
        return False
    while offset < end:
        byte = view[offset]
        offset += 1
        if expected == _NEXT:
            if byte == 0x2C:  # ,
                expected = _NAME if kinds & 1 else _VALUE
            elif byte == (0x7D if kinds & 1 else 0x5D):  # } ]
                depth -= 1
                kinds >>= 1
                if depth == 0:
                    return offset == end
            else:
                return False
        elif byte == 0x22:  # "
            begin = offset
            offset = _string_end(view, offset, end, escapes=expected == _VALUE)
            if offset < 0:
                return False
            if expected == _NAME:
                if depth == 1 and offset == begin + 2 and view[begin] == 0x69:  # i
                    return False
                if offset >= end or view[offset] != 0x3A:  # :
                    return False
                offset += 1
                expected = _VALUE
            else:
                expected = _NEXT
        elif expected == _NAME:
            return False
        elif byte == 0x7B or byte == 0x5B:  # { [
            depth += 1
            if depth > _DEPTH:
                return False
            kinds = kinds << 1 | (byte == 0x7B)
            expected = _NAME if byte == 0x7B else _VALUE
        else:
            offset = _word_end(view, offset - 1, end)
            if offset < 0:
                return False
            expected = _NEXT
    return False


@cython.cfunc
def _string_end(
    view: cython.const[cython.uchar][::1],  # type: ignore[valid-type]
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    escapes: cython.bint,
) -> cython.Py_ssize_t:
    """Offset behind the closing quote; ``start`` is behind the opening one. -1 if it is not plain."""
    offset: cython.Py_ssize_t = start
    byte: cython.uchar
    while offset < end:
        byte = view[offset]
        offset += 1
        if byte == 0x22:
            return offset
        if byte < 0x20 or byte > 0x7E:
            return -1
        if byte == 0x5C:  # \
            if not escapes or offset >= end:
                return -1
            byte = view[offset]
            if byte not in (0x22, 0x5C, 0x6E, 0x72, 0x74):  # " \ n r t
                return -1
            offset += 1
    return -1


@cython.cfunc
def _word_end(
    view: cython.const[cython.uchar][::1],  # type: ignore[valid-type]
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Offset behind a number or null; -1 if it is neither, or not plain."""
    offset: cython.Py_ssize_t
    if view[start] == 0x6E:  # n
        if start + 4 <= end and view[start + 1] == 0x75 and view[start + 2] == 0x6C and view[start + 3] == 0x6C:
            return start + 4
        return -1
    offset = _digits_end(view, start, end)
    if offset < 0 or (view[start] == 0x30 and offset != start + 1):  # a leading 0
        return -1
    if offset < end and view[offset] == 0x2E:  # .
        return _digits_end(view, offset + 1, end)
    return offset


@cython.cfunc
def _digits_end(
    view: cython.const[cython.uchar][::1],  # type: ignore[valid-type]
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    offset: cython.Py_ssize_t = start
    while offset < end and 0x30 <= view[offset] <= 0x39:
        offset += 1
    return offset if start < offset <= start + _DIGITS else -1
