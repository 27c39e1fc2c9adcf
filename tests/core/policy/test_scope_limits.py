"""Limits of several scopes together, and how long a statement may take whatever a client sets."""

import pytest

from maskproxy.base.errors import ConfigurationError, StatementError
from maskproxy.base.refs import Generation
from maskproxy.core.plan import Stamp, plan_text
from maskproxy.core.policy.compile import RuleSet
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.scope_limits import NO_LIMITS, ScopeLimits, strictest_limits
from tests.support.catalogs import catalog
from tests.support.rules import compiled

STAMP = Stamp(Generation(1), Generation(1))
RULES = """version: 1
database: shop
scopes:
  a: {select: [public.orders], limits: {rows: 10, seconds: 30, equalities: 5}}
  b: {include: [a], limits: {rows: 20, statements_per_minute: 7}}
  c: {select: [public.orders], limits: {seconds: 5}}
  free: {select: [public.orders]}
"""


def rules(text: str = RULES) -> RuleSet:
    return compiled(catalog("shop"), RulesDocument.parse(text, "r.yaml"))


def test_of_several_the_strictest() -> None:
    found = rules()
    assert found.scopes["free"].limits == NO_LIMITS
    assert found.scopes["b"].limits == ScopeLimits(rows=10, statements_per_minute=7, seconds=30, equalities=5)
    assert found.combine(("free", "c", "b")).limits == ScopeLimits(
        rows=10, statements_per_minute=7, seconds=5, equalities=5
    )
    assert strictest_limits([]) == NO_LIMITS


@pytest.mark.parametrize("limits", ["{rows: 0}", "{seconds: -1}", "{seconds: true}", "{minutes: 3}", "{equalities: x}"])
def test_what_is_no_limit(limits: str) -> None:
    with pytest.raises(ConfigurationError, match=r"r.yaml:4"):
        rules(RULES.replace("{rows: 10, seconds: 30, equalities: 5}", limits))


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, "5s"), ("0", "5s"), ("4000", "4000"), ("5000", "5000"), ("5001", "5s"), ("3s", "3s"), ("1min", "5s"),
        ("1h", "5s"), ("4999 ms", "4999 ms"), ("5d", "5s"), ("0s", "5s"), ("-1", "5s"), ("soon", "5s"), ("", "5s"),
    ],
)  # fmt: skip
def test_a_session_starts_with_at_most_the_limit(asked: str | None, given: str) -> None:
    assert ScopeLimits(seconds=5).timeout(asked) == given
    assert NO_LIMITS.timeout(asked) == asked


@pytest.mark.parametrize(
    "sql",
    [
        "SET statement_timeout = 5001",
        "SET statement_timeout = 0",
        "SET statement_timeout = '1us'",
        "SET LOCAL statement_timeout TO '1min'",
        "SET SESSION STATEMENT_TIMEOUT = '6s'",
        "BEGIN; SET statement_timeout = 0",
        "SELECT set_config('statement_timeout', '0', false)",
        "SELECT pg_catalog.set_config('Statement_Timeout', '1h', true)",
    ],
)
def test_no_more_time_can_be_set(sql: str) -> None:
    found = rules()
    with pytest.raises(StatementError, match="statement_timeout may be at most 5s"):
        plan_text(sql, found.scopes["c"], ("public",), STAMP)
    assert plan_text(sql, found.scopes["free"], ("public",), STAMP)


@pytest.mark.parametrize(
    "sql",
    [
        "SET statement_timeout = 5000",
        "SET statement_timeout TO '2s'",
        "SET statement_timeout TO DEFAULT",
        "RESET statement_timeout",
        "SELECT set_config('statement_timeout', '100', false)",
        "SET lock_timeout = 0",
    ],
)
def test_less_can(sql: str) -> None:
    assert plan_text(sql, rules().scopes["c"], ("public",), STAMP)
