"""Flows of statements that write: which table takes which values, and what is read on the way.

Whatever a written value is computed from is a use of kind ``written value``, wherever it comes from. Only literals,
parameters, NULL and DEFAULT are told apart from that, because only of those something is known before the statement
runs. RETURNING outputs are those of a SELECT from the target and the tables beside it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from maskproxy.base.errors import Refused, UnknownColumn
from maskproxy.base.refs import ColumnRef
from maskproxy.core.catalog import Table
from maskproxy.core.sql.findings import Ctes, Findings, Output, Place
from maskproxy.core.sql.flows_expressions import Expressions
from maskproxy.core.sql.flows_from import WRITABLE, Relations, base_relation, unknown_table
from maskproxy.core.sql.resolve import Flow, Relation, Scope, check_names
from maskproxy.core.sql.statement import Origin, UseKind, Write, WriteKind, Written
from maskproxy.core.sql.substitute import quoted
from maskproxy.core.sql.target_filter import COMPARED, TargetFilter, requalified
from maskproxy.core.sql.tree import (
    Alias,
    Cast,
    Column,
    Constant,
    Default,
    DerivedItem,
    Expression,
    Item,
    Parameter,
    Query,
    RowField,
    Select,
    Star,
    TableItem,
    Tail,
    Values,
)
from maskproxy.core.sql.tree_writes import Assignment, Conflict, Delete, Insert, Update, WriteTree

WrittenValues = tuple[Written, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """The table written to, and what it brings into sight."""

    table: Table
    relation: Relation
    position: int | None

    def column(self, name: str, position: int | None) -> ColumnRef:
        column = self.table.column(name)
        if column is None or column.hidden:
            raise UnknownColumn(
                f'column "{name}" of relation "{self.table.ref.name}" does not exist', position=_shown(position)
            )
        return ColumnRef(self.table.ref.schema, self.table.ref.name, name)


class Writes:
    """Interprets the writes of one statement; queries in them, their WITH clauses and outputs are interpreted by what
    is given."""

    def __init__(
        self,
        findings: Findings,
        expressions: Expressions,
        relations: Relations,
        query: Callable[[Query, Place], tuple[Output, ...]],
        ctes: Callable[[Tail, Place], Ctes],
        outputs: Callable[[Iterable[Item], Place], tuple[Output, ...]],
    ) -> None:
        self._findings = findings
        self._expressions = expressions
        self._relations = relations
        self._query = query
        self._ctes = ctes
        self._outputs = outputs

    def write(self, tree: WriteTree, place: Place) -> tuple[Output, ...]:
        """What RETURNING puts out."""
        place = replace(place, ctes=self._ctes(tree.tail, place))
        target = self._target(tree.target)
        self._filter(tree, target)
        outputs = self._write(tree, target, place)
        self._check_hidden(tree.target, target.table)
        return outputs

    def _write(self, tree: WriteTree, target: Target, place: Place) -> tuple[Output, ...]:
        match tree:
            case Insert():
                self._insert(tree, target, place)
                inside = place.inside(Scope((target.relation,), place.scope))
            case Update() | Delete():
                inside = self._beside(tree, target, place)
                values = self._assignments(tree.assignments, target, inside) if isinstance(tree, Update) else ()
                self._expressions.use(tree.where, inside, UseKind.FILTER)
                self._add(WriteKind.UPDATE if isinstance(tree, Update) else WriteKind.DELETE, target, values)
            case unreachable:
                assert_never(unreachable)
        outputs = self._outputs(tree.returning, inside)
        if target.table.is_partly_visible and inside.scope is not None:
            self._list_stars(tree, target, inside.scope)
        return outputs

    def _list_stars(self, tree: WriteTree, target: Target, scope: Scope) -> None:
        """A star of the target alone stands for the columns in sight."""
        columns = tuple(Column((str(target.relation.name), field.name)) for field in target.relation.fields)
        for item in tree.returning:
            star = item.expression
            if not isinstance(star, Star) or star.position is None:
                continue
            of = (scope.relation(star.qualifier, star.position),) if star.qualifier else scope.items
            if of == (target.relation,) and columns:
                self._findings.edits.stars[star.position] = columns

    def _add(self, kind: WriteKind, target: Target, values: WrittenValues) -> None:
        write = Write(kind=kind, table=target.table.ref, values=tuple(dict.fromkeys(values)), position=target.position)
        self._findings.writes.append(write)

    def _target(self, item: TableItem) -> Target:
        """A name that WITH does not shadow. Raises Refused for what only looks like a table."""
        self._findings.count_relation()
        table = self._findings.catalog.lookup(item.schema, item.name, self._findings.search_path)
        if table is None or table.hidden:
            raise unknown_table(item)
        if table.kind not in WRITABLE:
            raise Refused(
                f'writing to "{item.name}" is not supported under a masking scope: it is no plain table',
                position=_shown(item.position),
            )
        if table.has_rules:
            raise Refused(
                f'writing to "{item.name}" is not supported under a masking scope: rules of it rewrite statements',
                position=_shown(item.position),
            )
        self._findings.tables.add(table.ref)
        return Target(table, base_relation(item, table), item.position)

    def _check_hidden(self, item: TableItem, table: Table) -> None:
        """Raises Refused where a hidden column or row of the target could be reached, since it cannot be substituted.
        Last, so that naming a hidden column is naming one that does not exist."""
        table = replace(table, filter="")  # no statement reaches rows behind a filter of its target
        listed = frozenset(self._findings.edits.stars)
        mentions = self._findings.mentions
        if mentions.takes_unnamed(item) or (table.is_partly_visible and mentions.can_reach_hidden(item, table, listed)):
            raise Refused(
                f'this write to "{item.name}" is not supported under a masking scope',
                hint="Name the columns in RETURNING, and give the table an alias that is no column's name.",
                position=_shown(item.position),
            )

    def _filter(self, tree: WriteTree, target: Target) -> None:
        """Rows that the scope may not see stay as they are. What a conflict finds may be one of them."""
        table, item = target.table, tree.target
        if not table.filter or (isinstance(tree, Insert) and tree.conflict is None):
            return
        if isinstance(tree, Insert) or item.position is None:
            raise Refused(
                f'ON CONFLICT is not supported here: not all rows of "{item.name}" are visible',
                position=_shown(item.position),
            )
        alias = item.name if item.alias is None else item.alias.name
        columns = (column.name for column in table.visible_columns if column.type_oid in COMPARED)
        self._findings.edits.filters[item.position] = TargetFilter(
            condition=requalified(table.filter, quoted(item.name), quoted(alias)),
            alias=alias,
            columns=frozenset(columns),
            alone=not tree.from_items,
        )

    def _beside(self, tree: Update | Delete, target: Target, place: Place) -> Place:
        """The target stands first, then FROM or USING, which cannot see it."""
        items = (target.relation, *self._relations.from_items(tree.from_items, place))
        check_names(items)
        return replace(place, scope=Scope(items, place.scope), windows={})

    # -- INSERT

    def _insert(self, tree: Insert, target: Target, place: Place) -> None:
        rows = self._rows(tree, target, place)
        width = max(map(len, rows), default=0)
        columns = self._columns(tree, target, width)
        values = tuple(
            self._checked(replace(value, column=column))
            for row in rows
            for column, value in zip(columns, row, strict=False)
        )
        self._add(WriteKind.INSERT, target, values)
        if tree.conflict is not None:
            self._conflict(tree.conflict, target, values, place)

    def _columns(self, tree: Insert, target: Target, width: int) -> tuple[ColumnRef, ...]:
        """Without a list the first columns of the table, as many as there are values; hidden ones count too."""
        if tree.columns is None:
            columns = target.table.columns[:width]
            if any(column.hidden for column in columns):
                raise Refused(
                    "this INSERT needs a list of columns under a masking scope", position=_shown(target.position)
                )
            named = tuple(target.column(column.name, None) for column in columns)
        else:
            named = tuple(target.column(column.name, column.position) for column in tree.columns)
        if width > len(named):
            raise Refused("INSERT has more expressions than target columns", position=_shown(target.position))
        return named

    def _rows(self, tree: Insert, target: Target, place: Place) -> list[list[Written]]:
        """Values without their columns, row by row; one row for a query."""
        nowhere = ColumnRef(target.table.ref.schema, target.table.ref.name, "")
        match tree.source:
            case None:
                return []
            case Values(tail=tail, rows=rows) if tail == Tail():
                return [[self._value(nowhere, cell, place) for cell in row] for row in rows]
            case query:
                outputs = self._query(query, place)
                for output in outputs:
                    self._findings.check_computable(output.flow, output.position)
                self._findings.use_outputs(outputs, UseKind.WRITE)
                return _given_rows(query, nowhere) or [
                    [Written(nowhere, Origin.COMPUTED, output.position) for output in outputs]
                ]

    def _conflict(self, conflict: Conflict, target: Target, inserted: WrittenValues, place: Place) -> None:
        """Keys name columns of the target; DO UPDATE sees it and the row that was to be inserted, ``excluded``."""
        arbiter = place.inside(Scope((target.relation,), place.scope))
        for key in conflict.keys:
            self._expressions.use(key, arbiter, UseKind.CONFLICT)
        self._expressions.use(conflict.where, arbiter, UseKind.CONFLICT)
        if not conflict.assignments:
            return
        excluded = replace(target.relation, name="excluded", ref=None)
        items = (target.relation, excluded)
        check_names(items)
        inside = place.inside(Scope(items, place.scope))
        values: WrittenValues = ()
        for each in conflict.assignments:
            name = _copied_from_excluded(each)
            if name is None:
                values += self._assignments((each,), target, inside)
            else:
                values += _again(target.column(name, each.position), inserted, each.position)
        self._expressions.use(conflict.update_where, inside, UseKind.FILTER)
        self._add(WriteKind.UPDATE, target, values)

    # -- values

    def _assignments(self, assignments: Iterable[Assignment], target: Target, place: Place) -> WrittenValues:
        return tuple(value for each in assignments for value in self._assignment(each, target, place))

    def _assignment(self, assignment: Assignment, target: Target, place: Place) -> Iterator[Written]:
        columns = [target.column(name, assignment.position) for name in assignment.columns]
        first = self._value(columns[0], assignment.value, place)
        for column in columns:
            yield self._checked(replace(first, column=column))

    def _value(self, column: ColumnRef, expression: Expression, place: Place) -> Written:
        if isinstance(expression, Default):
            return Written(column, Origin.DEFAULT, expression.position)
        if isinstance(expression, Star):
            raise Refused("* is not supported as a written value", position=_shown(expression.position))
        flow = self._expressions.use(expression, place, UseKind.WRITE)
        position = expression.row.position if isinstance(expression, RowField) else expression.position
        self._findings.use(flow.sources, UseKind.WRITE, position)
        return given(column, expression) or Written(column, Origin.COMPUTED, position)

    def _checked(self, value: Written) -> Written:
        """A user-defined cast to the column's type may run for whatever has a type of its own."""
        if value.origin in (Origin.COMPUTED, Origin.PARAMETER) or value.cast is not None:
            self._findings.check_computable(Flow(direct=value.column), value.position)
        return value


