"""Flows through queries: an abstract interpretation of the server's own tree.

Two flows are kept apart. *Value*: a base column can reach output i, as itself (``direct``) or computed. *Influence*:
a column decides which rows there are, their order, their number or an error; each such place is a ``Use``."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Final, assert_never

from maskproxy.base import limits
from maskproxy.base.errors import AmbiguousColumn, LimitExceeded, Refused
from maskproxy.core.sql.findings import Ctes, Findings, Output, Place
from maskproxy.core.sql.flows_expressions import PG_DUMPS_SETTING, Expressions
from maskproxy.core.sql.flows_from import Relations
from maskproxy.core.sql.flows_views import Views
from maskproxy.core.sql.flows_writes import Writes
from maskproxy.core.sql.grouping import add_dependents
from maskproxy.core.sql.objects import check_no_reg, same_object
from maskproxy.core.sql.oracle import Source, parse_statements
from maskproxy.core.sql.oracle_queries import read_query
from maskproxy.core.sql.resolve import Field, Flow, Scope, renamed
from maskproxy.core.sql.statement import SessionCommand, UseKind
from maskproxy.core.sql.tree import (
    Call,
    Column,
    Constant,
    Cte,
    Expression,
    Item,
    Query,
    RowField,
    Select,
    SetOperation,
    SetOperator,
    SortKey,
    Star,
    Tail,
    Values,
)
from maskproxy.core.sql.tree_writes import StatementTree, WriteTree

Fields = tuple[Field, ...]
_OUTSIDE: Final = Place(None, {})


class Queries:
    """Interprets the queries of one statement and fills in its findings."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._expressions = Expressions(findings, self.query)
        views = Views(findings, lambda inside, query, place: Queries(inside).query(query, place))
        self._relations = Relations(findings, self._expressions, views, self.query)
        self._writes = Writes(findings, self._expressions, self._relations, self.query, self._ctes, self._all_outputs)
        self._recursions = 0
        self._nested_rounds = 0

    def statement(self, tree: StatementTree) -> tuple[Output, ...]:
        outputs = self._either(tree, _OUTSIDE)
        if self._findings.session is not None and not _is_session_statement(tree, self._findings.session):
            raise Refused("set_config is allowed in a plain SELECT without other clauses only")
        return outputs

    def _either(self, tree: StatementTree, place: Place) -> tuple[Output, ...]:
        return self._writes.write(tree, place) if isinstance(tree, WriteTree) else self.query(tree, place)

    def query(self, query: Query, place: Place) -> tuple[Output, ...]:
        """The outputs of a query; ``place.scope`` is the level around it."""
        place = replace(place, ctes=self._ctes(query.tail, place))
        match query:
            case Select():
                return self._select(query, place)
            case SetOperation():
                outputs = self._set_operation(query, place)
            case Values():
                outputs = self._values(query, place)
            case unreachable:
                assert_never(unreachable)
        self._order_by_outputs(query.tail, outputs, place)
        self._limit(query.tail, place)
        return outputs

    # -- SELECT

    def _select(self, query: Select, place: Place) -> tuple[Output, ...]:
        scope = Scope(self._relations.from_items(query.from_items, place), place.scope)
        inside = self._with_windows(query, replace(place, scope=scope, windows={}))
        use = self._expressions.use
        use(query.where, inside, UseKind.FILTER)
        outputs = self._all_outputs(query.items, inside)
        for key in query.group_by:
            self._key(key, outputs, inside, UseKind.GROUP)
        add_dependents(query, scope, self._findings)
        use(query.having, inside, UseKind.FILTER)
        for sort_key in query.tail.order_by:
            self._expressions.sort_operator(sort_key)
            self._key(sort_key.expression, outputs, inside, UseKind.ORDER)
        self._distinct(query, outputs, inside)
        self._limit(query.tail, place)
        for lock in query.locks:
            self._relations.lock(lock, query.from_items, place)
        return outputs

    def _all_outputs(self, items: Iterable[Item], place: Place) -> tuple[Output, ...]:
        outputs = tuple(output for item in items for output in self._outputs(item, place))
        if len(outputs) > limits.MAX_COLUMNS:
            raise LimitExceeded(f"target lists can have at most {limits.MAX_COLUMNS} entries")
        return outputs

    def _with_windows(self, query: Select, place: Place) -> Place:
        for window in query.windows:
            flow = self._expressions.window(window, place)
            place = replace(place, windows={**place.windows, window.name: flow})
        return place

    def _outputs(self, item: Item, place: Place) -> tuple[Output, ...]:
        expression = item.expression
        if isinstance(expression, Star):
            fields = (place.scope or Scope()).star(expression)
            return tuple(Output(field.name, field.flow, item.position, named=True) for field in fields)
        if isinstance(expression, RowField) and expression.name == "*":
            return tuple(
                self._field_output(field, item, place) for field in self._expressions.row_fields(expression, place)
            )
        flow = self._expressions.item(expression, place)
        named = item.name is not None or isinstance(expression, Column)
        return (Output(item.name or self._expressions.name(expression), flow, item.position, named),)

    def _field_output(self, field: Field, item: Item, place: Place) -> Output:
        """A column of ``(t).*``, computed as ``(t).a`` is."""
        assert isinstance(item.expression, RowField)
        flow = self._expressions.use(replace(item.expression, name=field.name), place, UseKind.EXPRESSION)
        return Output(field.name, Flow(flow.sources), item.position, named=True)

    def _key(self, key: Expression, outputs: tuple[Output, ...], place: Place, kind: UseKind) -> None:
        """A key of GROUP BY, ORDER BY or DISTINCT ON: an ordinal, a name, or an expression over the input.

        A bare name is an output to ORDER BY and DISTINCT ON, an input to GROUP BY, if both exist
        (findTargetlistEntrySQL92). Where the output's name is not the client's, or for GROUP BY, both readings are
        recorded: that can only make a use too many."""
        if isinstance(key, Constant) and isinstance(key.value, int):
            self._ordinal(key, outputs, kind)
            return
        if isinstance(key, Column) and len(key.parts) == 1:
            named = [output for output in outputs if output.name == key.parts[0]]
            certain = kind is not UseKind.GROUP and any(output.named for output in named)
            local = [] if certain else self._local(key, place, outputs_found=bool(named))
            for flow in (*(output.flow for output in named), *local):
                self._findings.use(flow.sources, kind, key.position)
            if named or local:
                return
        self._expressions.use(key, place, kind)

    def _local(self, key: Column, place: Place, *, outputs_found: bool) -> list[Flow]:
        """The input column of this level that a bare name could mean. Ambiguity among inputs matters only without
        output."""
        try:
            field = (place.scope or Scope()).local(key)
        except AmbiguousColumn:
            if not outputs_found:
                raise
            items = place.scope.items if place.scope else ()
            return [field.flow for item in items for field in item.named(key.parts[0])]
        return [] if field is None else [field.flow]

    def _ordinal(self, key: Constant, outputs: tuple[Output, ...], kind: UseKind) -> None:
        if not isinstance(key.value, int) or not 1 <= key.value <= len(outputs):
            raise Refused(f"{kind.upper()} BY position is not in select list", position=_shown(key.position))
        self._findings.use(outputs[key.value - 1].flow.sources, kind, key.position)

    def _distinct(self, query: Select, outputs: tuple[Output, ...], place: Place) -> None:
        if query.distinct is None:
            return
        if not query.distinct:
            self._findings.use_outputs(outputs, UseKind.DISTINCT)
        for key in query.distinct:
            self._key(key, outputs, place, UseKind.DISTINCT)

    def _limit(self, tail: Tail, place: Place) -> None:
        """LIMIT and OFFSET see the levels around only."""
        for bound in (tail.limit, tail.offset):
            self._expressions.use(bound, place, UseKind.FILTER)

    # -- set operations and VALUES

    def _set_operation(self, query: SetOperation, place: Place) -> tuple[Output, ...]:
        """By position; names are the left one's. Everything but UNION ALL compares whole rows."""
        left, right = self.query(query.left, place), self.query(query.right, place)
        if len(left) != len(right):
            raise Refused(f"each {query.operator.upper()} query must have the same number of columns")
        if not query.all or query.operator is not SetOperator.UNION:
            self._findings.use_outputs((*left, *right), UseKind.SET_OPERATION)
        return tuple(
            replace(one, flow=self._merged(one.flow, other.flow)) for one, other in zip(left, right, strict=True)
        )

    def _values(self, query: Values, place: Place) -> tuple[Output, ...]:
        flows: list[Flow] = []
        for row in query.rows:
            cells = [self._cell(each, place) for each in row]
            if flows and len(cells) != len(flows):
                raise Refused("VALUES lists must all be the same length")
            flows = [self._merged(*pair) for pair in zip(flows, cells, strict=True)] if flows else cells
        return tuple(Output(f"column{number}", flow) for number, flow in enumerate(flows, 1))

    def _merged(self, one: Flow, other: Flow) -> Flow:
        """One column of a set operation or of VALUES. Unless both sides are known to have one type the server casts
        them to a common one, also where nobody reads the result: that calls functions, and fails for some values."""
        if (one.reg or other.reg) and same_object(one, other) is None:
            check_no_reg(replace(one, reg=True), None)
        if not self._findings.same_type(one.direct, other.direct):
            for side in (one, other):
                self._findings.check_computable(side, None)
            self._findings.use(one.sources | other.sources, UseKind.SET_OPERATION, None)
        return _either(one, other)

    def _cell(self, expression: Expression, place: Place) -> Flow:
        if isinstance(expression, Star):
            raise Refused("* is not supported in VALUES", position=_shown(expression.position))
        return self._expressions.item(expression, place)

    def _order_by_outputs(self, tail: Tail, outputs: tuple[Output, ...], place: Place) -> None:
        """ORDER BY of a set operation or VALUES: ordinals and names of outputs, nothing else."""
        for key in tail.order_by:
            self._expressions.sort_operator(key)
            self._output_key(key, outputs)

    def _output_key(self, key: SortKey, outputs: tuple[Output, ...]) -> None:
        match key.expression:
            case Constant(int()) as ordinal:
                self._ordinal(ordinal, outputs, UseKind.ORDER)
            case Column((name,), position) if any(output.name == name for output in outputs):
                for output in outputs:
                    if output.name == name:
                        self._findings.use(output.flow.sources, UseKind.ORDER, position)
            case _:
                raise Refused("only names and numbers of outputs can be used in ORDER BY here")

    # -- WITH

    def _ctes(self, tail: Tail, place: Place) -> Ctes:
        """CTEs in sight of the query's body. Without RECURSIVE each sees those before it; with it, naming itself is
        recursion, and naming a later one (which the server allows) is refused."""
        if not tail.ctes:
            return place.ctes
        names = [cte.name for cte in tail.ctes]
        if len(set(names)) < len(names):
            raise Refused("a WITH query name is specified more than once", position=_shown(tail.ctes[0].position))
        ctes: dict[str, Fields | None] = dict(place.ctes)
        if tail.recursive:
            ctes |= dict.fromkeys(names)
        for cte in tail.ctes:
            ctes[cte.name] = self._cte(cte, replace(place, ctes=dict(ctes)), recursive=tail.recursive)
        return ctes

    def _cte(self, cte: Cte, place: Place, *, recursive: bool) -> Fields | None:
        """None for a write without RETURNING, which has no columns to name."""
        self._findings.count_relation()
        if isinstance(cte.query, WriteTree) and not cte.query.returning:
            self._either(cte.query, place)
            return None
        if recursive and isinstance(cte.query, SetOperation) and cte.query.operator is SetOperator.UNION:
            return self._fixpoint(cte, cte.query, place)
        return _cte_fields(cte, self._either(cte.query, place))

    def _fixpoint(self, cte: Cte, query: SetOperation, place: Place) -> Fields:
        """Rows of the left side flow through the right side again and again: iterate until nothing is added. Flows
        only grow and are bounded, so this ends, but columns that change places can make it long, and nested, the rounds
        multiply. Both are bounded."""
        self._recursions += 1
        first = self.query(query.left, replace(place, ctes=self._ctes(query.tail, place)))
        fields: Fields = ()
        grown = _cte_fields(cte, first)
        rounds = 0
        while grown != fields:
            rounds += 1
            self._nested_rounds += self._recursions > 1
            if rounds > limits.MAX_ROUNDS or self._nested_rounds > limits.MAX_NESTED_ROUNDS:
                raise LimitExceeded("flows through this recursion are too long", position=_shown(cte.position))
            fields = grown
            outputs = self.query(query, replace(place, ctes={**place.ctes, cte.name: fields}))
            again = _cte_fields(cte, outputs)
            grown = tuple(Field(old.name, _either(old.flow, new.flow)) for old, new in zip(fields, again, strict=True))
        self._recursions -= 1
        return fields


