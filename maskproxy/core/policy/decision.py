"""What ``decide`` answers. A decision is Permit or Deny; nothing else exists."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import ColumnRef, Location
from maskproxy.base.secret import Secret
from maskproxy.base.types import PgType
from maskproxy.core.masks.definition import MaskFunction, SqlForm
from maskproxy.core.masks.recipe import Recipe
from maskproxy.core.sql.statement import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMask:
    """A mask bound to one column: what is done (``apply``), to which type, and which rule asked for it.

    ``apply`` is None for the mask ``null``, which works on every type. ``sql`` is the same mask as SQL.
    For an array type ``apply`` works on elements; elements that are NULL stay NULL.
    """

    name: str  # the mask's name in MASKS
    label: str  # what the column holds, e.g. pii.email; "(drift)" for an unreviewed column
    column: ColumnRef
    type: PgType | None  # None when the type is not one masks understand: then ``apply`` is None
    apply: MaskFunction | None
    rule: str  # rule id, e.g. masks.pii.email
    location: Location
    sql: SqlForm | None = None  # None: it has no SQL form, and the column is NULL under masked evaluation
    settings: Mapping[str, Secret[str]] = field(default_factory=dict, repr=False, compare=False)  # that ``sql`` reads
    recipe: Recipe | None = field(default=None, repr=False, compare=False)  # the same as ``apply``; may hold a key


@dataclass(frozen=True, slots=True)
class MaskedValue:
    """A literal or parameter that is written to a masked column. ``replaces``: to rows that exist."""

    mask: ColumnMask
    value: Written
    replaces: bool


@dataclass(frozen=True, slots=True)
class Permit:
    """``outputs[i]`` is the mask for the values of output column i, or None when they are released as they come.

    ``evaluated``: columns whose masks must be computed by the server, in place of the columns (masked evaluation); none
    when masking the rows is enough. ``disclosed``: with how many values each masked column is compared for equality.
    ``written``: values for masked columns that must be looked at before the statement runs.
    """

    outputs: tuple[ColumnMask | None, ...]
    evaluated: frozenset[ColumnRef] = frozenset()
    disclosed: Mapping[ColumnRef, int] = field(default_factory=dict)
    written: tuple[MaskedValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    error: StatementError


Decision = Permit | Deny
