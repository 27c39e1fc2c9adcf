"""The batch of messages by which a driver runs one query in the extended protocol, read in one go. Compiled by Cython.

    [Parse] Bind [Describe portal] Execute Sync       the portal is the unnamed one and runs to its end

Anything else, also what is not well-formed, is left to those who take messages one by one ("Message Formats").
"""

from typing import TypeAlias

import cython

from maskproxy.wire.postgres import messages as m

COMPILED: bool = cython.compiled

DESCRIBE_PORTAL = m.Describe(b"P", "").encode()
EXECUTE_AND_SYNC = m.Execute("", 0).encode() + m.Sync().encode()
_DESCRIBE_AND_SO_ON = DESCRIBE_PORTAL + EXECUTE_AND_SYNC

ParseMessage = tuple[str, str, tuple[int, ...]]
"""Name, text, types of parameters."""

Parameters: TypeAlias = "tuple[bytes | None, ...]"

BindMessage: TypeAlias = "tuple[str, tuple[int, ...], Parameters, tuple[int, ...]]"
"""Name of the statement, formats of parameters, parameters, formats of results."""

Batch: TypeAlias = "tuple[ParseMessage | None, BindMessage, int, bool]"
"""With where Bind ends, and whether there is a Describe."""


def read_batch(data: bytes) -> "Batch | None":
    """None for anything but such a batch."""
    parse: ParseMessage | None = None
    begin: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    if data[0] == 0x50:  # P
        end = _frame_end(data, 0)
        if end == 0 or end >= len(data):
            return None
        parse = _read_parse(data, end)
        if parse is None:
            return None
        begin = end
    if data[begin] != 0x42:  # B
        return None
    end = _frame_end(data, begin)
    if end == 0:
        return None
    describes: cython.bint = data[end:] == _DESCRIBE_AND_SO_ON
    if not describes and data[end:] != EXECUTE_AND_SYNC:
        return None
    bind = _read_bind(data, begin + 5, end)
    return None if bind is None else (parse, bind, end, describes)


def rename(data: bytes, bind_end: cython.Py_ssize_t, name: str) -> tuple[bytes, int]:
    """A batch that begins with Bind, of the statement ``name``; and where its Bind ends."""
    rest: cython.Py_ssize_t = data.find(0, 6, bind_end)
    bind = b"\0" + name.encode() + data[rest:bind_end]
    head = b"B" + (len(bind) + 4).to_bytes(4, "big")
    return head + bind + data[bind_end:], len(bind) + 5


@cython.cfunc
def _frame_end(data: bytes, start: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """0 when it is not whole, or claims a length that none has."""
    length: cython.Py_ssize_t
    if start + 5 > len(data):
        return 0
    length = _int32(data, start + 1)
    return start + 1 + length if 4 <= length < len(data) - start else 0


@cython.cfunc
def _int32(data: bytes, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """As the wire has it; what stands for a negative number is larger than any length."""
    number: cython.Py_ssize_t = data[at]
    return (number << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3]


@cython.cfunc
def _int16(data: bytes, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
    number: cython.Py_ssize_t = data[at]
    return (number << 8) | data[at + 1]


@cython.cfunc
def _text(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> str:
    return "" if start == end else data[start:end].decode("utf-8", "surrogateescape")


@cython.cfunc
def _read_parse(data: bytes, end: cython.Py_ssize_t) -> object:
    name: cython.Py_ssize_t = data.find(0, 5, end)
    text: cython.Py_ssize_t = data.find(0, name + 1, end) if name >= 0 else -1
    at: cython.Py_ssize_t = text + 3
    if text < 0 or at > end:
        return None
    count: cython.Py_ssize_t = _int16(data, text + 1)
    if at + 4 * count != end:
        return None
    types = tuple([_int32(data, at + 4 * index) for index in range(count)]) if count else ()
    return _text(data, 5, name), _text(data, name + 1, text), types


@cython.cfunc
def _read_bind(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> object:
    """None unless the portal is the unnamed one."""
    name: cython.Py_ssize_t = data.find(0, start + 1, end)
    if name < 0 or data[start] != 0:
        return None
    at: cython.Py_ssize_t = name + 1
    formats = _read_formats(data, at, end)
    if formats is None:
        return None
    at += 2 + 2 * len(formats)
    if at + 2 > end:
        return None
    count: cython.Py_ssize_t = _int16(data, at)
    at += 2
    length: cython.Py_ssize_t
    parameters: list[bytes | None] = []
    for _ in range(count):
        if at + 4 > end:
            return None
        length = _int32(data, at)
        at += 4
        if length == 0xFFFFFFFF:
            parameters.append(None)
            continue
        if length > end - at:
            return None
        parameters.append(data[at : at + length])
        at += length
    results = _read_formats(data, at, end)
    if results is None or at + 2 + 2 * len(results) != end:
        return None
    return _text(data, start + 1, name), formats, tuple(parameters), results


@cython.cfunc
def _read_formats(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> object:
    """Format codes behind their number; None when they are cut off, or one is neither text nor binary."""
    if at + 2 > end:
        return None
    count: cython.Py_ssize_t = _int16(data, at)
    if count == 0:
        return ()
    if at + 2 + 2 * count > end:
        return None
    formats = tuple([_int16(data, at + 2 + 2 * index) for index in range(count)])
    return formats if max(formats) <= 1 else None
