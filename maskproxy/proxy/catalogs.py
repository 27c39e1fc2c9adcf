"""Reads a database's catalog over a control connection.

The statements are fixed, schema-qualified and run in one read-only snapshot under a search path of our own, so
neither a client's settings nor objects of the database can change what they mean. All relations are read, also those
nobody may see, because names must resolve as the server resolves them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import asyncpg

from maskproxy.base.refs import Generation, Oid, TableRef
from maskproxy.core.catalog import (
    Catalog,
    CatalogObject,
    Column,
    ObjectKind,
    RelationKind,
    Table,
    UserFunction,
    UserType,
)
from maskproxy.core.system_relations import SYSTEM_RELATIONS
from maskproxy.proxy.constraints import load_constraints
from maskproxy.proxy.indexes import load_indexes

_NOT_SYSTEM: Final = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"

_RELATIONS: Final = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text AS relkind,
       CASE WHEN c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            THEN pg_catalog.pg_get_viewdef(c.oid) ELSE '' END AS definition,
       coalesce(c.reloptions::text[] && ARRAY['security_barrier=true', 'security_barrier=on', 'security_barrier=1'],
                false) AS barrier,
       c.relhasrules AND c.relkind IN ('r', 'p') AS has_rules,
       EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS has_triggers
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_(toast|temp)'
"""

# A domain's columns are sent and masked as its base type; domains may stand on domains. What a generated column is
# computed from is recorded as what its expression depends on (until PostgreSQL 14: what the column depends on); where
# nothing is recorded it counts as computed from all other columns.
_COLUMNS: Final = f"""
WITH RECURSIVE base AS (
    SELECT oid AS domain, typbasetype AS type, typtypmod AS typmod FROM pg_catalog.pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT base.domain, t.typbasetype, t.typtypmod
    FROM base JOIN pg_catalog.pg_type AS t ON t.oid = base.type WHERE t.typtype = 'd'
), bottom AS (
    SELECT base.* FROM base JOIN pg_catalog.pg_type AS t ON t.oid = base.type WHERE t.typtype <> 'd'
), generated AS (
    SELECT a.attrelid, a.attnum, pg_catalog.array_agg(s.attname::text ORDER BY s.attnum) AS others,
           pg_catalog.array_agg(s.attname::text ORDER BY s.attnum) FILTER (WHERE EXISTS (
               SELECT FROM pg_catalog.pg_depend AS d
               WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 AND d.refobjid = s.attrelid AND d.refobjsubid = s.attnum
                 AND (d.classid, d.objid, d.objsubid) IN (
                     ('pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attnum),
                     ('pg_catalog.pg_attrdef'::pg_catalog.regclass, e.oid, 0)))) AS sources
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_attribute AS s
      ON s.attrelid = a.attrelid AND s.attnum > 0 AND s.attnum <> a.attnum AND NOT s.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef AS e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    WHERE a.attgenerated <> ''
    GROUP BY a.attrelid, a.attnum
)
SELECT a.attrelid, a.attname, a.attnum, a.attnotnull,
       coalesce(b.type, a.atttypid) AS type_oid,
       a.atttypid AS declared,
       coalesce(b.typmod, a.atttypmod) AS typmod,
       pg_catalog.format_type(coalesce(b.type, a.atttypid), NULL) AS type_name,
       coalesce(g.sources, g.others, '{{}}') AS sources,
       a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL AS has_default
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN bottom AS b ON b.domain = a.atttypid
LEFT JOIN generated AS g ON g.attrelid = a.attrelid AND g.attnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND ({_NOT_SYSTEM} OR (n.nspname || '.' || c.relname) = ANY ($1::text[]))
ORDER BY a.attrelid, a.attnum
"""  # noqa: S608 - constants of this module

_KEYS: Final = """
SELECT k.conrelid, pg_catalog.array_agg(a.attname::text) AS columns
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
WHERE k.contype = 'p' AND NOT k.condeferrable
GROUP BY k.conrelid
"""

# A column that a partition key is computed from is recorded as depending on its own table
# (recordDependencyOnSingleRelExpr with reverse_self).
_PARTITION_KEYS: Final = """
SELECT p.partrelid, pg_catalog.array_agg(a.attname::text) AS columns
FROM pg_catalog.pg_partitioned_table AS p
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum > 0
WHERE a.attnum = ANY (p.partattrs) OR EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = p.partrelid AND d.objsubid = a.attnum
      AND d.refclassid = d.classid AND d.refobjid = p.partrelid AND d.refobjsubid = 0)
GROUP BY p.partrelid
"""

_CHILDREN: Final = "SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits"

