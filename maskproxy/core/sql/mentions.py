"""Whether a statement's own text can reach the hidden columns of a table it names; if not, it needs no edit.

An edit has a price: a derived table has no primary key, so ``GROUP BY c.id`` no longer covers ``c.name``, and
``schema.table.column`` does not name its columns. The check looks at the whole statement, not at scopes: the server
resolves names with the hidden columns in sight and we without them, and the two agree for certain only if no name in
the statement is a hidden column's."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from maskproxy.core.catalog import Table
from maskproxy.core.sql.tree import (
    Column,
    Cte,
    DerivedItem,
    FromItem,
    Item,
    JoinItem,
    Select,
    SetOperation,
    Star,
    TableItem,
    Values,
)
from maskproxy.core.sql.tree_writes import Insert, StatementTree, WriteTree


class Mentions:
    """What a statement says by name, anywhere in it."""

    def __init__(self, tree: StatementTree) -> None:
        self._tree = tree

    def can_reach_hidden(self, item: TableItem, table: Table, listed: frozenset[int] = frozenset()) -> bool:
        """False only if nothing in the statement can mean a hidden column or row of this table. ``listed``: where stars
        stand that columns in sight take the place of."""
        if table.filter or self._counts_columns or (item.alias is not None and item.alias.columns):
            return True
        name = item.name if item.alias is None else item.alias.name
        if name in self._rows(listed) or self._is_starred(item.position, listed):
            return True
        return any(column.hidden and column.name in self._columns for column in table.columns)

    def takes_unnamed(self, item: TableItem) -> bool:
        """The statement can use columns of this table that it does not name, and the server's description of the result
        does not tell: a column that was added a moment ago would come with its whole row."""
        name = item.name if item.alias is None else item.alias.name
        if name in self._unguarded_rows or not self._unguarded_rows.isdisjoint(self._join_names):
            return True
        if self._unguarded_rows.isdisjoint(self._derived_names):
            return False
        return any(item.position in tables for star, tables in self._inner_stars if star not in self._described)

    def names(self, column: str) -> bool:
        """Some column reference has this name in it."""
        return column in self._columns

    @cached_property
    def _nodes(self) -> tuple[Any, ...]:
        found: list[Any] = []
        stack: list[Any] = [self._tree]
        while stack:
            node = stack.pop()
            if isinstance(node, tuple):
                stack += node
            elif hasattr(type(node), "__slots__"):
                found.append(node)
                stack += [getattr(node, name) for name in type(node).__slots__]
        return tuple(found)

    @cached_property
    def _columns(self) -> frozenset[str]:
        """Every part of every column reference, and the names in USING."""
        references = (node.parts for node in self._nodes if isinstance(node, Column))
        return frozenset().union(*references, *(node.using for node in self._nodes if isinstance(node, JoinItem)))

    @cached_property
    def _bare(self) -> frozenset[str]:
        return frozenset(node.parts[0] for node in self._nodes if isinstance(node, Column) and len(node.parts) == 1)

    @cached_property
    def _stars(self) -> tuple[Star, ...]:
        return tuple(node for node in self._nodes if isinstance(node, Star))

    def _rows(self, listed: frozenset[int] = frozenset()) -> frozenset[str]:
        """What may be a whole row: a bare name, and the relation before a star."""
        stars = (star for star in self._stars if star.qualifier and star.position not in listed)
        return self._bare.union(star.qualifier[-1] for star in stars)

    @cached_property
    def _starred(self) -> tuple[tuple[int | None, frozenset[int | None]], ...]:
        """A bare star, and where the tables stand that it takes all columns of."""
        return tuple(
            (star.position, frozenset(table.position for item in _from_items(node) for table in _tables(item)))
            for node in self._nodes
            if isinstance(node, Select | WriteTree)
            for star in _bare_stars(node)
        )

    def _is_starred(self, position: int | None, listed: frozenset[int]) -> bool:
        """A table without position may be any."""
        return position is None or any(position in tables for star, tables in self._starred if star not in listed)

    @cached_property
    def _described(self) -> frozenset[int]:
        """Identities of stars whose columns are columns of the result."""
        return frozenset(id(item.expression) for item in _result(self._tree) if isinstance(item.expression, Star))

    @cached_property
    def _unguarded_rows(self) -> frozenset[str]:
        """What may be a whole row in an expression, or stand for one in a query within."""
        stars = (star for star in self._stars if star.qualifier and id(star) not in self._described)
        return self._bare.union(star.qualifier[-1] for star in stars)

    @cached_property
    def _derived_names(self) -> frozenset[str]:
        """Names of queries within, whose rows may be those of a star."""
        aliases = (node.alias for node in self._nodes if isinstance(node, DerivedItem | TableItem | JoinItem))
        ctes = (node.name for node in self._nodes if isinstance(node, Cte))
        return frozenset(ctes).union(alias.name for alias in aliases if alias is not None)

    @cached_property
    def _join_names(self) -> frozenset[str]:
        joins = (node.alias for node in self._nodes if isinstance(node, JoinItem))
        return frozenset(alias.name for alias in joins if alias is not None)

    @cached_property
    def _inner_stars(self) -> tuple[tuple[int, frozenset[int | None]], ...]:
        """As ``_starred``, by the star's identity, those with a qualifier left to ``_unguarded_rows``."""
        return tuple(
            (id(star), frozenset(table.position for item in _from_items(node) for table in _tables(item)))
            for node in self._nodes
            if isinstance(node, Select | WriteTree)
            for star in _bare_stars(node)
        )

    @cached_property
    def _counts_columns(self) -> bool:
        """NATURAL compares all columns; new names for a join's columns go by their number; a join's whole row has
        all of both sides."""
        joins = [node for node in self._nodes if isinstance(node, JoinItem)]
        aliases = [join.alias for join in joins if join.alias is not None]
        return any(join.natural for join in joins) or any(
            alias.columns or alias.name in self._rows() for alias in aliases
        )


def _result(tree: StatementTree) -> tuple[Item, ...]:
    """The entries that make the columns of a statement's result."""
    match tree:
        case Select():
            return tree.items
        case SetOperation():
            return (*_result(tree.left), *_result(tree.right))
        case Values():
            return ()
        case _:
            return tree.returning


def _bare_stars(node: Select | WriteTree) -> Iterator[Star]:
    for item in node.items if isinstance(node, Select) else node.returning:
        if isinstance(item.expression, Star) and not item.expression.qualifier:
            yield item.expression


def _from_items(node: Select | WriteTree) -> tuple[FromItem, ...]:
    match node:
        case Select():
            return node.from_items
        case Insert():
            return (node.target,)
        case _:
            return (node.target, *node.from_items)


def _tables(item: FromItem) -> Iterator[TableItem]:
    match item:
        case TableItem():
            yield item
        case JoinItem():
            yield from _tables(item.left)
            yield from _tables(item.right)
