"""Functions that rules trust, on a real server: what they are given is what the scope sees."""

from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from maskproxy.base.refs import Generation
from maskproxy.core.catalog import UserFunction
from maskproxy.proxy.catalogs import load_catalog
from tests.support.proxies import run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

SCRIPT = """
CREATE SCHEMA other;
CREATE TABLE public.people (id int PRIMARY KEY, name text, ssn text);
CREATE TABLE public.log (seen text);
INSERT INTO public.people VALUES (1, 'CANARY-NAME', 'CANARY-SSN'), (2, NULL, 'CANARY-SSN-2');
CREATE FUNCTION public.shout(value text, times int DEFAULT 1) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN repeat(upper(value), times);
CREATE FUNCTION public.joined(VARIADIC parts text[]) RETURNS text LANGUAGE sql AS $$
    SELECT array_to_string(parts, '+') $$;
CREATE FUNCTION public.note(value text) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO public.log VALUES (value); RETURN 1; END $$;
CREATE FUNCTION public.complain(value text) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'bad value: % of %', value, (SELECT max(ssn) FROM public.people); END $$;
CREATE FUNCTION public.all_of(value int) RETURNS SETOF int LANGUAGE sql AS 'SELECT value';
CREATE FUNCTION public.pair(a int, OUT b int, OUT c int) LANGUAGE sql AS 'SELECT a, a';
CREATE FUNCTION public.any_of(value anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT value';
CREATE FUNCTION public.abs(value text) RETURNS text LANGUAGE sql RETURN value;
CREATE FUNCTION public.same(value int) RETURNS int LANGUAGE sql RETURN value;
CREATE FUNCTION other.same(value int) RETURNS int LANGUAGE sql RETURN value;
CREATE VIEW public.loud AS SELECT id, public.shout(name) AS name, public.same(id) AS same FROM public.people;
CREATE VIEW public.other_loud AS SELECT id, public.joined(name) AS name FROM public.people;
"""
RULES = """
version: 1
database: shop
labels: {pii: [public.people.name, public.people.ssn]}
masks: {pii: {mask: redact}}
scopes: {support: {select: [public.people, public.loud, public.other_loud]}}
trust: {functions: [public.shout, public.note, public.complain, public.same]}
"""


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def agent(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    server: Server = request.getfixturevalue(request.param)
    name = server.create_database(SCRIPT)
    with (
        run_proxy(server, name, rules=RULES, grants={"agent": ["support"]}) as proxy,
        psycopg.connect(proxy.dsn(), autocommit=True) as connection,
    ):
        yield connection
        for each in proxy.relay.connections:
            assert b"CANARY" not in each.sent


def test_calls(agent: psycopg.Connection) -> None:
    assert agent.execute("SELECT shout('a'), public.shout('b', times => 2), public.same(3)").fetchall() == [
        ("A", "BB", 3)
    ]
    assert agent.execute("SELECT id, shout(name) FROM people ORDER BY shout(name), id").fetchall() == [
        (1, "[REDACTED]"),
        (2, None),
    ]
    assert agent.execute("SELECT id FROM people WHERE shout(name) = '[REDACTED]'").fetchall() == [(1,)]


def test_views_that_call_them(agent: psycopg.Connection) -> None:
    assert agent.execute("SELECT * FROM loud ORDER BY id").fetchall() == [(1, "[REDACTED]", 1), (2, None, 2)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        agent.execute("SELECT id FROM other_loud")


@pytest.mark.parametrize("sql", ["SELECT same(1)", "SELECT joined('a')", "SELECT other.same(1)", "SELECT abs('a')"])
def test_others_are_refused(agent: psycopg.Connection, sql: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        agent.execute(sql)


def test_what_they_raise_is_scrubbed(agent: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        agent.execute("SELECT complain('CANARY given')")
    assert "CANARY" not in str(caught.value)


def test_one_that_writes_is_a_write(agent: psycopg.Connection) -> None:
    assert agent.execute("SELECT note('seen')").fetchone() == (1,)


async def test_what_can_be_trusted(postgres18: Server) -> None:
    connection = await asyncpg.connect(postgres18.dsn(postgres18.create_database(SCRIPT)))
    try:
        functions = (await load_catalog(connection, Generation(1))).user_functions
    finally:
        await connection.close()
    assert {str(ref): function for ref, function in functions.items()} == {
        "public.shout": UserFunction(least=1, most=2),
        "public.joined": UserFunction(least=0, most=None),
        "public.note": UserFunction(least=1, most=1),
        "public.complain": UserFunction(least=1, most=1),
        "public.same": UserFunction(least=1, most=1, only=False),
        "other.same": UserFunction(least=1, most=1, only=False),
        "public.all_of": UserFunction(least=1, most=1, unfit="it returns a set"),
        "public.pair": UserFunction(least=1, most=1, unfit="it has output parameters"),
        "public.any_of": UserFunction(least=1, most=1, unfit="it does not return one value of a fixed type"),
        "public.abs": UserFunction(least=1, most=1, unfit="a built-in has its name"),
    }