def given(column: ColumnRef, expression: Expression, cast: str | None = None) -> Written | None:
    """A literal or a parameter, perhaps with a type written to it (the innermost counts); None for everything else."""
    match expression:
        case Cast(arg):
            return given(column, arg, type_name(expression))
        case Constant():
            origin = Origin.NULL if expression.null else Origin.LITERAL
            return Written(column, origin, expression.position, expression.text, cast=cast)
        case Parameter(number):
            return Written(column, Origin.PARAMETER, expression.position, parameter=number, cast=cast)
        case _:
            return None


def type_name(cast: Cast) -> str:
    return f"{cast.type.name}[]" if cast.type.array else cast.type.name


def _given_rows(query: Query, nowhere: ColumnRef) -> list[list[Written]] | None:
    """``SELECT $1, 'x' WHERE ...`` writes what is given, as does ``SELECT a::text FROM (VALUES ($1)) AS v (a)``, by
    which some drivers insert many rows; None where anything else is written."""
    if not isinstance(query, Select) or query.tail.ctes:
        return None
    rows = _cells(query) or [{}]
    found = [[_given_item(item, cells, nowhere) for item in query.items] for cells in rows]
    return [[value for value in row if value is not None] for row in found] if all(map(all, found)) else None


def _cells(query: Select) -> list[dict[str, Expression]]:
    """The rows of a query from nothing but VALUES, by the names of its columns."""
    match query.from_items:
        case (DerivedItem(query=Values(tail=tail, rows=rows), alias=Alias(columns=names)),) if tail == Tail():
            return [dict(zip(names, row, strict=False)) for row in rows]
        case _:
            return []


def _given_item(item: Item, cells: dict[str, Expression], nowhere: ColumnRef) -> Written | None:
    cast: str | None = None
    expression = item.expression
    while isinstance(expression, Cast):
        cast, expression = type_name(expression), expression.arg
    if isinstance(expression, Column):
        expression = cells.get(expression.parts[-1], expression)
    return given(nowhere, expression, cast)


def _copied_from_excluded(assignment: Assignment) -> str | None:
    """``SET a = excluded.a``: the value that was to be inserted."""
    match assignment.columns, assignment.value:
        case (name,), Column(("excluded", column)) if name == column:
            return name
        case _:
            return None


def _again(column: ColumnRef, inserted: WrittenValues, position: int | None) -> WrittenValues:
    found = tuple(value for value in inserted if value.column == column)
    return found or (Written(column, Origin.DEFAULT, position),)


def _shown(position: int | None) -> int | None:
    return None if position is None else position + 1
