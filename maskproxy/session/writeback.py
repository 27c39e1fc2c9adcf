"""Masked values may not be written back over the real ones.

Whoever reads a row masked and saves it whole would destroy what the mask hides. So what is written to a masked column
must not look masked: it must not be what the column's mask makes of it (``a**@example.com`` masked is itself), nor hold
a run of stars or ``[redacted]``, nor be NULL where the mask makes everything NULL and rows that exist are changed. What
cannot be read to be sure is refused too.

Literals are known with the plan, parameters with Bind, in the format and type that the client chose.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from maskproxy.base.errors import ColumnRefused
from maskproxy.base.refs import Oid
from maskproxy.base.types import PG_TYPES, Domain, PgType
from maskproxy.core.masks.constants import REDACTED
from maskproxy.core.plan import Plan
from maskproxy.core.policy.decision import ColumnMask, MaskedValue
from maskproxy.core.sql.statement import Origin
from maskproxy.wire.postgres.arrays import Array
from maskproxy.wire.postgres.values import BINARY, TEXT, decode, encode

_STARS: Final = "***"
_UNKNOWN: Final = Oid(705)
_BY_NAME: Final = {type.name: type for type in PG_TYPES.values()}


def literal_refusal(plan: Plan) -> ColumnRefused | None:
    """The refusal of the first literal that looks masked."""
    for given in _written(plan, Origin.LITERAL):
        text = given.value.text
        if text is None or _looks_masked(given, text.encode("utf-8", "surrogatepass")):
            return _refusal(given)
    return None


def parameter_refusal(
    plan: Plan, values: Sequence[bytes | None], formats: Sequence[int], types: Sequence[int]
) -> ColumnRefused | None:
    """The refusal of the first parameter that looks masked. ``formats`` and ``types`` as Bind and Parse gave them."""
    for given in _written(plan, Origin.PARAMETER):
        index = given.value.parameter - 1
        if index >= len(values):
            continue  # the server refuses the Bind
        value = values[index]
        if value is None:
            if given.mask.name == "null" and given.replaces:
                return _refusal(given)
            continue
        declared = types[index] if index < len(types) else 0
        text = _as_text(value, _format(formats, index), _type(given, Oid(declared)))
        if text is None or _looks_masked(given, text):
            return _refusal(given)
    return None


def _written(plan: Plan, origin: Origin) -> Iterator[MaskedValue]:
    return (given for statement in plan.statements for given in statement.written if given.value.origin is origin)


def _format(formats: Sequence[int], index: int) -> int:
    """None stands for text, one for all."""
    if len(formats) <= 1:
        return formats[0] if formats else TEXT
    return formats[index] if index < len(formats) else -1


def _type(given: MaskedValue, declared: Oid) -> PgType | None:
    """The parameter's own type: what Parse declares, else the cast around it, else the column's."""
    if declared not in (0, _UNKNOWN):
        return PG_TYPES.get(declared)
    cast = given.value.cast
    return given.mask.type if cast is None else _BY_NAME.get(cast)


def _as_text(value: bytes, format: int, type: PgType | None) -> bytes | None:
    if format == TEXT:
        return value
    if format != BINARY or type is None:
        return None
    decoded = decode(type, BINARY, value)
    return None if decoded is None else encode(type, TEXT, decoded)


def _looks_masked(given: MaskedValue, text: bytes) -> bool:
    mask = given.mask
    if mask.apply is None or mask.type is None:
        return False  # its masked value is NULL
    value = decode(mask.type, TEXT, text)
    if value is None:
        return True
    elements = value.elements if isinstance(value, Array) else (value,)
    return any(_is_masked(mask, element) for element in elements if element is not None)


def _is_masked(mask: ColumnMask, value: Any) -> bool:
    assert mask.apply is not None
    if isinstance(value, str):
        value = value.rstrip(" ")
        if not value:
            return False  # nothing is masked in it
        if _domain(mask) is Domain.TEXT and (_STARS in value or REDACTED in value):
            return True
    masked = mask.apply(value)
    return masked is None or (masked.rstrip(" ") if isinstance(masked, str) else masked) == value


def _domain(mask: ColumnMask) -> Domain | None:
    if mask.type is None:
        return None
    return (mask.type.element or mask.type).domain


def _refusal(given: MaskedValue) -> ColumnRefused:
    mask, column = given.mask, given.mask.column
    position = given.value.position
    return ColumnRefused(
        f'value for column "{column.column}" of "{column.table}" looks masked (rule `{mask.rule}`)',
        column=column,
        rule=mask.rule,
        location=mask.location,
        detail=f"Masked values may not be written back. The rule stands at {mask.location}.",
        hint="Leave the column out of the statement to keep its value, or write a plain value that is no masked one.",
        position=None if position is None else position + 1,
    )
