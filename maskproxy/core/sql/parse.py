"""sqlglot's reading of a query, as facts; ``parse_writes`` has that of writes.

It is a second opinion: what it misreads (see ``facts``) or cannot read is refused. Its tree may hold a column where
we do not look, in an argument of another name or as a bare identifier; then a reference is missing from the facts and
they disagree."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from sqlglot import exp

from maskproxy.core.sql.facts import (
    JoinFacts,
    QueryFacts,
    Reference,
    RelationFacts,
    Slot,
    StatementFacts,
    WithFacts,
    slot,
    sorted_joins,
)
from maskproxy.core.sql.lex import fold
from maskproxy.core.sql.parse_text import check_args, refusal

_SELECT_ARGS: Final = frozenset(
    [
        "with_",
        "expressions",
        "distinct",
        "from_",
        "joins",
        "laterals",
        "where",
        "group",
        "having",
        "windows",
        "order",
        "limit",
        "offset",
        "operation_modifiers",
        "locks",
    ]
)
_SET_ARGS: Final = frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"})
_VALUES_ARGS: Final = frozenset({"with_", "expressions", "alias", "order", "limit", "offset"})
_WRAPPER_ARGS: Final = frozenset({"this", "with_", "alias", "order", "limit", "offset", "joins"})
_JOIN_ARGS: Final = frozenset({"this", "method", "side", "kind", "on", "using"})
_TABLE_ARGS: Final = frozenset({"this", "db", "alias", "only", "joins", "ordinality", "sample", "rows_from"})
_KINDS: Final[Mapping[type[exp.Expr], str]] = {
    exp.Union: "union",
    exp.Intersect: "intersect",
    exp.Except: "except",
}


def read_query(node: exp.Expr) -> QueryFacts:
    match node:
        case exp.Select():
            values = _bare_values(node)
            return _select(node) if values is None else read_query(values)
        case exp.SetOperation():
            return _set_operation(node)
        case exp.Values():
            check_args(node, _VALUES_ARGS)
            return QueryFacts(
                kind="values",
                with_queries=read_ctes(node),
                items=tuple((None, slot_of([row])) for row in node.expressions),
                order_by=slot_of([node.args.get("order")]),
                limit=slot_of([node.args.get("limit"), node.args.get("offset")]),
            )
        case exp.Subquery() if isinstance(node.this, exp.Query | exp.Values):
            return _wrapped(node)
        case _:
            raise refusal(node.key)


def _bare_values(node: exp.Select) -> exp.Values | None:
    """VALUES where sqlglot wraps it as SELECT * FROM (VALUES ...) AS _values."""
    from_item = node.args.get("from_")
    values = None if from_item is None else from_item.this
    if not isinstance(values, exp.Values) or values.alias != "_values" or not node.is_star:
        return None
    check_args(node, frozenset({"expressions", "from_"}))
    return values


def _select(node: exp.Select) -> QueryFacts:
    check_args(node, _SELECT_ARGS)
    distinct = node.args.get("distinct")
    from_item = node.args.get("from_")
    items = [] if from_item is None else [from_item.this]
    leaves = [leaf for each in (*items, *node.args.get("laterals", ())) for leaf in read_leaves(each)]
    leaves += [leaf for join in node.args.get("joins", ()) for leaf in _join(join)]
    return QueryFacts(
        kind="select",
        with_queries=read_ctes(node),
        items=tuple(read_item(each) for each in node.expressions),
        distinct=distinct is not None,
        distinct_on=slot_of([distinct.args.get("on")] if distinct is not None else []),
        relations=tuple(each for each in leaves if isinstance(each, RelationFacts)),
        joins=sorted_joins(each for each in leaves if isinstance(each, JoinFacts)),
        where=slot_of([node.args.get("where")]),
        group_by=slot_of([node.args.get("group")]),
        having=slot_of([node.args.get("having")]),
        windows=slot_of(node.args.get("windows", ())),
        order_by=slot_of([node.args.get("order")]),
        limit=slot_of([node.args.get("limit"), node.args.get("offset")]),
        locks=tuple(map(_lock, node.args.get("locks") or ())),
    )


_STRENGTHS: Final[Mapping[tuple[bool, bool], str]] = {
    (True, False): "update",
    (True, True): "no key update",
    (False, False): "share",
    (False, True): "key share",
}


def _lock(node: exp.Lock) -> tuple[str, Reference, str]:
    check_args(node, frozenset({"update", "key", "expressions", "wait"}))
    strength = _STRENGTHS[bool(node.args.get("update")), bool(node.args.get("key"))]
    leaves = [leaf for each in node.expressions for leaf in read_leaves(each)]
    names = tuple(leaf.name[-1] for leaf in leaves if isinstance(leaf, RelationFacts) and leaf.name)
    wait = node.args.get("wait")
    return strength, names, "block" if wait is None else "nowait" if wait else "skip"


def _set_operation(node: exp.SetOperation) -> QueryFacts:
    check_args(node, _SET_ARGS)
    kind = _KINDS[type(node)]
    return QueryFacts(
        kind=kind if node.args.get("distinct") else f"{kind} all",
        with_queries=read_ctes(node),
        order_by=slot_of([node.args.get("order")]),
        limit=slot_of([node.args.get("limit"), node.args.get("offset")]),
        branches=(read_query(node.this), read_query(node.expression)),
    )


def _wrapped(node: exp.Subquery) -> QueryFacts:
    """A query in parentheses; clauses outside them belong to it too (insertSelectOptions in gram.y)."""
    check_args(node, _WRAPPER_ARGS)
    inner = read_query(node.this)
    outside = QueryFacts(
        kind=inner.kind,
        with_queries=read_ctes(node),
        order_by=slot_of([node.args.get("order")]),
        limit=slot_of([node.args.get("limit"), node.args.get("offset")]),
    )
    return QueryFacts(
        kind=inner.kind,
        with_queries=outside.with_queries + inner.with_queries,
        items=inner.items,
        distinct=inner.distinct,
        distinct_on=inner.distinct_on,
        relations=inner.relations,
        joins=inner.joins,
        where=inner.where,
        group_by=inner.group_by,
        having=inner.having,
        windows=inner.windows,
        order_by=_joined(outside.order_by, inner.order_by),
        limit=_joined(outside.limit, inner.limit),
        branches=inner.branches,
        locks=inner.locks,
    )


def _joined(one: Slot, other: Slot) -> Slot:
    return slot(one.references + other.references, one.subqueries + other.subqueries)


def read_ctes(node: exp.Expr, read: Callable[[exp.Expr], StatementFacts] | None = None) -> WithFacts:
    with_clause = node.args.get("with_")
    if with_clause is None:
        return ()
    check_args(with_clause, frozenset({"expressions", "recursive"}))
    return tuple(_cte(each, read or read_query) for each in with_clause.expressions)


def _cte(node: exp.CTE, read: Callable[[exp.Expr], StatementFacts]) -> tuple[str, Reference, StatementFacts]:
    check_args(node, frozenset({"this", "alias", "materialized"}))
    name, columns = _alias(node)
    return name or "", columns, read(node.this)


def read_item(node: exp.Expr) -> tuple[str | None, Slot]:
    if isinstance(node, exp.Alias):
        return name_of(node.args["alias"]), slot_of([node.this])
    return None, slot_of([node])


# ----------------------------------------------------------------------------------------------------------------- FROM


def read_leaves(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    reader = _RELATIONS.get(type(node))
    if reader is None:
        raise refusal(node.key)
    yield from reader(node)


def _table(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    check_args(node, _TABLE_ARGS)
    alias, columns = _alias(node)
    if node.args.get("rows_from"):
        yield RelationFacts((), None, slot_of(each.this for each in node.args["rows_from"]), alias, columns)
    elif isinstance(node.this, exp.Identifier):
        names = (node.args.get("db"), node.this)
        yield RelationFacts(tuple(name_of(name) for name in names if name), None, None, alias, columns)
    elif isinstance(node.this, exp.Values):  # the first of a join in parentheses
        yield RelationFacts((), read_query(node.this), None, alias, columns)
    else:
        yield RelationFacts((), None, slot_of([node.this]), alias, columns)
    for join in node.args.get("joins", ()):
        yield from _join(join)


def _lateral(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    check_args(node, frozenset({"this", "alias", "ordinality"}))
    alias, columns = _alias(node)
    if isinstance(node.this, exp.Subquery):
        yield RelationFacts((), read_query(node.this), None, alias, columns)
    elif isinstance(node.this, exp.Unnest):
        yield RelationFacts((), None, slot_of(node.this.expressions), alias, _with_ordinality(node.this, columns))
    else:
        yield RelationFacts((), None, slot_of([node.this]), alias, columns)


def _derived(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    alias, columns = _alias(node)
    if _holds_query(node):
        yield RelationFacts((), read_query(node), None, alias, columns)
    else:  # a join in parentheses
        check_args(node, _WRAPPER_ARGS)
        yield from read_leaves(node.this)
        if alias is not None:
            yield RelationFacts((), None, None, alias, columns)
    for join in node.args.get("joins", ()):
        yield from _join(join)


def _holds_query(node: exp.Expr) -> bool:
    """A query in any number of parentheses. One that has an alias or is joined inside of them is a part of a join."""
    inner = node.this
    while isinstance(inner, exp.Subquery) and not inner.args.get("joins") and inner.args.get("alias") is None:
        inner = inner.this
    return isinstance(inner, exp.Query | exp.Values) and not isinstance(inner, exp.Subquery)


def _values(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    yield RelationFacts((), read_query(node), None, *_alias(node))


def _unnest(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    alias, columns = _alias(node)
    yield RelationFacts((), None, slot_of(node.expressions), alias, _with_ordinality(node, columns))


def _with_ordinality(node: exp.Expr, columns: Reference) -> Reference:
    """WITH ORDINALITY takes the last column's name away."""
    offset = node.args.get("offset")
    return (*columns, name_of(offset)) if isinstance(offset, exp.Identifier) else columns


