"""The oracle of masked evaluation: a database whose masked columns hold their masked values already.

Whatever a statement does with a masked column, through the proxy it must give what it gives when it is run directly
on the *twin*. The twin is made by the row form: each table is read through the proxy as a plain ``SELECT * FROM
table`` and put in the place of the twin's own rows. Columns that the scope may not see do not exist there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.proxies import run_proxy
from tests.support.servers import APP, Server

SECONDS = 20


@dataclass(frozen=True, slots=True)
class Table:
    """A table of which the scope sees some columns masked, and the columns it may not see."""

    schema: str
    name: str
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """Names and types of the columns, and the rows as text."""

    columns: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str | None, ...], ...]

    def same(self, other: "Result") -> bool:
        """Whatever the order: a query with ties may give any."""
        return self.columns == other.columns and Counter(self.rows) == Counter(other.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """``masked`` goes through the proxy, ``twin`` to the twin."""

    masked: psycopg.Connection
    twin: psycopg.Connection


@contextmanager
def run_twins(server: Server, database: str, rules: Path, scope: str, tables: tuple[Table, ...]) -> Iterator[Twins]:
    """``database`` behind a proxy, and its twin."""
    with server.admin() as admin:
        names = map(sql.Identifier, (f"{database}_twin", database, APP))
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names))
    with (
        run_proxy(server, database, rules=rules.read_text(encoding="utf-8"), grants={"agent": [scope]}) as proxy,
        psycopg.connect(proxy.dsn(), autocommit=True) as masked,
        psycopg.connect(server.dsn(f"{database}_twin", APP), autocommit=True) as twin,
    ):
        for connection in (masked, twin):
            connection.execute(f"SET statement_timeout = '{SECONDS}s'")
        with server.admin(f"{database}_twin") as admin:
            for table in tables:
                _mask(table, masked, admin)
            admin.execute("ANALYZE")
        yield Twins(masked=masked, twin=twin)


def _mask(table: Table, masked: psycopg.Connection, admin: psycopg.Connection) -> None:
    """As a replica, so that no foreign key is in the way."""
    admin.execute("SET session_replication_role = replica")
    name = sql.Identifier(table.schema, table.name)
    for column in table.hidden:
        admin.execute(sql.SQL("ALTER TABLE {} DROP COLUMN {} CASCADE").format(name, sql.Identifier(column)))
    result = run(masked, sql.SQL("SELECT * FROM {}").format(name).as_string())
    admin.execute(sql.SQL("DELETE FROM {}").format(name))
    with admin.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN").format(name)) as copy:
        for row in result.rows:
            copy.write_row(row)


def run(connection: psycopg.Connection, statement: str) -> Result:
    """Raises what the server, or the proxy in its place, answers."""
    cursor = connection.execute(statement)
    result = cursor.pgresult
    assert result is not None
    columns = tuple((column.name, column.type_code) for column in cursor.description or ())
    values = [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]
    return Result(columns, tuple(tuple(None if each is None else each.decode() for each in row) for row in values))
