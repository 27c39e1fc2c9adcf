"""Pieces of SQL for the SQL forms of masks.

A form stands in the client's statement, whose search path, operators and settings are not ours. So every function,
type and operator is qualified with pg_catalog; comparisons that the grammar resolves by name (IN, NULLIF, CASE x WHEN,
BETWEEN, IS DISTINCT FROM) are not used; no literal is read differently under another setting. Functions are immutable,
or stable where no immutable one exists (convert_to, current_setting), and exist in PostgreSQL 13 to 18.

The collation of a result is that of the column, as the client's comparisons may depend on it: a constant beside the
column in one CASE takes the column's (chapter "Collation Support": a non-default implicit collation beats the
default).
"""

from maskproxy.base.types import Domain, PgType

_VARHDRSZ = 4  # atttypmod of varchar(n), char(n) and numeric(p, s) counts it: utils/adt/varchar.c, numeric.c
_EPOCH = "pg_catalog.make_date(2000, 1, 1)"


def call(function: str, *arguments: str) -> str:
    return f"pg_catalog.{function}({', '.join(arguments)})"


def op(left: str, operator: str, right: str) -> str:
    """All operators written so have one precedence, hence the parentheses."""
    return f"({left} OPERATOR(pg_catalog.{operator}) {right})"


def cast(value: str, type: str) -> str:
    return f"CAST({value} AS pg_catalog.{type})"


def text(value: str) -> str:
    """The characters of a value; those of ``character(n)`` without its padding."""
    return cast(value, "text")


def literal(value: str) -> str:
    """A constant of type text. With E'' a backslash is doubled whatever standard_conforming_strings says."""
    quoted = value.replace("'", "''")
    return text(f"'{quoted}'" if "\\" not in quoted else "E'" + quoted.replace("\\", "\\\\") + "'")


def constant(value: object, type: str) -> str:
    return cast(f"'{value}'", type)


def both(left: str, right: str) -> str:
    return f"({left} AND {right})"


def case(*branches: tuple[str, str], otherwise: str | None = None) -> str:
    """Only what is chosen is evaluated: no branch holds a constant subexpression that could fail at planning."""
    whens = " ".join(f"WHEN {condition} THEN {result}" for condition, result in branches)
    return f"CASE {whens}{'' if otherwise is None else f' ELSE {otherwise}'} END"


def type_name(type: PgType, typmod: int) -> str:
    """The type as CAST takes it after ``pg_catalog.``, with its modifier."""
    if type.element is not None:
        return type_name(type.element, typmod) + "[]"
    return f'"{type.name}"{_modifier(type, typmod)}'


def _modifier(type: PgType, typmod: int) -> str:
    if type.name in ("varchar", "bpchar") and typmod >= _VARHDRSZ:
        return f"({typmod - _VARHDRSZ})"
    if type.name == "numeric" and typmod >= _VARHDRSZ:
        packed = typmod - _VARHDRSZ  # as NumericRoom.of
        return f"({(packed >> 16) & 0xFFFF}, {((packed & 0x7FF) ^ 1024) - 1024})"
    if type.domain in (Domain.TIMESTAMP, Domain.TIMESTAMPTZ) and typmod >= 0:
        return f"({typmod})"
    return ""


def date(days: int) -> str:
    """A date by its distance from 2000-01-01: text would be read by DateStyle, and make_date knows no year 0."""
    return op(_EPOCH, "+", cast(f"'{days}'", "int4")) if days else _EPOCH


def timestamp(days: int) -> str:
    return cast(date(days), "timestamp")


def in_utc(value: str) -> str:
    """timestamptz to timestamp, and back."""
    return call("timezone", literal("UTC"), value)


def readable(value: str, type: PgType) -> str | None:
    """The condition that a value is one of its ``Domain``; what is not is NULL to every mask. None: all are."""
    match type.domain:
        case Domain.DATE:
            return call("isfinite", value)
        case Domain.TIMESTAMP:
            return _in_calendar(value, _FIRST, _LAST)
        case Domain.TIMESTAMPTZ:
            return _in_calendar(value, in_utc(_FIRST), in_utc(_LAST))
        case Domain.FLOAT:  # NaN is greater than infinity
            return op(call("abs", cast(value, "float8")), "<", constant("Infinity", "float8"))
        case Domain.NUMERIC:  # NaN and, from PostgreSQL 14 on, the infinities: the difference is NaN
            return op(op(value, "-", value), "=", constant(0, "numeric"))
        case _:
            return op(cast(value, "int4"), ">=", constant(0, "int4")) if type.name == "char" else None


_FIRST = timestamp(-2_451_545)  # 4714-11-24 BC
_LAST = call("make_timestamp", "294276", "12", "31", "23", "59", "59.999999")


def _in_calendar(value: str, first: str, last: str) -> str:
    """Neither infinite nor beyond the end, where rounding to timestamp(p) can bring a value: it can be stored, but
    functions raise an error for it."""
    return both(op(value, ">=", first), op(value, "<=", last))


def null_stays(value: str, type: PgType, result: str) -> str:
    """``result`` for values that can be read. A NULL is passed on as it is, and with it the column's collation."""
    condition = readable(value, type)
    if condition is None:
        return case((f"{value} IS NULL", value), otherwise=result)
    return case((f"{value} IS NULL", value), (condition, result))


def elementwise(array: str, type: PgType, typmod: int, name: str, masked: str) -> str:
    """``masked``, an expression of the column ``name.v``, for each element of ``array``; as many dimensions, numbered
    from 1. Nothing that starts with ``name`` may stand in ``array``.

    The elements come in their order: a scan of unnest reads them one by one, and ARRAY(SELECT) keeps the order of
    rows. Several dimensions are put together from the last to the first, each time by cutting the array so far into
    slices and making an array of these.
    """
    flat = f"ARRAY(SELECT {masked} FROM {call('unnest', array)} AS {name}(v))"  # noqa: S608 - here and below: expressions are ours, names are quoted
    result = case(
        (f"{array} IS NULL", array),
        (op(call("array_ndims", array), ">", "1"), _folded(array, flat, name)),
        otherwise=flat,
    )
    return cast(result, type_name(type, typmod))


def _folded(array: str, flat: str, name: str) -> str:
    dimensions, so_far, row = call("array_ndims", array), f"{name}_array", f"{name}_row"
    folded = f"(SELECT {flat} AS {so_far} OFFSET 0)"
    for step in range(1, 6):  # MAXDIM - 1
        length = call("array_length", array, op(dimensions, "-", str(step - 1)))
        first = op(op(row, "*", length), "+", "1")
        last = op(op(row, "+", "1"), "*", length)
        rows = op(op(call("array_length", so_far, "1"), "/", length), "-", "1")
        slices = call("array_agg", f"{so_far}[{first}:{last}] ORDER BY {row}")
        joined = f"(SELECT {slices} FROM {call('generate_series', '0', rows)} AS {name}_rows({row}))"  # noqa: S608
        again = case((op(dimensions, ">", str(step)), joined), otherwise=so_far)
        folded = f"(SELECT {again} AS {so_far} FROM {folded} AS {name}_{step} OFFSET 0)"  # noqa: S608
    return f"(SELECT {so_far} FROM {folded} AS {name}_all)"  # noqa: S608
