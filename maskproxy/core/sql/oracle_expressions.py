"""Expressions of the server's grammar read into ours. One small reader for each node type; see ``oracle``."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import postgast.pg_query_pb2 as pg

from maskproxy.core.sql import oracle_chains, oracle_json, oracle_xml
from maskproxy.core.sql.oracle import Fields, Message, Source, node, strings, unknown
from maskproxy.core.sql.tree import (
    Call,
    Cast,
    Column,
    Constant,
    Default,
    Expression,
    Operation,
    Operator,
    Parameter,
    Query,
    RowField,
    SortKey,
    Star,
    Subquery,
    SubqueryKind,
    TypeRef,
    Window,
)
from maskproxy.core.sql.tree_writes import StatementTree, WriteTree

QueryReader = Callable[[Source, Message], Query]
WriteReader = Callable[[Source, str, Message], WriteTree]


class Reader:
    """Reads expressions; ``query`` reads the subqueries in them, ``write`` the WITH queries that write, where these may
    stand."""

    def __init__(self, source: Source, query: QueryReader, write: WriteReader | None = None) -> None:
        self.source = source
        self._query = query
        self._write = write

    def expression(self, message: Message) -> Expression:
        name, inner = node(message)
        reader = _READERS.get(name)
        if reader is None:
            raise unknown(self.source, inner)
        return reader(self, inner)

    def expressions(self, messages: Any) -> tuple[Expression, ...]:
        return tuple(self.expression(each) for each in messages or ())

    def optional(self, message: Message | None) -> Expression | None:
        return None if message is None else self.expression(message)

    def fields(self, message: Message) -> Fields:
        return Fields(self.source, message)

    def qualified(self, nodes: Any, location: int | None) -> tuple[str | None, str]:
        """``name`` or ``schema.name``."""
        names = strings(self.source, nodes)
        if not 1 <= len(names) <= 2:
            raise self.source.refusal("a name with a database", location)
        return (None if len(names) == 1 else names[0], names[-1])

    def query(self, message: Message) -> Query:
        name, inner = node(message)
        if name != "select_stmt":
            raise unknown(self.source, inner)
        return self._query(self.source, inner)

    def with_query(self, message: Message) -> StatementTree:
        name, inner = node(message)
        if name == "select_stmt":
            return self._query(self.source, inner)
        if self._write is None:
            raise unknown(self.source, inner)
        return self._write(self.source, name, inner)

    def sort_key(self, message: Message) -> SortKey:
        name, inner = node(message)
        if name != "sort_by":
            raise unknown(self.source, inner)
        with self.fields(inner) as fields:
            fields.take("sortby_dir")
            fields.take("sortby_nulls")
            use_op = fields.take("use_op")
            operator = self.qualified(use_op, fields.location) if use_op else None
            return SortKey(self.expression(fields.take("node")), operator)

    def sort_keys(self, messages: Any) -> tuple[SortKey, ...]:
        return tuple(self.sort_key(each) for each in messages or ())

    def window(self, message: Message) -> Window:
        with self.fields(message) as fields:
            fields.take("frame_options")
            bounds = (self.optional(fields.take("start_offset")), self.optional(fields.take("end_offset")))
            return Window(
                name=fields.take("name"),
                base=fields.take("refname"),
                partition_by=self.expressions(fields.take("partition_clause")),
                order_by=self.sort_keys(fields.take("order_clause")),
                bounds=tuple(bound for bound in bounds if bound is not None),
            )

    def type_ref(self, message: Message) -> TypeRef:
        with self.fields(message) as fields:
            fields.refuse("setof", "pct_type")
            fields.take("typemod")
            schema, name = self.qualified(fields.take("names"), fields.location)
            for modifier in self.expressions(fields.take("typmods")):
                if not isinstance(modifier, Constant):
                    raise self.source.refusal("a computed type modifier", fields.location)
            return TypeRef(schema, name, bool(fields.take("array_bounds")), fields.position)


def _column_ref(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        parts = list(fields.take("fields"))
        is_star = node(parts[-1])[0] == "a_star"
        names = strings(reader.source, parts[:-1] if is_star else parts)
        if len(names) > (2 if is_star else 3):
            raise reader.source.refusal("a name with a database", fields.location)
        return Star(names, fields.position) if is_star else Column(names, fields.position)


def _constant(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        value: str | int | None = None
        text: str | None = None
        match message.WhichOneof("val"):
            case "ival":
                value = message.ival.ival
            case "fval":
                text = message.fval.fval
            case "sval":
                value = message.sval.sval
            case "boolval":
                value = "true" if message.boolval.boolval else "false"
        for name in ("ival", "fval", "boolval", "sval", "bsval"):
            fields.take(name)
        null = bool(fields.take("isnull", False))
        said = text if value is None else str(value)
        return Constant(value, fields.position, said, null, reader.source.literals)


def _default(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        return Default(fields.position)


def _parameter(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        return Parameter(fields.take("number", 0), fields.position)


# Operators that a kind of A_Expr makes the server look up beside, or instead of, the name in the node (parse_expr.c).
_IMPLIED: Final[Mapping[int, tuple[str, ...]]] = {
    pg.AEXPR_BETWEEN: (">=", "<="),
    pg.AEXPR_NOT_BETWEEN: ("<", ">"),
    pg.AEXPR_BETWEEN_SYM: (">=", "<="),
    pg.AEXPR_NOT_BETWEEN_SYM: ("<", ">"),
}


def _a_expr(reader: Reader, message: Message) -> Expression:
    chain = oracle_chains.chain(message)
    if chain is not None:
        return oracle_chains.read(reader, chain)
    with reader.fields(message) as fields:
        kind = fields.take("kind")
        fields.take("rexpr_list_start")
        fields.take("rexpr_list_end")
        schema, name = reader.qualified(fields.take("name"), fields.location)
        sides = (fields.take("lexpr"), fields.take("rexpr"))
        args = tuple(arg for side in sides if side is not None for arg in _items(reader, side))
        quantified = kind in (pg.AEXPR_OP_ANY, pg.AEXPR_OP_ALL)
        names = _IMPLIED.get(kind, (name,))
        return Operator(schema, names, args, kind == pg.AEXPR_NULLIF, quantified, position=fields.position)


def _items(reader: Reader, message: Message) -> Iterable[Expression]:
    """IN and BETWEEN have a List on their right."""
    name, inner = node(message)
    return reader.expressions(inner.items) if name == "list" else (reader.expression(message),)


def _bool_expr(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        fields.take("boolop")
        return Operation("?column?", reader.expressions(fields.take("args")), fields.position)


def _test(reader: Reader, message: Message) -> Expression:
    """IS NULL, IS TRUE ..."""
    with reader.fields(message) as fields:
        fields.take("nulltesttype")
        fields.take("booltesttype")
        return Operation("?column?", (reader.expression(fields.take("arg")),), fields.position)


def _case(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        arg = reader.optional(fields.take("arg"))
        args = [] if arg is None else [arg]
        for each in fields.take("args"):
            with reader.fields(each.case_when) as when:
                args += [reader.expression(when.take("expr")), reader.expression(when.take("result"))]
        default = reader.optional(fields.take("defresult"))
        body: Expression = Operation("case", tuple(args), fields.position)
        if arg is not None:
            body = Operator(None, ("=",), tuple(args), position=fields.position)  # CASE arg WHEN looks "=" up by name
        # The default stands last so that the output's name can be told from it, as FigureColname does.
        return Operation("case", (body,) if default is None else (body, default), fields.position)


def _row(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        fields.take("row_format")
        return Operation("row", reader.expressions(fields.take("args")), fields.position)


def _array(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        fields.take("list_start")
        fields.take("list_end")
        return Operation("array", reader.expressions(fields.take("elements")), fields.position)


def _indirection(reader: Reader, message: Message) -> Expression:
    """Subscripts, and a field of a whole row, ``(c).email``. A field of any other composite value is refused: its row
    type is not followed."""
    with reader.fields(message) as fields:
        row = _row_field(reader, message)
        if row is not None:
            fields.take("arg")
            fields.take("indirection")
            return row
        args = [reader.expression(fields.take("arg"))]
        for each in fields.take("indirection"):
            name, inner = node(each)
            if name != "a_indices":
                raise reader.source.refusal("a field of a row value, (row).field,", None)
            with reader.fields(inner) as bounds:
                bounds.take("is_slice")
                both = (reader.optional(bounds.take("lidx")), reader.optional(bounds.take("uidx")))
                args += [bound for bound in both if bound is not None]
        return Operation("(subscript)", tuple(args), fields.position)


def _row_field(reader: Reader, message: Message) -> RowField | None:
    """``(name).field`` and ``(name).*``."""
    arg, steps = node(message.arg), [node(each) for each in message.indirection]
    if arg[0] != "column_ref" or len(steps) != 1 or steps[0][0] not in ("string", "a_star"):
        return None
    row = _column_ref(reader, arg[1])
    if not isinstance(row, Column):
        return None
    return RowField(row, steps[0][1].sval if steps[0][0] == "string" else "*")


def _coalesce(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        return Operation("coalesce", reader.expressions(fields.take("args")), fields.position)


def _min_max(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        name = "greatest" if fields.take("op") == pg.IS_GREATEST else "least"
        return Operation(name, reader.expressions(fields.take("args")), fields.position)


def _collate(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        reader.qualified(fields.take("collname"), fields.location)
        return Operation("(collate)", (reader.expression(fields.take("arg")),), fields.position)


def _grouping(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        return Operation("grouping", reader.expressions(fields.take("args")), fields.position)


_VALUE_FUNCTIONS: Final[Mapping[int, str]] = {
    pg.SVFOP_CURRENT_DATE: "current_date",
    pg.SVFOP_CURRENT_TIME: "current_time",
    pg.SVFOP_CURRENT_TIME_N: "current_time",
    pg.SVFOP_CURRENT_TIMESTAMP: "current_timestamp",
    pg.SVFOP_CURRENT_TIMESTAMP_N: "current_timestamp",
    pg.SVFOP_LOCALTIME: "localtime",
    pg.SVFOP_LOCALTIME_N: "localtime",
    pg.SVFOP_LOCALTIMESTAMP: "localtimestamp",
    pg.SVFOP_LOCALTIMESTAMP_N: "localtimestamp",
    pg.SVFOP_CURRENT_ROLE: "current_role",
    pg.SVFOP_CURRENT_USER: "current_user",
    pg.SVFOP_USER: "user",
    pg.SVFOP_SESSION_USER: "session_user",
    pg.SVFOP_CURRENT_CATALOG: "current_catalog",
    pg.SVFOP_CURRENT_SCHEMA: "current_schema",
}


def _value_function(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        fields.take("typmod")
        return Operation(_VALUE_FUNCTIONS[fields.take("op")], (), fields.position)


def _type_cast(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        type_ref = reader.type_ref(fields.take("type_name"))
        position = type_ref.position if fields.position is None else fields.position
        return Cast(reader.expression(fields.take("arg")), type_ref, position)


def _named_arg(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        fields.take("name")
        fields.take("argnumber")
        return reader.expression(fields.take("arg"))


_SUBLINKS: Final[Mapping[int, SubqueryKind]] = {
    pg.EXISTS_SUBLINK: SubqueryKind.EXISTS,
    pg.ALL_SUBLINK: SubqueryKind.ALL,
    pg.ANY_SUBLINK: SubqueryKind.ANY,
    pg.EXPR_SUBLINK: SubqueryKind.SCALAR,
    pg.ARRAY_SUBLINK: SubqueryKind.ARRAY,
}


def _sub_link(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        kind = _SUBLINKS[fields.take("sub_link_type")]
        names = fields.take("oper_name")
        operators: tuple[tuple[str | None, str], ...] = ()
        if names:
            operators = (reader.qualified(names, fields.location),)
        elif kind is SubqueryKind.ANY:
            operators = ((None, "="),)  # IN
        test = reader.optional(fields.take("testexpr"))
        return Subquery(kind, reader.query(fields.take("subselect")), test, operators, fields.position)


def _func_call(reader: Reader, message: Message) -> Expression:
    with reader.fields(message) as fields:
        schema, name = reader.qualified(fields.take("funcname"), fields.location)
        over = fields.take("over")
        fields.take("agg_within_group")
        fields.take("agg_distinct")
        return Call(
            schema=schema,
            name=name,
            args=reader.expressions(fields.take("args")),
            order_by=reader.sort_keys(fields.take("agg_order")),
            filter=reader.optional(fields.take("agg_filter")),
            over=None if over is None else reader.window(over),
            star=bool(fields.take("agg_star")),
            variadic=bool(fields.take("func_variadic")),
            sql_syntax=fields.take("funcformat") == pg.COERCE_SQL_SYNTAX,
            position=fields.position,
        )


_READERS: Final[Mapping[str, Callable[[Reader, Message], Expression]]] = {
    "column_ref": _column_ref,
    "a_const": _constant,
    "param_ref": _parameter,
    "a_expr": _a_expr,
    "bool_expr": _bool_expr,
    "null_test": _test,
    "boolean_test": _test,
    "case_expr": _case,
    "row_expr": _row,
    "a_array_expr": _array,
    "a_indirection": _indirection,
    "coalesce_expr": _coalesce,
    "min_max_expr": _min_max,
    "collate_clause": _collate,
    "grouping_func": _grouping,
    "sqlvalue_function": _value_function,
    "type_cast": _type_cast,
    "named_arg_expr": _named_arg,
    "sub_link": _sub_link,
    "func_call": _func_call,
    "set_to_default": _default,
    **oracle_json.READERS,
    **oracle_xml.READERS,
}
