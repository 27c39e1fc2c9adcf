"""What a row filter may be made of, so that it means the same in every session.

A client may set TimeZone, DateStyle, IntervalStyle and a few settings more (``data/postgres_settings.txt``). A filter
whose meaning hung on one of them could be moved by it: so times are compared with times of their own kind, constants of
them are written in ISO 8601 (with the offset where the type has one), and what turns a time of one kind into another
names its zone: ``created_at AT TIME ZONE 'UTC'``.

Kinds are as fine as that needs. PLAIN: its text is the same in every session. OTHER: its text is not (floats, bytea),
or nobody looked. LITERAL: a string constant, whose type comes from what it meets.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from maskproxy.base.refs import Oid
from maskproxy.core.catalog import Catalog, Table
from maskproxy.core.sql.functions import AllowList
from maskproxy.core.sql.tree import Call, Cast, Column, Constant, Expression, Operation, Operator, TypeRef
from maskproxy.core.yaml import did_you_mean


class Unfit(ValueError):
    """What is wrong with a condition; the text is for the administrator."""


class Kind(StrEnum):
    PLAIN = "plain"
    LITERAL = "literal"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    INTERVAL = "interval"
    OTHER = "other"


_PLAIN_TYPES: Final = {
    "bool": 16, "name": 19, "int8": 20, "int2": 21, "int4": 23, "text": 25, "oid": 26, "json": 114, "cidr": 650,
    "inet": 869, "bpchar": 1042, "varchar": 1043, "numeric": 1700, "uuid": 2950, "jsonb": 3802,
}  # fmt: skip
_TIME_TYPES: Final = {"date": 1082, "time": 1083, "timestamp": 1114, "timestamptz": 1184, "interval": 1186}
_KINDS_BY_NAME: Final = dict.fromkeys(_PLAIN_TYPES, Kind.PLAIN) | {name: Kind(name) for name in _TIME_TYPES}
_PLAIN_ARRAYS: Final = (199, 651, 1000, 1003, 1005, 1007, 1009, 1014, 1015, 1016, 1028, 1041, 1231, 2951, 3807)
_KINDS_BY_OID: Final = {
    Oid(oid): _KINDS_BY_NAME[name] for types in (_PLAIN_TYPES, _TIME_TYPES) for name, oid in types.items()
} | dict.fromkeys(map(Oid, _PLAIN_ARRAYS), Kind.PLAIN)
_NUMBERS: Final = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_FIRST_USER_OID: Final = 16384  # FirstNormalObjectId: enums and other types of the database's own
_TIMES: Final = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.INTERVAL})
_SAME_CLOCK: Final = frozenset({Kind.DATE, Kind.TIMESTAMP})
_CASTS: Final = frozenset(
    {(Kind.DATE, Kind.TIMESTAMP), (Kind.TIMESTAMP, Kind.DATE), (Kind.TIMESTAMP, Kind.TIME), (Kind.TIME, Kind.INTERVAL)}
)

_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
_ZONE: Final = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
_UNIT: Final = r"[0-9]{1,9} (?:year|month|week|day|hour|minute|second)s?"
_WRITTEN: Final[Mapping[Kind, tuple[re.Pattern[str], str]]] = {
    Kind.DATE: (re.compile(_DATE), "2025-12-31"),
    Kind.TIME: (re.compile(_CLOCK), "23:59:59"),
    Kind.TIMESTAMP: (re.compile(f"{_DATE}(?:[ T]{_CLOCK})?"), "2025-12-31 23:59:59"),
    Kind.TIMESTAMPTZ: (re.compile(f"{_DATE}[ T]{_CLOCK}{_ZONE}"), "2025-12-31 23:59:59+00"),
    Kind.INTERVAL: (re.compile(f"{_UNIT}(?: {_UNIT})*"), "90 days"),
}

_SECONDS: Final = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_COMPARISONS: Final = frozenset({"=", "<>", "<", ">", "<=", ">="})
_SUMS: Final[Mapping[tuple[Kind, str, Kind], Kind]] = {
    (Kind.TIMESTAMPTZ, "-", Kind.TIMESTAMPTZ): Kind.INTERVAL,
    (Kind.TIMESTAMP, "-", Kind.TIMESTAMP): Kind.INTERVAL,
    (Kind.DATE, "-", Kind.DATE): Kind.PLAIN,
    (Kind.DATE, "+", Kind.PLAIN): Kind.DATE,
    (Kind.DATE, "-", Kind.PLAIN): Kind.DATE,
    (Kind.INTERVAL, "*", Kind.PLAIN): Kind.INTERVAL,
    (Kind.PLAIN, "*", Kind.INTERVAL): Kind.INTERVAL,
} | {
    (kind, sign, Kind.INTERVAL): result
    for sign in "+-"
    for kind, result in (
        (Kind.TIMESTAMPTZ, Kind.TIMESTAMPTZ),
        (Kind.TIMESTAMP, Kind.TIMESTAMP),
        (Kind.DATE, Kind.TIMESTAMP),
        (Kind.INTERVAL, Kind.INTERVAL),
    )
}  # fmt: skip

_NOW: Final = frozenset({"now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"})
_OF_PLAIN: Final = frozenset(
    {
        "abs", "array_length", "array_position", "btrim", "cardinality", "ceil", "char_length", "concat", "floor",
        "jsonb_array_length", "jsonb_exists", "jsonb_typeof", "left", "length", "lower", "ltrim", "mod", "octet_length",
        "overlay", "position", "right", "round", "rtrim", "sign", "split_part", "starts_with", "strpos", "substr",
        "substring", "trunc", "upper",
    }
)  # fmt: skip
"""Functions that read and make values of kind PLAIN only."""


@dataclass(slots=True)
class Findings:
    """What is to be written otherwise, by its position: columns, and constants with what takes their place."""

    columns: dict[int, Column] = field(default_factory=dict)
    constants: dict[int, str] = field(default_factory=dict)


def check_condition(condition: Expression, table: Table, catalog: Catalog) -> Findings:
    """Raises Unfit, and the StatementError of what no statement may do."""
    checker = _Checker(table, catalog)
    if checker.kind(condition) not in (Kind.PLAIN, Kind.LITERAL):
        raise Unfit("this is not a condition: it gives something else than true or false")
    return checker.findings


class _Checker:
    """Finds the kind of every expression on the way up."""

    def __init__(self, table: Table, catalog: Catalog) -> None:
        self.findings = Findings()
        self._table = table
        self._catalog = catalog
        self._allow = AllowList(catalog)

    def kind(self, expression: Expression) -> Kind:
        match expression:
            case Column():
                return self._column(expression)
            case Constant(value):
                return Kind.LITERAL if isinstance(value, str) and value not in ("true", "false") else Kind.PLAIN
            case Cast():
                return self._cast(expression)
            case Operator():
                return self._operator(expression)
            case Operation():
                return self._operation(expression)
            case Call():
                return self._call(expression)
            case _:
                raise Unfit("a row filter speaks of one row of its table: no subqueries, parameters or stars")

    def _column(self, column: Column) -> Kind:
        ref = self._table.ref
        qualifier, name = column.parts[:-1], column.parts[-1]
        found = self._table.column(name)
        if found is None or qualifier not in ((), (ref.name,), (ref.schema, ref.name)):
            guess = did_you_mean(name, [each.name for each in self._table.columns])
            raise Unfit(f"`{ref}` has no column `{'.'.join(column.parts)}`{guess}")
        if found.type_oid in self._catalog.cast_types:
            raise Unfit(f"column `{name}` cannot be computed with: its type has a user-defined cast")
        if column.position is None:
            raise Unfit("this syntax is not supported in a row filter")
        self.findings.columns[column.position] = column
        unknown = Kind.PLAIN if found.type_oid >= _FIRST_USER_OID else Kind.OTHER
        return _KINDS_BY_OID.get(found.type_oid, unknown)

    def _cast(self, cast: Cast) -> Kind:
        self._allow.type(cast.type)
        source, target = self.kind(cast.arg), _kind_of(cast.type)
        if source is Kind.LITERAL:
            if target is Kind.OTHER and cast.type.name not in _NUMBERS:
                raise Unfit(f"a constant of type {cast.type.name} may mean something else in another session")
            return _meet(cast.arg, target)
        if source is target or (source, target) in _CASTS:
            return target
        numbers = source in (Kind.PLAIN, Kind.OTHER) and not cast.type.array and cast.type.name in _NUMBERS
        if numbers:
            return target
        raise Unfit(f"a cast to {cast.type.name} here depends on settings of the session{_zone_hint(source, target)}")

    def _operator(self, operator: Operator) -> Kind:
        for name in operator.names:
            self._allow.operator(operator.schema, name, None)
        kinds = [self.kind(arg) for arg in operator.args]
        if operator.nullif or set(operator.names) <= _COMPARISONS:
            kind = _one_kind(operator.args, kinds)
            return kind if operator.nullif else Kind.PLAIN
        if len(kinds) == 2 and (result := _SUMS.get((kinds[0], operator.names[0], kinds[1]))) is not None:
            if kinds[0] is Kind.TIMESTAMPTZ and kinds[1] is Kind.INTERVAL:
                self._write_in_seconds(operator.args[1])
            return result
        if _TIMES & set(kinds):
            raise Unfit(f"operator {operator.names[0]} with a date or time here depends on settings of the session")
        if Kind.OTHER in kinds and (operator.names[0] == "||" or Kind.LITERAL in kinds):
            raise Unfit(f"operator {operator.names[0]} here depends on settings of the session")
        return Kind.OTHER if Kind.OTHER in kinds else Kind.PLAIN

    def _write_in_seconds(self, interval: Expression) -> None:
        """A day before a moment is 23 to 25 hours long, and a month longer or shorter, by the session's zone."""
        value = interval.arg.value if isinstance(interval, Cast) and isinstance(interval.arg, Constant) else None
        position = interval.arg.position if isinstance(interval, Cast) and isinstance(interval.arg, Constant) else None
        words = value.split(" ") if isinstance(value, str) else []
        units = [unit.removesuffix("s") for unit in words[1::2]]
        if position is None or not units or not set(units) <= _SECONDS.keys():
            raise Unfit(
                "what is added to a timestamptz must be a constant of weeks, days, hours or less: a month is longer or "
                "shorter by the session's time zone"
            )
        seconds = sum(int(number) * _SECONDS[unit] for number, unit in zip(words[::2], units, strict=True))
        self.findings.constants[position] = f"'{seconds} seconds'"

    def _operation(self, operation: Operation) -> Kind:
        kinds = [self.kind(arg) for arg in operation.args]
        match operation.name:
            case "?column?":  # AND, OR, NOT, IS NULL ...
                return Kind.PLAIN
            case "current_timestamp":
                return Kind.TIMESTAMPTZ
            case "coalesce" | "greatest" | "least" | "case" | "array":
                return _one_kind(operation.args, kinds)
            case "(collate)":
                return kinds[0]
            case "current_date" | "current_time" | "localtime" | "localtimestamp":
                raise Unfit(f"{operation.name} depends on the session's time zone{_ZONE_HINT}")
            case _:
                raise Unfit("this syntax is not supported in a row filter")

    def _call(self, call: Call) -> Kind:
        self._allow.function(call)
        if call.order_by or call.filter is not None or call.over is not None or call.star:
            raise Unfit(f"a row filter speaks of one row: no aggregates or window functions such as {call.name}")
        kinds = [self.kind(arg) for arg in call.args]
        if call.name in _NOW and not kinds:
            return Kind.TIMESTAMPTZ
        if call.name in _OF_PLAIN and set(kinds) <= {Kind.PLAIN, Kind.LITERAL}:
            return Kind.PLAIN
        special = _SPECIAL.get(call.name)
        result = None if special is None or len(kinds) != 2 or kinds[0] is not Kind.LITERAL else special(kinds[1])
        if result is None:
            raise Unfit(f"function {call.name} is not supported in a row filter, or not with these arguments")
        return result


