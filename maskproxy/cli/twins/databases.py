"""The twins themselves: a database without rows made from a schema, copied twice, so that both have the same OIDs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.cli.embedded import EmbeddedPostgres
from maskproxy.cli.twins.layout import Layout, TableLayout
from maskproxy.cli.twins.pairs import Pair
from maskproxy.cli.twins.rebuild import Note
from maskproxy.core.sql.substitute import quoted

BASE: Final = "twin_0"
TWINS: Final = ("twin_a", "twin_b")  # of one length: a name that is shown makes no difference
SERVER: Final = {"autovacuum": "off", "fsync": "off", "timezone": "UTC"}
"""Statistics come when both twins are full; what is lost in a crash is thrown away anyway."""

_STORED: Final = """
SELECT pg_catalog.format('REFRESH MATERIALIZED VIEW %s', oid::pg_catalog.regclass) FROM pg_catalog.pg_class
WHERE relkind = 'm' ORDER BY oid
"""

_DIGEST: Final = "md5(string_agg(format('%s', {column}) || ({column} IS NULL), ',' ORDER BY tableoid, ctid))"

Columns = Mapping[str, list[Pair]]


@asynccontextmanager
async def database(server: EmbeddedPostgres, name: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.dsn(name))
    try:
        await connection.execute("SET search_path = pg_catalog")
        yield connection
    finally:
        await connection.close(timeout=5)


async def make_base(server: EmbeddedPostgres) -> None:
    async with database(server, "postgres") as admin:
        await admin.execute(f"CREATE DATABASE {BASE}")


async def make_twins(server: EmbeddedPostgres, tables: Sequence[tuple[TableLayout, Columns]]) -> list[Note]:
    """What could not be filled is empty in both."""
    async with database(server, "postgres") as admin:
        for twin in TWINS:
            await admin.execute(f"CREATE DATABASE {twin} TEMPLATE {BASE}")
            await admin.execute(f"ALTER DATABASE {twin} SET statement_timeout = '5s'")
    failed: dict[TableRef, str] = {}
    async with database(server, TWINS[0]) as left, database(server, TWINS[1]) as right:
        for connection in (left, right):
            await connection.execute("SET session_replication_role = replica")  # foreign keys stand in no order
        for table, columns in tables:
            error = await _fill(left, table, columns, right=False) or await _fill(right, table, columns, right=True)
            if error is not None:
                failed[table.ref] = error
                for connection in (left, right):
                    await connection.execute(f"DELETE FROM {_name(table.ref)}")  # noqa: S608 - a quoted name
        for connection in (left, right):
            for row in await connection.fetch(_STORED):
                await connection.execute(row[0])
            await connection.execute("ANALYZE")
    return [Note(str(ref), "has no rows", error) for ref, error in failed.items()]


async def differing(server: EmbeddedPostgres, layout: Layout) -> frozenset[ColumnRef]:
    """Columns of tables whose values are not the same in both, as the server says."""
    async with database(server, TWINS[0]) as left, database(server, TWINS[1]) as right:
        found: set[ColumnRef] = set()
        for table in layout.tables.values():
            parts = (_DIGEST.format(column=quoted(name)) for name in table.fields)
            statement = f"SELECT {', '.join(parts)} FROM {_name(table.ref)}"  # noqa: S608 - quoted names
            one, other = [await connection.fetchrow(statement) for connection in (left, right)]
            changed = [name for name, a, b in zip(table.fields, one, other, strict=True) if a != b]
            found |= {ColumnRef(table.ref.schema, table.ref.name, name) for name in changed}
        return frozenset(found)


async def _fill(connection: asyncpg.Connection, table: TableLayout, columns: Columns, *, right: bool) -> str | None:
    """The server's error, if it takes none of the rows."""
    if not columns:
        return None
    names = ", ".join(map(quoted, columns))
    arrays = ", ".join(f"${number}::text[]" for number in range(1, len(columns) + 1))
    values = ", ".join(f"v{number}::{table.fields[name].type}" for number, name in enumerate(columns))
    aliases = ", ".join(f"v{number}" for number in range(len(columns)))
    statement = (
        f"INSERT INTO {_name(table.ref)} ({names}) SELECT {values}"  # noqa: S608 - quoted names
        f" FROM ROWS FROM (unnest({arrays})) WITH ORDINALITY AS t ({aliases}, place) ORDER BY place"
    )
    rows = [[pair.right if right else pair.left for pair in pairs] for pairs in columns.values()]
    try:
        await connection.execute(statement, *rows)
    except asyncpg.PostgresError as error:
        return str(error)
    return None


def _name(ref: TableRef) -> str:
    return f"{quoted(ref.schema)}.{quoted(ref.name)}"
