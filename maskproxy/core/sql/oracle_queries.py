"""Queries and FROM of the server's grammar read into ours; see ``oracle``."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import postgast.pg_query_pb2 as pg

from maskproxy.core.sql.oracle import Fields, Message, Source, node, strings, unknown
from maskproxy.core.sql.oracle_expressions import Reader
from maskproxy.core.sql.tree import (
    Alias,
    Call,
    Constant,
    Cte,
    DerivedItem,
    Expression,
    FromItem,
    FunctionCall,
    FunctionItem,
    Item,
    JoinItem,
    JoinKind,
    Query,
    Select,
    SetOperation,
    SetOperator,
    TableItem,
    Tail,
    TypeRef,
    Values,
)

_SET_OPERATORS: Final[Mapping[int, SetOperator]] = {
    pg.SETOP_UNION: SetOperator.UNION,
    pg.SETOP_INTERSECT: SetOperator.INTERSECT,
    pg.SETOP_EXCEPT: SetOperator.EXCEPT,
}
_JOINS: Final[Mapping[int, JoinKind]] = {
    pg.JOIN_INNER: JoinKind.INNER,
    pg.JOIN_LEFT: JoinKind.LEFT,
    pg.JOIN_RIGHT: JoinKind.RIGHT,
    pg.JOIN_FULL: JoinKind.FULL,
}


def read_query(source: Source, message: Message) -> Query:
    """A SelectStmt, whatever it is: SELECT, VALUES, TABLE or a set operation.

    Raises Refused for what is not supported (INTO, row locks, data-modifying CTEs ...), naming it.
    """
    reader = Reader(source, read_query)
    with reader.fields(message) as fields:
        fields.refuse("into_clause", "locking_clause")
        tail = _tail(reader, fields)
        operator = _SET_OPERATORS.get(fields.take("op", pg.SETOP_NONE))
        rows = fields.take("values_lists")
        if operator is not None:
            return SetOperation(
                tail=tail,
                operator=operator,
                all=bool(fields.take("all")),
                left=read_query(source, fields.take("larg")),
                right=read_query(source, fields.take("rarg")),
            )
        if rows:
            return Values(tail=tail, rows=tuple(reader.expressions(each.list.items) for each in rows))
        return _select(reader, fields, tail)


def _select(reader: Reader, fields: Fields, tail: Tail) -> Select:
    distinct = fields.take("distinct_clause")
    keys = fields.take("group_clause", ())
    fields.take("group_distinct")  # of grouping sets, which only choose among the keys
    return Select(
        tail=tail,
        items=tuple(_item(reader, each) for each in fields.take("target_list", ())),
        distinct=None if distinct is None else _distinct(reader, distinct),
        from_items=tuple(_from_item(reader, each) for each in fields.take("from_clause", ())),
        where=reader.optional(fields.take("where_clause")),
        group_by=tuple(key for each in keys for key in _grouping(reader, each)),
        grouping_sets=any(node(each)[0] == "grouping_set" for each in keys),
        having=reader.optional(fields.take("having_clause")),
        windows=tuple(reader.window(each.window_def) for each in fields.take("window_clause", ())),
    )


def _tail(reader: Reader, fields: Fields) -> Tail:
    with_clause = fields.take("with_clause")
    fields.take("limit_option")
    ctes: tuple[Cte, ...] = ()
    recursive = False
    if with_clause is not None:
        with reader.fields(with_clause) as clause:
            recursive = bool(clause.take("recursive"))
            ctes = tuple(_cte(reader, each.common_table_expr) for each in clause.take("ctes"))
    return Tail(
        ctes=ctes,
        recursive=recursive,
        order_by=reader.sort_keys(fields.take("sort_clause")),
        limit=reader.optional(fields.take("limit_count")),
        offset=reader.optional(fields.take("limit_offset")),
    )


def _cte(reader: Reader, message: Message) -> Cte:
    with reader.fields(message) as fields:
        fields.refuse("search_clause", "cycle_clause")
        fields.take("ctematerialized")
        columns = strings(reader.source, fields.take("aliascolnames"))
        return Cte(fields.take("ctename"), columns, reader.query(fields.take("ctequery")), fields.position)


def _distinct(reader: Reader, messages: Any) -> tuple[Expression, ...]:
    """DISTINCT is a list of one empty node, DISTINCT ON the list of its expressions (gram.y, distinct_clause)."""
    return tuple(reader.expression(each) for each in messages if node(each)[0])


def _item(reader: Reader, message: Message) -> Item:
    with reader.fields(message.res_target) as fields:
        return Item(reader.expression(fields.take("val")), fields.take("name"), fields.position)


def _grouping(reader: Reader, message: Message) -> tuple[Expression, ...]:
    """Grouping sets only choose among their keys, so the keys are what counts."""
    name, inner = node(message)
    if name != "grouping_set":
        # ``(a, b)`` in GROUP BY is a grouping set of two keys although the grammar reads a row.
        if name == "row_expr" and inner.row_format == pg.COERCE_IMPLICIT_CAST:
            return reader.expressions(inner.args)
        return (reader.expression(message),)
    with reader.fields(inner) as fields:
        fields.take("kind")
        return tuple(key for each in fields.take("content", ()) for key in _grouping(reader, each))


# ----------------------------------------------------------------------------------------------------------------- FROM


def _from_item(reader: Reader, message: Message) -> FromItem:
    name, inner = node(message)
    read = _FROM_ITEMS.get(name)
    if read is None:
        raise unknown(reader.source, inner)
    return read(reader, inner)


def _alias(reader: Reader, message: Message | None) -> Alias | None:
    if message is None:
        return None
    with reader.fields(message) as fields:
        return Alias(fields.take("aliasname"), strings(reader.source, fields.take("colnames")))


def _table(reader: Reader, message: Message, *, sampled: bool = False) -> TableItem:
    with reader.fields(message) as fields:
        fields.refuse("catalogname")
        fields.take("relpersistence")
        return TableItem(
            schema=fields.take("schemaname"),
            name=fields.take("relname"),
            only=not fields.take("inh", False),
            alias=_alias(reader, fields.take("alias")),
            sampled=sampled,
            position=fields.position,
        )


def _sample(reader: Reader, message: Message) -> FromItem:
    """TABLESAMPLE by one of the two built-in methods with constants: rows are chosen by chance, not by values."""
    with reader.fields(message) as fields:
        method = strings(reader.source, fields.take("method"))
        repeatable = fields.take("repeatable")
        arguments = [*fields.take("args", ()), *([] if repeatable is None else [repeatable])]
        if method not in (("bernoulli",), ("system",)) or not all(
            isinstance(argument, Constant) for argument in reader.expressions(arguments)
        ):
            raise reader.source.refusal("this TABLESAMPLE", fields.location)
        return _table(reader, fields.take("relation").range_var, sampled=True)


def _derived(reader: Reader, message: Message) -> FromItem:
    with reader.fields(message) as fields:
        query = reader.query(fields.take("subquery"))
        lateral = bool(fields.take("lateral"))
        return DerivedItem(query=query, lateral=lateral, alias=_alias(reader, fields.take("alias")))


def _functions(reader: Reader, message: Message) -> FromItem:
    """``functions`` is a list of pairs (call, column definitions); a single call's definitions stand beside it."""
    with reader.fields(message) as fields:
        fields.take("lateral")  # functions see what stands left of them anyhow
        fields.take("is_rowsfrom")
        definitions = fields.take("coldeflist", ())
        calls = [_function_call(reader, each.list.items) for each in fields.take("functions")]
        if definitions:
            calls = [FunctionCall(calls[0].call, _definitions(reader, definitions))]
        alias = _alias(reader, fields.take("alias"))
        return FunctionItem(calls=tuple(calls), ordinality=bool(fields.take("ordinality")), alias=alias)


