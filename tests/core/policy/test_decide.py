"""The table in the docstring of ``decide``, row by row, on hand-made analyses."""

import pytest

from maskproxy.base.errors import ColumnRefused
from maskproxy.base.refs import ColumnRef
from maskproxy.core.policy.decide import decide
from maskproxy.core.policy.decision import Deny, Permit
from maskproxy.core.policy.ruleset import Denial, Scope
from maskproxy.core.sql.statement import Analysis, Output, StatementKind, Use, UseKind
from tests.support.catalogs import catalog
from tests.support.rules import compiled, read_rules

ID, SSN, EMAIL, NOTES = (ColumnRef("public", "customers", name) for name in ("id", "ssn", "email", "notes"))


@pytest.fixture(scope="module")
def scope() -> Scope:
    return compiled(catalog("shop"), read_rules("rules/demo.yaml")).scopes["support"]


def copied(column: ColumnRef, *others: ColumnRef) -> Output:
    return Output(column.column, frozenset({column, *others}), column)


def computed(*columns: ColumnRef, position: int | None = None) -> Output:
    return Output(None, frozenset(columns), None, position)


def select(*outputs: Output, uses: tuple[Use, ...] = (), start: int = 0) -> Analysis:
    return Analysis(kind=StatementKind.SELECT, start=start, end=start + 100, outputs=outputs, uses=uses)


def refusal(analysis: Analysis, scope: Scope) -> ColumnRefused:
    decision = decide(analysis, scope)
    assert isinstance(decision, Deny)
    assert isinstance(decision.error, ColumnRefused)
    return decision.error


def test_clear_columns_may_be_used_and_computed_with(scope: Scope) -> None:
    uses = tuple(Use(ID, kind) for kind in UseKind)
    assert decide(select(copied(ID), computed(ID), uses=uses), scope) == Permit((None, None))


def test_a_masked_column_that_is_copied_is_masked(scope: Scope) -> None:
    assert decide(select(copied(SSN), copied(ID), copied(EMAIL)), scope) == Permit(
        (scope.masks[SSN], None, scope.masks[EMAIL])
    )


@pytest.mark.parametrize("output", [computed(SSN), computed(ID, SSN), copied(ID, SSN), copied(EMAIL, SSN)])
def test_an_output_computed_from_a_masked_column_is_denied(scope: Scope, output: Output) -> None:
    assert refusal(select(copied(ID), output), scope).column == SSN


@pytest.mark.parametrize("kind", UseKind)
def test_any_use_of_a_masked_column_is_denied(scope: Scope, kind: UseKind) -> None:
    error = refusal(select(copied(SSN), uses=(Use(SSN, kind),)), scope)
    assert error.column == SSN
    assert error.detail is not None
    assert error.detail.startswith("The column is used in ")


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
    uses = (Use(SSN, UseKind.ORDER, 90), Use(EMAIL, UseKind.FILTER, 50), Use(NOTES, UseKind.FILTER))
    for order in (uses, uses[::-1]):
        assert refusal(select(computed(SSN, position=70), uses=order), scope).column == EMAIL


def test_no_table_no_clear_columns() -> None:
    lonely = ColumnRef("public", "gone", "ssn")
    base = compiled(catalog("shop"), read_rules("rules/demo.yaml")).scopes["support"]
    denial = Denial("r", base.location)
    scope = Scope("s", False, base.catalog, {}, {lonely: denial}, base.location)
    assert refusal(select(copied(lonely)), scope).hint == "Leave the column out."
