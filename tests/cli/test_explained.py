"""What is told of uses that a label's ``use`` allows, and of masks that SQL cannot express."""

from dataclasses import replace

import pytest

from maskproxy.base.refs import ColumnRef, Generation
from maskproxy.cli import explained
from maskproxy.core.plan import Stamp, plan_text
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.ruleset import Scope
from tests.support.catalogs import catalog
from tests.support.rules import compiled

RULES = """
version: 1
database: shop
labels: {pii.email: [public.customers.email], finance: [public.customers.balance], pii.name: [public.customers.name]}
masks: {pii.email: {mask: email}, finance: {mask: round, to: 100}, pii.name: {mask: token}}
scopes: {agent: {select: [public.customers], use: {pii.email: equality, finance: any}}}
"""
STAMP = Stamp(Generation(1), Generation(1))
NAME = ColumnRef("public", "customers", "name")


@pytest.fixture
def scope() -> Scope:
    return compiled(catalog("shop"), RulesDocument.parse(RULES, "rules.yaml")).scopes["agent"]


def told(sql: str, scope: Scope) -> dict[str, str]:
    """By column and kind of use what happens."""
    (statement,) = explained.permit(plan_text(sql, scope, ("public",), STAMP), scope)["statements"]
    return {f"{each['use']} {each['column'].rsplit('.', 1)[1]}": each["happens"] for each in statement["uses"]}


def test_uses_that_are_allowed(scope: Scope) -> None:
    assert told("SELECT id FROM customers WHERE email = 'x' AND name = 'y' ORDER BY balance", scope) == {
        "filter email": "used as it is, by leave of `use: equality`: discloses who has the value",
        "filter name": "used by its masked value",
        "order balance": "used as it is, by leave of `use: any`",
    }
    assert told("SELECT id FROM customers WHERE email LIKE 'x'", scope) == {"filter email": "used by its masked value"}


def test_a_mask_without_a_form_in_sql(scope: Scope) -> None:
    scope = replace(scope, masks={**scope.masks, NAME: replace(scope.masks[NAME], sql=None)})
    plan = plan_text("SELECT upper(name) FROM customers WHERE name = 'y'", scope, ("public",), STAMP)
    (statement,) = explained.permit(plan, scope)["statements"]
    assert [each["how"] for each in statement["columns"]] == [
        "NULL in its place: the mask has no SQL form for the type"
    ]
    assert {each["happens"] for each in statement["uses"]} == {"used as NULL: its mask has no SQL form"}
