"""Row filters: the conditions under ``rows`` of a scope, each checked against its table and made safe to be run there.

A condition is the administrator's text, so it may name any column of its table, masked and denied ones too. It may read
nothing else: no other table, no parameter, no function that is not listed in ``filter_types``. What it means must not
depend on anything a client can change, so columns are written with their table's name (a name that is gone from the
table is an error then, not a column of the client's own query) and whatever hangs on a session's TimeZone, DateStyle or
IntervalStyle is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import Location, TableRef
from maskproxy.core.catalog import Catalog, RelationKind, Table
from maskproxy.core.policy.filter_types import Findings, Unfit, check_condition
from maskproxy.core.policy.problems import Problems
from maskproxy.core.sql.lex import Token, lex
from maskproxy.core.sql.oracle import Source, parse_statements
from maskproxy.core.sql.oracle_queries import read_query
from maskproxy.core.sql.substitute import quoted
from maskproxy.core.sql.target_filter import requalified
from maskproxy.core.sql.tree import Constant, Expression, Item, Select, TableItem, Tail
from maskproxy.core.sql.views import ViewFlows

MAX_CONDITION: Final = 4_000  # characters; it is written into every statement that reads the table


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A condition as it is sent, without parentheses around it. ``rule`` names it in messages. ``columns``: those that
    it names."""

    sql: str
    rule: str
    location: Location
    columns: frozenset[str] = frozenset()


Filters = Mapping[TableRef, tuple[RowFilter, ...]]
"""By table: the filters that all must let a row be seen."""


def compile_filter(text: str, table: Table, catalog: Catalog, rule: str, location: Location) -> RowFilter:
    """Raises Unfit with what is wrong with the condition."""
    if table.kind is RelationKind.VIEW:
        raise Unfit("a view shows the rows that the filters of its tables let pass: write it for those")
    if len(text) > MAX_CONDITION:
        raise Unfit(f"a condition has at most {MAX_CONDITION} characters")
    try:
        tokens = _tokens(text)
        prefix = f"SELECT 1 FROM {quoted(table.ref.schema)}.{quoted(table.ref.name)} WHERE ("  # noqa: S608
        plain = " ".join(text[token.start : token.end] for token in tokens)
        findings = check_condition(_condition(f"{prefix}{plain})", table.ref), table, catalog)
    except StatementError as error:
        raise Unfit(error.message) from None
    columns = frozenset(column.parts[-1] for column in findings.columns.values())
    return RowFilter(_safe(plain, table, findings, len(prefix)), rule, location, columns)


def _tokens(text: str) -> tuple[Token, ...]:
    """Those of a condition whose parentheses close what it opened: it is put between parentheses of ours."""
    tokens = lex(text)
    depth = 0
    for token in tokens:
        depth += token.is_punctuation("(") - token.is_punctuation(")")
        if depth < 0 or token.is_punctuation(";"):
            raise Unfit("this is not one condition")
    if depth or not tokens:
        raise Unfit("this is not one condition")
    return tokens


def _condition(statement: str, table: TableRef) -> Expression:
    """What stands in its WHERE, if that is all that the condition adds to the statement."""
    source = Source(statement)
    statements = parse_statements(source)
    if len(statements) != 1 or statements[0][1] != "select_stmt":
        raise Unfit("this is not one condition")
    query = read_query(source, statements[0][2])
    where = query.where if isinstance(query, Select) else None
    bare = Select(
        tail=Tail(),
        items=(Item(Constant(1)),),
        from_items=(TableItem(schema=table.schema, name=table.name),),
        where=where,
    )
    if where is None or query != bare:
        raise Unfit("this is not one condition")
    return where


def _safe(plain: str, table: Table, findings: Findings, shift: int) -> str:
    """The condition with the table's name before each column, and constants that mean the same in every session."""
    parts: list[str] = []
    skip = 0
    for token in lex(plain):
        position = token.start + shift
        if skip:
            skip -= 1
        elif (column := findings.columns.get(position)) is not None:
            skip = 2 * len(column.parts) - 2
            parts.append(f"{quoted(table.ref.name)}.{quoted(column.parts[-1])}")
        else:
            parts.append(findings.constants.get(position, plain[token.start : token.end]))
    return " ".join(parts)


def descendants(table: TableRef, catalog: Catalog) -> frozenset[TableRef]:
    """The tables whose rows are read with this one's: children, partitions, theirs, and the table itself."""
    reached, waiting = {table}, [table]
    while waiting:
        found = catalog.tables.get(waiting.pop())
        fresh = set() if found is None else set(found.children) - reached
        reached |= fresh
        waiting.extend(fresh)
    return frozenset(reached)


def inherited(
    written: Filters, read: Iterable[TableRef], catalog: Catalog, problems: Problems
) -> dict[TableRef, tuple[RowFilter, ...]]:
    """The filters of each table of one scope: its own, and those of the tables that its rows are read through.

    A filter of a child whose parent is ``read`` (selected, or below a selected view) without it is an error: the
    parent's rows do not say which table they are from.
    """
    found: dict[TableRef, dict[str, RowFilter]] = {}
    for table, filters in written.items():
        for each in filters:
            for heir in descendants(table, catalog):
                sql = each.sql if heir == table else requalified(each.sql, quoted(table.name), quoted(heir.name))
                found.setdefault(heir, {})[sql] = replace(each, sql=sql)
    for parent in read:
        for child in sorted(descendants(parent, catalog) - {parent}):
            for each in written.get(child, ()):
                text = f"`{child}` is read through `{parent}` too, where this condition cannot be told: write it for"
                problems.error(each.location, f"{text} `{parent}`, or do not select that")
    return {table: tuple(found[table][sql] for sql in sorted(found[table])) for table in found}


def together(written: Iterable[Filters]) -> dict[TableRef, tuple[RowFilter, ...]]:
    """All filters of each table."""
    found: dict[TableRef, tuple[RowFilter, ...]] = {}
    for filters in written:
        for table, some in filters.items():
            found[table] = tuple(dict.fromkeys(found.get(table, ()) + some))
    return found


def stored_unfiltered(
    selected: Iterable[TableRef], filters: Filters, views: Mapping[TableRef, ViewFlows], catalog: Catalog
) -> Iterator[TableRef]:
    """Materialized views that hold rows of filtered tables, and have no filter of their own."""
    for view in selected:
        if catalog.tables[view].kind is RelationKind.MATERIALIZED_VIEW and not filters.get(view):
            below = below_views([view], views)
            if any(filters.get(each) for table in below for each in descendants(table, catalog)):
                yield view


def below_views(selected: Iterable[TableRef], views: Mapping[TableRef, ViewFlows]) -> frozenset[TableRef]:
    """These relations and all that they show rows of, through views and what is stored of them."""
    reached = set(selected)
    waiting = list(reached)
    while waiting:
        flows = views.get(waiting.pop())
        fresh = set() if flows is None else flows.tables - reached
        reached |= fresh
        waiting.extend(fresh)
    return frozenset(reached)


def all_of(filters: Iterable[RowFilter]) -> str:
    """Their conjunction as SQL; empty when there is none."""
    return " AND ".join(f"({sql})" for sql in sorted({each.sql for each in filters}))
