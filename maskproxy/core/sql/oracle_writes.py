"""INSERT, UPDATE and DELETE of the server's grammar read into ours; see ``oracle``.

Writes stand at the top of a statement or in the WITH clause at its top, nowhere deeper (the server's rule too)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import postgast.pg_query_pb2 as pg

from maskproxy.core.sql.oracle import Fields, Message, Source, node, unknown
from maskproxy.core.sql.oracle_expressions import Reader
from maskproxy.core.sql.oracle_queries import (
    read_from_item,
    read_item,
    read_query,
    read_table,
    read_tail,
)
from maskproxy.core.sql.tree import Column, Default, Expression, FromItem, Item, Operation, TableItem
from maskproxy.core.sql.tree_writes import (
    Assignment,
    Conflict,
    Delete,
    Insert,
    StatementTree,
    Update,
    WriteTree,
    WrittenColumn,
)


def read_statement(source: Source, name: str, message: Message) -> StatementTree:
    """A whole statement: a query, whose WITH may write, or a write. Raises Refused for every other, and for what of
    these is not supported, naming it."""
    if name == "select_stmt":
        return read_query(source, message, _write_inside)
    return _write(Reader(source, read_query, _write_inside), name, message)


def _write_inside(source: Source, name: str, message: Message) -> WriteTree:
    return _write(Reader(source, read_query), name, message)


def _write(reader: Reader, name: str, message: Message) -> WriteTree:
    read = _WRITES.get(name)
    if read is None:
        raise unknown(reader.source, message)
    return read(reader, message)


def _insert(reader: Reader, message: Message) -> Insert:
    with reader.fields(message) as fields:
        if fields.take("override", pg.OVERRIDING_NOT_SET) != pg.OVERRIDING_NOT_SET:
            raise reader.source.refusal("OVERRIDING")
        tail = read_tail(reader, fields)
        columns = fields.take("cols")
        source = fields.take("select_stmt")
        conflict = fields.take("on_conflict_clause")
        return Insert(
            tail=tail,
            target=_target(reader, fields),
            columns=None if columns is None else tuple(_column(reader, each.res_target) for each in columns),
            source=None if source is None else reader.query(source),
            conflict=None if conflict is None else _conflict(reader, conflict),
            returning=_returning(reader, fields),
        )


def _update(reader: Reader, message: Message) -> Update:
    with reader.fields(message) as fields:
        return Update(
            tail=read_tail(reader, fields),
            target=_target(reader, fields),
            assignments=tuple(_assignments(reader, fields.take("target_list"))),
            from_items=_from(reader, fields.take("from_clause", ())),
            where=reader.optional(fields.take("where_clause")),
            returning=_returning(reader, fields),
        )


def _delete(reader: Reader, message: Message) -> Delete:
    with reader.fields(message) as fields:
        return Delete(
            tail=read_tail(reader, fields),
            target=_target(reader, fields),
            from_items=_from(reader, fields.take("using_clause", ())),
            where=reader.optional(fields.take("where_clause")),
            returning=_returning(reader, fields),
        )


_WRITES: Final[Mapping[str, Callable[[Reader, Message], WriteTree]]] = {
    "insert_stmt": _insert,
    "update_stmt": _update,
    "delete_stmt": _delete,
}


def _target(reader: Reader, fields: Fields) -> TableItem:
    return read_table(reader, fields.take("relation"))


def _from(reader: Reader, messages: Any) -> tuple[FromItem, ...]:
    return tuple(read_from_item(reader, each) for each in messages)


def _returning(reader: Reader, fields: Fields) -> tuple[Item, ...]:
    clause = fields.take("returning_clause")
    if clause is None:
        return ()
    with reader.fields(clause) as inner:
        inner.refuse("options")
        return tuple(read_item(reader, each) for each in inner.take("exprs"))


def _column(reader: Reader, message: Message) -> WrittenColumn:
    with reader.fields(message) as fields:
        fields.refuse("indirection")
        return WrittenColumn(fields.take("name"), fields.position)


# ---------------------------------------------------------------------------------------------------------- assignments


def _assignments(reader: Reader, messages: Any) -> Iterator[Assignment]:
    """``(a, b) = ...`` is one entry per column in the grammar, each with the whole right side."""
    waiting = [each.res_target for each in messages]
    while waiting:
        name, value = node(waiting[0].val)
        width = value.ncolumns if name == "multi_assign_ref" else 1
        group, waiting = waiting[:width], waiting[width:]
        targets = [_assigned(reader, each) for each in group]
        if name == "multi_assign_ref":
            _check_group(reader, group)
            yield from _several(reader, targets, value.source)
        else:
            yield Assignment((targets[0][0],), reader.expression(group[0].val), targets[0][1])


def _assigned(reader: Reader, message: Message) -> tuple[str, int | None]:
    """The column; its value is read apart."""
    with reader.fields(message) as fields:
        fields.refuse("indirection")
        fields.take("val")
        return fields.take("name"), fields.position


def _check_group(reader: Reader, group: Sequence[Message]) -> None:
    numbers = [(node(each.val)[0], node(each.val)[1].colno, node(each.val)[1].ncolumns) for each in group]
    if numbers != [("multi_assign_ref", number, len(group)) for number in range(1, len(group) + 1)]:
        raise reader.source.refusal("this assignment to several columns")


def _several(reader: Reader, targets: Sequence[tuple[str, int | None]], source: Message) -> Iterator[Assignment]:
    """A row of as many values is assigned one by one (transformMultiAssignRef), a subquery as a whole."""
    match reader.expression(source):
        case Operation("row", args) if len(args) == len(targets):
            for (name, position), value in zip(targets, args, strict=True):
                yield Assignment((name,), value, position)
        case Default() | Column() as value if len(targets) == 1:
            yield Assignment((targets[0][0],), value, targets[0][1])
        case value:
            yield Assignment(tuple(name for name, _ in targets), value, targets[0][1])


# ------------------------------------------------------------------------------------------------------------ conflicts


def _conflict(reader: Reader, message: Message) -> Conflict:
    with reader.fields(message) as fields:
        action = fields.take("action")
        make = partial(Conflict, position=fields.position)
        infer = fields.take("infer")
        if infer is not None:
            with reader.fields(infer) as inner:
                keys = tuple(_key(reader, each) for each in inner.take("index_elems", ()))
                where = reader.optional(inner.take("where_clause"))
                make = partial(make, keys=keys, where=where, constraint=inner.take("conname"))
        assignments = tuple(_assignments(reader, fields.take("target_list", ())))
        if (action == pg.ONCONFLICT_UPDATE) != bool(assignments):
            raise reader.source.refusal("this ON CONFLICT", fields.location)
        return make(assignments=assignments, update_where=reader.optional(fields.take("where_clause")))


def _key(reader: Reader, message: Message) -> Expression:
    name, inner = node(message)
    if name != "index_elem":
        raise unknown(reader.source, inner)
    with reader.fields(inner) as fields:
        fields.refuse("collation", "opclass")
        fields.take("ordering")
        fields.take("nulls_ordering")
        column = fields.take("name")
        return reader.expression(fields.take("expr")) if column is None else Column((column,))
