"""Catalogs without a server, from the plain CREATE TABLE and CREATE VIEW statements in tests/catalogs.

What a generated column is computed from is written ``name type GENERATED FROM (source, source)``. Understood of
constraints: PRIMARY KEY, UNIQUE and REFERENCES of one column, UNIQUE and CHECK in a line of their own, and DEFAULT. A
view lists its columns; each has the type of the first column of that name in a table, else text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from maskproxy.base.refs import ColumnRef, Generation, Oid, TableRef
from maskproxy.base.types import PG_TYPES
from maskproxy.core.catalog import Catalog, Column, Constraint, ConstraintKind, RelationKind, Table

CATALOGS = Path(__file__).parents[1] / "catalogs"
_TABLE = re.compile(r"CREATE TABLE (\w+)\.(\w+) \((.*?)\)(?: INHERITS \((\w+)\.(\w+)\))?;", re.DOTALL)
_COLUMN = re.compile(r"(\w+) (\w+)(?:\((\d+)(?:,(\d+))?\))?(\[\])?(?: GENERATED FROM \((.*)\))?")
_VIEW = re.compile(r"CREATE (MATERIALIZED )?VIEW (\w+)\.(\w+) \(([\w, ]+)\) AS (.*?;)", re.DOTALL)
_OIDS = {type.name: type.oid for type in PG_TYPES.values()}
_FIRST_OID = 16384  # FirstNormalObjectId


@cache
def catalog(name: str) -> Catalog:
    """tests/catalogs/``name``.sql."""
    return read_catalog((CATALOGS / f"{name}.sql").read_text())


def read_catalog(sql: str) -> Catalog:
    tables: dict[TableRef, Table] = {}
    children: dict[TableRef, set[TableRef]] = {}
    for number, match in enumerate(_TABLE.finditer(sql)):
        ref = TableRef(match[1], match[2])
        if match[4]:
            children.setdefault(TableRef(match[4], match[5]), set()).add(ref)
        lines = [line.strip() for line in match[3].splitlines() if line.strip()]
        columns = tuple(_column(line, attnum) for attnum, line in enumerate(lines, 1) if not _is_constraint(line))
        key = tuple(line.split()[0] for line in lines if "PRIMARY KEY" in line)
        constraints = tuple(found for line in lines for found in _constraints(line, {each.name for each in columns}))
        oid = Oid(_FIRST_OID + number)
        tables[ref] = Table(ref=ref, oid=oid, columns=columns, primary_key=key, constraints=constraints)
    for ref, found in children.items():
        tables[ref] = replace(tables[ref], children=frozenset(found))
    for ref, table in list(tables.items()):
        for constraint in table.constraints:
            if constraint.kind is ConstraintKind.REFERENCES:
                _refer_back(tables, ref, constraint)
    known = {column.name: column for table in reversed(tables.values()) for column in table.columns}
    for number, match in enumerate(_VIEW.finditer(sql), len(tables)):
        tables[TableRef(match[2], match[3])] = _view(match, Oid(_FIRST_OID + number), known)
    return Catalog(generation=Generation(1), tables=tables)


def _view(match: re.Match[str], oid: Oid, known: Mapping[str, Column]) -> Table:
    columns = tuple(
        replace(known.get(name, _column(f"{name} text", 1)), name=name, attnum=attnum)
        for attnum, name in enumerate(match[4].split(", "), 1)
    )
    kind = RelationKind.MATERIALIZED_VIEW if match[1] else RelationKind.VIEW
    return Table(ref=TableRef(match[2], match[3]), oid=oid, kind=kind, columns=columns, definition=match[5])


def _is_constraint(line: str) -> bool:
    return line.startswith(("UNIQUE", "CHECK"))


def _constraints(line: str, columns: set[str]) -> Iterator[Constraint]:
    """Those that a line of CREATE TABLE makes."""
    name = line.partition(" ")[0]
    if _is_constraint(line):
        kind = ConstraintKind.UNIQUE if line.startswith("UNIQUE") else ConstraintKind.ROW
        yield Constraint(kind=kind, columns=frozenset(re.findall(r"\w+", line)) & columns)
        return
    if "PRIMARY KEY" in line or "UNIQUE" in line:
        yield Constraint(kind=ConstraintKind.UNIQUE, columns=frozenset({name}))
    if reference := re.search(r"REFERENCES (\w+)\.(\w+) \((\w+)\)", line):
        others = frozenset({ColumnRef(*reference.groups())})
        yield Constraint(kind=ConstraintKind.REFERENCES, columns=frozenset({name}), others=others)


def _refer_back(tables: dict[TableRef, Table], ref: TableRef, constraint: Constraint) -> None:
    (other,) = constraint.others
    back = Constraint(
        kind=ConstraintKind.REFERENCED,
        columns=frozenset({other.column}),
        others=frozenset(ColumnRef(ref.schema, ref.name, name) for name in constraint.columns),
    )
    table = tables[other.table_ref]
    tables[other.table_ref] = replace(table, constraints=(*table.constraints, back))


def _column(line: str, attnum: int) -> Column:
    match = _COLUMN.match(line)
    assert match is not None, line
    name, type_name, length, scale, array, sources = match.groups()
    typmod = -1
    if scale is not None:
        typmod = ((int(length) << 16) | int(scale)) + 4
    elif length is not None:
        typmod = int(length) + 4
    full = type_name + (array or "")
    return Column(
        name=name,
        type_oid=_OIDS.get(full, Oid(0)),
        type_name=full,
        typmod=typmod,
        attnum=attnum,
        sources=tuple(sources.split(", ")) if sources else (),
        has_default=" DEFAULT " in line or bool(sources),
    )
