"""What generated rows must fit: the tables to be filled, their columns, unique keys, foreign keys and partitions."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from maskproxy.base.refs import ColumnRef, TableRef

_TABLES: Final = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned, c.relispartition AS is_partition
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)' ORDER BY c.oid
"""
_COLUMNS: Final = """
SELECT a.attrelid, a.attnum, a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull OR t.typnotnull AS not_null, a.attgenerated <> '' AS generated
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid >= 16384 ORDER BY a.attrelid, a.attnum
"""
_UNIQUE: Final = """
SELECT indrelid, indkey::int2[] AS columns FROM pg_catalog.pg_index WHERE indisunique AND indrelid >= 16384
"""
_FOREIGN: Final = "SELECT conrelid, conkey, confrelid, confkey FROM pg_catalog.pg_constraint WHERE contype = 'f'"
_BOUNDS: Final = """
SELECT p.partrelid, p.partattrs::int2[] AS columns, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
FROM pg_catalog.pg_partitioned_table AS p
JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.partrelid JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
"""
_PARENTS: Final = "SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits"
_LABELS: Final = """
SELECT pg_catalog.format_type(enumtypid, NULL) AS type, pg_catalog.array_agg(enumlabel::text ORDER BY enumsortorder)
FROM pg_catalog.pg_enum GROUP BY enumtypid
"""
_BASES: Final = """
SELECT pg_catalog.format_type(oid, NULL), pg_catalog.format_type(typbasetype, typtypmod)
FROM pg_catalog.pg_type WHERE typtype = 'd' AND oid >= 16384
"""
_RANGES: Final = """
SELECT pg_catalog.format_type(rngtypid, NULL), pg_catalog.format_type(rngsubtype, NULL) FROM pg_catalog.pg_range
"""
_FIELDS: Final = """
SELECT pg_catalog.format_type(c.reltype, NULL) AS type,
       pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.oid >= 16384 AND c.relkind IN ('c', 'r', 'p', 'v', 'm') AND NOT a.attisdropped GROUP BY c.reltype
"""

_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'|(-?\d+)")


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table. ``type`` as in SQL, with its length."""

    name: str
    type: str
    not_null: bool
    generated: bool


@dataclass(slots=True)
class TableLayout:
    """``unique``: sets of columns. ``foreign``: by column, where its values are from. ``bounds``: by column of the
    partition key, values that have a partition. ``filtered``: by column that row filters name, values they compare."""

    ref: TableRef
    fields: dict[str, Field]
    is_partition: bool
    unique: list[frozenset[str]] = field(default_factory=list)
    foreign: dict[str, ColumnRef] = field(default_factory=dict)
    bounds: dict[str, list[str]] = field(default_factory=dict)
    filtered: dict[str, list[str]] = field(default_factory=dict)
    parents: list[TableRef] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Types:
    """What types of the database's own are made of, by name as in SQL."""

    labels: Mapping[str, list[str]]
    bases: Mapping[str, str]
    ranges: Mapping[str, str]
    fields: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Layout:
    tables: Mapping[TableRef, TableLayout]
    types: Types

    def above(self, table: TableRef) -> Iterator[TableRef]:
        """The table, and those whose rows include its rows."""
        yield table
        if table in self.tables:
            for parent in self.tables[table].parents:
                yield from self.above(parent)

    def partitions(self, table: TableRef) -> Iterator[TableRef]:
        """In which its rows are, at any depth."""
        for each in self.tables.values():
            if each.is_partition and table in each.parents:
                yield each.ref
                yield from self.partitions(each.ref)

    def root(self, table: TableRef) -> TableRef:
        """Into which the rows of a partition are put."""
        found = self.tables.get(table)
        return self.root(found.parents[0]) if found is not None and found.is_partition else table


async def read_layout(connection: asyncpg.Connection) -> Layout:
    """``connection`` has nothing but pg_catalog on its path, so that the names of types are qualified."""
    names: dict[int, dict[int, str]] = {}
    fields: dict[int, dict[str, Field]] = {}
    for row in await connection.fetch(_COLUMNS):
        names.setdefault(row["attrelid"], {})[row["attnum"]] = row["name"]
        made = Field(row["name"], row["type"], row["not_null"], row["generated"])
        fields.setdefault(row["attrelid"], {})[made.name] = made
    tables = {
        row["oid"]: TableLayout(TableRef(row["schema"], row["name"]), fields.get(row["oid"], {}), row["is_partition"])
        for row in await connection.fetch(_TABLES)
    }
    for row in await connection.fetch(_PARENTS):
        if row["inhrelid"] in tables and row["inhparent"] in tables:
            tables[row["inhrelid"]].parents.append(tables[row["inhparent"]].ref)
    for row in await connection.fetch(_UNIQUE):
        if row["indrelid"] in tables:
            known = frozenset(names[row["indrelid"]].get(number, "") for number in row["columns"])
            tables[row["indrelid"]].unique.append(known - {""})
    for row in await connection.fetch(_FOREIGN):
        own, other = tables[row["conrelid"]], tables[row["confrelid"]]
        for column, target in zip(row["conkey"], row["confkey"], strict=True):
            ref = ColumnRef(other.ref.schema, other.ref.name, names[row["confrelid"]][target])
            own.foreign.setdefault(names[row["conrelid"]][column], ref)
    for row in await connection.fetch(_BOUNDS):
        columns = [names[row["partrelid"]].get(number) for number in row["columns"]]
        if row["bound"] is not None and len(columns) == 1 and columns[0] is not None:
            tables[row["partrelid"]].bounds.setdefault(columns[0], []).extend(_with_partition(row["bound"]))
    return Layout({each.ref: each for each in tables.values()}, await _types(connection))


def _with_partition(bound: str) -> list[str]:
    """``FOR VALUES FROM ('a') TO ('b')`` holds its lower bound, ``FOR VALUES IN ('a', 'b')`` what it lists."""
    if " FROM " not in bound and " IN " not in bound:
        return []
    lower = bound.partition(" TO ")[0]
    return [quoted.replace("''", "'") if quoted else bare for quoted, bare in _LITERAL.findall(lower)]


async def _types(connection: asyncpg.Connection) -> Types:
    async def mapping(statement: str) -> dict[str, Any]:
        return {row[0]: row[1] for row in await connection.fetch(statement)}

    return Types(
        labels=await mapping(_LABELS),
        bases=await mapping(_BASES),
        ranges=await mapping(_RANGES),
        fields=await mapping(_FIELDS),
    )