# Objects of extensions are left out: they overload built-in names for their own types, as citext does "=", and every
# comparison of the database would be refused. Who may install an extension is trusted with the whole database.
_NAMES: Final = f"""
SELECT DISTINCT p.proname::text AS name
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE {_NOT_SYSTEM} AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
"""  # noqa: S608 - constants of this module
_FUNCTIONS: Final = _NAMES

# Why one cannot be trusted: what it returns is not one value, or its name means something else first.
_USER_FUNCTIONS: Final = f"""
SELECT n.nspname, p.proname::text AS name, min(p.pronargs - p.pronargdefaults - (p.provariadic <> 0)::int) AS least,
       CASE WHEN bool_or(p.provariadic <> 0) THEN NULL ELSE max(p.pronargs) END AS most,
       CASE WHEN bool_or(p.prokind <> 'f') THEN 'it is no plain function'
            WHEN bool_or(p.proretset) THEN 'it returns a set'
            WHEN bool_or(p.proargmodes::text[] && ARRAY['o', 'b', 't']) THEN 'it has output parameters'
            WHEN bool_or(t.typtype IN ('c', 'p')) THEN 'it does not return one value of a fixed type'
            WHEN EXISTS (SELECT FROM pg_catalog.pg_proc AS b WHERE b.proname = p.proname
                         AND b.pronamespace = 'pg_catalog'::pg_catalog.regnamespace) THEN 'a built-in has its name'
            ELSE '' END AS unfit,
       NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS b WHERE b.proname = p.proname
                   AND b.pronamespace NOT IN (n.oid, 'pg_catalog'::pg_catalog.regnamespace)) AS only
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_type AS t ON t.oid = p.prorettype
WHERE {_NOT_SYSTEM}
GROUP BY n.oid, n.nspname, p.proname
"""  # noqa: S608 - constants of this module
_OPERATORS: Final = (
    _NAMES.replace("proname", "oprname").replace("pronamespace", "oprnamespace").replace("_proc", "_operator")
)
_TYPES: Final = _NAMES.replace("proname", "typname").replace("pronamespace", "typnamespace").replace("_proc", "_type")

_CASTS: Final = f"""
SELECT unnest(ARRAY[k.castsource, k.casttarget]) AS type
FROM pg_catalog.pg_cast AS k
JOIN pg_catalog.pg_proc AS p ON p.oid = k.castfunc
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE {_NOT_SYSTEM} AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass AND d.objid = k.oid AND d.deptype = 'e')
"""  # noqa: S608 - constants of this module


# What system relations may show beside tables, with the columns it is about; see CatalogObject. An index on a system
# column or an expression has a key 0 or less and is left out.
_OBJECTS: Final = """
SELECT 'indexes' AS kind, x.indexrelid AS oid, 0::oid AS index,
       ARRAY(SELECT x.indrelid::int8 * 65536 + k FROM unnest(x.indkey) AS k) AS columns
FROM pg_catalog.pg_index AS x
WHERE x.indrelid >= 16384 AND x.indexprs IS NULL AND x.indpred IS NULL AND 0 < ALL (x.indkey::int2[])
UNION ALL
SELECT 'sequences', s.oid, 0, ARRAY[d.refobjid::int8 * 65536 + d.refobjsubid]
FROM pg_catalog.pg_class AS s JOIN pg_catalog.pg_depend AS d ON d.objid = s.oid
WHERE s.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = d.classid
  AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
UNION ALL
SELECT 'constraints', k.oid, k.conindid,
       ARRAY(SELECT k.conrelid::int8 * 65536 + n FROM unnest(k.conkey) AS n
             UNION ALL SELECT k.confrelid::int8 * 65536 + n FROM unnest(k.confkey) AS n)
FROM pg_catalog.pg_constraint AS k
WHERE k.contype IN ('p', 'u', 'f', 'n') AND k.conrelid >= 16384
"""

_USER_TYPES: Final = """
SELECT t.oid, n.nspname, t.typname, t.typtype = 'e' AS is_enum, t.typrelid AS relation,
       coalesce(c.relkind = 'c', false) AS is_composite,
       ARRAY[t.typelem, t.typbasetype, t.typarray, r.rngtypid, r.rngmultitypid, r.rngsubtype]
       || ARRAY(SELECT f.atttypid FROM pg_catalog.pg_attribute AS f
                WHERE f.attrelid = c.oid AND c.relkind = 'c' AND f.attnum > 0 AND NOT f.attisdropped) AS parts,
       EXISTS (SELECT FROM pg_catalog.pg_depend AS d
               WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e') AS of_extension
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
LEFT JOIN pg_catalog.pg_range AS r ON t.oid IN (r.rngtypid, r.rngmultitypid)
WHERE t.oid >= 16384
"""


