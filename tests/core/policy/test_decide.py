"""The table in the docstring of ``decide``, row by row, on hand-made analyses."""

from dataclasses import replace

import pytest

from maskproxy.base.errors import ColumnRefused
from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.policy.decide import decide
from maskproxy.core.policy.decision import Deny, Permit
from maskproxy.core.policy.ruleset import ColumnUse, Denial, Scope
from maskproxy.core.sql.statement import Analysis, Output, StatementKind, Use, UseKind
from tests.support.catalogs import catalog
from tests.support.rules import compiled, read_rules

CUSTOMERS = TableRef("public", "customers")
ID, SSN, EMAIL, DOB, NAME, PHONE, NOTES = (
    ColumnRef("public", "customers", name) for name in ("id", "ssn", "email", "dob", "name", "phone", "notes")
)
MASKED_COLUMNS = frozenset({SSN, EMAIL, DOB, NAME, PHONE})


@pytest.fixture(scope="module")
def scope() -> Scope:
    return compiled(catalog("shop"), read_rules("rules/demo.yaml")).scopes["support"]


def copied(column: ColumnRef, *others: ColumnRef) -> Output:
    return Output(column.column, frozenset({column, *others}), column)


def computed(*columns: ColumnRef, position: int | None = None) -> Output:
    return Output(None, frozenset(columns), None, position)


def select(*outputs: Output, uses: tuple[Use, ...] = (), start: int = 0) -> Analysis:
    return Analysis(
        kind=StatementKind.SELECT,
        start=start,
        end=start + 100,
        outputs=outputs,
        uses=uses,
        tables=frozenset({CUSTOMERS}),
    )


def refusal(analysis: Analysis, scope: Scope) -> ColumnRefused:
    decision = decide(analysis, scope)
    assert isinstance(decision, Deny)
    assert isinstance(decision.error, ColumnRefused)
    return decision.error


def permitted(analysis: Analysis, scope: Scope) -> Permit:
    decision = decide(analysis, scope)
    assert isinstance(decision, Permit)
    return decision


def test_clear_columns_may_be_used_and_computed_with(scope: Scope) -> None:
    uses = tuple(Use(ID, kind) for kind in UseKind)
    assert decide(select(copied(ID), computed(ID), uses=uses), scope) == Permit((None, None))


def test_a_masked_column_that_is_copied_is_masked(scope: Scope) -> None:
    assert decide(select(copied(SSN), copied(ID), copied(EMAIL)), scope) == Permit(
        (scope.masks[SSN], None, scope.masks[EMAIL])
    )


@pytest.mark.parametrize("output", [computed(SSN), computed(ID, SSN), copied(ID, SSN), copied(EMAIL, SSN)])
def test_an_output_computed_from_a_masked_column_is_denied_where_uses_are_refused(scope: Scope, output: Output) -> None:
    assert refusal(select(copied(ID), output), scope).column == SSN


@pytest.mark.parametrize("kind", UseKind)
def test_any_use_of_a_masked_column_is_denied_where_uses_are_refused(scope: Scope, kind: UseKind) -> None:
    error = refusal(select(copied(SSN), uses=(Use(SSN, kind),)), scope)
    assert error.column == SSN
    assert error.detail is not None
    assert error.detail.startswith("The column is used in ")


@pytest.mark.parametrize("kind", [kind for kind in UseKind if kind is not UseKind.SAMPLE])
def test_any_other_use_is_of_masked_values(scope: Scope, kind: UseKind) -> None:
    permit = permitted(select(copied(EMAIL), copied(SSN), uses=(Use(EMAIL, kind),)), scope)
    assert permit.evaluated == MASKED_COLUMNS
    assert permit.outputs == (None, None)


@pytest.mark.parametrize("output", [computed(EMAIL), computed(ID, EMAIL), copied(ID, EMAIL), copied(DOB, EMAIL)])
def test_an_output_computed_from_a_masked_column_is_computed_from_masked_values(scope: Scope, output: Output) -> None:
    assert permitted(select(copied(ID), output), scope).evaluated == MASKED_COLUMNS


def test_a_sample_of_a_masked_column_is_denied(scope: Scope) -> None:
    """Which rows are drawn depends on the widths of all raw values."""
    assert refusal(select(uses=(Use(EMAIL, UseKind.SAMPLE),)), scope).column == EMAIL


def allowing(scope: Scope, use: ColumnUse) -> Scope:
    return replace(scope, uses={EMAIL: use})


def test_equality_lets_a_column_be_compared_as_it_is(scope: Scope) -> None:
    once, twice = Use(EMAIL, UseKind.FILTER, 10, compared=1), Use(EMAIL, UseKind.JOIN, 20, compared=2)
    permit = permitted(select(copied(EMAIL), uses=(once, twice)), allowing(scope, ColumnUse.EQUALITY))
    assert permit.evaluated == frozenset()
    assert permit.outputs == (scope.masks[EMAIL],)
    assert permit.disclosed == {EMAIL: 3}


