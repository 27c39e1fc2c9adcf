"""From a plan's column masks to what the row kernel does with each column, per type and format code."""

from collections.abc import Sequence
from functools import lru_cache
from typing import assert_never

from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks.recipe import Address, Beginning, Constant, DecimalMultiple, Ends, Multiple, Recipe, StandIn
from maskproxy.core.masks.token import message_prefix
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.session.kernel import dates, decimals, digests, numbers, ops, texts, tokens
from maskproxy.session.rows import COMPILED
from maskproxy.session.rows import RowMasks as RowMasks
from maskproxy.wire.postgres.dates import END_TIMESTAMP, MAX_DATE, MIN_DATE, MIN_TIMESTAMP
from maskproxy.wire.postgres.scalars import MAX_NAME
from maskproxy.wire.postgres.values import BINARY, TEXT, encode, masker

NULL = ops.Op()
"""The mask ``null``, and the answer of every mask to a type or format it does not understand."""

_TEXTS = ("text", "varchar", "bpchar", "name")  # UTF-8 in both formats; "char" is not
_JSONB_VERSION = 1
_DAY = 86_400_000_000  # microseconds


@lru_cache(maxsize=4096)
def row_mask(mask: ColumnMask, format_code: int) -> ops.Op:
    if mask.apply is None or mask.type is None or format_code not in (TEXT, BINARY):
        return NULL
    function = masker(mask.type, format_code, mask.apply)
    # interpreted, a function per value is faster than looking at each of its bytes
    op = kernel_op(mask.recipe, mask.type, format_code, function) if COMPILED and mask.recipe is not None else None
    return op or ops.Call(function)


def row_masks(outputs: Sequence[ColumnMask | None], formats: tuple[int, ...]) -> RowMasks | None:
    """What to do with each output column, or None when nothing is masked. Without outputs a row can only be empty,
    which masking it by nothing proves.

    ``formats`` are result format codes as in Bind: none means text for all, one stands for all columns. Any other
    number is an error which the server reports before it sends a row; columns without a code are nulled.
    """
    if outputs and not any(outputs):
        return None
    if len(formats) <= 1:
        formats = (formats[0] if formats else 0,) * len(outputs)
    return RowMasks(
        tuple(
            None if mask is None else (row_mask(mask, formats[index]) if index < len(formats) else NULL)
            for index, mask in enumerate(outputs)
        )
    )


def kernel_op(recipe: Recipe, type: PgType, format: int, function: ops.RowMask) -> ops.Op | None:
    """The recipe on values of ``type`` in ``format``; None where only ``function`` does it."""
    match recipe:
        case Constant():
            return _constant(recipe, type, format, function)
        case Ends():
            if type.name not in _TEXTS:
                return None
            most, octets, padded = _room(type, recipe.characters)
            ends = recipe.first, recipe.last, recipe.char.encode()
            return texts.Partial(function, *ends, most=most, octets=octets, padded=padded)
        case Address():
            if type.name not in _TEXTS:
                return None
            most, octets, padded = _room(type, recipe.characters)
            return texts.Email(function, most=most, octets=octets, padded=padded)
        case StandIn():
            return _token(recipe, type, format, function)
        case Beginning():
            return _beginning(recipe, type, format, function)
        case Multiple():
            if recipe.step > numbers.LARGEST_STEP:
                return None
            whole = _whole(type, format)
            return numbers.Multiple(function, whole, step=recipe.step, nearest=recipe.nearest, size=type.size)
        case DecimalMultiple():
            if recipe.step > decimals.LARGEST_STEP:
                return None
            kind = decimals.BinaryDecimalMultiple if format == BINARY else decimals.DecimalMultiple
            return kind(
                function,
                step=recipe.step,
                decimals=recipe.decimals,
                nearest=recipe.nearest,
                whole_digits=recipe.whole_digits,
            )
    assert_never(recipe)


def _room(type: PgType, characters: int | None) -> tuple[int | None, int | None, bool]:
    return characters, MAX_NAME if type.name == "name" else None, type.name == "bpchar"


def _whole(type: PgType, format: int) -> numbers.Whole:
    return numbers.Whole(type.size if format == BINARY else 0)


def _constant(recipe: Constant, type: PgType, format: int, function: ops.RowMask) -> ops.Op | None:
    value = encode(type, format, recipe.value)
    if value is None:
        return None
    if type.name in (*_TEXTS, "json") or (type.name, format) == ("jsonb", TEXT):
        return ops.TextConstant(function, value, -1)
    if type.name == "jsonb":
        return ops.TextConstant(function, value, _JSONB_VERSION)
    binary = format == BINARY
    match type.domain:
        case Domain.INT | Domain.UUID if binary:
            return ops.Constant(function, value, type.size)
        case Domain.INT:
            return numbers.WholeConstant(function, value, _whole(type, format))
        case Domain.BYTES if binary:
            return ops.Constant(function, value, -1)
        case Domain.BOOL:
            return ops.BoolConstant(function, value, encode(type, format, True) or b"")
        case Domain.NUMERIC if binary:
            return decimals.BinaryDecimalConstant(function, value)
        case Domain.NUMERIC:
            return decimals.DecimalConstant(function, value)
        case Domain.DATE | Domain.TIMESTAMP | Domain.TIMESTAMPTZ if binary:
            _, first, last = _calendar(type)
            return dates.BinaryConstant(function, value, _whole(type, format), first=first, last=last)
        case Domain.DATE | Domain.TIMESTAMP | Domain.TIMESTAMPTZ:
            return dates.TextConstant(function, value, time=_has_time(type), zone=type.domain is Domain.TIMESTAMPTZ)
        case _:
            return None


def _token(recipe: StandIn, type: PgType, format: int, function: ops.RowMask) -> ops.Op | None:
    keyed = digests.keyed(recipe.key, message_prefix(recipe.domain))
    binary = format == BINARY
    prefix = recipe.prefix.encode()
    match type.domain:
        case Domain.TEXT if type.name in _TEXTS:
            width = (recipe.characters or 0) if type.name == "bpchar" else -1
            return tokens.TextToken(function, keyed, before=prefix, after=b"", length=recipe.length, width=width)
        case Domain.JSON:
            version = _JSONB_VERSION if binary and type.name == "jsonb" else -1
            before = (b"\x01" if version >= 0 else b"") + b'"' + prefix
            return tokens.TextToken(function, keyed, before=before, after=b'"', length=recipe.length, version=version)
        case Domain.INT:
            return tokens.WholeToken(function, keyed, _whole(type, format), type.size)
        case Domain.UUID | Domain.BYTES:
            return tokens.BytesToken(function, keyed, binary=binary, uuid=type.domain is Domain.UUID)
        case _:
            return None


def _beginning(recipe: Beginning, type: PgType, format: int, function: ops.RowMask) -> ops.Op:
    unit = dates.UNITS[recipe.unit]
    if format == TEXT:
        zone = type.domain is Domain.TIMESTAMPTZ
        return dates.TextBeginning(function, unit=unit, time=_has_time(type), zone=zone)
    day, first, last = _calendar(type)
    return dates.BinaryBeginning(function, _whole(type, format), unit=unit, day=day, first=first, last=last)


def _has_time(type: PgType) -> bool:
    return type.domain is not Domain.DATE


def _calendar(type: PgType) -> tuple[int, int, int]:
    """How much a day is, the first and the last value that the type holds."""
    return (_DAY, MIN_TIMESTAMP, END_TIMESTAMP - 1) if _has_time(type) else (1, MIN_DATE, MAX_DATE)
