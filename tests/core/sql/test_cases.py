"""Every case says what its file says it does, and no detour changes what a statement reads."""

import pytest

from maskproxy.base.errors import StatementError
from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.statement import Analysis, StatementKind
from tests.core.sql.case_files import Case, Located, load, result
from tests.core.sql.catalogs import shop

CASES = load()
READING = [each for each in CASES if not isinstance(each.case.want, list) and each.case.want.outputs]


def parametrize(cases: list[Located]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [each.case for each in cases], ids=[each.where for each in cases])


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 350


@parametrize(CASES)
def test_case(case: Case) -> None:
    assert result(case.sql, shop(case.scope)) == case.want


@parametrize(READING)
def test_a_derived_table_changes_nothing(case: Case) -> None:
    """What ``SELECT * FROM (...) q`` outputs comes from the same columns; it uses at least the same."""
    plain, wrapped = _both(case, "SELECT * FROM ({}) AS q")
    assert [(each.name, each.sources, each.direct) for each in wrapped.outputs] == [
        (each.name, each.sources, each.direct) for each in plain.outputs
    ]
    assert _uses(plain) == _uses(wrapped)


@parametrize(READING)
def test_a_cte_changes_nothing(case: Case) -> None:
    plain, wrapped = _both(case, "WITH q AS ({}) SELECT * FROM q")
    assert [(each.sources, each.direct) for each in wrapped.outputs] == [
        (each.sources, each.direct) for each in plain.outputs
    ]
    assert _uses(plain) == _uses(wrapped)


@parametrize(READING)
def test_a_union_with_itself_changes_nothing(case: Case) -> None:
    plain, wrapped = _both(case, "({0}) UNION ALL ({0})")
    assert [(each.sources, each.direct) for each in wrapped.outputs] == [
        (each.sources, each.direct) for each in plain.outputs
    ]
    assert _uses(plain) == _uses(wrapped)


def _both(case: Case, detour: str) -> tuple[Analysis, Analysis]:
    catalog = shop(case.scope)
    (plain,) = analyse(case.sql, catalog)
    if plain.kind is not StatementKind.SELECT or plain.session is not None:
        pytest.skip("not a query that may stand in another")
    text = case.sql[plain.start : plain.end]
    try:
        (wrapped,) = analyse(detour.format(text), catalog)
    except StatementError as error:
        pytest.skip(f"refused inside another query: {error.message}")
    return plain, wrapped


def _uses(analysis: Analysis) -> set[tuple[object, object]]:
    return {(use.column, use.kind) for use in analysis.uses}
