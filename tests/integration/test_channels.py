"""Statements that carry a query: cursors, prepared statements, COPY and EXPLAIN, in SQL and by the protocol.

Every test ends with a search for canaries in what was sent to the client (``zoo``)."""

import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator

import asyncpg
import psycopg
import psycopg2
import pytest
import sqlalchemy

from tests.integration.conftest import Zoo
from tests.integration.test_drivers import FIRST
from tests.integration.test_psql import psql

pytestmark = pytest.mark.server

EMAILS = "SELECT id, email FROM people ORDER BY id"
MASKED = [(1, FIRST["email"]), (2, FIRST["email"]), (3, None), (4, FIRST["email"])]


@pytest.fixture
def session(zoo: Zoo) -> Iterator[psycopg.Connection]:
    """Simple queries only, so that several statements go in one message."""
    with psycopg.connect(zoo.agent, cursor_factory=psycopg.ClientCursor, autocommit=True) as connection:
        yield connection


@pytest.fixture
def libpq(zoo: Zoo) -> Iterator[psycopg.Connection]:
    """Not through the relay, for libpq's blocking calls, which would stop it."""
    dsn = zoo.proxy.dsn("agent", recorded=False)
    with psycopg.connect(dsn, cursor_factory=psycopg.ClientCursor, autocommit=True) as connection:
        yield connection


def rows(connection: psycopg.Connection, *statements: str) -> list[tuple[object, ...]]:
    """Of the last statement."""
    for statement in statements:
        cursor = connection.execute(statement)
    return cursor.fetchall()


# -- cursors


def test_a_cursor_in_all_directions(session: psycopg.Connection) -> None:
    session.execute(f"BEGIN; DECLARE c SCROLL CURSOR FOR {EMAILS}")
    assert rows(session, "FETCH 2 FROM c") == MASKED[:2]
    assert rows(session, "FETCH BACKWARD 1 FROM c") == MASKED[:1]
    assert rows(session, "FETCH LAST c") == MASKED[3:]
    assert rows(session, "FETCH ABSOLUTE 2 IN c") == MASKED[1:2]
    assert session.execute("MOVE FORWARD 1 IN c").statusmessage == "MOVE 1"
    assert rows(session, "FETCH ALL FROM c") == MASKED[3:]
    assert rows(session, "FETCH BACKWARD ALL FROM c") == MASKED[::-1]
    session.execute("CLOSE c; COMMIT")


def test_cursors_live_as_long_as_on_the_server(session: psycopg.Connection) -> None:
    session.execute(f"BEGIN; DECLARE held CURSOR WITH HOLD FOR {EMAILS}; DECLARE lost CURSOR FOR {EMAILS}")
    session.execute(f"SAVEPOINT a; DECLARE undone CURSOR FOR {EMAILS}; ROLLBACK TO a")
    with pytest.raises(psycopg.errors.InvalidCursorName):
        session.execute("FETCH 1 FROM undone")
    session.execute(f"ROLLBACK; BEGIN; DECLARE held CURSOR WITH HOLD FOR {EMAILS}; COMMIT")
    assert rows(session, "FETCH 1 FROM held") == MASKED[:1]
    with pytest.raises(psycopg.errors.InvalidCursorName):
        session.execute("FETCH 1 FROM lost")
    assert rows(session, "FETCH 1 FROM held") == MASKED[1:2]
    session.execute("CLOSE ALL")
    with pytest.raises(psycopg.errors.InvalidCursorName):
        session.execute("FETCH 1 FROM held")


def test_a_cursor_reached_by_the_protocol(libpq: psycopg.Connection) -> None:
    """What psycopg's stolen cursors do: Describe of a portal that SQL made; FETCH in binary."""
    libpq.execute(f"BEGIN; DECLARE c BINARY CURSOR FOR {EMAILS}")
    described = libpq.pgconn.describe_portal(b"c")
    assert [described.fname(column) for column in range(described.nfields)] == [b"id", b"email"]
    result = libpq.pgconn.exec_params(b"FETCH 1 FROM c", [], result_format=1)
    assert (result.get_value(0, 0), result.get_value(0, 1)) == (b"\0\0\0\1", FIRST["email"].encode())
    assert libpq.pgconn.exec_(b"FETCH 1 FROM c").get_value(0, 1) == FIRST["email"].encode()
    libpq.execute("COMMIT")