def _function_call(reader: Reader, pair: Any) -> FunctionCall:
    call = reader.expression(pair[0])
    if not isinstance(call, Call):
        raise reader.source.refusal("this expression in FROM", None)
    definitions = pair[1].list.items if len(pair) > 1 and node(pair[1])[0] == "list" else ()
    return FunctionCall(call, _definitions(reader, definitions))


def _definitions(reader: Reader, messages: Any) -> tuple[tuple[str, TypeRef], ...]:
    return tuple(_definition(reader, each.column_def) for each in messages)


def _definition(reader: Reader, message: Message) -> tuple[str, TypeRef]:
    with reader.fields(message) as fields:
        fields.take("is_local")
        return fields.take("colname"), reader.type_ref(fields.take("type_name"))


def _join(reader: Reader, message: Message) -> FromItem:
    with reader.fields(message) as fields:
        fields.refuse("join_using_alias")
        kind = _JOINS.get(fields.take("jointype"))
        if kind is None:
            raise reader.source.refusal("this join")
        return JoinItem(
            kind=kind,
            left=_from_item(reader, fields.take("larg")),
            right=_from_item(reader, fields.take("rarg")),
            natural=bool(fields.take("is_natural")),
            using=strings(reader.source, fields.take("using_clause")),
            on=reader.optional(fields.take("quals")),
            alias=_alias(reader, fields.take("alias")),
        )


_FROM_ITEMS: Final[Mapping[str, Callable[[Reader, Message], FromItem]]] = {
    "range_var": _table,
    "range_subselect": _derived,
    "range_function": _functions,
    "range_table_sample": _sample,
    "join_expr": _join,
}
