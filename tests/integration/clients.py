"""One way to read a statement's rows per driver and mode: ``READERS``, name to ``read(dsn, statement)``.

Every reader returns the same Python values for the same rows, so that drivers and formats can be compared.
"""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pg8000.dbapi
import pg8000.native
import psycopg
import psycopg2
import psycopg2.extras
import sqlalchemy
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine

Rows = list[tuple[Any, ...]]
Reader = Callable[[str, str], Rows]


def plain(rows: Sequence[Sequence[Any]]) -> Rows:
    """Drivers differ in the classes of some values only: bytes, UUIDs."""
    return [tuple(_plain(value) for value in row) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return uuid.UUID(str(value)) if isinstance(value, uuid.UUID) else value


def psycopg_text(dsn: str, statement: str) -> Rows:
    with psycopg.connect(dsn) as connection:
        return plain(connection.execute(statement).fetchall())


def psycopg_simple(dsn: str, statement: str) -> Rows:
    """Without parameters and with a client-side cursor: one Query message."""
    with psycopg.connect(dsn, cursor_factory=psycopg.ClientCursor) as connection:
        return plain(connection.execute(statement).fetchall())


def psycopg_binary(dsn: str, statement: str) -> Rows:
    with psycopg.connect(dsn) as connection, connection.cursor(binary=True) as cursor:
        return plain(cursor.execute(statement).fetchall())


def psycopg_prepared(dsn: str, statement: str) -> Rows:
    with psycopg.connect(dsn, prepare_threshold=0) as connection:
        answers = [plain(connection.execute(statement, prepare=True).fetchall()) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


def psycopg_pipeline(dsn: str, statement: str) -> Rows:
    with psycopg.connect(dsn) as connection, connection.pipeline():
        cursors = [connection.execute(statement) for _ in range(3)]
        answers = [plain(cursor.fetchall()) for cursor in cursors]
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


def psycopg_stream(dsn: str, statement: str) -> Rows:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        return plain(list(cursor.stream(statement)))


def psycopg_server_cursor(dsn: str, statement: str) -> Rows:
    with psycopg.connect(dsn) as connection, connection.cursor("reading") as cursor:
        cursor.itersize = 2
        return plain(list(cursor.execute(statement)))


def psycopg2_client(dsn: str, statement: str) -> Rows:
    connection = psycopg2.connect(dsn)
    try:
        psycopg2.extras.register_uuid(conn_or_curs=connection)
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return plain(cursor.fetchall())
    finally:
        connection.close()


def psycopg2_server_cursor(dsn: str, statement: str) -> Rows:
    connection = psycopg2.connect(dsn)
    try:
        psycopg2.extras.register_uuid(conn_or_curs=connection)
        with connection.cursor("reading") as cursor:
            cursor.itersize = 2
            cursor.execute(statement)
            return plain(list(cursor))
    finally:
        connection.close()


def pg8000_dbapi(dsn: str, statement: str) -> Rows:
    connection = pg8000.dbapi.connect(**address(dsn))
    try:
        cursor = connection.cursor()
        cursor.execute(statement)
        return plain(cursor.fetchall())
    finally:
        connection.close()


def pg8000_prepared(dsn: str, statement: str) -> Rows:
    with pg8000.native.Connection(**address(dsn)) as connection:
        prepared = connection.prepare(statement)
        answers = [plain(prepared.run()) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


async def asyncpg_connect(dsn: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    return connection


def _with_asyncpg(read: Callable[[asyncpg.Connection, str], Awaitable[Sequence[Any]]]) -> Reader:
    async def run(dsn: str, statement: str) -> Rows:
        connection = await asyncpg_connect(dsn)
        try:
            return plain(await read(connection, statement))
        finally:
            await connection.close()

    return lambda dsn, statement: asyncio.run(run(dsn, statement))


async def _fetch_thrice(connection: asyncpg.Connection, statement: str) -> Sequence[Any]:
    """The second and third run reuse the statement that the driver prepared for the first."""
    answers = [await connection.fetch(statement) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    return answers[2]


async def _prepare_thrice(connection: asyncpg.Connection, statement: str) -> Sequence[Any]:
    answers = [await (await connection.prepare(statement)).fetch() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    return answers[2]


async def _cursor(connection: asyncpg.Connection, statement: str) -> Sequence[Any]:
    """A portal that is executed two rows at a time."""
    async with connection.transaction():
        return [row async for row in connection.cursor(statement, prefetch=2)]


def _with_sqlalchemy(driver: str) -> Reader:
    def read(dsn: str, statement: str) -> Rows:
        engine = sqlalchemy.create_engine(_url(dsn, driver))
        with engine.connect() as connection:
            rows = connection.execute(_typed(statement)).fetchall()
        engine.dispose()
        return plain(rows)

    return read


def _sqlalchemy_asyncpg(dsn: str, statement: str) -> Rows:
    async def read() -> Rows:
        engine = create_async_engine(_url(dsn, "asyncpg"))
        async with engine.connect() as connection:
            rows = (await connection.execute(_typed(statement))).fetchall()
        await engine.dispose()
        return plain(rows)

    return asyncio.run(read())


def _url(dsn: str, driver: str) -> str:
    return dsn.replace("postgresql://", f"postgresql+{driver}://")


def _typed(statement: str) -> Any:
    """Under SQLAlchemy a value of a type that is told to it looks the same with every driver."""
    types = {"profile": JSONB, "device": sqlalchemy.UUID}
    return sqlalchemy.text(statement).columns(**{name: kind for name, kind in types.items() if name in statement})


def address(dsn: str) -> dict[str, Any]:
    """For pg8000, which takes no DSN."""
    url = urlsplit(dsn)
    return {
        "user": url.username,
        "password": url.password,
        "host": url.hostname,
        "port": url.port,
        "database": url.path.removeprefix("/"),
        "ssl_context": False,
    }


READERS: dict[str, Reader] = {
    "psycopg text": psycopg_text,
    "psycopg simple": psycopg_simple,
    "psycopg binary": psycopg_binary,
    "psycopg prepared": psycopg_prepared,
    "psycopg pipeline": psycopg_pipeline,
    "psycopg stream": psycopg_stream,
    "psycopg2": psycopg2_client,
    "pg8000 dbapi": pg8000_dbapi,
    "pg8000 prepared": pg8000_prepared,
    "asyncpg fetch thrice": _with_asyncpg(_fetch_thrice),
    "asyncpg prepare thrice": _with_asyncpg(_prepare_thrice),
    "asyncpg cursor": _with_asyncpg(_cursor),
    "sqlalchemy psycopg": _with_sqlalchemy("psycopg"),
    "sqlalchemy psycopg2": _with_sqlalchemy("psycopg2"),
    "sqlalchemy pg8000": _with_sqlalchemy("pg8000"),
    "sqlalchemy asyncpg": _sqlalchemy_asyncpg,
}
SQL_CURSORS: dict[str, Reader] = {
    "psycopg server cursor": psycopg_server_cursor,
    "psycopg2 server cursor": psycopg2_server_cursor,
}
"""Readers that send DECLARE and FETCH as statements."""
