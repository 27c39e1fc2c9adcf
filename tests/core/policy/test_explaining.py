"""What EXPLAIN may not show besides masked values: definitions of views, names of hidden tables."""

from dataclasses import replace

import pytest

from maskproxy.base.errors import Refused
from maskproxy.base.refs import TableRef
from maskproxy.core.catalog import Catalog, RelationKind
from maskproxy.core.policy.explaining import refuse_explain, shapes_plan
from maskproxy.core.policy.ruleset import Scope
from maskproxy.core.sql.statement import Analysis, StatementKind, Use, UseKind
from tests.support.corpus import ruleset

ORDERS, PAYROLL = TableRef("public", "orders"), TableRef("public", "payroll")
EXPLAIN = Analysis(kind=StatementKind.EXPLAIN, start=0, end=1, tables=frozenset({ORDERS}))


@pytest.fixture
def scope() -> Scope:
    return ruleset("shop", "rules/demo.yaml").combine(("support",))


def with_orders(scope: Scope, **changes: object) -> Scope:
    tables = dict(scope.catalog.tables)
    tables[ORDERS] = replace(tables[ORDERS], **changes)  # type: ignore[arg-type]
    return replace(scope, catalog=Catalog(generation=scope.catalog.generation, tables=tables))


def test_a_plan_depends_on_how_many_rows_a_filter_hides(scope: Scope) -> None:
    error = refuse_explain(EXPLAIN, with_orders(scope, filter='"orders"."id" < 5'))
    assert error is not None
    assert "not all of its rows" in error.message


def test_tables_may_be_explained(scope: Scope) -> None:
    assert refuse_explain(EXPLAIN, scope) is None


def test_a_view_would_show_its_definition(scope: Scope) -> None:
    error = refuse_explain(EXPLAIN, with_orders(scope, kind=RelationKind.VIEW))
    assert isinstance(error, Refused)
    assert "definition" in error.message


@pytest.mark.parametrize("changes", [{"hidden": True}, {"children": frozenset({PAYROLL})}])
def test_hidden_tables_would_show(scope: Scope, changes: dict[str, object]) -> None:
    assert isinstance(refuse_explain(EXPLAIN, with_orders(scope, **changes)), Refused)


@pytest.mark.parametrize(
    ("kind", "combines", "use", "tells"),
    [
        (StatementKind.EXPLAIN, False, UseKind.GROUP, True),
        (StatementKind.EXPLAIN, False, UseKind.FILTER, False),
        (StatementKind.EXPLAIN, True, UseKind.FILTER, True),
        (StatementKind.SELECT, True, UseKind.GROUP, False),
    ],
)
def test_uses_that_tell(scope: Scope, kind: StatementKind, combines: bool, use: UseKind, tells: bool) -> None:
    column = next(iter(scope.masks))
    analysis = replace(EXPLAIN, kind=kind, combines=combines)
    assert shapes_plan(Use(column, use), analysis, scope) is tells
