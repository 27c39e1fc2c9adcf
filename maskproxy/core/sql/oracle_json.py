"""SQL/JSON syntax of the server's grammar (JSON_VALUE, JSON_OBJECT, IS JSON ...) read into our tree; see ``oracle``.

A server older than this syntax reads ``json_value(a, b)`` as a call of a function of that name, so the names count as
functions where there are any of the user's (``functions.AllowList``).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import postgast.pg_query_pb2 as pg

from maskproxy.core.sql.oracle import Fields, Message, node, unknown
from maskproxy.core.sql.tree import Cast, Constant, Expression, Operation, Subquery, SubqueryKind, TypeRef

if TYPE_CHECKING:
    from maskproxy.core.sql.oracle_expressions import Reader

Columns = tuple[tuple[str, TypeRef], ...]

_FUNCTIONS: Final[Mapping[int, str]] = {
    pg.JSON_EXISTS_OP: "json_exists",
    pg.JSON_QUERY_OP: "json_query",
    pg.JSON_VALUE_OP: "json_value",
}
_BEHAVIORS: Final = frozenset(
    {
        pg.JSON_BEHAVIOR_NULL,
        pg.JSON_BEHAVIOR_ERROR,
        pg.JSON_BEHAVIOR_EMPTY,
        pg.JSON_BEHAVIOR_TRUE,
        pg.JSON_BEHAVIOR_FALSE,
        pg.JSON_BEHAVIOR_UNKNOWN,
        pg.JSON_BEHAVIOR_EMPTY_ARRAY,
        pg.JSON_BEHAVIOR_EMPTY_OBJECT,
        pg.JSON_BEHAVIOR_DEFAULT,
    }
)


def _is_json(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        for name in ("format", "item_type", "unique_keys"):
            fields.take(name)
        return Operation("?column?", (reader.expression(fields.take("expr")),), fields.position)


def _function(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        name = _FUNCTIONS.get(fields.take("op"))
        if name is None:
            raise unknown(reader.source, message)
        for each in ("wrapper", "quotes"):
            fields.take(each)
        args = [_value(reader, fields.take("context_item")), reader.expression(fields.take("pathspec"))]
        args += _passing(reader, fields)
        args += _output(reader, fields)
        for each in ("on_empty", "on_error"):
            args += _behavior(reader, fields.take(each))
        return Operation(name, tuple(args), fields.position)


def _passing(reader: "Reader", fields: Fields) -> Iterable[Expression]:
    for each in fields.take("passing", ()):
        with reader.fields(each.json_argument) as argument:
            argument.take("name")
            yield _value(reader, argument.take("val"))


def _behavior(reader: "Reader", message: Message | None) -> Iterable[Expression]:
    if message is None:
        return ()
    with reader.fields(message) as fields:
        if fields.take("btype") not in _BEHAVIORS:
            raise unknown(reader.source, message)
        default = reader.optional(fields.take("expr"))
        return () if default is None else (default,)


def _value(reader: "Reader", message: Message) -> Expression:
    """``value FORMAT JSON``."""
    with reader.fields(message) as fields:
        fields.take("format")
        return reader.expression(fields.take("raw_expr"))


def _output(reader: "Reader", fields: Fields) -> Iterable[Expression]:
    """RETURNING names a type, which counts as a cast to it."""
    message = fields.take("output")
    if message is None:
        return ()
    with reader.fields(message) as output:
        output.take("returning")
        return (Cast(Constant(), reader.type_ref(output.take("type_name"))),)


def table(reader: "Reader", fields: Fields) -> tuple[tuple[Expression, ...], Columns]:
    """What JSON_TABLE reads, and its columns."""
    args = [_value(reader, fields.take("context_item")), *_path(reader, fields.take("pathspec"))]
    args += _passing(reader, fields)
    args += _behavior(reader, fields.take("on_error"))
    return tuple(args), tuple(_columns(reader, fields.take("columns", ())))


def _path(reader: "Reader", message: Message | None) -> Iterable[Expression]:
    if message is None:
        return ()
    with reader.fields(message) as fields:
        for each in ("name", "name_location"):
            fields.take(each)
        path = fields.take("string")
        return () if path is None else (reader.expression(path),)


def _columns(reader: "Reader", messages: Iterable[Message]) -> Iterable[tuple[str, TypeRef]]:
    nested: list[tuple[str, TypeRef]] = []
    for each in messages:
        with reader.fields(each.json_table_column) as fields:
            kind, type_name = fields.take("coltype"), fields.take("type_name")
            for option in ("format", "wrapper", "quotes"):
                fields.take(option)
            constants = [*_path(reader, fields.take("pathspec"))]
            for behavior in ("on_empty", "on_error"):
                constants += _behavior(reader, fields.take(behavior))
            if not all(map(_is_constant, constants)):
                raise reader.source.refusal("a computed value in COLUMNS of JSON_TABLE", fields.location)
            nested += _columns(reader, fields.take("columns", ()))
            name = fields.take("name")
            if kind == pg.JTC_FOR_ORDINALITY:
                yield name, TypeRef("pg_catalog", "int4")
            elif kind != pg.JTC_NESTED:
                yield name, reader.type_ref(type_name)
    yield from nested


def _is_constant(expression: Expression) -> bool:
    return isinstance(expression.arg if isinstance(expression, Cast) else expression, Constant)


def _object(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        for each in ("absent_on_null", "unique"):
            fields.take(each)
        args = [part for each in fields.take("exprs", ()) for part in _pair(reader, each.json_key_value)]
        return Operation("json_object", (*args, *_output(reader, fields)), fields.position)


def _pair(reader: "Reader", message: Message) -> Iterable[Expression]:
    with reader.fields(message) as fields:
        return (reader.expression(fields.take("key")), _value(reader, fields.take("value")))


def _array(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        fields.take("absent_on_null")
        args = []
        for each in fields.take("exprs", ()):
            name, inner = node(each)
            if name != "json_value_expr":
                raise unknown(reader.source, inner)
            args.append(_value(reader, inner))
        return Operation("json_array", (*args, *_output(reader, fields)), fields.position)


def _array_aggregate(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        fields.take("absent_on_null")
        return _aggregate(reader, "json_arrayagg", (_value(reader, fields.take("arg")),), fields.take("constructor"))


def _object_aggregate(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        for each in ("absent_on_null", "unique"):
            fields.take(each)
        return _aggregate(reader, "json_objectagg", _pair(reader, fields.take("arg")), fields.take("constructor"))


def _aggregate(reader: "Reader", name: str, args: Iterable[Expression], message: Message) -> Expression:
    with reader.fields(message) as fields:
        fields.refuse("over")
        keys = reader.sort_keys(fields.take("agg_order"))
        if any(key.operator is not None for key in keys):
            raise reader.source.refusal("ORDER BY USING", fields.location)
        where = reader.optional(fields.take("agg_filter"))
        more = (*(key.expression for key in keys), *(() if where is None else (where,)), *_output(reader, fields))
        return Operation(name, (*args, *more), fields.position)


def _parse(reader: "Reader", message: Message) -> Expression:
    """JSON(value)"""
    with reader.fields(message) as fields:
        fields.take("unique_keys")
        return Operation("json", (_value(reader, fields.take("expr")), *_output(reader, fields)), fields.position)


def _scalar(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        args = (reader.expression(fields.take("expr")), *_output(reader, fields))
        return Operation("json_scalar", args, fields.position)


def _serialize(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        args = (_value(reader, fields.take("expr")), *_output(reader, fields))
        return Operation("json_serialize", args, fields.position)


def _array_of_query(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        for each in ("absent_on_null", "format"):
            fields.take(each)
        query = Subquery(SubqueryKind.ARRAY, reader.query(fields.take("query")), position=fields.position)
        return Operation("json_array", (query, *_output(reader, fields)), fields.position)


READERS: Final[Mapping[str, "Callable[[Reader, Message], Expression]"]] = {
    "json_is_predicate": _is_json,
    "json_func_expr": _function,
    "json_object_constructor": _object,
    "json_array_constructor": _array,
    "json_array_agg": _array_aggregate,
    "json_object_agg": _object_aggregate,
    "json_parse_expr": _parse,
    "json_scalar_expr": _scalar,
    "json_serialize_expr": _serialize,
    "json_array_query_constructor": _array_of_query,
}

NAMES: Final = frozenset(
    {
        *_FUNCTIONS.values(),
        "json",
        "json_array",
        "json_arrayagg",
        "json_object",
        "json_objectagg",
        "json_scalar",
        "json_serialize",
        "json_table",
    }
)
"""Operations that an older server takes for functions."""