async def test_a_bound_portal_reached_by_sql(zoo: Zoo) -> None:
    connection = await asyncpg.connect(zoo.agent)
    try:
        async with connection.transaction():
            cursor = await connection.cursor(EMAILS)
            assert [tuple(row) for row in await cursor.fetch(1)] == MASKED[:1]
            portal = cursor._portal_name
            assert [tuple(row) for row in await connection.fetch(f'FETCH 2 FROM "{portal}"')] == MASKED[1:3]
            assert [tuple(row) for row in await cursor.fetch(5)] == MASKED[3:]
    finally:
        await connection.close()


def test_sqlalchemy_streams(zoo: Zoo) -> None:
    for driver in ("psycopg", "psycopg2"):
        engine = sqlalchemy.create_engine(zoo.agent.replace("postgresql://", f"postgresql+{driver}://"))
        with engine.connect().execution_options(stream_results=True, max_row_buffer=2) as connection:
            result = connection.execute(sqlalchemy.text("SELECT id, email FROM people WHERE id < :n"), {"n": 3})
            assert sorted(map(tuple, result)) == MASKED[:2]
            assert len(connection.execute(sqlalchemy.text("SELECT secret FROM wide")).fetchall()) == 20000
        engine.dispose()


def test_psycopg_scrolls_and_steals(zoo: Zoo) -> None:
    with psycopg.connect(zoo.agent) as connection:
        with connection.cursor("reading", scrollable=True) as cursor:
            cursor.execute("SELECT id, email FROM people WHERE id <> %s ORDER BY id", (3,), binary=True)
            assert cursor.fetchone() == MASKED[0]
            cursor.scroll(1)
            assert cursor.fetchall() == MASKED[3:]
            cursor.scroll(0, mode="absolute")
            assert cursor.fetchmany(2) == MASKED[:2]
        with connection.cursor("held", withhold=True) as cursor:
            cursor.execute(EMAILS)
            connection.commit()
            assert cursor.fetchall() == MASKED


def test_psycopg2_named_cursor(zoo: Zoo) -> None:
    connection = psycopg2.connect(zoo.agent)
    try:
        with connection.cursor("reading", scrollable=True) as cursor:
            cursor.execute("SELECT id, email FROM people WHERE id <> %s ORDER BY id", (3,))
            assert cursor.fetchone() == MASKED[0]
            cursor.scroll(1)
            assert cursor.fetchall() == MASKED[3:]
    finally:
        connection.close()


# -- prepared statements


def test_prepared_in_sql(libpq: psycopg.Connection) -> None:
    session = libpq
    session.execute("PREPARE p (int) AS SELECT id, email FROM people WHERE id = $1")
    assert rows(session, "EXECUTE p (1)") == MASKED[:1]
    result = session.pgconn.exec_prepared(b"p", [b"2"], result_format=1)
    assert result.get_value(0, 1) == FIRST["email"].encode()
    assert session.pgconn.describe_prepared(b"p").fname(1) == b"email"
    with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
        session.execute("PREPARE p AS SELECT id, city FROM people")
    assert rows(session, "EXECUTE p (4)") == MASKED[3:]
    session.execute("DEALLOCATE p")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        session.execute("EXECUTE p (1)")
    assert session.pgconn.exec_prepared(b"p", [b"2"]).error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"26000"


def test_prepared_by_the_protocol(libpq: psycopg.Connection) -> None:
    session = libpq
    session.pgconn.prepare(b"q", b"SELECT id, email FROM people WHERE id = $1")
    assert rows(session, "EXECUTE q ('1')") == MASKED[:1]
    session.pgconn.prepare(b"write", b"BEGIN")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("EXECUTE write")


# -- COPY


COPIED = [["1", "Lyon"], ["2", "Zürich"], ["3", "Ghent"], ["4", "Lyon"]]


def copy(connection: psycopg.Connection, statement: str) -> bytes:
    with connection.cursor().copy(statement) as copying:
        return b"".join(bytes(data) for data in copying)


def test_copy_of_a_query(session: psycopg.Connection) -> None:
    text = copy(session, "COPY (SELECT id, city FROM people ORDER BY id) TO STDOUT (FORMAT csv)").decode()
    assert list(csv.reader(io.StringIO(text))) == COPIED


@pytest.mark.parametrize("layout", ["text", "csv", "binary"])
def test_copy_of_a_table(session: psycopg.Connection, zoo: Zoo, layout: str) -> None:
    copied = copy(session, f"COPY people TO STDOUT (FORMAT {layout})")
    assert "Zürich".encode() in copied
    assert copied.count(b"\n") == 4 or layout == "binary"
    statement = f"COPY people (id, city, score) TO STDOUT (FORMAT {layout})"
    with psycopg.connect(zoo.direct) as direct:
        assert copy(session, statement) == copy(direct, statement)


