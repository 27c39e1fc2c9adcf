"""From a plan's column masks to functions over the bytes of one value, per type and format code."""

from collections.abc import Sequence
from functools import lru_cache

from maskproxy.core.policy.decision import ColumnMask
from maskproxy.session.rows import RowMask
from maskproxy.wire.postgres.values import masker

RowMasks = tuple[RowMask | None, ...]
"""One function per output column; None where the value is released as it is."""


def null(value: bytes) -> bytes | None:
    """The mask ``null``, and the answer of every mask to a type or format it does not understand."""
    return None


@lru_cache(maxsize=4096)
def row_mask(mask: ColumnMask, format_code: int) -> RowMask:
    if mask.apply is None or mask.type is None or format_code not in (0, 1):
        return null
    return masker(mask.type, format_code, mask.apply)


def row_masks(outputs: Sequence[ColumnMask | None], formats: tuple[int, ...]) -> RowMasks | None:
    """One function per output column, or None when nothing is masked. Without outputs a row can only be empty, which
    masking it by no functions proves.

    ``formats`` are result format codes as in Bind: none means text for all, one stands for all columns. Any other
    number is an error which the server reports before it sends a row; columns without a code are nulled.
    """
    if outputs and not any(outputs):
        return None
    if len(formats) <= 1:
        formats = (formats[0] if formats else 0,) * len(outputs)
    return tuple(
        None if mask is None else (row_mask(mask, formats[index]) if index < len(formats) else null)
        for index, mask in enumerate(outputs)
    )
