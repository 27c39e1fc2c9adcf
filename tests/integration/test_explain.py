"""Non-interference of EXPLAIN: on tables that differ in their masked values only, it shows the same plans."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from maskproxy.base.errors import ColumnRefused
from maskproxy.core.plan import plan_text
from tests.support.corpus import CORPUS, SEARCH_PATH, STAMP, ruleset
from tests.support.servers import APP, Server

pytestmark = pytest.mark.server

SHOP = Path(CORPUS.parent, "catalogs", "shop.sql").read_text(encoding="utf-8")
ROWS = 100_000  # enough for parallel plans, which is where the number of distinct values shows most
FILL = """
INSERT INTO customers
SELECT n, 'Ann ' || n % {distinct}, n % {distinct} || '@example.com', n % {distinct}, n % {distinct},
    date '1950-01-01' + n % {distinct} % 20000, NULL, n % 1000, now(), NULL
FROM generate_series(1, {rows}) AS n;
INSERT INTO orders SELECT n, n % {rows}, n, 'state ' || n % 5, now() FROM generate_series(1, {rows}) AS n;
CREATE INDEX ON customers (email);
CREATE INDEX ON customers (balance);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (status);
ANALYZE customers;
ANALYZE orders;
"""

EXPLAINED = [
    "SELECT id, email FROM customers WHERE id = 5",
    "SELECT id FROM customers WHERE email = '1@example.com'",
    "SELECT id FROM customers WHERE email LIKE '1%' AND balance = 5",
    "SELECT id FROM customers WHERE dob BETWEEN '1960-01-01' AND '1970-01-01'",
    "SELECT id FROM customers WHERE email IS NULL ORDER BY email LIMIT 10",
    "SELECT balance, count(DISTINCT email) FROM customers GROUP BY balance HAVING max(email) > 'a'",
    "SELECT c.id, c.email, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.status = 'state 1'",
    "WITH c AS (SELECT * FROM customers WHERE email > 'x') SELECT id FROM c WHERE dob > '1960-01-01' ORDER BY email",
    "SELECT (SELECT c.email FROM customers c WHERE c.id = o.customer_id) FROM orders o",
]
REFUSED = [
    "SELECT email, count(*) FROM customers GROUP BY email",
    "SELECT DISTINCT email FROM customers",
    "SELECT o.id FROM customers c, LATERAL (SELECT id FROM orders WHERE status = c.email LIMIT 1) o",
]


@pytest.fixture(scope="module")
def twins(postgres18: Server) -> Iterator[list[psycopg.Connection]]:
    names = [postgres18.create_database(SHOP + FILL.format(distinct=distinct, rows=ROWS)) for distinct in (ROWS, 3)]
    connections = [psycopg.connect(postgres18.dsn(name, APP), autocommit=True) for name in names]
    yield connections
    for connection in connections:
        connection.close()


def sent(sql: str) -> bytes:
    scope = ruleset("shop", "rules/demo.yaml").combine(("support",))
    return plan_text(sql, scope, SEARCH_PATH, STAMP).sql.encode()


def plans(twins: list[psycopg.Connection], sql: bytes) -> list[list[tuple[object, ...]]]:
    return [connection.execute(sql).fetchall() for connection in twins]


@pytest.mark.parametrize("statement", EXPLAINED)
def test_a_plan_does_not_tell(twins: list[psycopg.Connection], statement: str) -> None:
    first, second = plans(twins, sent(f"EXPLAIN {statement}"))
    assert first == second


@pytest.mark.parametrize("statement", REFUSED)
def test_a_plan_that_would_tell_is_refused(twins: list[psycopg.Connection], statement: str) -> None:
    with pytest.raises(ColumnRefused):
        sent(f"EXPLAIN {statement}")
    first, second = plans(twins, b"EXPLAIN (COSTS OFF) " + sent(statement))
    assert first != second
