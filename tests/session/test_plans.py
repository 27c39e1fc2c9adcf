"""The cache of plans: what is found again, by text and by shape, and that it is what a new analysis would say."""

from dataclasses import replace
from functools import cache

import pytest

from maskproxy.base.errors import StatementError
from maskproxy.core.plan import Plan
from maskproxy.core.policy.ruleset import Scope
from maskproxy.session.enforce import Policy
from maskproxy.session.plans import PlanCache
from tests.core.sql.generated import Generator
from tests.session.mutated import check_together
from tests.support.corpus import SEARCH_PATH, all_cases
from tests.support.rules import compiled, read_rules

BOUND = 1 << 24


def cache_of(*plans: Plan | StatementError) -> PlanCache:
    filled = PlanCache(BOUND)
    for plan in plans:
        assert isinstance(plan, Plan)
        filled.put(plan)
    return filled


# What is found


def test_the_same_text_finds_the_same_plan(policies: dict[str, Policy]) -> None:
    plan = policies["support"].decide("SELECT 1")
    assert cache_of(plan).get("SELECT 1") is plan


def test_other_literals_find_the_plan_as_another_instance(policies: dict[str, Policy]) -> None:
    plans = cache_of(policies["support"].decide("SELECT id, email FROM customers WHERE id = 1 AND name <> 'x'"))
    text = "SELECT id, email FROM customers WHERE id = 22 AND name <> 'it''s'"
    found, another = plans.get(text), plans.get(text.replace("22", "3"))
    assert found is not None
    assert another is not None
    assert (found.text, found.sql) == (text, text)
    assert found.statements is another.statements
    assert found.pattern is another.pattern is not None


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id, email FROM customers WHERE id = 22 and name <> 'y'",
        "SELECT id, email FROM customers WHERE id = 22  AND name <> 'y'",
        "SELECT id, email FROM customers WHERE id = '22' AND name <> 'y'",
        "SELECT id, email FROM customers WHERE id = 2.5 AND name <> 'y'",
        "SELECT id, email FROM customers WHERE id = 1e2 AND name <> 'y'",
        "SELECT id, email FROM customers WHERE id = 22 AND name <> E'y'",
        "SELECT email, id FROM customers WHERE id = 22 AND name <> 'y'",
        "SELECT id, email FROM customers WHERE id = 22 AND name <> 'y' OR true",
        "SELECT id, email FROM customers WHERE id = 22 AND name <> 'y",
    ],
)
def test_anything_else_does_not(policies: dict[str, Policy], text: str) -> None:
    plans = cache_of(policies["support"].decide("SELECT id, email FROM customers WHERE id = 1 AND name <> 'x'"))
    assert plans.get(text) is None


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("SELECT id, email FROM customers ORDER BY 1", "SELECT id, email FROM customers ORDER BY 2"),
        ("SELECT id, count(*) FROM orders GROUP BY 1", "SELECT id, count(*) FROM orders GROUP BY 2"),
        ("SELECT DISTINCT ON (1) id, total FROM orders", "SELECT DISTINCT ON (2) id, total FROM orders"),
        ("SELECT current_setting('TimeZone')", "SELECT current_setting('data_directory')"),
        ("SELECT set_config('TimeZone', 'UTC', false)", "SELECT set_config('role', 'root', false)"),
        ("SET application_name = 'a'", "SET application_name = 'b'"),
        ("SELECT id::float(24) FROM orders", "SELECT id::float(53) FROM orders"),
        ("SELECT id FROM orders ORDER BY 1; SELECT 1", "SELECT id FROM orders ORDER BY 7; SELECT 1"),
    ],
)
def test_literals_that_matter_must_be_the_same(policies: dict[str, Policy], text: str, other: str) -> None:
    plans = cache_of(policies["support"].decide(text))
    assert plans.get(text) is not None
    assert plans.get(other) is None


def test_variants_of_one_shape_live_side_by_side(policies: dict[str, Policy]) -> None:
    texts = [f"SELECT id, total FROM orders WHERE id > 1 ORDER BY {number}" for number in (1, 2)]
    plans = cache_of(*map(policies["support"].decide, texts))
    found = [plans.get(text.replace("> 1", "> 5")) for text in texts]
    assert [plan.pattern.text if plan is not None and plan.pattern is not None else None for plan in found] == texts


def test_what_was_not_used_for_longest_is_dropped(policies: dict[str, Policy]) -> None:
    plan = policies["support"].decide("SELECT id FROM orders")
    assert isinstance(plan, Plan)
    plans = PlanCache(3 * 5000)
    for text in "abc":
        plans.put(replace(plan, text=text, sql=text))
    assert plans.get("a") is not None
    plans.put(replace(plan, text="d", sql="d"))
    assert [plans.get(text) is not None for text in "abcd"] == [True, False, True, True]


def test_many_shapes_and_variants_stay_bounded(policies: dict[str, Policy]) -> None:
    plan = policies["support"].decide("SELECT id, total FROM orders ORDER BY 1")
    assert isinstance(plan, Plan)
    plans = PlanCache(BOUND)
    for number in range(100):
        plans.put(replace(plan, text=f"SELECT id, total FROM orders ORDER BY {number}", sql=plan.sql))
    for number in range(10_000):
        plans.put(replace(plan, text=f"SELECT {'x' * number}", sql=""))
    assert plans.weight <= 2 * BOUND


# That it is right: whatever is found is what a new analysis says, but for positions


def check(texts: list[str], scope: Scope, mutated: int) -> int:
    """Checks each text under mutation, and returns how many were found."""
    return sum(check_together([text], scope, SEARCH_PATH, mutated) for text in texts)


@cache
def demo(scope: str) -> Scope:
    from tests.support.catalogs import catalog

    return compiled(catalog("shop"), read_rules("rules/demo.yaml")).combine((scope,))


def test_the_corpus_with_other_literals() -> None:
    by_scope: dict[str, tuple[Scope, list[str]]] = {}
    for case in all_cases():
        name = f"{case.header.catalog} {case.header.rules} {case.model.scope}"
        scope = by_scope.setdefault(name, (case.ruleset.combine(tuple(case.model.scope.split("+"))), []))
        scope[1].append(case.model.sql)
    assert sum(check(texts, scope, 12) for scope, texts in by_scope.values()) > 150


def test_generated_statements_with_other_literals() -> None:
    texts = [Generator(seed).query()[0] for seed in range(150)]
    assert check(texts, demo("support"), 3) > 100
