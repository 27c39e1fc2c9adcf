"""sqlglot's reading of a whole statement, as facts: of INSERT, UPDATE and DELETE, and of queries whose WITH may hold
them; see ``parse``."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from sqlglot import exp

from maskproxy.core.sql.facts import (
    JoinFacts,
    Reference,
    RelationFacts,
    Slot,
    StatementFacts,
    WriteFacts,
    sorted_joins,
)
from maskproxy.core.sql.lex import Token
from maskproxy.core.sql.parse import name_of, read_ctes, read_item, read_leaves, read_query, slot_of
from maskproxy.core.sql.parse_text import check_args, parse_tree, reading, refusal

_INSERT_ARGS: Final = frozenset({"with_", "this", "expression", "conflict", "returning", "default"})
_UPDATE_ARGS: Final = frozenset({"with_", "this", "expressions", "from_", "where", "returning"})
_DELETE_ARGS: Final = frozenset({"with_", "this", "using", "where", "returning"})
_CONFLICT_ARGS: Final = frozenset({"expressions", "action", "conflict_keys", "index_predicate", "constraint", "where"})


def parse_statement(text: str, tokens: Sequence[Token]) -> StatementFacts:
    """The facts of one statement, which the tokens are of and begin.

    Raises Refused when sqlglot cannot read it or reads it as something else, LimitExceeded where that would take long.
    """
    tree = parse_tree(text, tokens)
    with reading():
        if isinstance(tree, _WRITES):
            return _write(tree)
        ctes = read_ctes(tree, _read_cte)
        tree.set("with_", None)
        query = read_query(tree)
        return replace(query, with_queries=ctes + query.with_queries)


_WRITES: Final = (exp.Insert, exp.Update, exp.Delete)


def _read_cte(node: exp.Expr) -> StatementFacts:
    return _write(node) if isinstance(node, _WRITES) else read_query(node)


def _write(node: exp.Expr) -> WriteFacts:
    match node:
        case exp.Insert():
            return _insert(node)
        case exp.Update():
            return _update(node)
        case _:
            return _delete(node)


def _insert(node: exp.Insert) -> WriteFacts:
    check_args(node, _INSERT_ARGS)
    source, conflict = node.args.get("expression"), node.args.get("conflict")
    if bool(node.args.get("default")) == (source is not None):
        raise refusal("source of rows")
    columns: Reference = ()
    target = node.this
    if isinstance(target, exp.Schema):
        check_args(target, frozenset({"this", "expressions"}))
        columns = tuple(map(name_of, target.expressions))
        target = target.this
    facts = WriteFacts(
        kind="insert",
        with_queries=read_ctes(node, _read_cte),
        target=_target(target),
        columns=columns,
        source=None if source is None else read_query(source),
        returning=_returning(node),
    )
    return facts if conflict is None else _with_conflict(facts, conflict)


def _with_conflict(facts: WriteFacts, node: exp.OnConflict) -> WriteFacts:
    check_args(node, _CONFLICT_ARGS)
    constraint = node.args.get("constraint")
    keys, where = slot_of(node.args.get("conflict_keys") or ()), slot_of([node.args.get("index_predicate")])
    if (node.args["action"].name.upper() == "DO UPDATE") != bool(node.expressions):
        raise refusal("action of ON CONFLICT")
    return replace(
        facts,
        conflict=(keys, where, None if constraint is None else name_of(constraint)),
        assignments=_assignments(node.expressions),
        where=slot_of([node.args.get("where")]),
    )


def _update(node: exp.Update) -> WriteFacts:
    check_args(node, _UPDATE_ARGS)
    from_item = node.args.get("from_")
    leaves = [] if from_item is None else list(read_leaves(from_item.this))
    facts = WriteFacts(
        kind="update",
        with_queries=read_ctes(node, _read_cte),
        target=_target(node.this),
        assignments=_assignments(node.expressions),
        where=slot_of([node.args.get("where")]),
        returning=_returning(node),
    )
    return _with_leaves(facts, leaves)


def _delete(node: exp.Expr) -> WriteFacts:
    check_args(node, _DELETE_ARGS)
    leaves = [leaf for each in node.args.get("using") or () for leaf in read_leaves(each)]
    facts = WriteFacts(
        kind="delete",
        with_queries=read_ctes(node, _read_cte),
        target=_target(node.this),
        where=slot_of([node.args.get("where")]),
        returning=_returning(node),
    )
    return _with_leaves(facts, leaves)


def _with_leaves(facts: WriteFacts, leaves: Sequence[RelationFacts | JoinFacts]) -> WriteFacts:
    return replace(
        facts,
        relations=tuple(leaf for leaf in leaves if isinstance(leaf, RelationFacts)),
        joins=sorted_joins(leaf for leaf in leaves if isinstance(leaf, JoinFacts)),
    )


def _target(node: exp.Expr) -> RelationFacts:
    leaves = list(read_leaves(node))
    if len(leaves) != 1 or not isinstance(leaves[0], RelationFacts) or not leaves[0].name:
        raise refusal("table written to")
    return leaves[0]


def _returning(node: exp.Expr) -> tuple[tuple[str | None, Slot], ...]:
    returning = node.args.get("returning")
    if returning is None:
        return ()
    check_args(returning, frozenset({"expressions"}))
    return tuple(map(read_item, returning.expressions))


# ---------------------------------------------------------------------------------------------------------- assignments


def _assignments(nodes: Sequence[exp.Expr]) -> tuple[tuple[Reference, Slot], ...]:
    return tuple(assignment for node in nodes for assignment in _assignment(node))


def _assignment(node: exp.Expr) -> Iterator[tuple[Reference, Slot]]:
    if not isinstance(node, exp.EQ):
        raise refusal("assignment")
    left, value = node.this, node.expression
    if isinstance(left, exp.Column):
        yield (_assigned(left),), _value(value)
        return
    columns = tuple(map(_assigned, left.expressions if isinstance(left, exp.Tuple) else [left.this]))
    values = _row(value)
    if len(values) == len(columns):
        for column, each in zip(columns, values, strict=True):
            yield (column,), _value(each)
    else:
        yield columns, _value(value)


def _row(node: exp.Expr) -> list[exp.Expr]:
    """The values of a row constructor; those of one column may come in bare parentheses."""
    match node:
        case exp.Tuple():
            return list(node.expressions)
        case exp.Anonymous() if node.name.upper() == "ROW":
            return list(node.expressions)
        case exp.Paren():
            return [node.this]
        case _:
            return []


def _assigned(node: exp.Expr) -> str:
    if not isinstance(node, exp.Column) or len(node.parts) != 1:
        raise refusal("assigned column")
    return name_of(node.this)


def _value(node: exp.Expr) -> Slot:
    """DEFAULT is read as a column of that name, which the server's grammar knows in quotes only."""
    if isinstance(node, exp.Column) and len(node.parts) == 1 and not node.this.args.get("quoted"):
        return Slot() if node.name.upper() == "DEFAULT" else slot_of([node])
    return slot_of([node])