def test_equality_is_for_nothing_else(scope: Scope) -> None:
    uses = (Use(EMAIL, UseKind.FILTER, 10, compared=1), Use(EMAIL, UseKind.ORDER, 20))
    permit = permitted(select(copied(ID), uses=uses), allowing(scope, ColumnUse.EQUALITY))
    assert permit.evaluated == MASKED_COLUMNS
    assert permit.disclosed == {}


def test_other_columns_are_evaluated_beside_one_that_is_compared(scope: Scope) -> None:
    uses = (Use(EMAIL, UseKind.FILTER, 10, compared=1), Use(DOB, UseKind.FILTER, 20))
    permit = permitted(select(copied(EMAIL), copied(DOB), uses=uses), allowing(scope, ColumnUse.EQUALITY))
    assert permit.evaluated == MASKED_COLUMNS - {EMAIL}
    assert permit.outputs == (scope.masks[EMAIL], None)


@pytest.mark.parametrize("use", [ColumnUse.EQUALITY, ColumnUse.ANY])
def test_no_output_is_computed_from_what_is_used_as_it_is(scope: Scope, use: ColumnUse) -> None:
    """``SELECT email = 'x'`` would tell in each row what the mask hides."""
    uses = (Use(EMAIL, UseKind.EXPRESSION, 10, compared=1),)
    assert permitted(select(computed(EMAIL), uses=uses), allowing(scope, use)).evaluated == MASKED_COLUMNS


@pytest.mark.parametrize("kind", [kind for kind in UseKind if kind is not UseKind.SAMPLE])
def test_any_use_is_of_the_column_as_it_is(scope: Scope, kind: UseKind) -> None:
    permit = permitted(select(copied(EMAIL), uses=(Use(EMAIL, kind),)), allowing(scope, ColumnUse.ANY))
    assert (permit.evaluated, permit.outputs) == (frozenset(), (scope.masks[EMAIL],))


def test_where_rows_cannot_be_masked_all_is_evaluated(scope: Scope) -> None:
    decision = decide(select(copied(EMAIL), copied(ID)), scope, evaluate=True)
    assert decision == Permit((None, None), MASKED_COLUMNS)
    uses = (Use(EMAIL, UseKind.FILTER, 10, compared=1),)
    assert isinstance(
        decide(select(copied(EMAIL), uses=uses), allowing(scope, ColumnUse.EQUALITY), evaluate=True), Deny
    )


@pytest.mark.parametrize(
    "analysis", [select(copied(NOTES)), select(computed(NOTES)), select(uses=(Use(NOTES, UseKind.FILTER),))]
)
def test_a_denied_column_is_denied_anywhere(scope: Scope, analysis: Analysis) -> None:
    error = refusal(analysis, scope)
    assert (error.column, error.rule) == (NOTES, "scopes.support.deny")


def test_a_denied_column_that_analysis_calls_a_copy_of_nothing(scope: Scope) -> None:
    assert isinstance(decide(select(Output("notes", frozenset(), NOTES)), scope), Deny)


def test_the_refusal_says_what_where_why_and_what_instead(scope: Scope) -> None:
    error = refusal(select(copied(ID), uses=(Use(SSN, UseKind.FILTER, 60),), start=20), scope)
    assert error.message == 'permission denied for column "ssn" of "customers" (rule `masks.pii.ssn`)'
    assert error.detail is not None
    assert "a condition (WHERE" in error.detail
    assert "rules/demo.yaml:16" in error.detail
    assert error.hint == (
        "Select the column as it is to get its masked value (mask partial); "
        "filter, join and sort on clear columns such as id, balance, created_at, tags."
    )
    assert error.position == 61
    assert (error.sqlstate, error.errno) == ("42501", 1143)
    assert error.location == scope.masks[SSN].location


def test_the_first_refusal_in_the_text_is_told(scope: Scope) -> None:
    uses = (Use(SSN, UseKind.ORDER, 90), Use(NOTES, UseKind.FILTER, 50), Use(SSN, UseKind.FILTER))
    for order in (uses, uses[::-1]):
        assert refusal(select(computed(SSN, position=70), uses=order), scope).column == NOTES


def test_no_table_no_clear_columns() -> None:
    lonely = ColumnRef("public", "gone", "ssn")
    base = compiled(catalog("shop"), read_rules("rules/demo.yaml")).scopes["support"]
    denial = Denial("r", base.location)
    scope = Scope("s", False, base.catalog, {}, {lonely: denial}, base.location)
    assert refusal(select(copied(lonely)), scope).hint == "Leave the column out."
