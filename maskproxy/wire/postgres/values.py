"""Values on the wire: one non-NULL field in text or binary format to the value of its ``Domain`` (base.types) and back.

Everything here is total: what cannot be read, masked or written is None, which means NULL. A masked column thereby
never shows a raw value because something went wrong. In an array a bad element is a NULL element; an array whose
structure is bad is NULL as a whole.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from maskproxy.base.types import PgType
from maskproxy.wire.postgres import arrays
from maskproxy.wire.postgres.arrays import Array
from maskproxy.wire.postgres.scalars import SCALARS

TEXT, BINARY = 0, 1

Masker = Callable[[bytes], bytes | None]

_Read = Callable[[bytes], Any]
_Write = Callable[[Any], bytes]
_ReadArray = Callable[[bytes, int], Array]
_WriteArray = Callable[[Array, int], bytes]


def masker(type: PgType, format: int, apply: Callable[[Any], object]) -> Masker:
    """Return the function that masks one non-NULL value of ``type`` in ``format``, elements of an array one by one.

    It never raises; None is NULL. An unknown type or format gives a function that always returns None.
    """
    if type.element is not None:
        return _array_function(type.element, format, masker(type.element, format, apply))
    read, write = _scalar(type, format)

    def mask(data: bytes) -> bytes | None:
        try:
            value = apply(read(data))
            return None if value is None else write(value)
        except Exception:  # whatever went wrong, the raw value must not stand: NULL
            return None

    return mask


def decode(type: PgType, format: int, data: bytes) -> Any | None:
    """Return the value, an ``Array`` of values for an array type, or None where it cannot be read."""
    try:
        if type.element is None:
            return _scalar(type, format)[0](data)
        element = type.element
        read, _ = _array(format)
        array = read(data, element.oid)
        return _map(array, lambda raw: decode(element, format, raw))
    except Exception:
        return None


def encode(type: PgType, format: int, value: Any) -> bytes | None:
    """Return the bytes of a value (or ``Array`` of values), or None where the type cannot hold it."""
    try:
        if type.element is None:
            return _scalar(type, format)[1](value)
        element = type.element
        _, write = _array(format)
        return write(_map(value, lambda item: encode(element, format, item)), element.oid)
    except Exception:
        return None


def _scalar(type: PgType, format: int) -> tuple[_Read, _Write]:
    return _SCALARS.get((type.name, format), (_unknown, _unknown))


def _array(format: int) -> tuple[_ReadArray, _WriteArray]:
    return _ARRAYS.get(format, (_unknown, _unknown))


def _unknown(*_: object) -> Any:
    raise ValueError("unknown type or format")


def _array_function(element: PgType, format: int, mask: Masker) -> Masker:
    read, write = _array(format)

    def mask_array(data: bytes) -> bytes | None:
        try:
            return write(_renumbered(_map(read(data, element.oid), mask)), element.oid)
        except Exception:  # as for scalars
            return None

    return mask_array


def _renumbered(array: Array) -> Array:
    """With subscripts from 1, as SQL makes arrays: lower bounds are part of the value, and tell something of it."""
    return Array(tuple((length, 1) for length, _ in array.dimensions), array.elements)


def _map(array: Array, function: Callable[[Any], Any]) -> Array:
    return Array(array.dimensions, tuple(None if item is None else function(item) for item in array.elements))


_SCALARS: Mapping[tuple[str, int], tuple[_Read, _Write]] = MappingProxyType(
    {(name, TEXT): (codec.from_text, codec.to_text) for name, codec in SCALARS.items()}
    | {(name, BINARY): (codec.from_binary, codec.to_binary) for name, codec in SCALARS.items()}
)

_ARRAYS: Mapping[int, tuple[_ReadArray, _WriteArray]] = MappingProxyType(
    {TEXT: (arrays.from_text, arrays.to_text), BINARY: (arrays.from_binary, arrays.to_binary)}
)
