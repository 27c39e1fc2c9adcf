"""FROM: which relations come into sight, with which columns, and what joining them uses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, assert_never

from maskproxy.base import limits
from maskproxy.base.errors import AmbiguousColumn, LimitExceeded, Refused, UnknownColumn, UnknownTable
from maskproxy.base.refs import ColumnRef
from maskproxy.core.catalog import SYSTEM_SCHEMAS, RelationKind, Table
from maskproxy.core.catalog import Column as CatalogColumn
from maskproxy.core.sql.findings import Findings, Output, Place
from maskproxy.core.sql.flows_expressions import Expressions
from maskproxy.core.sql.flows_views import Views
from maskproxy.core.sql.functions import FunctionKind
from maskproxy.core.sql.objects import check_no_reg, same_object
from maskproxy.core.sql.resolve import Field, Flow, Relation, Scope, check_names
from maskproxy.core.sql.statement import UseKind
from maskproxy.core.sql.substitute import derived_table
from maskproxy.core.sql.tree import (
    Call,
    Cast,
    Column,
    DerivedItem,
    Expression,
    FromItem,
    FunctionCall,
    FunctionItem,
    JoinItem,
    JoinKind,
    Lock,
    Operation,
    Query,
    Subquery,
    SubqueryKind,
    TableItem,
)

WRITABLE: Final = frozenset({RelationKind.TABLE, RelationKind.PARTITIONED})
_STORED: Final = frozenset({RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED_VIEW})
_KIND_NAMES: Final = {
    RelationKind.FOREIGN_TABLE: "foreign table",
    RelationKind.SEQUENCE: "sequence",
}
_FIRST_USER_OID: Final = 16384  # FirstNormalObjectId in transam.h: types below are built in
_ARRAY_FUNCTIONS: Final = frozenset(
    [
        "array_agg",
        "array_append",
        "array_cat",
        "array_fill",
        "array_positions",
        "array_prepend",
        "array_remove",
        "array_replace",
        "array_reverse",
        "array_sample",
        "array_shuffle",
        "array_sort",
        "current_schemas",
        "regexp_match",
        "regexp_split_to_array",
        "string_to_array",
        "trim_array",
        "tsvector_to_array",
        "xpath",
    ]
)


@dataclass(frozen=True, slots=True)
class Joined:
    """A FROM item: the relation it is by itself (what an enclosing join merges), and all that it brings into sight."""

    own: Relation
    namespace: tuple[Relation, ...]


class Relations:
    """Interprets FROM for one statement."""

    def __init__(
        self,
        findings: Findings,
        expressions: Expressions,
        views: Views,
        query: Callable[[Query, Place], tuple[Output, ...]],
    ) -> None:
        self._findings = findings
        self._expressions = expressions
        self._views = views
        self._query = query

    def from_items(self, items: tuple[FromItem, ...], place: Place) -> tuple[Relation, ...]:
        """The namespace of a FROM clause; ``place.scope`` is the level around the query."""
        namespace: tuple[Relation, ...] = ()
        for item in items:
            namespace += self._item(item, namespace, place).namespace
            check_names(namespace)
            _check_width(namespace)
        return namespace

    def _item(self, item: FromItem, siblings: tuple[Relation, ...], place: Place) -> Joined:
        self._findings.count_relation()
        match item:
            case TableItem():
                relation = self._table(item, place)
            case DerivedItem():
                relation = self._derived(item, siblings, place)
            case FunctionItem():
                relation = self._function(item, place.inside(Scope(siblings, place.scope)))
            case JoinItem():
                return self._join(item, siblings, place)
            case unreachable:
                assert_never(unreachable)
        return Joined(relation, (relation,))

    # -- tables and derived tables

    def _table(self, item: TableItem, place: Place) -> Relation:
        if item.schema is None and item.name in place.ctes:
            fields = place.ctes[item.name]
            if fields is None:
                raise Refused(
                    f'this reference to WITH query "{item.name}" is not supported', position=_shown(item.position)
                )
            if item.only or item.sampled:
                raise unknown_table(item)
            return Relation(name=item.name, fields=fields).aliased(item.alias, item.position)
        table = self._findings.catalog.lookup(item.schema, item.name, self._findings.search_path)
        if table is not None and self._findings.depth:
            table = None if table.ref.schema in SYSTEM_SCHEMAS else table.unhidden()
        if table is None or table.hidden:
            raise unknown_table(item)
        if table.ref.schema in SYSTEM_SCHEMAS and self._findings.mentions.names("tableoid"):
            table = _with_tableoid(table)
        self._findings.tables.add(table.ref)
        is_view = table.kind is RelationKind.VIEW and table.ref.schema not in SYSTEM_SCHEMAS
        if is_view and not (item.only or item.sampled):
            return self._views.relation(item, table).aliased(item.alias, item.position)
        self._check_readable(item, table)
        if not self._findings.substitutes(item, table):
            return base_relation(item, table)
        return base_relation(item, table, self._findings.unqualify, self._findings.primary_key(table))

    def _check_readable(self, item: TableItem, table: Table) -> None:
        if table.kind not in _STORED and table.ref.schema not in SYSTEM_SCHEMAS:
            raise Refused(
                f'{_KIND_NAMES.get(table.kind, "view")} "{item.name}" is not supported under a masking scope',
                hint="Read the tables it is made of.",
                position=_shown(item.position),
            )
        if item.sampled:
            # which rows are drawn depends on where they are stored, and so on the widths of all their values
            if table.is_partly_visible or self._findings.mentions.takes_unnamed(item):
                raise Refused(
                    f'TABLESAMPLE of "{item.name}" is not supported under a masking scope',
                    position=_shown(item.position),
                )
            columns = [ColumnRef(table.ref.schema, table.ref.name, column.name) for column in table.visible_columns]
            self._findings.use(columns, UseKind.SAMPLE, item.position)
        if self._findings.substitutes(item, table):
            self._findings.substitute(item, derived_table(table, self._findings.evaluated, only=item.only))

    def _derived(self, item: DerivedItem, siblings: tuple[Relation, ...], place: Place) -> Relation:
        """Only LATERAL sees what stands left of it; else the level around (p_lateral_active in parse_clause.c)."""
        outer = Scope(siblings, place.scope) if item.lateral else place.scope
        outputs = self._query(item.query, place.inside(outer))
        fields = tuple(Field(output.name, output.flow) for output in outputs)
        return Relation(name=None, fields=fields).aliased(item.alias)

    # -- row locks

    def lock(self, lock: Lock, items: tuple[FromItem, ...], place: Place) -> None:
        """Tables whose rows FOR UPDATE or FOR SHARE locks: those named after OF, else all of FROM. A derived table
        would lock the tables in it, and a substituted one is locked no more."""
        leaves = [leaf for item in items for leaf in _leaves(item)]
        if unknown := set(lock.relations) - set(map(_name, leaves)):
            raise UnknownTable(f'relation "{min(unknown)}" in FOR UPDATE or FOR SHARE is not in FROM')
        for leaf in leaves:
            if lock.relations and _name(leaf) not in lock.relations:
                continue
            if not isinstance(leaf, TableItem) or (leaf.schema is None and leaf.name in place.ctes):
                raise Refused(
                    "FOR UPDATE or FOR SHARE of what is no table is not supported under a masking scope",
                    hint="Name the tables to lock after OF.",
                    position=_shown(lock.position),
                )
            table = self._findings.catalog.lookup(leaf.schema, leaf.name, self._findings.search_path)
            if table is None or table.kind not in WRITABLE or self._findings.substitutes(leaf, table):
                raise Refused(
                    f'rows of "{leaf.name}" cannot be locked in this statement under a masking scope',
                    hint="Name clear columns only, or lock the rows in a statement of their own.",
                    position=_shown(lock.position),
                )
            self._findings.locks.add(table.ref)

    # -- functions

    def _function(self, item: FunctionItem, place: Place) -> Relation:
        calls = [single for call in item.calls for single in _spread(call)]
        alias = item.alias.name if item.alias is not None and len(calls) == 1 else None
        fields = [field for call in calls for field in self._function_fields(call, alias, place)]
        if item.ordinality:
            fields.append(Field("ordinality", Flow()))
        relation = Relation(name=item.calls[0].call.name, fields=tuple(fields))
        return relation.aliased(item.alias, item.calls[0].call.position)

    def _function_fields(self, item: FunctionCall, alias: str | None, place: Place) -> list[Field]:
        """The columns of one function; a scalar one has a single column of the alias's name
        (chooseScalarFunctionAlias)."""
        call = item.call
        if call.sql_syntax and call.name == "json_table":
            return self._json_table(item, place)
        function = self._findings.allow.function(call)
        if function.kind in (FunctionKind.AGGREGATE, FunctionKind.WINDOW) or call.over or call.filter or call.order_by:
            raise Refused(f"function {call.name} is not supported in FROM", position=_shown(call.position))
        if (function.kind is FunctionKind.RECORD) != bool(item.columns):
            raise Refused(
                f"function {call.name} needs a column definition list of its own", position=_shown(call.position)
            )
        flow = self._expressions.call(call, place, UseKind.FUNCTION)
        if flow.composite or (call.name == "unnest" and not self._is_array(call.args[0], place)):
            raise Refused(
                f"the columns of {call.name} in FROM are not known here",
                hint="Cast the argument to an array of a built-in type, or name the columns themselves.",
                position=_shown(call.position),
            )
        for _, type_ref in item.columns:
            self._findings.allow.type(type_ref)
        names = [name for name, _ in item.columns] or list(function.columns) or [alias or call.name]
        return [Field(name, Flow(flow.sources, object=flow.object, reg=flow.reg)) for name in names]

    def _json_table(self, item: FunctionCall, place: Place) -> list[Field]:
        flow = self._expressions.use(
            Operation("json_table", item.call.args, item.call.position), place, UseKind.FUNCTION
        )
        for _, type_ref in item.columns:
            self._findings.allow.type(type_ref)
        return [Field(name, Flow(flow.sources)) for name, _ in item.columns]

    def _is_array(self, expression: Expression, place: Place) -> bool:
        """Provably an array of scalars: unnest of a tsvector or of rows has other columns."""
        match expression:
            case Cast(_, type_ref):
                return type_ref.array
            case Operation("array") | Subquery(kind=SubqueryKind.ARRAY):
                return True
            case Call(name=name):
                return name in _ARRAY_FUNCTIONS
            case Column():
                found = (place.scope or Scope()).column(expression)
                direct = found.flow.direct if isinstance(found, Field) else None
                column = self._findings.catalog.column(direct) if direct else None
                return column is not None and column.type_name.endswith("[]") and column.type_oid < _FIRST_USER_OID
            case _:
                return False

    # -- joins

    def _join(self, item: JoinItem, siblings: tuple[Relation, ...], place: Place) -> Joined:
        left = self._item(item.left, siblings, place)
        right = self._item(item.right, siblings + left.namespace, place)
        both = (*left.namespace, *right.namespace)
        check_names(both)
        _check_width(both)
        if item.on is not None:
            # ON sees the two sides and the levels around, not what stands left of the join (transformJoinOnClause).
            self._expressions.use(item.on, place.inside(Scope(both, place.scope)), UseKind.JOIN)
        names = _common(left.own, right.own) if item.natural else item.using
        if names:
            self._findings.allow.operator(None, "=", None)
        merged = [self._merge(name, item.kind, left.own, right.own) for name in names]
        rest = [field for side in (left.own, right.own) for field in side.fields if field.name not in names]
        own = Relation(name=None, fields=(*merged, *rest))
        if item.alias is not None:
            own = own.aliased(item.alias)
            if item.using_alias is not None:
                raise Refused("an alias of a join beside one of USING is not supported under a masking scope")
            return Joined(own, (own,))
        if item.using_alias is not None:  # names what is merged, by itself only
            both += (Relation(name=item.using_alias.name, fields=tuple(merged)),)
            check_names(both)
        return Joined(own, (*(each.covered() for each in both), own))

    def _merge(self, name: str, kind: JoinKind, left: Relation, right: Relation) -> Field:
        """The one column of USING or NATURAL: COALESCE of both for FULL, else the side that is never made NULL
        (buildMergedJoinVar), which is a copy only if no cast to a common type is needed."""
        first, second = _only(left, name), _only(right, name)
        for side in (first, second):
            self._findings.check_computable(side.flow, None)
            check_no_reg(side.flow, None)
            self._findings.use(side.flow.sources, UseKind.JOIN, None)
        direct = second.flow.direct if kind is JoinKind.RIGHT else first.flow.direct
        if kind is JoinKind.FULL or not self._findings.same_type(first.flow.direct, second.flow.direct):
            direct = None
        sources = first.flow.sources | second.flow.sources
        return Field(name, Flow(sources, direct, object=same_object(first.flow, second.flow)))


def _leaves(item: FromItem) -> Iterator[FromItem]:
    """What a lock can name; a join with an alias hides what it joins."""
    if isinstance(item, JoinItem) and item.alias is None:
        yield from _leaves(item.left)
        yield from _leaves(item.right)
    else:
        yield item


def _name(item: FromItem) -> str | None:
    if item.alias is not None:
        return item.alias.name
    match item:
        case TableItem():
            return item.name
        case FunctionItem():
            return item.calls[0].call.name
        case _:
            return None


def _check_width(relations: tuple[Relation, ...]) -> None:
    if sum(len(relation.fields) for relation in relations) > limits.MAX_COLUMNS_IN_SCOPE:
        raise LimitExceeded("relations in FROM have too many columns")


def base_relation(
    item: TableItem,
    table: Table,
    unqualify: Callable[[int | None], None] | None = None,
    key: frozenset[ColumnRef] = frozenset(),
) -> Relation:
    """What a table brings into sight: the columns that are not hidden. What follows is for substituted ones."""
    relation = Relation(
        name=item.name,
        fields=tuple(_base_field(table, column) for column in table.visible_columns),
        ref=table.ref,
        is_base=True,
        unqualify=unqualify,
        key=key,
    )
    return relation.aliased(item.alias, item.position)


def _base_field(table: Table, column: CatalogColumn) -> Field:
    ref = ColumnRef(table.ref.schema, table.ref.name, column.name)
    return Field(column.name, Flow(frozenset({ref}), ref, column.type_oid >= _FIRST_USER_OID, column.object))


def _with_tableoid(table: Table) -> Table:
    """Tools join what they find in several catalogs by it."""
    tableoid = CatalogColumn(name="tableoid", expression=f"{table.oid}::pg_catalog.oid", object="class")
    return replace(table, columns=(*table.columns, tableoid))


def _spread(item: FunctionCall) -> list[FunctionCall]:
    """``unnest(a, b)`` in FROM stands for ROWS FROM (unnest(a), unnest(b)) (transformRangeFunction)."""
    call = item.call
    if call.name != "unnest" or len(call.args) < 2:
        return [item]
    return [
        FunctionCall(Call(schema=call.schema, name=call.name, args=(arg,), position=call.position)) for arg in call.args
    ]


def _common(left: Relation, right: Relation) -> tuple[str, ...]:
    """NATURAL: names in both, in the left one's order."""
    names = {field.name for field in right.fields}
    return tuple(dict.fromkeys(field.name for field in left.fields if field.name in names))


def _only(side: Relation, name: str) -> Field:
    found = side.named(name)
    if not found:
        raise UnknownColumn(f'column "{name}" specified in USING clause does not exist')
    if len(found) > 1:
        raise AmbiguousColumn(f'common column name "{name}" appears more than once')
    return found[0]


def unknown_table(item: TableItem) -> UnknownTable:
    name = item.name if item.schema is None else f"{item.schema}.{item.name}"
    return UnknownTable(f'relation "{name}" does not exist', position=_shown(item.position))


def _shown(position: int | None) -> int | None:
    return None if position is None else position + 1