async def load_catalog(connection: asyncpg.Connection, generation: Generation) -> Catalog:
    """Everything analysis needs to know of the database. Raises what asyncpg raises."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL search_path = pg_catalog")
        relations = await connection.fetch(_RELATIONS)
        columns = await connection.fetch(_COLUMNS, [str(ref) for ref in SYSTEM_RELATIONS])
        children = await connection.fetch(_CHILDREN)
        keys = {row["conrelid"]: tuple(row["columns"]) for row in await connection.fetch(_KEYS)}
        parts = {row["partrelid"]: tuple(row["columns"]) for row in await connection.fetch(_PARTITION_KEYS)}
        tables = _tables(relations, columns, children, keys, parts)
        oids = {int(table.oid): ref for ref, table in tables.items()}
        own = {oid: list(tables[ref].columns) for oid, ref in oids.items()}
        constraints = await load_constraints(connection, oids, own)
        indexes = await load_indexes(connection, own)
        return Catalog(
            generation=generation,
            tables={
                ref: replace(table, constraints=constraints.get(table.oid, ()), indexes=indexes.get(table.oid, ()))
                for ref, table in tables.items()
            },
            functions=await _names(connection, _FUNCTIONS),
            operators=await _names(connection, _OPERATORS),
            types=await _names(connection, _TYPES),
            cast_types=frozenset(Oid(row["type"]) for row in await connection.fetch(_CASTS)),
            objects=tuple(map(_object, await connection.fetch(_OBJECTS))),
            user_functions=dict(map(_user_function, await connection.fetch(_USER_FUNCTIONS))),
            user_types={Oid(row["oid"]): _user_type(row) for row in await connection.fetch(_USER_TYPES)},
        )


def _object(row: asyncpg.Record) -> CatalogObject:
    return CatalogObject(ObjectKind(row["kind"]), Oid(row["oid"]), frozenset(row["columns"]), Oid(row["index"]))


def _user_function(row: asyncpg.Record) -> tuple[TableRef, UserFunction]:
    function = UserFunction(least=max(0, row["least"]), most=row["most"], unfit=row["unfit"], only=row["only"])
    return TableRef(row["nspname"], row["name"]), function


def _user_type(row: asyncpg.Record) -> UserType:
    return UserType(
        ref=TableRef(row["nspname"], row["typname"]),
        is_enum=row["is_enum"],
        parts=tuple(Oid(part) for part in row["parts"] if part),
        relation=Oid(row["relation"]),
        is_composite=row["is_composite"],
        of_extension=row["of_extension"],
    )


async def _names(connection: asyncpg.Connection, statement: str) -> frozenset[str]:
    return frozenset(row["name"] for row in await connection.fetch(statement))


def _tables(
    relations: Sequence[asyncpg.Record],
    columns: Sequence[asyncpg.Record],
    children: Sequence[asyncpg.Record],
    keys: Mapping[int, tuple[str, ...]],
    parts: Mapping[int, tuple[str, ...]],
) -> dict[TableRef, Table]:
    refs = {row["oid"]: TableRef(row["nspname"], row["relname"]) for row in relations}
    columns_of: dict[int, list[Column]] = {oid: [] for oid in refs}
    for row in columns:
        columns_of[row["attrelid"]].append(_column(row))
    children_of: dict[int, set[TableRef]] = {oid: set() for oid in refs}
    for row in children:
        if row["inhparent"] in refs and row["inhrelid"] in refs:  # partitioned indexes are in pg_inherits too
            children_of[row["inhparent"]].add(refs[row["inhrelid"]])
    return {
        refs[row["oid"]]: Table(
            ref=refs[row["oid"]],
            oid=Oid(row["oid"]),
            kind=RelationKind(row["relkind"]),
            columns=tuple(columns_of[row["oid"]]),
            children=frozenset(children_of[row["oid"]]),
            primary_key=keys.get(row["oid"], ()),
            partition_key=parts.get(row["oid"], ()),
            definition=row["definition"],
            barrier=row["barrier"],
            has_rules=row["has_rules"],
            has_triggers=row["has_triggers"],
        )
        for row in relations
    }


def _column(row: asyncpg.Record) -> Column:
    return Column(
        name=row["attname"],
        type_oid=Oid(row["type_oid"]),
        type_name=row["type_name"],
        typmod=row["typmod"],
        attnum=row["attnum"],
        not_null=row["attnotnull"],
        sources=tuple(row["sources"]),
        has_default=row["has_default"],
        declared=Oid(row["declared"]),
    )
