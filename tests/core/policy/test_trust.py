"""Calls of functions that rules trust: what comes in, what goes out, and every form that stays refused."""

from dataclasses import replace

import pytest

from maskproxy.base.errors import ConfigurationError, StatementError
from maskproxy.base.refs import Generation, TableRef
from maskproxy.core.catalog import UserFunction
from maskproxy.core.plan import Plan, Stamp, plan_text
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.ruleset import RuleSet
from tests.support.catalogs import catalog
from tests.support.rules import compiled

FUNCTIONS = {
    TableRef("public", "f"): UserFunction(least=1, most=2),
    TableRef("public", "g"): UserFunction(least=0, most=None),
    TableRef("public", "twice"): UserFunction(least=1, most=1, only=False),
    TableRef("other", "twice"): UserFunction(least=1, most=1, only=False),
    TableRef("public", "rows_of"): UserFunction(least=1, most=1, unfit="it returns a set"),
    TableRef("public", "unnamed"): UserFunction(least=1, most=1),
}
SHOP = replace(catalog("shop"), user_functions=FUNCTIONS, functions=frozenset(ref.name for ref in FUNCTIONS))
RULES = """
version: 1
database: shop
labels: {pii: [public.customers.email, public.customers.ssn]}
masks: {pii: {mask: redact}}
scopes: {s: {select: [public.customers, public.orders]}}
trust: {functions: [%s]}
"""


def rules(*names: str) -> RuleSet:
    return compiled(SHOP, RulesDocument.parse(RULES % ", ".join(names), "r.yaml"))


TRUSTING = rules("public.f", "public.g", "public.twice")


def plan(sql: str) -> Plan:
    return plan_text(sql, TRUSTING.scopes["s"], ("public",), Stamp(Generation(1), Generation(1)))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT f(id) FROM orders",
        "SELECT public.f(id, total) AS x FROM orders WHERE public.f(id) = 1 ORDER BY g()",
        "SELECT g(1, 2, 3, 4)",
        "SELECT public.twice(id) FROM orders",
        "SELECT x FROM public.f(1) AS x",
        "SELECT sum(public.f(id)) OVER (PARTITION BY f(id)) FROM orders",
    ],
)
def test_served_as_it_is(sql: str) -> None:
    found = plan(sql)
    assert found.sql == sql
    assert found.touches_masked
    assert not found.reads_only


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT f(email) FROM customers",
        "SELECT id FROM customers WHERE public.f(email) = 1",
        "SELECT id FROM customers c ORDER BY f(c.email || '')",
        "SELECT g(c) FROM customers c",
    ],
)
def test_a_masked_argument_goes_in_masked(sql: str) -> None:
    assert "'[redacted]'" in plan(sql).sql


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT unnamed(1)", "function unnamed is not allowed"),
        ("SELECT rows_of(1)", "function rows_of is not allowed"),
        ("SELECT twice(1)", "function twice is ambiguous"),
        ("SELECT other.twice(1)", "function other.twice is not allowed"),
        ("SELECT pg_catalog.f(1)", "function pg_catalog.f is not allowed"),
        ("SELECT f()", "function public.f in this form"),
        ("SELECT f(1, 2, 3)", "function public.f in this form"),
        ("SELECT f(id) OVER () FROM orders", "function public.f in this form"),
        ("SELECT f(id ORDER BY id) FROM orders", "function public.f in this form"),
        ("EXPLAIN SELECT f(id) FROM orders", "EXPLAIN of a call of public.f"),
        ("SELECT id.f FROM orders", ""),
        ("SELECT (o).f FROM orders o", ""),
        ("SELECT o.f FROM orders o", ""),
    ],
)
def test_refused(sql: str, why: str) -> None:
    with pytest.raises(StatementError) as caught:
        plan(sql)
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("public.rows_of", "function `public.rows_of` cannot be trusted: it returns a set"),
        ("public.lower", "function `public.lower` cannot be trusted: a built-in or a type has its name"),
        ("public.orders", "unknown function `public.orders`"),
    ],
)
def test_what_cannot_be_trusted(name: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        rules(name)
