# cython: boundscheck=False, wraparound=False
"""The narrow form of JSON in which workers write nearly all records, and lines of the log that are in it.

Without white space, empty lists and objects, signs, exponents, ``\\u`` and what is not ASCII; with plain names. It is
read in place, in a part of the time that orjson takes, and nothing is accepted that orjson would not accept. Compiled
by Cython when a C compiler is there (``setup.py``); interpreted, orjson looks at everything, with the same answers.
"""

from typing import Any, NamedTuple

import cython
import orjson

if cython.compiled:
    from cython.cimports.libc.string import memcpy

COMPILED: bool = cython.compiled
_DEPTH = cython.declare(cython.int, 12)  # containers in containers
_DIGITS = cython.declare(cython.Py_ssize_t, 17)  # of a number's part; more of them may be no number for orjson
_NAME = cython.declare(cython.int, 0)  # what may come next in a record
_VALUE = cython.declare(cython.int, 1)
_NEXT = cython.declare(cython.int, 2)

_ONES = cython.declare(cython.ulonglong, 0x0101010101010101)  # times a byte: eight of it
_HIGH = cython.declare(cython.ulonglong, 0x8080808080808080)


class Entry(NamedTuple):
    """What one needs of a line to follow the log. None for what is not there or no text."""

    number: int  # its index
    type: str | None
    id: str | None
    ref: str | None


class Plain:
    """Reads the members of one object. Of ``type``, ``id`` and ``ref`` in it, where their text is; 0 if it is none."""

    def __init__(self) -> None:
        self.type_at = self.type_end = self.id_at = self.id_end = self.ref_at = self.ref_end = 0

    def members(self, view: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """Whether ``view[start:end]`` are members and the closing brace, and ``i`` is not among them.

        ``kinds`` has a bit for each container that is open, the innermost last: 1 for an object."""
        offset: cython.Py_ssize_t = start
        begin: cython.Py_ssize_t
        name: cython.Py_ssize_t = start  # of the member at hand, and its length
        size: cython.Py_ssize_t = 0
        depth: cython.int = 1
        kinds: cython.uint = 1
        expected: cython.int = _NAME
        byte: cython.uchar
        self.type_at = self.type_end = self.id_at = self.id_end = self.ref_at = self.ref_end = 0
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
                offset = _string_end(view, offset, end, expected == _VALUE)
                if offset < 0:
                    return False
                if expected == _NAME:
                    if depth == 1:
                        name, size = begin, offset - 1 - begin
                        if size == 1 and view[begin] == 0x69:  # i
                            return False
                        if size <= 4:
                            self._note(view, name, size, 0, 0)
                    if offset >= end or view[offset] != 0x3A:  # :
                        return False
                    offset += 1
                    expected = _VALUE
                else:
                    if depth == 1 and size <= 4:
                        self._note(view, name, size, begin, offset - 1)
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

    def _note(
        self,
        view: cython.p_const_uchar,
        name: cython.Py_ssize_t,
        size: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> None:
        """The last one of a name counts, as for orjson."""
        if size == 2 and view[name] == 0x69 and view[name + 1] == 0x64:  # id
            self.id_at, self.id_end = at, end
        elif size == 3 and view[name] == 0x72 and view[name + 1] == 0x65 and view[name + 2] == 0x66:  # ref
            self.ref_at, self.ref_end = at, end
        elif (
            size == 4
            and (view[name] == 0x74 and view[name + 1] == 0x79)  # ty
            and (view[name + 2] == 0x70 and view[name + 3] == 0x65)  # pe
        ):
            self.type_at, self.type_end = at, end


_plain: Plain = Plain()


def read_entry(line: bytes) -> Entry | None:
    """None when the line is no record (torn, or a hole that a crash left)."""
    entry: Entry | None = _plain_entry(line) if cython.compiled else None
    if entry is not None:
        return entry
    record = parse_line(line)
    return None if record is None else Entry(record["i"], *(_text(record.get(name)) for name in ("type", "id", "ref")))


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The record in a line; None when it is not one."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("i"), int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


@cython.cfunc
def _plain_entry(line: bytes) -> Entry | None:
    """None when it is not in the narrow form."""
    view: cython.p_const_uchar = line
    end: cython.Py_ssize_t = len(line)
    plain: Plain = _plain
    if end < 7 or line[:5] != b'{"i":':
        return None
    offset: cython.Py_ssize_t = _digits_end(view, 5, end)
    if offset < 0 or offset >= end or view[offset] != 0x2C or (view[5] == 0x30 and offset != 6):  # , and a leading 0
        return None
    if not plain.members(view, offset + 1, end):
        return None
    index: cython.longlong = 0
    at: cython.Py_ssize_t
    for at in range(5, offset):
        index = index * 10 + (view[at] - 0x30)
    kind: bytes = line[plain.type_at : plain.type_end]
    name: bytes = line[plain.id_at : plain.id_end]
    ref: bytes = line[plain.ref_at : plain.ref_end]
    if b"\\" in kind or b"\\" in name or b"\\" in ref:
        return None
    return Entry(
        index,
        kind.decode("ascii") if plain.type_at else None,
        name.decode("ascii") if plain.id_at else None,
        ref.decode("ascii") if plain.ref_at else None,
    )


@cython.cfunc
@cython.exceptval(check=False)
def _string_end(
    view: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t, escapes: cython.bint
) -> cython.Py_ssize_t:
    """Offset behind the closing quote; ``start`` is behind the opening one. -1 if it is not plain."""
    offset: cython.Py_ssize_t = start
    byte: cython.uchar
    if cython.compiled:
        word: cython.ulonglong = 0
        while offset + 8 <= end:  # eight at a time, as long as no quote, backslash or other odd byte is among them
            memcpy(cython.address(word), view + offset, 8)
            if (
                word
                | _zero_byte(word ^ _ONES * 0x22)
                | _zero_byte(word ^ _ONES * 0x5C)
                | _zero_byte(word ^ _ONES * 0x7F)
                | ((word - _ONES * 0x20) & ~word)
            ) & _HIGH:
                break
            offset += 8
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
@cython.inline
@cython.exceptval(check=False)
def _zero_byte(word: cython.ulonglong) -> cython.ulonglong:
    """A high bit is set if a byte is 0; above that byte others may be set, too."""
    return (word - _ONES) & ~word


@cython.cfunc
@cython.exceptval(check=False)
def _word_end(view: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
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
@cython.exceptval(check=False)
def _digits_end(view: cython.p_const_uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    offset: cython.Py_ssize_t = start
    while offset < end and 0x30 <= view[offset] <= 0x39:
        offset += 1
    return offset if start < offset <= start + _DIGITS else -1
