"""Rows do not come in the order of masked values, though an index has them in it."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.proxies import run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

SCRIPT = """
CREATE TABLE public.users (id int PRIMARY KEY, tenant int, email text COLLATE "C", salary int, active bool, note text);
INSERT INTO public.users
SELECT n, n % 50, md5(n::text), n * 7919 % 100003, n % 997 = 0, repeat('x', 300) FROM generate_series(1, 20000) AS n;
CREATE UNIQUE INDEX ON public.users (tenant, email);
CREATE INDEX ON public.users (salary) WHERE active;
GRANT SELECT ON public.users TO PUBLIC;
ANALYZE;
"""
RULES = """version: 1
database: shop
labels: {mail: [public.users.email], pay: [public.users.salary]}
masks: {mail: {mask: redact}, pay: {mask: "null"}}
scopes:
  support: {select: [public.users]}
  other: {select: [public.users], clear: [mail, pay]}
"""
ORDERED = [
    ("SELECT id FROM users ORDER BY tenant LIMIT 30", "email"),
    ("SELECT id, email FROM users ORDER BY tenant LIMIT 30", "email"),
    ("SELECT id, upper(email) FROM users ORDER BY tenant LIMIT 30", "email"),
    ("SELECT id, array_agg(id) OVER (PARTITION BY tenant) FROM users ORDER BY tenant LIMIT 30", "email"),
    ("SELECT id FROM users WHERE active LIMIT 10", "salary"),
]


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def sessions(request: pytest.FixtureRequest) -> Iterator[dict[str, psycopg.Connection]]:
    server: Server = request.getfixturevalue(request.param)
    name = server.create_database(SCRIPT)
    with (
        run_proxy(server, name, rules=RULES, grants={"agent": ["support"], "clerk": ["other"]}) as proxy,
        psycopg.connect(proxy.dsn("agent"), autocommit=True) as agent,
        psycopg.connect(proxy.dsn("clerk"), autocommit=True) as clerk,
    ):
        yield {"agent": agent, "clerk": clerk}


def is_ordered(sessions: dict[str, psycopg.Connection], who: str, sql: str, column: str) -> bool:
    ids = [row[0] for row in sessions[who].execute(sql).fetchall()]
    raw = dict(sessions["clerk"].execute(f"SELECT id, {column} FROM users").fetchall())
    values = [raw[each] for each in ids]
    assert len(values) >= 10
    return values == sorted(values)


@pytest.mark.parametrize(("sql", "column"), ORDERED)
def test_no_order_of_masked_values(sessions: dict[str, psycopg.Connection], sql: str, column: str) -> None:
    assert not is_ordered(sessions, "agent", sql, column)
    assert is_ordered(sessions, "clerk", sql.replace("active LIMIT", "active ORDER BY salary LIMIT"), column)


@pytest.mark.parametrize("name", ["enable_indexscan", "enable_indexonlyscan"])
def test_clients_cannot_switch_it_on(sessions: dict[str, psycopg.Connection], name: str) -> None:
    for sql in (f"SET {name} = on", f"SELECT set_config('{name}', 'on', false)", f"RESET {name}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sessions["agent"].execute(sql)
    for sql in ("RESET ALL", "DISCARD ALL"):
        sessions["agent"].execute(sql)
        assert not is_ordered(sessions, "agent", *ORDERED[0])