def _cte_fields(cte: Cte, outputs: tuple[Output, ...]) -> Fields:
    fields = tuple(Field(output.name, output.flow) for output in outputs)
    return renamed(fields, cte.columns, cte.name, cte.position)


def _either(one: Flow, other: Flow) -> Flow:
    """A value that comes from one place or the other."""
    direct = one.direct if one.direct == other.direct else None
    return Flow(
        one.sources | other.sources,
        direct,
        one.composite or other.composite,
        same_object(one, other),
        one.reg or other.reg,
    )


def _is_session_statement(tree: StatementTree, command: SessionCommand) -> bool:
    """A plain SELECT of set_config, or the one by which pg_dump sets a setting if there is one. There is none in the
    rows of pg_settings that a scope sees, so it sets nothing."""
    if command.name == PG_DUMPS_SETTING:
        return tree == _of_pg_dump()
    return (
        isinstance(tree, Select)
        and tree == Select(tail=Tail(), items=tree.items)
        and any(map(_changes_session, tree.items))
    )


@cache
def _of_pg_dump() -> Query:
    source = Source(
        f"SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = '{PG_DUMPS_SETTING}'"  # noqa: S608
    )
    return read_query(source, parse_statements(source)[0][2])


def _changes_session(item: Item) -> bool:
    return isinstance(item.expression, Call) and item.expression.name == "set_config"


def _shown(position: int | None) -> int | None:
    return None if position is None else position + 1
