"""What ``decide`` answers. A decision is Permit or Deny; nothing else exists."""

from collections.abc import Callable
from dataclasses import dataclass

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import ColumnRef, Location
from maskproxy.base.types import PgType

MaskFunction = Callable[[object], object]
"""A value of the column's ``Domain`` in, one of the same domain or None (NULL) out. Never raises, never sees NULL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMask:
    """A mask bound to one column: what is done (``apply``), to which type, and which rule asked for it.

    ``apply`` is None for the mask ``null``, which works on every type.
    For an array type ``apply`` works on elements; elements that are NULL stay NULL.
    """

    name: str  # the mask's name in MASKS
    label: str  # what the column holds, e.g. pii.email; "(drift)" for an unreviewed column
    column: ColumnRef
    type: PgType | None  # None when the type is not one masks understand: then ``apply`` is None
    apply: MaskFunction | None
    rule: str  # rule id, e.g. masks.pii.email
    location: Location


@dataclass(frozen=True, slots=True)
class Permit:
    """``outputs[i]`` is the mask of output column i, or None when it is released as it is."""

    outputs: tuple[ColumnMask | None, ...]


@dataclass(frozen=True, slots=True)
class Deny:
    error: StatementError


Decision = Permit | Deny
