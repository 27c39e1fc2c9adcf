"""The indexes of a database, read over a control connection; see ``core.policy.index_order`` for why.

Like ``catalogs``, of which this is a part: a fixed, schema-qualified statement in its snapshot."""

from collections.abc import Mapping
from typing import Final

import asyncpg

from maskproxy.core.catalog import Index
from maskproxy.proxy.constraints import Columns

# What its expressions and its predicate are made of are dependencies of the index, and not told apart. An expression
# over the whole row depends on no column of it. Of brin and gin there are bitmap scans only.
_INDEXES: Final = """
SELECT i.indrelid AS relation, c.relname AS name, i.indpred IS NOT NULL AS partial,
       ARRAY(SELECT k.number FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
             WHERE k.place <= i.indnkeyatts AND k.number > 0
             UNION
             SELECT d.refobjsubid::int2 FROM pg_catalog.pg_depend AS d
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
               AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid
               AND d.refobjsubid > 0 AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)) AS columns,
       coalesce(i.indexprs::text, '') ~ ':varattno 0 ' AS whole
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
WHERE i.indrelid >= 16384 AND a.amname NOT IN ('brin', 'gin')
"""


async def load_indexes(connection: asyncpg.Connection, columns: Columns) -> Mapping[int, tuple[Index, ...]]:
    """By the OID of a relation, in which rows can come in their order."""
    found: dict[int, list[Index]] = {}
    for row in await connection.fetch(_INDEXES):
        own = {column.attnum: column.name for column in columns.get(row["relation"], ())}
        names = own.values() if row["whole"] else (own[number] for number in row["columns"] if number in own)
        found.setdefault(row["relation"], []).append(Index(row["name"], frozenset(names), row["partial"]))
    return {relation: tuple(sorted(indexes, key=lambda index: index.name)) for relation, indexes in found.items()}
