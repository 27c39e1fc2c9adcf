"""What a database checks writes against, read over a control connection; see ``core.policy.checks`` for why.

Like ``catalogs``, of which this is a part: fixed, schema-qualified statements in its snapshot."""

from collections.abc import Mapping
from typing import Final

import asyncpg

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import Column, Constraint, ConstraintKind

# Of an index only its own columns are listed in pg_index; those of expressions and of its predicate are dependencies.
# A reference to the whole row is none; it is a Var of attribute number 0 in the expression. ``nulls``: a NULL in a
# column keeps a row from being compared, which a predicate (WHERE deleted_at IS NULL) turns round.
_INDEXES: Final = """
SELECT i.indrelid AS relation,
       CASE WHEN i.indisunique OR i.indisexclusion THEN 'unique' ELSE 'row' END AS kind,
       ARRAY(SELECT k.number FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
             WHERE k.place <= i.indnkeyatts AND k.number > 0
             UNION
             SELECT d.refobjsubid::int2 FROM pg_catalog.pg_depend AS d
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
               AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid
               AND d.refobjsubid > 0 AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)) AS columns,
       coalesce(i.indexprs::text, '') || coalesce(i.indpred::text, '') ~ ':varattno 0 ' AS whole,
       i.indexprs IS NULL AND i.indpred IS NULL
           AND coalesce(pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'false' AS nulls,
       NULL::oid AS other, NULL::int2[] AS others, false AS always
FROM pg_catalog.pg_index AS i
WHERE i.indisunique OR i.indisexclusion OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
"""

# A CHECK that was never validated, and what a policy for row security checks, may be false of rows that exist.
_CHECKS: Final = """
SELECT c.conrelid, 'row', coalesce(c.conkey, '{}'), c.conbin::text ~ ':varattno 0 ', false, NULL::oid, NULL::int2[],
       NOT c.convalidated
FROM pg_catalog.pg_constraint AS c WHERE c.contype = 'c' AND c.conrelid <> 0
UNION ALL
SELECT p.partrelid, 'row', p.partattrs::int2[], 0 = ANY (p.partattrs::int2[]), false, NULL, NULL, false
FROM pg_catalog.pg_partitioned_table AS p
UNION ALL
SELECT p.polrelid, 'row', ARRAY(SELECT d.refobjsubid::int2 FROM pg_catalog.pg_depend AS d
                                WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = p.oid
                                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                  AND d.refobjid = p.polrelid AND d.refobjsubid > 0),
       coalesce(p.polqual::text, '') || coalesce(p.polwithcheck::text, '') ~ ':varattno 0 ', false, NULL, NULL, true
FROM pg_catalog.pg_policy AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
WHERE c.relrowsecurity AND p.polcmd IN ('*', 'w')
"""

_FOREIGN_KEYS: Final = """
SELECT c.conrelid, 'references', c.conkey, false, c.confmatchtype <> 'f', c.confrelid, c.confkey, false
FROM pg_catalog.pg_constraint AS c WHERE c.contype = 'f'
UNION ALL
SELECT c.confrelid, 'referenced', c.confkey, false, false, c.conrelid, c.conkey, false
FROM pg_catalog.pg_constraint AS c WHERE c.contype = 'f'
"""

_CONSTRAINTS: Final = f"{_INDEXES} UNION ALL {_CHECKS} UNION ALL {_FOREIGN_KEYS}"

Columns = Mapping[int, list[Column]]
"""By the OID of a relation."""


async def load_constraints(
    connection: asyncpg.Connection, refs: Mapping[int, TableRef], columns: Columns
) -> dict[int, tuple[Constraint, ...]]:
    """By the OID of a relation, those of ``refs`` only."""
    found: dict[int, list[Constraint]] = {}
    for row in await connection.fetch(_CONSTRAINTS):
        relation = row["relation"]
        if relation in refs:
            found.setdefault(relation, []).append(_constraint(row, refs, columns))
    for relation, own in columns.items():
        found.setdefault(relation, []).extend(_generated(own))
    return {relation: tuple(constraints) for relation, constraints in found.items()}


def _constraint(row: asyncpg.Record, refs: Mapping[int, TableRef], columns: Columns) -> Constraint:
    own = {column.attnum: column.name for column in columns[row["relation"]]}
    numbers = [number for number in row["columns"] if number > 0]
    names = {own[number] for number in numbers if number in own}
    others = frozenset[ColumnRef]()
    if row["other"] in refs:
        table = refs[row["other"]]
        others = frozenset(
            ColumnRef(table.schema, table.name, column.name)
            for column in columns[row["other"]]
            if column.attnum in row["others"]
        )
    return Constraint(
        kind=ConstraintKind(row["kind"]),
        columns=frozenset(own.values()) if row["whole"] or not (names or row["always"]) else frozenset(names),
        others=others,
        nulls=row["nulls"],
        always=row["always"],
    )


def _generated(columns: list[Column]) -> list[Constraint]:
    """Computing a generated column can fail for some values."""
    return [
        Constraint(kind=ConstraintKind.ROW, columns=frozenset({column.name, *column.sources}), nulls=False)
        for column in columns
        if column.sources
    ]
