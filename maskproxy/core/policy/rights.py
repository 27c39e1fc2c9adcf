"""What a scope may write: the lists ``insert``, ``update`` and ``delete`` of the rules, resolved.

A right to write is never one to read: tables that are written to must be selected too, columns that are denied cannot
be written, and what is masked stays masked to whoever wrote it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from maskproxy.base.refs import ColumnRef, Location, TableRef
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.patterns import Pattern, match_columns, match_tables
from maskproxy.core.policy.problems import Problems

COLUMNS_OR_TABLE = ("schema.table.column", "schema.table")


@dataclass(frozen=True, slots=True)
class Rights:
    """Columns that may be given values in new rows and in rows that exist, and tables whose rows may be removed."""

    insert: frozenset[ColumnRef] = frozenset()
    update: frozenset[ColumnRef] = frozenset()
    delete: frozenset[TableRef] = frozenset()

    def __or__(self, other: "Rights") -> "Rights":
        return Rights(self.insert | other.insert, self.update | other.update, self.delete | other.delete)

    def within(self, tables: Iterable[TableRef]) -> "Rights":
        """Of these tables only."""
        seen = frozenset(tables)
        return Rights(
            frozenset(column for column in self.insert if column.table_ref in seen),
            frozenset(column for column in self.update if column.table_ref in seen),
            self.delete & seen,
        )

    @property
    def tables(self) -> frozenset[TableRef]:
        return self.delete | {column.table_ref for column in self.insert | self.update}


NO_RIGHTS: Final = Rights()


@dataclass(frozen=True, slots=True)
class Granted:
    """One entry of a list: where it stands, and the columns or tables it matches."""

    key: str
    pattern: Pattern
    location: Location
    columns: frozenset[ColumnRef]
    tables: frozenset[TableRef]


PatternReader = Callable[..., Pattern | None]
"""A pattern of a text, at its place in the rules, in one of the shapes that follow."""


def read_granted(
    lists: Mapping[str, Sequence[str]],
    locate: Callable[..., Location],
    read: PatternReader,
    catalog: Catalog,
) -> Iterator[Granted]:
    """``lists`` by key: ``insert``, ``update``, ``delete``."""
    for key, patterns in lists.items():
        for index, text in enumerate(patterns):
            location = locate(key, index)
            pattern = read(text, location, *(("schema.table",) if key == "delete" else COLUMNS_OR_TABLE))
            if pattern is None:
                continue
            columns = frozenset(match_columns(pattern, catalog))
            whole = Pattern(pattern.text, pattern.parts[:2])
            tables = frozenset(match_tables(whole, catalog)) if columns or len(pattern.parts) == 2 else frozenset()
            yield Granted(key, pattern, location, columns, tables)


def rights_of(granted: Iterable[Granted]) -> Rights:
    rights = NO_RIGHTS
    for each in granted:
        rights |= Rights(
            each.columns if each.key == "insert" else frozenset(),
            each.columns if each.key == "update" else frozenset(),
            each.tables if each.key == "delete" else frozenset(),
        )
    return rights


def check_granted(
    granted: Iterable[Granted], selected: frozenset[TableRef], denied: Iterable[ColumnRef], problems: Problems
) -> None:
    """What is written to must be seen: a name that is not is an error, a wildcard just does not reach it."""
    hidden = frozenset(denied)
    for each in granted:
        if not each.pattern.exact:
            continue
        for table in sorted(each.tables - selected):
            problems.error(
                each.location, f"`{each.key}` of {table}, which this scope does not select: add it to `select`"
            )
        if len(each.pattern.parts) == 3:
            for column in sorted(each.columns & hidden):
                problems.error(each.location, f"`{each.key}` of {column}, which this scope denies")
