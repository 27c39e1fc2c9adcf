"""Decisions for a session: cached, bounded, and never an exception."""

import pytest

from maskproxy.base.errors import InvalidEncoding, Refused
from maskproxy.core.plan import Plan
from maskproxy.session import enforce
from maskproxy.session.enforce import Policy


def test_a_plan_is_made_once(policies: dict[str, Policy]) -> None:
    plan = policies["support"].decide("SELECT id FROM orders WHERE id = 77")
    assert policies["support"].cached("SELECT id FROM orders WHERE id = 77") is plan


def test_refusals_are_not_cached(policies: dict[str, Policy]) -> None:
    text = "SELECT id FROM customers WHERE ssn = 'x'"
    assert isinstance(policies["support"].decide(text), Refused)
    assert policies["support"].cached(text) is None


def test_text_that_is_no_utf8_is_refused_only_where_it_is_read(policies: dict[str, Policy]) -> None:
    assert isinstance(policies["support"].decide("SELECT '\udcff'"), InvalidEncoding)
    assert isinstance(policies["break-glass"].decide("SELECT '\udcff'"), Plan)


@pytest.mark.parametrize("error", [RecursionError(), MemoryError(), ValueError("secret literal"), KeyError("secret")])
def test_a_failing_analysis_refuses_and_quotes_nothing(
    policies: dict[str, Policy], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> Plan:
        raise error

    monkeypatch.setattr(enforce, "plan_text", fail)
    refusal = policies["support"].decide("SELECT 1 AS never_seen_before")
    assert isinstance(refusal, Refused)
    assert "secret" not in refusal.message
