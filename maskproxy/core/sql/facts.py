"""What two parsers must agree on: for each query its clauses, relations, aliases and the column references in every
clause.

The server's grammar is what we interpret; sqlglot reads the same text independently. Where their facts differ, one of
the two (or our reading of one) is wrong about where a value comes from, and the statement is refused. Names of
functions, operators and types are taken from the server's grammar alone, since sqlglot renames them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TypeVar, assert_never

from maskproxy.base.errors import Refused
from maskproxy.core.sql.tree import (
    Alias,
    Call,
    Cast,
    Column,
    Constant,
    Default,
    DerivedItem,
    Expression,
    FromItem,
    FunctionItem,
    JoinItem,
    Operation,
    Operator,
    Parameter,
    Query,
    RowField,
    Select,
    SetOperation,
    SortKey,
    Star,
    Subquery,
    TableItem,
    Values,
    Window,
)
from maskproxy.core.sql.tree_writes import Assignment, Conflict, Delete, Insert, StatementTree, Update, WriteTree

Reference = tuple[str, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Slot:
    """References and subqueries in one expression or clause, sorted. A parameter is the reference ("$", number)."""

    references: tuple[Reference, ...] = ()
    subqueries: "tuple[QueryFacts, ...]" = ()


def slot(references: Iterable[Reference], subqueries: "Iterable[QueryFacts]") -> Slot:
    return Slot(tuple(sorted(references)), _sorted(subqueries))


def _sorted(things: Iterable[T]) -> tuple[T, ...]:
    """In an order that depends on nothing but what they are."""
    found = tuple(things)
    return found if len(found) < 2 else tuple(sorted(found, key=repr))


@dataclass(frozen=True, slots=True)
class RelationFacts:
    """``name`` of a table; ``query`` of a derived table; ``arguments`` of functions."""

    name: Reference = ()
    query: "QueryFacts | None" = None
    arguments: Slot | None = None
    alias: str | None = None
    columns: Reference = ()


@dataclass(frozen=True, slots=True)
class JoinFacts:
    kind: str
    natural: bool
    using: Reference
    on: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFacts:
    """``items``: (alias, slot) in order; for VALUES one slot a row."""

    kind: str
    with_queries: "WithFacts" = ()
    items: tuple[tuple[str | None, Slot], ...] = ()
    distinct: bool = False
    distinct_on: Slot = Slot()
    relations: tuple[RelationFacts, ...] = ()
    joins: tuple[JoinFacts, ...] = ()
    where: Slot = Slot()
    group_by: Slot = Slot()
    having: Slot = Slot()
    windows: Slot = Slot()
    order_by: Slot = Slot()
    limit: Slot = Slot()
    branches: "tuple[QueryFacts, ...]" = ()
    locks: tuple[tuple[str, Reference, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFacts:
    """``assignments``: (columns, slot of the value) in order; those of ON CONFLICT too."""

    kind: str
    with_queries: "WithFacts" = ()
    target: RelationFacts
    columns: Reference = ()
    source: QueryFacts | None = None
    conflict: "tuple[Slot, Slot, str | None] | None" = None
    assignments: tuple[tuple[Reference, Slot], ...] = ()
    relations: tuple[RelationFacts, ...] = ()
    joins: tuple[JoinFacts, ...] = ()
    where: Slot = Slot()
    returning: tuple[tuple[str | None, Slot], ...] = ()


StatementFacts = QueryFacts | WriteFacts
WithFacts = tuple[tuple[str, Reference, StatementFacts], ...]


def check_agreement(server: StatementFacts, other: StatementFacts) -> None:
    """Raises Refused, naming the clause, if two parsers read it differently."""
    for each in fields(server):
        if type(server) is not type(other) or getattr(server, each.name) != getattr(other, each.name):
            clause = each.name.replace("_", " ")
            raise Refused(
                f"this statement is read differently by two parsers ({clause})",
                hint="Write it in a plainer way: quote names that are key words, name columns with their table.",
            )


def statement_facts(tree: StatementTree) -> StatementFacts:
    """The facts of our own tree."""
    return _write_facts(tree) if isinstance(tree, WriteTree) else query_facts(tree)


def _write_facts(tree: WriteTree) -> WriteFacts:
    (target,) = (leaf for leaf in _leaves(tree.target) if isinstance(leaf, RelationFacts))
    returning = tuple((item.name, _slot((item.expression,))) for item in tree.returning)
    ctes = _with_facts(tree)
    match tree:
        case Insert():
            return WriteFacts(
                kind="insert",
                with_queries=ctes,
                target=target,
                columns=tuple(column.name for column in tree.columns or ()),
                source=None if tree.source is None else query_facts(tree.source),
                conflict=None if tree.conflict is None else _conflict(tree.conflict),
                assignments=() if tree.conflict is None else _assignments(tree.conflict.assignments),
                where=Slot() if tree.conflict is None else _optional(tree.conflict.update_where),
                returning=returning,
            )
        case Update() | Delete():
            leaves = [leaf for item in tree.from_items for leaf in _leaves(item)]
            return WriteFacts(
                kind="update" if isinstance(tree, Update) else "delete",
                with_queries=ctes,
                target=target,
                assignments=_assignments(tree.assignments) if isinstance(tree, Update) else (),
                relations=tuple(leaf for leaf in leaves if isinstance(leaf, RelationFacts)),
                joins=sorted_joins(leaf for leaf in leaves if isinstance(leaf, JoinFacts)),
                where=_optional(tree.where),
                returning=returning,
            )
        case unreachable:
            assert_never(unreachable)


def _conflict(conflict: Conflict) -> tuple[Slot, Slot, str | None]:
    return _slot(conflict.keys), _optional(conflict.where), conflict.constraint


def _assignments(assignments: Iterable[Assignment]) -> tuple[tuple[Reference, Slot], ...]:
    return tuple((each.columns, _slot((each.value,))) for each in assignments)


def _with_facts(tree: StatementTree) -> WithFacts:
    return tuple((cte.name, cte.columns, statement_facts(cte.query)) for cte in tree.tail.ctes)


def query_facts(query: Query) -> QueryFacts:
    tail = query.tail
    ctes = _with_facts(query)
    order_by = _slot(_keys(tail.order_by))
    limit = _slot(each for each in (tail.limit, tail.offset) if each is not None)
    match query:
        case Values():
            rows = tuple((None, _slot(row)) for row in query.rows)
            return QueryFacts(kind="values", with_queries=ctes, items=rows, order_by=order_by, limit=limit)
        case SetOperation():
            kind = f"{query.operator} all" if query.all else str(query.operator)
            branches = (query_facts(query.left), query_facts(query.right))
            return QueryFacts(kind=kind, with_queries=ctes, order_by=order_by, limit=limit, branches=branches)
        case Select():
            relations = [leaf for item in query.from_items for leaf in _leaves(item)]
            return QueryFacts(
                kind="select",
                with_queries=ctes,
                items=tuple((item.name, _slot((item.expression,))) for item in query.items),
                distinct=query.distinct is not None,
                distinct_on=_slot(query.distinct or ()),
                relations=tuple(each for each in relations if isinstance(each, RelationFacts)),
                joins=sorted_joins(each for each in relations if isinstance(each, JoinFacts)),
                where=_optional(query.where),
                group_by=_slot(query.group_by),
                having=_optional(query.having),
                windows=_slot(part for window in query.windows for part in _window(window)),
                order_by=order_by,
                limit=limit,
                locks=tuple((lock.strength, lock.relations, lock.wait) for lock in query.locks),
            )
        case unreachable:
            assert_never(unreachable)


def sorted_joins(joins: Iterable[JoinFacts]) -> tuple[JoinFacts, ...]:
    return _sorted(joins)


def _slot(expressions: Iterable[Expression]) -> Slot:
    found = [each for expression in expressions for each in _walk(expression)]
    references = (each for each in found if isinstance(each, tuple))
    return slot(references, (each for each in found if isinstance(each, QueryFacts)))


def _optional(expression: Expression | None) -> Slot:
    return Slot() if expression is None else _slot((expression,))


def _keys(keys: Iterable[SortKey]) -> Iterator[Expression]:
    return (key.expression for key in keys)


def _window(window: Window) -> Iterator[Expression]:
    yield from window.partition_by
    yield from _keys(window.order_by)
    yield from window.bounds


def _walk(expression: Expression) -> Iterator[Reference | QueryFacts]:
    stack = [expression]
    while stack:
        match each := stack.pop():
            case Column(parts):
                yield parts
            case Star(qualifier):
                yield (*qualifier, "*")
            case Parameter(number):
                yield ("$", str(number))
            case Subquery():
                yield query_facts(each.query)
                if each.test is not None:
                    stack.append(each.test)
            case _:
                stack += _children(each)


def _children(expression: RowField | Constant | Default | Operation | Operator | Cast | Call) -> Iterator[Expression]:
    match expression:
        case Constant() | Default():
            return
        case RowField():
            yield expression.row
        case Operation() | Operator():
            yield from expression.args
        case Cast():
            yield expression.arg
        case Call():
            yield from expression.args
            yield from _keys(expression.order_by)
            if expression.filter is not None:
                yield expression.filter
            if expression.over is not None:
                yield from _window(expression.over)
        case unreachable:
            assert_never(unreachable)


def _leaves(item: FromItem) -> Iterator[RelationFacts | JoinFacts]:
    """Relations in the order of the text, and joins."""
    match item:
        case TableItem():
            name = (item.name,) if item.schema is None else (item.schema, item.name)
            yield RelationFacts(name, None, None, *_alias(item.alias))
        case DerivedItem():
            yield RelationFacts((), query_facts(item.query), None, *_alias(item.alias))
        case FunctionItem():
            arguments = _slot(arg for call in item.calls for arg in call.call.args)
            alias, columns = _alias(item.alias)
            defined = () if item.calls[0].call.sql_syntax else item.calls[0].columns
            yield RelationFacts((), None, arguments, alias, columns or tuple(name for name, _ in defined))
        case JoinItem():
            yield from _leaves(item.left)
            yield from _leaves(item.right)
            yield JoinFacts(str(item.kind), item.natural, item.using, _optional(item.on))
            if item.alias is not None:
                yield RelationFacts((), None, None, *_alias(item.alias))
        case unreachable:
            assert_never(unreachable)


def _alias(alias: Alias | None) -> tuple[str | None, Reference]:
    return (None, ()) if alias is None else (alias.name, alias.columns)
