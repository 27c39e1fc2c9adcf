"""Arrays: their shape, and their elements as raw bytes in the format of the whole.

Text is what ``array_out`` (arrayfuncs.c) writes; binary what ``array_send`` does:

    int32 ndim, int32 flags (1: has NULLs), uint32 element OID, ndim * (int32 length, int32 lower bound),
    then per element int32 length (-1: NULL) and its bytes

Anything else raises ValueError. Elements are in row-major order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from struct import Struct
from typing import Any

MAX_DIMENSIONS = 6  # MAXDIM

_BOUNDS = re.compile(rb"((?:\[-?\d{1,10}:-?\d{1,10}\])+)=")
_BOUND = re.compile(rb"\[(-?\d+):(-?\d+)\]")
_ELEMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^{},"\\\s]+)', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_NEEDS_QUOTES = re.compile(rb'[{},"\\ \t\n\r\v\f]')
_SPECIAL = re.compile(rb'["\\]')

_HEADER = Struct(">iiI")
_PAIR = Struct(">ii")
_LENGTH = Struct(">i")


@dataclass(frozen=True, slots=True)
class Array:
    """``dimensions`` are (length, lower bound), none for the empty array; ``elements`` are not shown."""

    dimensions: tuple[tuple[int, int], ...]
    elements: tuple[Any, ...] = field(repr=False)


def from_text(data: bytes, element: int) -> Array:
    """``element`` is not looked at: text does not tell the type of its elements."""
    if data == b"{}":
        return Array((), ())
    bounds = _BOUNDS.match(data)
    start = bounds.end() if bounds else 0
    if data[start : start + 1] != b"{":
        raise ValueError("malformed array")
    elements: list[bytes | None] = []
    shape, end = _read_braces(data, start, 1, elements)
    if end != len(data):
        raise ValueError("malformed array")
    if bounds is None:
        return Array(tuple((length, 1) for length in shape), tuple(elements))
    pairs = [(int(lower), int(upper)) for lower, upper in _BOUND.findall(bounds[1])]
    if tuple(upper - lower + 1 for lower, upper in pairs) != shape:
        raise ValueError("the bounds of an array do not fit it")
    return Array(tuple((upper - lower + 1, lower) for lower, upper in pairs), tuple(elements))


def _read_braces(data: bytes, start: int, depth: int, elements: list[bytes | None]) -> tuple[tuple[int, ...], int]:
    """Read ``{...}`` at ``start``; return its shape and where it ends. All parts of one level have one shape."""
    if depth > MAX_DIMENSIONS:
        raise ValueError("too many dimensions")
    count, position = 0, start
    shape: tuple[int, ...] | None = None
    while position == start or data[position : position + 1] == b",":
        position += 1
        if data[position : position + 1] == b"{":
            part, position = _read_braces(data, position, depth + 1, elements)
        else:
            part, position = (), _read_element(data, position, elements)
        if shape is not None and part != shape:
            raise ValueError("not a rectangular array")
        shape, count = part, count + 1
    if shape is None or data[position : position + 1] != b"}":
        raise ValueError("malformed array")
    return (count, *shape), position + 1


def _read_element(data: bytes, start: int, elements: list[bytes | None]) -> int:
    match = _ELEMENT.match(data, start)
    if match is None:
        raise ValueError("malformed array")
    quoted, bare = match.groups()
    if bare is None:
        elements.append(_ESCAPED.sub(rb"\1", quoted))
    else:
        elements.append(None if bare.upper() == b"NULL" else bare)
    return match.end()


def to_text(array: Array, element: int) -> bytes:
    if not array.dimensions:
        return b"{}"
    bounds = b""
    if any(lower != 1 for _, lower in array.dimensions):
        bounds = b"".join(b"[%d:%d]" % (lower, lower + length - 1) for length, lower in array.dimensions) + b"="
    return bounds + _write_braces(array.dimensions, map(_quoted, array.elements))


def _write_braces(dimensions: tuple[tuple[int, int], ...], elements: Iterator[bytes]) -> bytes:
    if not dimensions:
        return next(elements)
    (length, _), *inner = dimensions
    return b"{" + b",".join(_write_braces(tuple(inner), elements) for _ in range(length)) + b"}"


def _quoted(element: bytes | None) -> bytes:
    if element is None:
        return b"NULL"
    if element and element.upper() != b"NULL" and not _NEEDS_QUOTES.search(element):
        return element
    return b'"' + _SPECIAL.sub(rb"\\\g<0>", element) + b'"'


def from_binary(data: bytes, element: int) -> Array:
    """Raises ValueError, too, when the elements are not of the type with OID ``element``."""
    ndim, _, oid = _HEADER.unpack_from(data)
    position = _HEADER.size + ndim * _PAIR.size
    if oid != element or not 0 <= ndim <= MAX_DIMENSIONS or position > len(data):
        raise ValueError("malformed array")
    dimensions = tuple(_PAIR.unpack_from(data, _HEADER.size + index * _PAIR.size) for index in range(ndim))
    count = prod(length for length, _ in dimensions) if dimensions else 0
    if any(length < 1 for length, _ in dimensions) or count * _LENGTH.size > len(data) - position:
        raise ValueError("malformed array")
    elements: list[bytes | None] = []
    for _ in range(count):
        (size,) = _LENGTH.unpack_from(data, position)
        start = position + _LENGTH.size
        position = start + max(size, 0)
        if size < -1 or position > len(data):
            raise ValueError("malformed array")
        elements.append(None if size < 0 else data[start:position])
    if position != len(data):
        raise ValueError("malformed array")
    return Array(dimensions, tuple(elements))


def to_binary(array: Array, element: int) -> bytes:
    parts = [_HEADER.pack(len(array.dimensions), None in array.elements, element)]
    parts += (_PAIR.pack(length, lower) for length, lower in array.dimensions)
    for value in array.elements:
        parts += (_LENGTH.pack(-1),) if value is None else (_LENGTH.pack(len(value)), value)
    return b"".join(parts)