_ZONE_HINT: Final = ": name the zone, as in (now() AT TIME ZONE 'UTC')::date"

_SPECIAL: Final[Mapping[str, Callable[[Kind], Kind | None]]] = {
    "timezone": {Kind.TIMESTAMPTZ: Kind.TIMESTAMP, Kind.TIMESTAMP: Kind.TIMESTAMPTZ}.get,
    "date_trunc": {Kind.TIMESTAMP: Kind.TIMESTAMP, Kind.INTERVAL: Kind.INTERVAL}.get,
    "extract": dict.fromkeys(_TIMES - {Kind.TIMESTAMPTZ}, Kind.PLAIN).get,
    "date_part": dict.fromkeys(_TIMES - {Kind.TIMESTAMPTZ}, Kind.PLAIN).get,
}
"""Functions of a constant (a zone, a field) and a time, by the kind of the time."""


def _kind_of(type_ref: TypeRef) -> Kind:
    kind = _KINDS_BY_NAME.get(type_ref.name, Kind.OTHER)
    return kind if not type_ref.array or kind is Kind.PLAIN else Kind.OTHER


def _one_kind(args: Iterable[Expression], kinds: list[Kind]) -> Kind:
    """What values that meet, in a comparison or as results of one expression, have in common."""
    known = set(kinds) - {Kind.LITERAL}
    times = known & _TIMES
    if len(times) > 1 and not times <= _SAME_CLOCK:
        raise Unfit(f"{' and '.join(sorted(times))} meet by the session's time zone{_ZONE_HINT}")
    if times and Kind.OTHER in known:
        raise Unfit("this comparison of a date or time depends on settings of the session")
    kind = Kind.TIMESTAMP if len(times) > 1 else next(iter(times or known), Kind.LITERAL)
    for arg, each in zip(args, kinds, strict=True):
        if each is Kind.LITERAL:
            for met in times or {kind}:
                _meet(arg, met)
            if Kind.OTHER in known:
                raise Unfit("a constant in quotes here may mean something else in another session")
    return Kind.OTHER if Kind.OTHER in known else kind


def _meet(literal: Expression, kind: Kind) -> Kind:
    """A string constant becomes a value of this kind."""
    if kind in _WRITTEN:
        pattern, example = _WRITTEN[kind]
        value = literal.value if isinstance(literal, Constant) else None
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise Unfit(f"write a constant of type {kind} as '{example}', which means the same in every session")
    return kind


def _zone_hint(source: Kind, target: Kind) -> str:
    return _ZONE_HINT if Kind.TIMESTAMPTZ in (source, target) else ""
