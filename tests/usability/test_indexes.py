"""Under masked evaluation the planner still uses indexes on clear columns: EXPLAIN of the SQL that is sent."""

import asyncio
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from maskproxy.base.refs import Generation
from maskproxy.core.catalog import Catalog
from maskproxy.core.plan import Stamp, plan_text
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.ruleset import Scope
from maskproxy.proxy.catalogs import load_catalog
from tests.support.rules import compiled
from tests.support.servers import APP, Server

SCRIPT = """
CREATE TABLE people (id int PRIMARY KEY, city text NOT NULL, email text NOT NULL, balance numeric(12,2), secret text);
INSERT INTO people
SELECT n, 'city ' || n % 500, 'p' || n || '@shop.example', n % 9000, 's' FROM generate_series(1, 20000) n;
CREATE INDEX people_city ON people (city);
CREATE INDEX people_email ON people (email);
CREATE TABLE visits (id int PRIMARY KEY, person int NOT NULL, fee int NOT NULL);
INSERT INTO visits SELECT n, 1 + n * 7 % 20000, n % 90 FROM generate_series(1, 20000) n;
CREATE INDEX visits_person ON visits (person);
ANALYZE;
"""
RULES = """
version: 1
database: shop
labels: {email: [public.people.email], finance: [public.people.balance]}
masks: {email: {mask: token}, finance: {mask: round, to: 100}}
scopes: {agent: {select: ["public.*"], deny: [public.people.secret]}}
"""


@pytest.fixture(scope="module")
def database(postgres18: Server) -> str:
    return postgres18.create_database(SCRIPT)


@pytest.fixture(scope="module")
def scope(postgres18: Server, database: str) -> Scope:
    async def load() -> Catalog:
        connection = await asyncpg.connect(postgres18.dsn(database, APP))
        try:
            return await load_catalog(connection, Generation(1))
        finally:
            await connection.close()

    return compiled(asyncio.run(load()), RulesDocument.parse(RULES, "rules.yaml")).scopes["agent"]


@pytest.fixture(scope="module")
def connection(postgres18: Server, database: str, scope: Scope) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres18.dsn(database, APP), autocommit=True) as connection:
        for name, value in scope.settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value.reveal()))
        yield connection


def explained(connection: psycopg.Connection, scope: Scope, statement: str) -> str:
    """The server's plan of what is sent for a statement that needs masked evaluation."""
    plan = plan_text(statement, scope, ("public",), Stamp(Generation(1), Generation(1)))
    assert plan.statements[0].evaluated
    rows = connection.execute(b"EXPLAIN (COSTS OFF) " + plan.sql.encode()).fetchall()
    return "\n".join(line for (line,) in rows)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT upper(email) FROM people WHERE id = 7", "Index Scan using people_pkey on people"),
        ("SELECT * FROM people WHERE id IN (1, 2, 3) AND email LIKE 'a%'", "Index Scan using people_pkey on people"),
        ("SELECT count(*) FROM people WHERE city = 'city 7' AND email LIKE 'a%'", "Index Scan on people_city"),
        ("SELECT sum(balance) FROM people WHERE city = 'city 7'", "Index Scan on people_city"),
        (
            "SELECT v.id, p.email || '' FROM visits v JOIN people p ON p.id = v.person WHERE v.id < 5",
            "Index Scan using people_pkey on people",
        ),
        (
            "SELECT count(*) FROM people p JOIN visits ON person = p.id WHERE p.id = 9 AND balance > 0 GROUP BY p.id",
            "Index Only Scan using visits_person on visits",
        ),
        ("SELECT id FROM people WHERE balance > 100 ORDER BY id LIMIT 10", "Index Scan using people_pkey on people"),
        ("SELECT max(id) FROM people WHERE email <> ''", "Index Scan Backward using people_pkey on people"),
        (
            "WITH p AS (SELECT * FROM people WHERE balance > 0) SELECT lower(email) FROM p WHERE id = 7",
            "Index Scan using people_pkey on people",
        ),
        (
            "SELECT id FROM visits WHERE id < 9 AND EXISTS (SELECT FROM people p WHERE p.id = person AND email > 'a')",
            "Index Scan using people_pkey on people",
        ),
    ],
)
def test_an_index_on_clear_columns_is_used(
    statement: str, expected: str, connection: psycopg.Connection, scope: Scope
) -> None:
    plan = explained(connection, scope, statement)
    assert expected in plan
    assert "Seq Scan on people" not in plan


def test_an_index_on_a_masked_column_is_not(connection: psycopg.Connection, scope: Scope) -> None:
    """It finds values as they are stored."""
    assert "people_email" not in explained(connection, scope, "SELECT id FROM people WHERE email = 'p7@shop.example'")
    assert "people_email" not in explained(connection, scope, "SELECT id FROM people ORDER BY email LIMIT 1")
    assert "people_email" not in explained(connection, scope, "SELECT min(email) FROM people")
