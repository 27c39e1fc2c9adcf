"""Limits of a scope before a real server: rows, time, statements of a minute and comparisons."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

RULES = """version: 1
database: shop
labels: {ssn: [public.people.ssn]}
masks: {ssn: {mask: redact}}
scopes:
  rows: {select: [public.people], limits: {rows: 1000}}
  seconds: {select: [public.people], limits: {seconds: 1}}
  often: {select: [public.people], use: {ssn: equality}, limits: {statements_per_minute: 30, equalities: 5}}
"""
SCHEMA = """
CREATE TABLE public.people (id int4 PRIMARY KEY, ssn text);
INSERT INTO public.people SELECT n, 'CANARY-' || n FROM generate_series(1, 20000) AS n;
GRANT SELECT ON public.people TO PUBLIC;
"""
SLOW = "SELECT count(*) FROM people a, people b, people c WHERE a.id + b.id + c.id < 0"


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server: Server = request.getfixturevalue(request.param)
    grants = {name: [name] for name in ("rows", "seconds", "often")}
    with run_proxy(server, server.create_database(SCHEMA), rules=RULES, grants=grants) as found:
        yield found
        assert not [each for each in found.relay.connections if b"CANARY" in each.sent]


def test_rows(proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn("rows"), autocommit=True) as connection:
        assert len(connection.execute("SELECT * FROM people LIMIT 1000").fetchall()) == 1000
        for sql in ("SELECT * FROM people", "SELECT ssn FROM people LIMIT 1001"):
            for prepare in (False, True):
                with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="more than the 1000 rows"):
                    connection.execute(sql, prepare=prepare)
                # the cancel hits nothing that comes after
                assert [connection.execute("SELECT 1").fetchone() for _ in range(20)] == [(1,)] * 20
        with (
            pytest.raises(psycopg.errors.ProgramLimitExceeded),
            connection.cursor().copy("COPY people TO STDOUT") as copy,
        ):
            assert len(list(copy)) == 1000
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (20000,)


def test_rows_in_a_transaction(proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn("rows"), autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute("DECLARE c CURSOR FOR SELECT id FROM people")
        assert len(connection.execute("FETCH 600 FROM c").fetchall()) == 600
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            connection.execute("FETCH 600 FROM c")
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_rows_so_far_are_recorded(proxy: Proxy) -> None:
    ends = time.monotonic() + 5
    while not [each for each in proxy.records() if each.get("res", {}).get("sqlstate") == "54000"]:
        assert time.monotonic() < ends
        time.sleep(0.1)
    found = [each["res"] for each in proxy.records() if each.get("res", {}).get("sqlstate") == "54000"]
    assert {each["rows"] for each in found} <= {400, 1000}


def test_seconds(proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn("seconds"), autocommit=True) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1s",)
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(SLOW)
        assert time.monotonic() - began < 10
        for sql in ("SET statement_timeout = 0", "SELECT set_config('statement_timeout', '1h', false)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql)
        connection.execute("SET statement_timeout = 300")
        connection.execute("RESET ALL")
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1s",)
    options = "-c statement_timeout=0"
    with psycopg.connect(proxy.dsn("seconds"), autocommit=True, options=options) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1s",)


def test_statements_and_comparisons_over_all_connections(proxy: Proxy) -> None:
    def compare(number: int) -> int | None:
        with psycopg.connect(proxy.dsn("often"), autocommit=True) as connection:
            sql = "SELECT id FROM people WHERE ssn = %s"
            row = connection.execute(sql, (f"CANARY-{number}",)).fetchone()
            return None if row is None else int(row[0])

    assert [compare(number) for number in range(1, 4)] == [1, 2, 3]
    with psycopg.connect(proxy.dsn("often"), autocommit=True) as connection:
        connection.execute("PREPARE p(text) AS SELECT id FROM people WHERE ssn = $1")
        assert [connection.execute(f"EXECUTE p('CANARY-{n}')").fetchone() for n in (4, 5)] == [(4,), (5,)]
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="more than 5 comparisons"):
            connection.execute("EXECUTE p('CANARY-7')")
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="more than 5 comparisons") as caught:
        compare(6)
    assert "Try again in" in (caught.value.diag.message_hint or "")
    done = 0

    def exhaust() -> None:
        nonlocal done
        for _ in range(10):
            with psycopg.connect(proxy.dsn("often"), autocommit=True) as connection:
                for _ in range(5):
                    connection.execute("SELECT 1")
                    done += 1

    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="more than 30 statements a minute"):
        exhaust()
    assert 20 <= done <= 30
    ends = time.monotonic() + 5
    while len(found := [each for each in proxy.records() if each.get("dec", {}).get("disclosed")]) < 5:
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert found[0]["dec"]["disclosed"] == {"public.people.ssn": 1}
