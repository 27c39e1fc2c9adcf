"""What a principal may do in a minute and an hour."""

from dataclasses import replace

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import Generation
from maskproxy.core.plan import Plan, Stamp, plan_text
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.scope_limits import ScopeLimits
from maskproxy.session.allowance import Meter, compared
from tests.support.catalogs import catalog
from tests.support.rules import compiled

RULES = """version: 1
database: shop
labels: {ssn: [public.customers.ssn], email: [public.customers.email]}
masks: {ssn: {mask: redact}, email: {mask: redact}}
scopes:
  s: {select: [public.customers], use: {ssn: equality, email: equality}}
"""
SCOPE = compiled(catalog("shop"), RulesDocument.parse(RULES, "r.yaml")).scopes["s"]


def plan(sql: str) -> Plan:
    return plan_text(sql, SCOPE, ("public",), Stamp(Generation(1), Generation(1)))


def hint(error: StatementError | None) -> str | None:
    return None if error is None else error.hint


ONE = plan("SELECT id FROM customers WHERE ssn = 'a'")
THREE = plan("SELECT id FROM customers WHERE ssn IN ('a', 'b', 'c')")
OTHER = plan("SELECT id FROM customers WHERE email = 'a'")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_statements_of_a_minute_come_back_with_time() -> None:
    clock = Clock()
    meter, limits = Meter(clock), ScopeLimits(statements_per_minute=6)
    assert [meter.take(limits, ONE) is None for _ in range(8)] == [True] * 6 + [False] * 2
    assert hint(meter.take(limits, ONE)) == "Try again in 10 seconds."
    clock.now += 10
    assert meter.take(limits, ONE) is None
    assert meter.take(limits, ONE) is not None
    assert hint(meter.take(limits, plan("SELECT 1; " * 7))) == "Ask for less at once."
    clock.now += 3600
    assert [meter.take(limits, ONE) is None for _ in range(7)] == [True] * 6 + [False]


def test_what_steers_the_session_is_free() -> None:
    meter, limits = Meter(Clock()), ScopeLimits(statements_per_minute=1)
    for sql in ("BEGIN", "SET TimeZone = 'UTC'", "ROLLBACK", "SHOW TimeZone", ""):
        assert meter.take(limits, plan(sql)) is None
    assert meter.take(limits, ONE) is None
    assert meter.take(limits, plan("COMMIT")) is None
    assert meter.take(limits, ONE) is not None


def test_comparisons_are_counted_by_column() -> None:
    clock = Clock()
    meter, limits = Meter(clock), ScopeLimits(equalities=4)
    assert meter.take(limits, THREE) is None
    assert meter.take(limits, THREE) is not None
    assert meter.take(limits, ONE) is None
    assert meter.take(limits, ONE) is not None
    assert meter.take(limits, OTHER) is None
    clock.now += 900
    assert meter.take(limits, ONE) is None
    assert meter.take(limits, ONE) is not None


def test_a_refused_statement_uses_up_nothing() -> None:
    meter, limits = Meter(Clock()), ScopeLimits(statements_per_minute=2, equalities=2)
    assert meter.take(limits, THREE) is not None
    assert meter.take(limits, ONE) is None
    assert meter.take(limits, ONE) is None


def test_workers_share_the_comparisons() -> None:
    limits = ScopeLimits(equalities=7)
    assert [Meter(Clock(), workers).take(limits, THREE) is None for workers in (1, 2, 3, 8)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert Meter(Clock(), 8).take(limits, ONE) is not None
    assert Meter(Clock(), 8).take(limits, plan("SELECT 1")) is None


def test_what_is_compared_when_it_runs() -> None:
    assert sum(compared(plan("PREPARE p AS SELECT id FROM customers WHERE ssn = 'a'")).values()) == 0
    prepared = plan("PREPARE p(text) AS SELECT id FROM customers WHERE ssn = $1")
    (carried,) = [statement.carried for statement in prepared.statements]
    assert carried is not None
    assert sum(compared(replace(prepared, statements=(carried,))).values()) == 1  # at EXECUTE, or when it was bound
    assert sum(compared(plan("DECLARE c CURSOR FOR SELECT id FROM customers WHERE ssn = 'a'")).values()) == 1
    both = compared(plan("SELECT id FROM customers WHERE ssn = 'a'; SELECT id FROM customers WHERE ssn IN ('b', 'c')"))
    assert list(both.values()) == [3]
