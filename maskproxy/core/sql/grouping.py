"""GROUP BY a primary key, where the table is substituted.

``SELECT c.id, c.name ... GROUP BY c.id`` is right because ``id`` is the key of ``customers``: the server sees that
``name`` depends on it (check_functional_grouping in pg_constraint.c). A derived table has no key for it to see, so the
dependent columns are written into GROUP BY. That changes no group: rows with one key are one row of the table (or an
outer join's NULLs in all of them)."""

from collections.abc import Iterator
from typing import Any, Final

from maskproxy.base.errors import StatementError
from maskproxy.core.sql.findings import Findings
from maskproxy.core.sql.resolve import Field, Relation, Scope
from maskproxy.core.sql.tree import Column, Constant, Expression, Item, RowField, Select, Star

_NO_EQUALITY: Final = frozenset(
    ("json", "jsonpath", "xml", "point", "box", "polygon", "path", "line", "lseg", "circle")
)
"""Types no column of which can be grouped by."""


def add_dependents(query: Select, scope: Scope, findings: Findings) -> None:
    """Notes for each substituted table whose key is grouped by which other columns of it must be as well."""
    if not query.group_by or query.grouping_sets or not any(item.key for item in scope.items):
        return
    keys = [(position, found) for key in query.group_by for position, found in _keys(key, query, scope)]
    for relation in scope.items:
        mine = [(position, field) for position, (owner, field) in keys if owner is relation]
        grouped = {field.flow.direct for _, field in mine}
        if relation.key and relation.key <= grouped and _is_named(relation, scope):
            columns = tuple(_dependents(query, relation, grouped, findings))
            if columns:
                findings.edits.groups[mine[0][0]] = columns


def _keys(key: Expression, query: Select, scope: Scope) -> Iterator[tuple[int, tuple[Relation, Field]]]:
    """A key that is a column: where it is written, and whose it is. GROUP BY takes a name for an input column first,
    for an output second (findTargetlistEntrySQL92)."""
    position = key.position if isinstance(key, Column | Constant) else None
    if position is None:
        return
    found = _column(key, scope) if isinstance(key, Column) else None
    if found is None:
        item = _item(key, query.items)
        found = _column(item.expression, scope) if item is not None and isinstance(item.expression, Column) else None
    if found is not None:
        yield position, found


def _item(key: Expression, items: tuple[Item, ...]) -> Item | None:
    match key:
        case Constant(int(number)) if not any(isinstance(item.expression, Star) for item in items[:number]):
            return items[number - 1] if 1 <= number <= len(items) else None
        case Column((name,)):
            named = [item for item in items if item.name == name]
            return named[0] if len(named) == 1 else None
        case _:
            return None


def _column(column: Column, scope: Scope) -> tuple[Relation, Field] | None:
    """The table of this level that a column is of."""
    name = column.parts[-1]
    if len(column.parts) == 1:
        owners = [item for item in scope.items if item.columns_visible and item.named(name)]
    else:
        owners = [item for item in scope.items if item is _relation(scope, column.parts[:-1], column.position)]
    if len(owners) != 1 or len(owners[0].named(name)) != 1:
        return None
    return owners[0], owners[0].named(name)[0]


def _is_named(relation: Relation, scope: Scope) -> bool:
    return relation.name is not None and _relation(scope, (relation.name,)) is relation


def _relation(scope: Scope, name: tuple[str, ...], position: int | None = None) -> Relation | None:
    try:
        return scope.relation(name, position)
    except StatementError:
        return None


def _dependents(query: Select, relation: Relation, grouped: set[Any], findings: Findings) -> Iterator[Column]:
    """Of the table's columns those that the statement may name; one too many does no harm."""
    names, starred = _names((query.items, query.having, query.tail.order_by, query.distinct))
    for field in relation.fields:
        column = findings.catalog.column(field.flow.direct) if field.flow.direct else None
        if field.flow.direct in grouped or column is None or column.type_name in _NO_EQUALITY:
            continue
        if (starred or field.name in names) and len(relation.named(field.name)) == 1:
            assert relation.name is not None
            yield Column((relation.name, field.name))


def _names(roots: tuple[Any, ...]) -> tuple[set[str], bool]:
    """Last parts of all column references below, and whether there is a star."""
    names: set[str] = set()
    starred = False
    stack: list[Any] = [roots]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack += node
        elif isinstance(node, Column):
            names.add(node.parts[-1])
        elif isinstance(node, Star | RowField) and (isinstance(node, Star) or node.name == "*"):
            starred = True
        elif isinstance(node, RowField):
            names.add(node.name)
        elif hasattr(type(node), "__slots__"):
            stack += [getattr(node, name) for name in type(node).__slots__]
    return names, starred
