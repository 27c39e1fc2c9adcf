"""The corpus, and the laws that each of its cases obeys without an expectation of its own."""

from functools import cache

import pytest

from maskproxy.base.errors import Refused, StatementError
from maskproxy.core.masks.table import MASKS
from maskproxy.core.plan import Plan
from tests.support.corpus import CORPUS, Case, agrees, all_cases, got, load_cases, masked_columns, plan, update


@cache
def cases(*, rewrite: bool) -> list[Case]:
    """All cases, collected once; with ``rewrite`` their files are first brought in line with what happens."""
    if rewrite:
        update(sorted(CORPUS.glob("*.yaml")))
    return all_cases()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``case`` is each of them, ``permitted`` and ``refused`` are those that a law speaks of."""
    found = cases(rewrite=metafunc.config.getoption("--update-corpus"))
    permitted = [each for each in found if each.model.want.decision == "permit" and each.model.scope != "break-glass"]
    # half a text joined with another half can be a whole one, so what cannot be parsed is no part of a law
    parsable = [each for each in found if each.model.want.because != ["unparsable"]]
    refused = [each for each in parsable if each.model.want.decision == "deny"]
    for name, some in (("case", found), ("permitted", permitted), ("refused", refused)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, some, ids=str)


def test_case(case: Case) -> None:
    found = got(case)
    assert agrees(case.model.want, found), f"{case} ({case.model.case})\n  want {case.model.want}\n  got  {found}"


def test_every_theme_has_cases() -> None:
    assert {path.stem for path in CORPUS.glob("*.yaml")} >= {
        "star", "join", "cte", "subquery", "union", "whole_row", "functions", "filters_on_masked", "denied",
        "unknown_names", "session_statements", "quoted_names", "refused_classes", "unparsable",
    }  # fmt: skip
    for path in CORPUS.glob("*.yaml"):
        assert len(list(load_cases(path))) >= 3, path


# The law "no detour weakens": what a statement shows masked, no way of asking for it shows less masked.

DETOURS = {
    "derived table": "SELECT * FROM ({sql}) AS detour",
    "common table expression": "WITH detour AS ({sql}) SELECT * FROM detour",
    "materialised": "WITH detour AS MATERIALIZED ({sql}) SELECT detour.* FROM detour",
    "two levels": "SELECT * FROM (SELECT * FROM ({sql}) AS one) AS two",
    "union all with itself": "({sql}) UNION ALL ({sql})",
    "limit": "SELECT * FROM ({sql}) AS detour LIMIT 1",
    "cross join": "SELECT detour.* FROM ({sql}) AS detour CROSS JOIN (VALUES (1)) AS other (x)",
    "lateral": "SELECT detour.* FROM (VALUES (1)) AS other (x), LATERAL ({sql}) AS detour",
    "left join": "SELECT detour.* FROM (VALUES (1)) AS other (x) LEFT JOIN ({sql}) AS detour ON true",
}
RANKS = {name: mask.rank for name, mask in MASKS.items()} | {"clear": 0}
REFUSED = 1000


def strictness(plan: Plan) -> list[int]:
    """By output column; what is computed of masked values is as strict as the strictest of them."""
    words = (mask.removeprefix("of ").split("+") for _, mask in masked_columns(plan))
    return [max(RANKS[word] for word in each) for each in words]


def detours(case: Case) -> dict[str, str]:
    """Ways of asking for the rows of the case's statement, when it is one plain query."""
    statements = plan(case).statements
    if len(statements) != 1 or statements[0].session or (analysis := statements[0].analysis) is None:
        return {}
    if analysis.carrier is not None:
        return {}
    sql = case.model.sql[analysis.start : analysis.end]
    return {name: detour.format(sql=sql) for name, detour in DETOURS.items()}


def test_no_detour_weakens(permitted: Case) -> None:
    direct = strictness(plan(permitted))
    for name, sql in detours(permitted).items():
        try:
            found = strictness(plan(permitted, sql))
        except StatementError:
            continue  # refused: the strictest there is
        assert len(found) == len(direct), f"{name}: {sql}"
        assert all(map(int.__ge__, found, direct)), f"{name}: {sql}"


def test_detours_are_not_simply_refused() -> None:
    """The law above would hold for an analysis that refuses everything."""
    (case,) = [each for each in cases(rewrite=False) if each.model.case == "a star of an alias"]
    direct = strictness(plan(case))
    for sql in detours(case).values():
        assert strictness(plan(case, sql)) == direct


def test_what_is_refused_stays_refused(refused: Case) -> None:
    """Behind a harmless statement, and as a part of a larger one that puts it out."""
    for detour in ("SELECT 1; {sql}", "EXPLAIN {sql}", *DETOURS.values()):
        with pytest.raises(StatementError):
            plan(refused, detour.format(sql=refused.model.sql.rstrip("; \n")))


def test_the_sql_that_is_sent_reads_the_same(permitted: Case) -> None:
    """Analysing what we send gives the same masks, but for those that are a part of what we send."""
    planned = plan(permitted)
    if any(statement.evaluated for statement in planned.statements):
        return
    try:
        again = plan(permitted, planned.sql)
    except Refused as error:
        # sqlglot reads a parenthesised join that begins with a subquery as another one; the server's parser does not
        if "read differently by two parsers" in error.message:
            return
        raise
    assert strictness(again) == strictness(planned)


def test_more_scopes_never_show_more_of_a_column(permitted: Case) -> None:
    model = permitted.model.model_copy(update={"scope": "support+analyst"})
    wider = Case(permitted.file, permitted.line, permitted.header, model)
    try:
        both = strictness(plan(wider))
    except StatementError:
        return  # refused: the strictest there is
    assert all(map(int.__ge__, both, strictness(plan(permitted))))
