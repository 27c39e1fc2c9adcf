"""``round`` and ``bucket`` in SQL, step by step as ``numbers`` does it.

A multiple of the step next to a value is the value less its remainder, or one step beyond that. Remainders (``%``) are
exact and have the value's sign. No intermediate result can be out of range: the types' operators would raise an error.
"""

from decimal import Decimal

from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks import sql
from maskproxy.core.masks.definition import SqlForm
from maskproxy.core.masks.room import CONTEXT, EXACT, FLOAT4_MAX, MOST_DIGITS, NumericRoom

_INT8 = 2**63


def coarse(type: PgType, typmod: int, step: Decimal, *, down: bool) -> SqlForm:
    """The nearest multiple of ``step``, or the one below."""
    match type.domain:
        case Domain.INT:
            return _integer(type, int(step), down=down)
        case Domain.NUMERIC:
            return _numeric(type, typmod, step, down=down)
        case _:
            return _float(type, step, down=down)


def _integer(type: PgType, step: int, *, down: bool) -> SqlForm:
    """In int8 arithmetic, or in numeric for a step that int8 cannot hold."""
    bound = 1 << (8 * type.size - 1)
    name = sql.type_name(type, -1)
    if step >= _INT8:
        return lambda value: _in_numeric(value, step, bound, name, down=down)

    def number(value: int) -> str:
        return sql.constant(value, "int8")

    def form(value: str) -> str:
        wide = sql.cast(value, "int8")
        rest = sql.op(wide, "%", number(step))
        inner = sql.op(wide, "-", rest)  # the multiple towards zero
        above = sql.case((sql.op(inner, "<=", number(bound - 1 - step)), sql.op(inner, "+", number(step))))
        below = sql.case((sql.op(inner, ">=", number(step - bound)), sql.op(inner, "-", number(step))))
        if down:
            result = sql.case((sql.op(rest, "<", number(0)), below), otherwise=inner)
        else:
            half = (step + 1) // 2
            far = (sql.op(rest, ">=", number(half)), above), (sql.op(rest, "<=", number(-half)), below)
            result = sql.case(*far, otherwise=inner)
        return sql.cast(result, name)

    return form


def _in_numeric(value: str, step: int, bound: int, name: str, *, down: bool) -> str:
    result = _multiple(sql.cast(value, "numeric"), Decimal(step), down=down)
    lowest, highest = (sql.constant(each, "numeric") for each in (-bound, bound - 1))
    return sql.cast(sql.case((sql.both(sql.op(result, ">=", lowest), sql.op(result, "<=", highest)), result)), name)


def _multiple(value: str, step: Decimal, *, down: bool) -> str:
    rest = sql.op(value, "%", _decimal(step))
    inner = sql.op(value, "-", rest)
    below = sql.op(inner, "-", _decimal(step))
    if down:
        return sql.case((sql.op(rest, "<", _decimal(Decimal(0))), below), otherwise=inner)
    half, above = CONTEXT.divide(step, 2), sql.op(inner, "+", _decimal(step))
    far = (sql.op(rest, ">=", _decimal(half)), above), (sql.op(rest, "<=", _decimal(half.copy_negate())), below)
    return sql.case(*far, otherwise=inner)


def _decimal(value: Decimal) -> str:
    return sql.constant(f"{value:f}", "numeric")


def _numeric(type: PgType, typmod: int, step: Decimal, *, down: bool) -> SqlForm:
    """NaN, whose multiples are NaN, is greater than every bound, hence NULL; so are the infinities."""
    room, name = NumericRoom.of(typmod), sql.type_name(type, typmod)

    def form(value: str) -> str:
        result = _multiple(value, step, down=down)
        bounded, digits = (value, MOST_DIGITS) if room.whole_digits is None else (result, room.whole_digits)
        fits = sql.op(sql.call("abs", bounded), "<", sql.constant(f"1e{digits}", "numeric"))
        return sql.cast(sql.case((fits, result)), name)

    return form


def _float(type: PgType, width: Decimal, *, down: bool) -> SqlForm:
    step, name = float(width), sql.type_name(type, -1)

    def number(value: float) -> str:
        return sql.constant(repr(value), "float8")

    def steps(value: str) -> str:
        """A quotient that would be 0 in binary64 is an error for the server, hence the case before it."""
        exact = sql.op(value, "/", number(step))
        size = sql.call("abs", value)
        if down:
            near = sql.case((sql.op(value, "<", number(0.0)), number(-1.0)), otherwise=number(0.0))
            return sql.case((sql.op(size, ">=", number(step)), sql.call("floor", exact)), otherwise=near)
        rounded = sql.call("floor", sql.op(sql.call("abs", exact), "+", number(0.5)))
        signed = sql.case((sql.op(value, "<", number(0.0)), sql.op(number(-1.0), "*", rounded)), otherwise=rounded)
        return sql.case((sql.op(size, ">=", number(step / 2)), signed), otherwise=number(0.0))

    def form(value: str) -> str:
        wide = sql.cast(value, "float8")
        multiple = sql.cast(sql.cast(steps(wide), "int8"), "numeric")
        result = sql.cast(sql.op(multiple, "*", _decimal(width)), "float8")
        if type.size == 4 and step * EXACT > FLOAT4_MAX / 2:
            result = sql.case((sql.op(sql.call("abs", result), "<=", number(FLOAT4_MAX)), result))
        exact = sql.op(sql.call("abs", wide), "<", number(step * EXACT))
        return sql.cast(sql.case((exact, result)), name)

    return form