_RELATIONS: Final[Mapping[type, Callable[[exp.Expr], Iterator[RelationFacts | JoinFacts]]]] = {
    exp.Table: _table,
    exp.Lateral: _lateral,
    exp.Subquery: _derived,
    exp.Values: _values,
    exp.Unnest: _unnest,
}


def _join(node: exp.Join) -> Iterator[RelationFacts | JoinFacts]:
    check_args(node, _JOIN_ARGS)
    yield from read_leaves(node.this)
    method, side, kind = (str(node.args.get(name) or "").lower() for name in ("method", "side", "kind"))
    using = tuple(name_of(each) for each in node.args.get("using") or ())
    if method not in ("", "natural") or kind not in ("", "inner", "outer", "cross"):
        raise refusal(" ".join(filter(None, (method, side, kind, "join"))))
    on = node.args.get("on")
    if method or side or kind or using or on:  # else a comma
        yield JoinFacts(side or "inner", method == "natural", using, slot_of([on]))


def _alias(node: exp.Expr) -> tuple[str | None, Reference]:
    alias = node.args.get("alias")
    if alias is None:
        return None, ()
    if not isinstance(alias, exp.TableAlias):
        raise refusal(f"{node.key}.alias")
    columns = (each.this if isinstance(each, exp.ColumnDef) else each for each in alias.args.get("columns") or ())
    return name_of(alias.this) if alias.this else None, tuple(map(name_of, columns))


