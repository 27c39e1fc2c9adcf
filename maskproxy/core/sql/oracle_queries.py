"""Queries and FROM of the server's grammar read into ours; see ``oracle``."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import postgast.pg_query_pb2 as pg

from maskproxy.core.sql import oracle_json
from maskproxy.core.sql.oracle import Fields, Message, Source, node, strings, unknown
from maskproxy.core.sql.oracle_expressions import Reader, WriteReader
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
    Lock,
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


def read_query(source: Source, message: Message, write: WriteReader | None = None) -> Query:
    """A SelectStmt, whatever it is: SELECT, VALUES, TABLE or a set operation. ``write`` reads WITH queries that write.

    Raises Refused for what is not supported (INTO, writes in WITH where ``write`` is None ...), naming it.
    """
    reader = Reader(source, read_query, write)
    with reader.fields(message) as fields:
        fields.refuse("into_clause")
        tail = read_tail(reader, fields)
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
        items=tuple(read_item(reader, each) for each in fields.take("target_list", ())),
        distinct=None if distinct is None else _distinct(reader, distinct),
        from_items=tuple(read_from_item(reader, each) for each in fields.take("from_clause", ())),
        where=reader.optional(fields.take("where_clause")),
        group_by=tuple(key for each in keys for key in _grouping(reader, each)),
        grouping_sets=any(node(each)[0] == "grouping_set" for each in keys),
        having=reader.optional(fields.take("having_clause")),
        windows=tuple(reader.window(each.window_def) for each in fields.take("window_clause", ())),
        locks=tuple(_lock(reader, each.locking_clause) for each in fields.take("locking_clause", ())),
    )


_STRENGTHS: Final[Mapping[int, str]] = {
    pg.LCS_FORUPDATE: "update",
    pg.LCS_FORNOKEYUPDATE: "no key update",
    pg.LCS_FORSHARE: "share",
    pg.LCS_FORKEYSHARE: "key share",
}
_WAITS: Final[Mapping[int, str]] = {pg.LockWaitBlock: "block", pg.LockWaitSkip: "skip", pg.LockWaitError: "nowait"}


def _lock(reader: Reader, message: Message) -> Lock:
    with reader.fields(message) as fields:
        tables = [read_table(reader, each.range_var) for each in fields.take("locked_rels", ())]
        if any(table.schema is not None or table.alias is not None for table in tables):
            raise reader.source.refusal("a qualified name in FOR UPDATE or FOR SHARE")
        strength, wait = _STRENGTHS[fields.take("strength")], _WAITS[fields.take("wait_policy")]
        position = tables[0].position if tables else None
        return Lock(strength, tuple(table.name for table in tables), wait, position)


def read_tail(reader: Reader, fields: Fields) -> Tail:
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
        return Cte(fields.take("ctename"), columns, reader.with_query(fields.take("ctequery")), fields.position)


def _distinct(reader: Reader, messages: Any) -> tuple[Expression, ...]:
    """DISTINCT is a list of one empty node, DISTINCT ON the list of its expressions (gram.y, distinct_clause)."""
    return tuple(reader.expression(each) for each in messages if node(each)[0])


def read_item(reader: Reader, message: Message) -> Item:
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


def read_from_item(reader: Reader, message: Message) -> FromItem:
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


def read_table(reader: Reader, message: Message, *, sampled: bool = False) -> TableItem:
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


_ACCESS_SHARE: Final = 1  # AccessShareLock in lockdefs.h


def read_locked(source: Source, message: Message) -> tuple[TableItem, ...]:
    """The tables of LOCK."""
    reader = Reader(source, read_query)
    with reader.fields(message) as fields:
        fields.take("nowait")
        if fields.take("mode") != _ACCESS_SHARE:
            raise source.refusal("a lock that excludes others")
        return tuple(read_table(reader, each.range_var) for each in fields.take("relations"))


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
        return read_table(reader, fields.take("relation").range_var, sampled=True)


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
        kind = _JOINS.get(fields.take("jointype"))
        if kind is None:
            raise reader.source.refusal("this join")
        return JoinItem(
            kind=kind,
            left=read_from_item(reader, fields.take("larg")),
            right=read_from_item(reader, fields.take("rarg")),
            natural=bool(fields.take("is_natural")),
            using=strings(reader.source, fields.take("using_clause")),
            using_alias=_alias(reader, fields.take("join_using_alias")),
            on=reader.optional(fields.take("quals")),
            alias=_alias(reader, fields.take("alias")),
        )


def _json_table(reader: Reader, message: Message) -> FromItem:
    """As a function of what it reads, with its columns; those of nested paths come last, as the server has them."""
    with reader.fields(message) as fields:
        fields.take("lateral")  # as of functions
        args, columns = oracle_json.table(reader, fields)
        call = Call(schema=None, name="json_table", args=args, sql_syntax=True, position=fields.position)
        return FunctionItem(calls=(FunctionCall(call, columns),), alias=_alias(reader, fields.take("alias")))


_FROM_ITEMS: Final[Mapping[str, Callable[[Reader, Message], FromItem]]] = {
    "range_var": read_table,
    "range_subselect": _derived,
    "range_function": _functions,
    "range_table_sample": _sample,
    "join_expr": _join,
    "json_table": _json_table,
}
