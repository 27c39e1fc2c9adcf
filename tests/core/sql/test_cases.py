"""Every case says what its file says it does, and no detour changes what a statement reads."""

import pytest

from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.statement import Analysis, UseKind
from tests.core.sql.case_files import Case, Located, Want, load, result
from tests.core.sql.catalogs import shop

CASES = load()
READING = [each for each in CASES if isinstance(each.case.want, Want) and each.case.want.outputs]
NESTABLE = [  # sqlglot cannot read an ordered VALUES inside anything; writes stand at the top only
    each
    for each in READING
    if isinstance(each.case.want, Want)
    and not (each.case.want.writes or each.case.want.locks)
    and "set_config" not in each.case.sql
    and not each.case.sql.startswith("VALUES (1")
]


def parametrize(cases: list[Located]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [each.case for each in cases], ids=[each.where for each in cases])


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 350


@parametrize(CASES)
def test_case(case: Case) -> None:
    assert result(case.sql, shop(case.scope)) == case.want


@parametrize(NESTABLE)
@pytest.mark.parametrize(
    "detour", ["SELECT * FROM ({}) AS q", "WITH q AS ({}) SELECT * FROM q", "({0}) UNION ALL ({0})"]
)
def test_no_detour_changes_what_is_read(case: Case, detour: str) -> None:
    """Sources, copies and uses are the same inside a derived table, a CTE, and a union with itself."""
    catalog = shop(case.scope)
    (plain,) = analyse(case.sql, catalog)
    (wrapped,) = analyse(detour.format(case.sql[plain.start : plain.end]), catalog)
    assert _flows(wrapped) == _flows(plain)
    more = _uses(wrapped) - _uses(plain)
    assert _uses(plain) <= _uses(wrapped)
    # what is computed has no type that is known here, so UNION ALL may cast it
    assert {kind for _, kind in more} <= ({UseKind.SET_OPERATION} if "UNION ALL" in detour else set())


def _flows(analysis: Analysis) -> list[tuple[object, object]]:
    return [(each.sources, each.direct) for each in analysis.outputs]


def _uses(analysis: Analysis) -> set[tuple[object, object]]:
    return {(use.column, use.kind) for use in analysis.uses}
