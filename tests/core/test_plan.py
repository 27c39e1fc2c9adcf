"""From text to plan over the demo's rules; what each statement is decided stands in the corpus."""

import pytest

from maskproxy.base.errors import ColumnRefused, StatementError
from maskproxy.base.refs import Generation
from maskproxy.core.plan import Plan, Stamp, plan_text
from maskproxy.core.policy.compile import RuleSet
from maskproxy.core.sql.statement import Verb
from tests.support.catalogs import catalog
from tests.support.rules import compiled, read_rules

STAMP = Stamp(Generation(3), Generation(4))


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return compiled(catalog("shop"), read_rules("rules/demo.yaml"))


def planned(rules: RuleSet, text: str, scope: str = "support") -> Plan:
    return plan_text(text, rules.scopes[scope], ("public",), STAMP)


def test_a_select(rules: RuleSet) -> None:
    plan = planned(rules, "SELECT id, ssn FROM customers")
    assert (plan.stamp, plan.transparent, plan.reads_only, plan.touches_masked) == (STAMP, False, True, True)
    (statement,) = plan.statements
    assert statement.masks
    assert statement.outputs is not None
    assert [mask and mask.name for mask in statement.outputs] == [None, "partial"]


def test_every_statement_is_spliced_where_it_stands(rules: RuleSet) -> None:
    text = "SELECT * FROM customers; SELECT total FROM orders; SELECT c.* FROM public.customers AS c"
    plan = planned(rules, text)
    pieces = plan.sql.split(";")
    assert len(pieces) == 3
    assert pieces[1] == " SELECT total FROM orders"
    assert all("notes" not in piece and "SELECT" in piece.split("FROM", 1)[1] for piece in (pieces[0], pieces[2]))
    assert plan.text == text


def test_a_table_without_masks_is_left_alone(rules: RuleSet) -> None:
    plan = planned(rules, "SELECT total FROM orders")
    assert plan.sql == plan.text
    assert not plan.touches_masked
    assert not plan.statements[0].masks


def test_session_statements_have_no_outputs(rules: RuleSet) -> None:
    plan = planned(rules, "BEGIN")
    (statement,) = plan.statements
    assert statement.outputs is None
    assert statement.session is not None
    assert statement.session.verb is Verb.BEGIN
    assert plan.reads_only


def test_a_select_that_changes_a_setting_has_both(rules: RuleSet) -> None:
    (statement,) = planned(rules, "SELECT set_config('application_name', 'x', false)").statements
    assert statement.outputs == (None,)
    assert statement.session is not None


def test_an_empty_text(rules: RuleSet) -> None:
    assert planned(rules, " ; -- nothing").statements == ()


def test_one_refused_statement_refuses_the_text(rules: RuleSet) -> None:
    text = "SELECT 1; SELECT 2 FROM customers WHERE ssn = 'x'"
    with pytest.raises(ColumnRefused) as caught:
        planned(rules, text)
    assert caught.value.position is not None
    assert text[caught.value.position - 1 :].startswith("ssn =")


def test_an_unrestricted_scope_is_not_even_parsed(rules: RuleSet) -> None:
    plan = planned(rules, "this is no SQL", "break-glass")
    assert (plan.sql, plan.transparent, plan.statements, plan.reads_only) == ("this is no SQL", True, (), False)


def test_literals_are_not_in_refusals(rules: RuleSet) -> None:
    for text in (
        "SELECT id FROM customers WHERE ssn = 'hunter2'",
        "SELEC 'hunter2'",
        "UPDATE orders SET status = 'hunter2'",
    ):
        with pytest.raises(StatementError) as caught:
            planned(rules, text)
        assert "hunter2" not in f"{caught.value.message}{caught.value.detail}{caught.value.hint}"