def test_a_large_copy_streams(zoo: Zoo) -> None:
    """In the extended protocol and in the simple one, 20 MB."""
    with psycopg.connect(zoo.agent) as connection:
        assert len(copy(connection, "COPY wide (id, filler) TO STDOUT").splitlines()) == 20000
    connection = psycopg2.connect(zoo.agent)
    try:
        target = io.StringIO()
        connection.cursor().copy_expert("COPY (SELECT id, secret FROM wide) TO STDOUT", target)
        assert len(target.getvalue().splitlines()) == 20000
    finally:
        connection.close()


async def test_asyncpg_copies(zoo: Zoo) -> None:
    connection = await asyncpg.connect(zoo.agent)
    try:
        target = io.BytesIO()
        tag = await connection.copy_from_query("SELECT id, city FROM people ORDER BY id", output=target, format="csv")
        assert tag == "COPY 4"
        assert list(csv.reader(io.StringIO(target.getvalue().decode()))) == COPIED
        assert await connection.copy_from_table("people", columns=["id", "email"], output=io.BytesIO()) == "COPY 4"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.copy_to_table("visits", source=io.BytesIO(b"1"))
        assert await connection.fetchval("SELECT email FROM people WHERE id = 1") == FIRST["email"]
    finally:
        await connection.close()


def test_a_copy_that_fails_in_the_middle(session: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        copy(session, "COPY (SELECT 1 / (id - 15000) FROM wide ORDER BY id) TO STDOUT")
    assert rows(session, EMAILS) == MASKED


@pytest.mark.parametrize(
    "statement",
    [
        "COPY people TO '/tmp/people'",
        "COPY (SELECT email FROM people) TO PROGRAM 'cat'",
        "COPY visits FROM STDIN",
        "COPY people TO STDOUT (ENCODING 'LATIN1')",
    ],
)
def test_copies_that_are_refused(session: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as refusal:
        session.execute(statement)
    assert refusal.value.diag.message_primary
    assert rows(session, EMAILS) == MASKED


# -- EXPLAIN


def test_explain(session: psycopg.Connection, zoo: Zoo) -> None:
    statement = "EXPLAIN (FORMAT json, VERBOSE) SELECT v.id FROM visits v WHERE v.id = 7"
    with psycopg.connect(zoo.direct) as direct:
        assert rows(session, statement) == rows(direct, statement)
    (plan,) = rows(session, "EXPLAIN (FORMAT json, VERBOSE) SELECT id, email FROM people WHERE id = 7")
    assert "Total Cost" not in json.dumps(plan)
    text = "\n".join(str(line) for (line,) in rows(session, "EXPLAIN VERBOSE SELECT id FROM people ORDER BY email"))
    assert "people" in text
    assert "cost=" not in text
    for refused in ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN SELECT count(*) FROM people GROUP BY email"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(refused)


def test_explain_holds_no_key(session: psycopg.Connection) -> None:
    """A condition on a token shows the expression of its mask, in which the key is what an unseen InitPlan gives."""
    lines = rows(session, "EXPLAIN SELECT id FROM people WHERE name = 'x' AND account = 7")
    text = "\n".join(str(line) for (line,) in lines)
    assert "sha256" in text
    assert "InitPlan" in text
    assert not re.search(r"[0-9a-f]{40}", text)


# -- psql


def test_psql_copies(zoo: Zoo) -> None:
    done = psql(zoo.agent, r"\copy (SELECT id, city FROM people ORDER BY id) TO STDOUT CSV HEADER")
    assert done.stdout.splitlines() == ["id,city", *map(",".join, COPIED)]
    done = psql(zoo.agent, r"\copy people (id) to stdout")
    assert done.stdout.split() == ["1", "2", "3", "4"]
    done = psql(zoo.agent, r"\copy visits from /dev/null", stop=False)
    assert "may not insert" in done.stderr


def test_psql_fetches_by_cursor(zoo: Zoo) -> None:
    assert _lines(psql(zoo.agent, r"\set FETCH_COUNT 2", EMAILS)) == [f"{n}|{mask or ''}" for n, mask in MASKED]


def _lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.stderr == ""
    return done.stdout.splitlines()
