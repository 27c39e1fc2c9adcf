"""A schema that changes under running sessions: no value of a masked column comes through, whatever its name is now.

What a statement puts out as it is, the server's own description guards at once; what it computes, the catalog's next
loading.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

SCHEMA = """
CREATE TABLE public.people (id int4 PRIMARY KEY, note text, ssn text);
INSERT INTO public.people SELECT n, 'note ' || n, 'CANARY-' || n FROM generate_series(1, 50) AS n;
CREATE TABLE public.orders (id int4);
INSERT INTO public.orders VALUES (1);
GRANT SELECT ON public.people, public.orders TO PUBLIC;
"""
RULES = """version: 1
database: shop
labels: {ssn: [public.people.ssn]}
masks: {ssn: {mask: redact}}
scopes:
  support: {select: ["public.*"], update: [public.orders]}
  root: {unrestricted: true}
"""
ANEW = """
DROP TABLE public.people;
CREATE TABLE public.people (id int4 PRIMARY KEY, {columns});
INSERT INTO public.people (id, note, ssn) SELECT n, 'note ' || n, 'CANARY-' || n FROM generate_series(1, 50) AS n;
GRANT SELECT ON public.people TO PUBLIC;
"""
SWAP = """
ALTER TABLE public.people RENAME note TO other;
ALTER TABLE public.people RENAME ssn TO note;
ALTER TABLE public.people RENAME other TO ssn;
"""
CHANGES = [
    SWAP,
    SWAP,
    ANEW.format(columns="ssn text, note text"),
    ANEW.format(columns="note text, ssn text"),
    "ALTER TABLE public.people ADD COLUMN more text DEFAULT 'CANARY'",
    "ALTER TABLE public.people DROP COLUMN more",
    "ALTER TABLE public.people DROP COLUMN note; ALTER TABLE public.people RENAME ssn TO note",
    "ALTER TABLE public.people RENAME note TO ssn; ALTER TABLE public.people ADD COLUMN note text DEFAULT 'x'",
]


@pytest.fixture(params=["postgres18", "postgres15"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Proxy, Server, str]]:
    server: Server = request.getfixturevalue(request.param)
    database = server.create_database(SCHEMA)
    grants = {"agent": ["support"], "root": ["root"]}
    with run_proxy(server, database, rules=RULES, grants=grants, visible={"root": frozenset({"any"})}) as proxy:
        yield proxy, server, database
        for connection in proxy.relay.connections:
            if connection.user == "agent":
                at = connection.sent.find(b"CANARY")
                assert at < 0, connection.sent[max(0, at - 500) : at + 50]


def hammer(
    proxy: Proxy, stop: threading.Event, read: Callable[[psycopg.Connection], object], counts: list[int]
) -> None:
    """Reads until told to stop; being refused is no failure, nor is being sent away."""
    while not stop.is_set():
        with contextlib.suppress(psycopg.Error), psycopg.connect(proxy.dsn(), autocommit=True) as connection:
            while not stop.is_set():
                try:
                    read(connection)
                    counts[0] += 1
                except psycopg.Error:
                    counts[1] += 1
                    if connection.closed:
                        break


def prepared(connection: psycopg.Connection) -> object:
    return connection.execute("SELECT id, note FROM people WHERE id > %s", (0,), prepare=True).fetchall()


def simple(connection: psycopg.Connection) -> object:
    return connection.execute("SELECT note FROM people; SELECT * FROM people").fetchall()


def cursors(connection: psycopg.Connection) -> object:
    with connection.transaction():
        connection.execute("DECLARE c CURSOR FOR SELECT note FROM people")
        return connection.execute("FETCH 10 FROM c").fetchall()


def undescribed(connection: psycopg.Connection) -> object:
    """Prepared once, then bound and executed in a pipeline, as drivers do that keep the first description."""
    with connection.pipeline():
        found = [connection.execute("SELECT note, id FROM people", prepare=True) for _ in range(3)]
        return [cursor.fetchall() for cursor in found]


def in_sql(connection: psycopg.Connection) -> object:
    with contextlib.suppress(psycopg.Error):
        connection.execute("PREPARE p AS SELECT note FROM people")
    return connection.execute("EXECUTE p").fetchall()


def test_columns_that_change_places_while_clients_read(served: tuple[Proxy, Server, str]) -> None:
    proxy, server, database = served
    stop = threading.Event()
    counts = [0, 0]
    threads = [
        threading.Thread(target=hammer, args=(proxy, stop, read, counts))
        for read in (prepared, simple, cursors, undescribed, in_sql)
    ]
    for thread in threads:
        thread.start()
    try:
        chooser = random.Random(7)
        with server.admin(database) as admin:
            while counts[0] < 20:
                time.sleep(0.05)
            for change in CHANGES * 2:
                time.sleep(chooser.random() * 0.4)
                admin.execute(change)
            deadline = time.monotonic() + 60
            while (counts[0] <= 50 or not counts[1]) and time.monotonic() < deadline:
                time.sleep(0.1)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert counts[0] > 50, counts
    assert counts[1] > 0, counts


def until(connection: psycopg.Connection, sql: str, wanted: object) -> None:
    ends = time.monotonic() + 15
    found: object = None
    while found != wanted:
        assert time.monotonic() < ends, found
        time.sleep(0.1)
        try:
            found = connection.execute(sql).fetchone()
        except psycopg.Error as error:  # the schema has changed a moment ago
            found = error.sqlstate


def test_unreviewed_columns_are_null_until_they_are_reviewed(served: tuple[Proxy, Server, str]) -> None:
    proxy = served[0]
    with (
        psycopg.connect(proxy.dsn(), autocommit=True) as agent,
        psycopg.connect(proxy.dsn("root"), autocommit=True) as root,
    ):
        assert agent.execute("SELECT upper(note), ssn FROM people WHERE id = 1").fetchone() == ("NOTE 1", "[redacted]")
        with proxy.log_contains("columns nobody has reviewed are NULL"):
            root.execute("ALTER TABLE people ADD COLUMN passport text DEFAULT 'CANARY'")
        until(agent, "SELECT passport FROM people WHERE id = 1", (None,))
        assert agent.execute("SELECT count(*), min(upper(passport)) FROM people").fetchone() == (50, None)
        root.execute(SWAP)
        until(agent, "SELECT note IS NULL, ssn FROM people WHERE id = 1", (True, None))
        assert agent.execute("SELECT upper(note), ssn FROM people WHERE id = 1").fetchone() == (None, None)
        root.execute(SWAP)
        until(agent, "SELECT upper(note), ssn FROM people WHERE id = 1", ("NOTE 1", "[redacted]"))
        root.execute("ALTER TABLE people DROP COLUMN passport; ALTER TABLE people RENAME ssn TO soc")
        until(
            agent, "SELECT to_jsonb(p)::text FROM people p WHERE id = 1", ('{"id": 1, "soc": null, "note": "note 1"}',)
        )
        assert agent.execute("SELECT max(soc) FROM people").fetchone() == (None,)
        with proxy.log_contains("reloaded"):
            root.execute("ALTER TABLE people RENAME soc TO ssn")
            time.sleep(1)
            proxy.reload(RULES)


def test_the_lock(served: tuple[Proxy, Server, str], tmp_path: Path) -> None:
    proxy = served[0]
    lock = proxy.directory / "rules" / "shop.lock"
    with psycopg.connect(proxy.dsn(), autocommit=True) as agent:
        lock.write_text("public.people.id integer\npublic.people.ssn text\n")
        with proxy.log_contains("reloaded"):
            proxy.reload(RULES)
        assert agent.execute("SELECT id, note, ssn FROM people WHERE id = 1").fetchone() == (1, None, "[redacted]")
        lock.write_text("public.people.id integer\npublic.people.note text\npublic.people.ssn text\n")
        with proxy.log_contains("reloaded"):
            proxy.reload(RULES)
        assert agent.execute("SELECT id, note, ssn FROM people WHERE id = 1").fetchone() == (1, "note 1", "[redacted]")
        lock.write_text("nonsense\n")
        with proxy.log_contains("reload refused"):
            proxy.reload(RULES)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT to_jsonb(o) FROM orders o",
        "SELECT o FROM orders o",
        "SELECT ROW(o.*)::text FROM orders o",
        "SELECT x FROM (SELECT * FROM orders) x",
        "WITH o AS (TABLE orders) SELECT json_agg(o) FROM o",
        "SELECT to_jsonb(j) FROM (orders a JOIN people b USING (id)) AS j",
        "SELECT count(*) FROM orders WHERE orders::text LIKE '%CANARY%'",
        "UPDATE orders SET id = 1 RETURNING to_jsonb(orders)",
        "SELECT * FROM orders",
    ],
)
def test_a_column_added_a_moment_ago_comes_with_no_row(served: tuple[Proxy, Server, str], sql: str) -> None:
    """Before the catalog is read again: in a table of which everything else is clear."""
    _, server, database = served
    proxy = served[0]
    with psycopg.connect(proxy.dsn(), autocommit=True) as agent, psycopg.connect(server.dsn(database)) as owner:
        owner.autocommit = True
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(psycopg.errors.UndefinedTable):
                assert agent.execute("SELECT * FROM orders").fetchall() == [(1,)]
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        owner.execute("ALTER TABLE public.orders ADD COLUMN more text DEFAULT 'CANARY'")
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            assert agent.execute(sql.encode()).fetchall() != [(1,)] or "count" not in sql
