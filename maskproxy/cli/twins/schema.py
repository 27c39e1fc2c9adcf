"""The definitions of a database, read over a control connection: what is needed to make it again without a row.

Types, tables with their keys and indexes, views, and the functions that the rules trust. Not read are other functions,
which would run in a server of ours, triggers, defaults, checks, row security and what extensions own; checks would only
be in the way of generated rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

_OWN: Final = """
    n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND NOT EXISTS (
        SELECT FROM pg_depend AS d WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid} AND d.deptype = 'e')
"""

_EXTENSIONS: Final = """
SELECT format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I', e.extname, n.nspname)
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace ORDER BY e.oid
"""
_SCHEMAS: Final = f"""
SELECT format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname) FROM pg_namespace AS n
WHERE {_OWN.format(catalog="pg_namespace", oid="n.oid")} ORDER BY n.nspname
"""  # noqa: S608 - constants of this module

_TYPES: Final = f"""
SELECT format('%I.%I', n.nspname, t.typname) AS name, CASE t.typtype
    WHEN 'e' THEN 'AS ENUM (' || (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                                  FROM pg_enum AS e WHERE e.enumtypid = t.oid) || ')'
    WHEN 'd' THEN 'AS ' || format_type(t.typbasetype, t.typtypmod)
                  || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
    WHEN 'r' THEN 'AS RANGE (SUBTYPE = ' || (SELECT format_type(r.rngsubtype, NULL) FROM pg_range AS r
                                             WHERE r.rngtypid = t.oid) || ')'
    ELSE 'AS (' || (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', '
                                      ORDER BY a.attnum)
                    FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) || ')'
    END AS body, t.typtype = 'd' AS is_domain
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND {_OWN.format(catalog="pg_type", oid="t.oid")}
ORDER BY t.oid
"""  # noqa: S608 - constants of this module

_FUNCTIONS: Final = f"""
SELECT p.oid::regprocedure::text AS name, pg_get_functiondef(p.oid) AS sql
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prokind = 'f' AND n.nspname || '.' || p.proname = ANY ($1::text[])
  AND {_OWN.format(catalog="pg_proc", oid="p.oid")}
ORDER BY p.oid
"""  # noqa: S608 - constants of this module

_RELATIONS: Final = f"""
SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text AS kind, c.relispartition AS is_partition,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS query,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS key,
       pg_get_expr(c.relpartbound, c.oid) AS bound,
       ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits AS i WHERE i.inhrelid = c.oid
             ORDER BY i.inhseqno) AS parents,
       ARRAY(SELECT o FROM unnest(c.reloptions) AS o WHERE o ~ '^security_') AS options
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OWN.format(catalog="pg_class", oid="c.oid")}
ORDER BY c.relkind IN ('v', 'm'), c.oid
"""  # noqa: S608 - constants of this module

_COLUMNS: Final = """
SELECT a.attrelid, quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS not_null, CASE a.attgenerated WHEN 's' THEN ' STORED' WHEN '' THEN '' ELSE ' VIRTUAL' END AS how,
       CASE WHEN a.attgenerated <> '' THEN pg_get_expr(e.adbin, e.adrelid) END AS expression,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

# Those of partitions come with the partitioned table's.
_KEYS: Final = """
SELECT k.conrelid::regclass::text || ' (' || k.conname || ')' AS name,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname,
              pg_get_constraintdef(k.oid)) AS sql
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
WHERE k.contype IN ('p', 'u', 'f') AND k.conparentid = 0 AND c.oid >= 16384
ORDER BY k.contype = 'f', k.oid
"""
_INDEXES: Final = """
SELECT x.indexrelid::regclass::text AS name, pg_get_indexdef(x.indexrelid) AS sql
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
WHERE t.oid >= 16384 AND t.relkind IN ('r', 'p', 'm') AND x.indisvalid AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY x.indexrelid
"""


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """``name`` as it stands in SQL. ``extra``: collation and what it is generated from."""

    name: str
    type: str
    not_null: bool = False
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """What makes an object. ``columns`` of a relation: what a plain table in its place would have."""

    name: str
    sql: str
    columns: tuple[ColumnDefinition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """In an order in which each mostly finds what it needs. ``keys``: keys and indexes."""

    places: tuple[Definition, ...]
    objects: tuple[Definition, ...]
    keys: tuple[Definition, ...]


async def read_schema(connection: asyncpg.Connection, trusted: Collection[str] = ()) -> Schema:
    """``trusted``: functions that are read, by schema.name. Names are qualified: nothing but pg_catalog is on the path.

    Raises what asyncpg raises."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL search_path = pg_catalog")
        places = [row[0] for statement in (_SCHEMAS, _EXTENSIONS) for row in await connection.fetch(statement)]
        columns: dict[int, list[ColumnDefinition]] = {}
        for row in await connection.fetch(_COLUMNS):
            columns.setdefault(row["attrelid"], []).append(_column(row))
        types = [_type(row) for row in await connection.fetch(_TYPES)]
        functions = await connection.fetch(_FUNCTIONS, list(trusted))
        relations = await connection.fetch(_RELATIONS)
        keys = [*await connection.fetch(_KEYS), *await connection.fetch(_INDEXES)]
    return Schema(
        places=tuple(Definition(sql.partition(" IF NOT EXISTS ")[2], sql) for sql in places),
        objects=(
            *types,
            *(Definition(row["name"], row["sql"]) for row in functions),
            *(_relation(row, columns.get(row["oid"], [])) for row in relations),
        ),
        keys=tuple(Definition(row["name"], row["sql"]) for row in keys),
    )


def _column(row: asyncpg.Record) -> ColumnDefinition:
    extra = f" COLLATE {row['collation']}" if row["collation"] else ""
    if row["expression"] is not None:
        extra += f" GENERATED ALWAYS AS ({row['expression']}){row['how']}"
    return ColumnDefinition(row["name"], row["type"], row["not_null"], extra)


def _type(row: asyncpg.Record) -> Definition:
    return Definition(row["name"], f"CREATE {'DOMAIN' if row['is_domain'] else 'TYPE'} {row['name']} {row['body']}")


def _relation(row: asyncpg.Record, columns: Sequence[ColumnDefinition]) -> Definition:
    return Definition(row["name"], _create(row, columns), tuple(columns))


def _create(row: asyncpg.Record, columns: Sequence[ColumnDefinition]) -> str:
    name = row["name"]
    match row["kind"]:
        case "v":
            options = f" WITH ({', '.join(row['options'])})" if row["options"] else ""
            names = ", ".join(column.name for column in columns)
            return f"CREATE VIEW {name} ({names}){options} AS {row['query']}"
        case "m":
            return f"CREATE MATERIALIZED VIEW {name} AS {row['query'].rstrip(';')} WITH NO DATA"
    key = f" PARTITION BY {row['key']}" if row["key"] else ""
    if row["is_partition"]:
        return f"CREATE TABLE {name} PARTITION OF {row['parents'][0]} {row['bound']}{key}"
    inherits = f" INHERITS ({', '.join(row['parents'])})" if row["parents"] else ""
    return create_table(name, columns) + inherits + key


def create_table(name: str, columns: Sequence[ColumnDefinition]) -> str:
    body = (f"{each.name} {each.type}{each.extra}{' NOT NULL' if each.not_null else ''}" for each in columns)
    return f"CREATE TABLE {name} ({', '.join(body)})"
