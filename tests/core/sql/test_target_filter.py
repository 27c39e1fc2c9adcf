"""Row filters of tables that are updated and deleted from: the text that is sent."""

import pytest

from maskproxy.base.errors import Refused, StatementError
from maskproxy.base.refs import Generation
from maskproxy.core.plan import Stamp, plan_text
from maskproxy.core.policy.document import RulesDocument
from tests.support.catalogs import catalog
from tests.support.rules import compiled

RULES = """
version: 1
database: shop
labels: {pii: [public.customers.email]}
masks: {pii: {mask: redact}}
scopes:
  s:
    select: [public.customers, public.orders]
    insert: [public.customers, public.orders]
    update: [public.customers.name, public.customers.phone, public.orders.status]
    delete: [public.orders]
    rows: {public.orders: "status <> 'draft' AND total > 0"}
"""
SCOPE = compiled(catalog("shop"), RulesDocument.parse(RULES, "r.yaml")).scopes["s"]
FILTER = """("orders"."status" <> 'draft' AND "orders"."total" > 0)"""


def sent(sql: str) -> str:
    plan = plan_text(sql, SCOPE, ("public",), Stamp(Generation(1), Generation(1)))
    return plan.sql.replace(FILTER, "F").replace(FILTER.replace('"orders"', '"o"'), "Fo")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DELETE FROM orders", "DELETE FROM orders WHERE F"),
        ("DELETE FROM orders RETURNING id", "DELETE FROM orders WHERE F RETURNING id"),
        ("DELETE FROM ONLY public.orders o;", "DELETE FROM ONLY public.orders o WHERE Fo;"),
        (
            "DELETE FROM orders WHERE id=7",
            "DELETE FROM orders WHERE id=7 AND CASE WHEN F THEN (id=7) ELSE false END",
        ),
        (
            "UPDATE orders AS o SET status = 'x' WHERE o.id = $1 AND status = 'y' AND 1/total > 1 RETURNING o.id",
            "UPDATE orders AS o SET status = 'x' WHERE o.id = $1 AND status = 'y' AND CASE WHEN Fo THEN "
            "(o.id = $1 AND status = 'y' AND 1/total > 1) ELSE false END RETURNING o.id",
        ),
        (
            "UPDATE orders SET status = 'x' WHERE id = 1 OR 1/total > 1",
            "UPDATE orders SET status = 'x' WHERE CASE WHEN F THEN (id = 1 OR 1/total > 1) ELSE false END",
        ),
        (
            "UPDATE orders SET status = 'x' WHERE id = 1 -- all\n AND /* but */ total > 5 -- these",
            "UPDATE orders SET status = 'x' WHERE id = 1 AND CASE WHEN F THEN (id = 1 -- all\n AND /* but */ total > 5)"
            " ELSE false END -- these",
        ),
        (
            "UPDATE orders SET status = (SELECT name FROM customers WHERE customers.id = 1) WHERE id = 1 + 1",
            "UPDATE orders SET status = (SELECT name FROM customers WHERE customers.id = 1) WHERE CASE WHEN F THEN "
            "(id = 1 + 1) ELSE false END",
        ),
        (
            "UPDATE orders o SET status = 'x' FROM customers c WHERE id = 1 AND c.id = 2",
            None,  # ambiguous
        ),
        (
            "UPDATE orders o SET status = 'x' FROM customers c WHERE o.id = 1 AND c.id = o.id",
            "UPDATE orders o SET status = 'x' FROM customers c WHERE o.id = 1 AND CASE WHEN Fo THEN "
            "(o.id = 1 AND c.id = o.id) ELSE false END",
        ),
        (
            "WITH d AS (DELETE FROM orders WHERE public.orders.id = 1 RETURNING id) SELECT * FROM d",
            "WITH d AS (DELETE FROM orders WHERE CASE WHEN F THEN (public.orders.id = 1) ELSE false END RETURNING id) "
            "SELECT * FROM d",
        ),
        (
            "WITH d AS (DELETE FROM orders RETURNING id) INSERT INTO customers (name) SELECT 'x' FROM d",
            "WITH d AS (DELETE FROM orders WHERE F RETURNING id) INSERT INTO customers (name) SELECT 'x' FROM d",
        ),
        (
            "UPDATE customers SET (name, phone) = (SELECT max(status), min(status) FROM orders)",
            "UPDATE customers SET (name, phone) = (SELECT max(status), min(status) FROM (SELECT "
            '"id", "customer_id", "total", "status", "created_at" FROM "public"."orders" WHERE F OFFSET 0)'
            ' AS "orders")',
        ),
        ("UPDATE customers SET name = 'x' WHERE id = 1", "UPDATE customers SET name = 'x' WHERE id = 1"),
    ],
)
def test_sent(sql: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(StatementError):
            sent(sql)
    else:
        assert sent(sql) == expected


@pytest.mark.parametrize("literal", ["1", "'1'"])
def test_a_repeated_literal_is_not_shared_between_statements(literal: str) -> None:
    sql = f"DELETE FROM orders WHERE id = {literal} AND total > 5"
    (statement,) = plan_text(sql, SCOPE, ("public",), Stamp(Generation(1), Generation(1))).statements
    assert statement.analysis is not None
    assert sql.index(literal) in statement.analysis.literals
    assert sql.index("5") not in statement.analysis.literals


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders WHERE ctid = '(0,1)'",
        "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET status = 'x'",
        "INSERT INTO orders (id) VALUES (1)",
    ],
)
def test_refused(sql: str) -> None:
    with pytest.raises(Refused):
        sent(sql)
