"""sqlglot's reading of a query, as facts. The only caller of sqlglot.

It is a second opinion: what it misreads (see ``facts``) or cannot read is refused. Its tree may hold a column where
we do not look, in an argument of another name or as a bare identifier; then a reference is missing from the facts and
they disagree."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.parser import logger

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused, StatementError
from maskproxy.core.sql.facts import JoinFacts, QueryFacts, Reference, RelationFacts, Slot, slot, sorted_joins
from maskproxy.core.sql.lex import Token, fold

logger.disabled = True  # its warnings quote the statement, literals and all

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


def parse_query(text: str, tokens: Sequence[Token]) -> QueryFacts:
    """The facts of one query, which the tokens are of.

    Raises Refused when sqlglot cannot read it or reads it as something else, LimitExceeded where that would take long.
    """
    _check_type_depth(tokens)
    try:
        trees = sqlglot.parse(text, dialect="postgres", error_level=ErrorLevel.RAISE)
        if len(trees) != 1 or trees[0] is None:
            raise _refusal("number of statements")
        return _query(trees[0])
    except StatementError:
        raise
    except RecursionError:
        raise LimitExceeded("statement is nested too deeply") from None
    except SqlglotError:
        raise Refused("this statement is read by only one of two parsers", hint=_HINT) from None


_TYPE_WORDS: Final = frozenset(
    word.lower() for word, kind in Postgres.Tokenizer.KEYWORDS.items() if kind in Postgres.Parser.TYPE_TOKENS
)
_HINT: Final = "Write it in a plainer way: quote names that are key words, avoid rare syntax."


def _check_type_depth(tokens: Sequence[Token]) -> None:
    """``date(date(date(...`` is tried as a type and as a call at each level."""
    stack: list[bool] = []
    for before, token in pairwise(tokens):
        if token.is_punctuation("("):
            stack.append(before.value in _TYPE_WORDS)
            if sum(stack) > limits.MAX_TYPE_DEPTH:
                raise LimitExceeded("statement is nested too deeply", position=token.start + 1)
        elif token.is_punctuation(")") and stack:
            stack.pop()


def _refusal(construct: str) -> Refused:
    return Refused(f"this statement is read differently by two parsers ({construct})", hint=_HINT)


def _check_args(node: exp.Expr, known: frozenset[str]) -> None:
    """Every argument that is set is one we look at."""
    for name, value in node.args.items():
        if value and name not in known:
            raise _refusal(f"{node.key}.{name}")


def _query(node: exp.Expr) -> QueryFacts:
    match node:
        case exp.Select():
            values = _bare_values(node)
            return _select(node) if values is None else _query(values)
        case exp.SetOperation():
            return _set_operation(node)
        case exp.Values():
            _check_args(node, _VALUES_ARGS)
            return QueryFacts(
                kind="values",
                with_queries=_ctes(node),
                items=tuple((None, _slot([row])) for row in node.expressions),
                order_by=_slot([node.args.get("order")]),
                limit=_slot([node.args.get("limit"), node.args.get("offset")]),
            )
        case exp.Subquery() if isinstance(node.this, exp.Query | exp.Values):
            return _wrapped(node)
        case _:
            raise _refusal(node.key)


def _bare_values(node: exp.Select) -> exp.Values | None:
    """VALUES where sqlglot wraps it as SELECT * FROM (VALUES ...) AS _values."""
    from_item = node.args.get("from_")
    values = None if from_item is None else from_item.this
    if not isinstance(values, exp.Values) or values.alias != "_values" or not node.is_star:
        return None
    _check_args(node, frozenset({"expressions", "from_"}))
    return values


def _select(node: exp.Select) -> QueryFacts:
    _check_args(node, _SELECT_ARGS)
    distinct = node.args.get("distinct")
    from_item = node.args.get("from_")
    items = [] if from_item is None else [from_item.this]
    leaves = [leaf for each in (*items, *node.args.get("laterals", ())) for leaf in _leaves(each)]
    leaves += [leaf for join in node.args.get("joins", ()) for leaf in _join(join)]
    return QueryFacts(
        kind="select",
        with_queries=_ctes(node),
        items=tuple(_item(each) for each in node.expressions),
        distinct=distinct is not None,
        distinct_on=_slot([distinct.args.get("on")] if distinct is not None else []),
        relations=tuple(each for each in leaves if isinstance(each, RelationFacts)),
        joins=sorted_joins(each for each in leaves if isinstance(each, JoinFacts)),
        where=_slot([node.args.get("where")]),
        group_by=_slot([node.args.get("group")]),
        having=_slot([node.args.get("having")]),
        windows=_slot(node.args.get("windows", ())),
        order_by=_slot([node.args.get("order")]),
        limit=_slot([node.args.get("limit"), node.args.get("offset")]),
    )


def _set_operation(node: exp.SetOperation) -> QueryFacts:
    _check_args(node, _SET_ARGS)
    kind = _KINDS[type(node)]
    return QueryFacts(
        kind=kind if node.args.get("distinct") else f"{kind} all",
        with_queries=_ctes(node),
        order_by=_slot([node.args.get("order")]),
        limit=_slot([node.args.get("limit"), node.args.get("offset")]),
        branches=(_query(node.this), _query(node.expression)),
    )


def _wrapped(node: exp.Subquery) -> QueryFacts:
    """A query in parentheses; clauses outside them belong to it too (insertSelectOptions in gram.y)."""
    _check_args(node, _WRAPPER_ARGS)
    inner = _query(node.this)
    outside = QueryFacts(
        kind=inner.kind,
        with_queries=_ctes(node),
        order_by=_slot([node.args.get("order")]),
        limit=_slot([node.args.get("limit"), node.args.get("offset")]),
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
    )


def _joined(one: Slot, other: Slot) -> Slot:
    return slot(one.references + other.references, one.subqueries + other.subqueries)


def _ctes(node: exp.Expr) -> tuple[tuple[str, Reference, QueryFacts], ...]:
    with_clause = node.args.get("with_")
    if with_clause is None:
        return ()
    _check_args(with_clause, frozenset({"expressions", "recursive"}))
    return tuple(_cte(each) for each in with_clause.expressions)


def _cte(node: exp.CTE) -> tuple[str, Reference, QueryFacts]:
    _check_args(node, frozenset({"this", "alias", "materialized"}))
    name, columns = _alias(node)
    return name or "", columns, _query(node.this)


def _item(node: exp.Expr) -> tuple[str | None, Slot]:
    if isinstance(node, exp.Alias):
        return _name(node.args["alias"]), _slot([node.this])
    return None, _slot([node])


# ----------------------------------------------------------------------------------------------------------------- FROM


def _leaves(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    reader = _RELATIONS.get(type(node))
    if reader is None:
        raise _refusal(node.key)
    yield from reader(node)


def _table(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    _check_args(node, _TABLE_ARGS)
    alias, columns = _alias(node)
    if node.args.get("rows_from"):
        yield RelationFacts((), None, _slot(each.this for each in node.args["rows_from"]), alias, columns)
    elif isinstance(node.this, exp.Identifier):
        names = (node.args.get("db"), node.this)
        yield RelationFacts(tuple(_name(name) for name in names if name), None, None, alias, columns)
    else:
        yield RelationFacts((), None, _slot([node.this]), alias, columns)
    for join in node.args.get("joins", ()):
        yield from _join(join)


def _lateral(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    _check_args(node, frozenset({"this", "alias", "ordinality"}))
    alias, columns = _alias(node)
    if isinstance(node.this, exp.Subquery):
        yield RelationFacts((), _query(node.this), None, alias, columns)
    else:
        yield RelationFacts((), None, _slot([node.this]), alias, columns)


def _derived(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    alias, columns = _alias(node)
    if isinstance(node.this, exp.Query | exp.Values):
        yield RelationFacts((), _query(node), None, alias, columns)
    else:  # a join in parentheses
        _check_args(node, _WRAPPER_ARGS)
        yield from _leaves(node.this)
        if alias is not None:
            yield RelationFacts((), None, None, alias, columns)
    for join in node.args.get("joins", ()):
        yield from _join(join)


def _values(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    yield RelationFacts((), _query(node), None, *_alias(node))


def _unnest(node: exp.Expr) -> Iterator[RelationFacts | JoinFacts]:
    alias, columns = _alias(node)
    offset = node.args.get("offset")  # WITH ORDINALITY takes the last column's name away
    if isinstance(offset, exp.Identifier):
        columns = (*columns, _name(offset))
    yield RelationFacts((), None, _slot(node.expressions), alias, columns)


_RELATIONS: Final[Mapping[type, Callable[[exp.Expr], Iterator[RelationFacts | JoinFacts]]]] = {
    exp.Table: _table,
    exp.Lateral: _lateral,
    exp.Subquery: _derived,
    exp.Values: _values,
    exp.Unnest: _unnest,
}


def _join(node: exp.Join) -> Iterator[RelationFacts | JoinFacts]:
    _check_args(node, _JOIN_ARGS)
    yield from _leaves(node.this)
    method, side, kind = (str(node.args.get(name) or "").lower() for name in ("method", "side", "kind"))
    using = tuple(_name(each) for each in node.args.get("using") or ())
    if method not in ("", "natural") or kind not in ("", "inner", "outer", "cross"):
        raise _refusal(" ".join(filter(None, (method, side, kind, "join"))))
    on = node.args.get("on")
    if method or side or kind or using or on:  # else a comma
        yield JoinFacts(side or "inner", method == "natural", using, _slot([on]))


def _alias(node: exp.Expr) -> tuple[str | None, Reference]:
    alias = node.args.get("alias")
    if alias is None:
        return None, ()
    if not isinstance(alias, exp.TableAlias):
        raise _refusal(f"{node.key}.alias")
    columns = (each.this if isinstance(each, exp.ColumnDef) else each for each in alias.args.get("columns") or ())
    return _name(alias.this) if alias.this else None, tuple(map(_name, columns))


# ---------------------------------------------------------------------------------------------------------- expressions


def _name(node: exp.Expr) -> str:
    """A name as the server knows it: folded unless quoted."""
    if isinstance(node, exp.Star):
        return "*"
    if not isinstance(node, exp.Identifier):
        raise _refusal(f"name as {node.key}")
    return str(node.this) if node.args.get("quoted") else fold(str(node.this))


_VALUES: Final = frozenset((("user",), ("current_role",)))
"""Reserved words that are values, not columns."""


def _slot(nodes: Iterable[exp.Expr | None]) -> Slot:
    """All references and subqueries below these nodes, not looking into the subqueries."""
    references: list[Reference] = []
    subqueries: list[QueryFacts] = []
    stack = [node for node in nodes if node is not None]
    roots = set(map(id, stack))
    while stack:
        node = stack.pop()
        match node:
            case exp.Column():
                reference = tuple(map(_name, node.parts))
                if reference not in _VALUES or node.this.args.get("quoted"):
                    references.append(reference)
            case exp.Star():
                if id(node) in roots:  # else count(*)
                    references.append(("*",))
            case exp.Parameter():
                references.append(("$", node.name))
            case exp.Select() | exp.SetOperation() | exp.Subquery() | exp.Values():
                subqueries.append(_query(node))
            case exp.Command():
                raise _refusal("command")
            case exp.Lambda():  # f(column -> 'key') read as a function of its own
                references += [(_name(each),) for each in node.expressions]
                stack.append(node.this)
            case _:
                stack += node.iter_expressions()
    return slot(references, subqueries)