# ---------------------------------------------------------------------------------------------------------- expressions


def name_of(node: exp.Expr) -> str:
    """A name as the server knows it: folded unless quoted."""
    if isinstance(node, exp.Star):
        return "*"
    if not isinstance(node, exp.Identifier):
        raise refusal(f"name as {node.key}")
    return str(node.this) if node.args.get("quoted") else fold(str(node.this))


_VALUES: Final = frozenset((("user",), ("current_role",)))
"""Reserved words that are values, not columns."""


def slot_of(nodes: Iterable[exp.Expr | None]) -> Slot:
    """All references and subqueries below these nodes, not looking into the subqueries."""
    references: list[Reference] = []
    subqueries: list[QueryFacts] = []
    stack = [node for node in nodes if node is not None]
    roots = set(map(id, stack))
    while stack:
        node = stack.pop()
        match node:
            case exp.Column():
                reference = tuple(map(name_of, node.parts))
                if reference not in _VALUES or node.this.args.get("quoted"):
                    references.append(reference)
            case exp.Star():
                if id(node) in roots:  # else count(*)
                    references.append(("*",))
            case exp.Parameter():
                references.append(("$", node.name))
            case exp.Select() | exp.SetOperation() | exp.Subquery() | exp.Values():
                subqueries.append(read_query(node))
            case exp.Collate(this=collated, expression=exp.Column()):  # the name of a collation
                stack.append(collated)
            case exp.Command():
                raise refusal("command")
            case exp.Lambda():  # f(column -> 'key') read as a function of its own
                references += [(name_of(each),) for each in node.expressions]
                stack.append(node.this)
            case _:
                stack += node.iter_expressions()
    return slot(references, subqueries)
