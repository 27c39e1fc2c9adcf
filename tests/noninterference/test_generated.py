"""Generated queries against both twins. MASKPROXY_GENERATED and MASKPROXY_SEED say how many, and where seeds start."""

import os
from collections.abc import Iterator

import pytest
from ruamel.yaml import YAML

from tests.noninterference import sqlsmith
from tests.noninterference.generated import TwinQueries
from tests.noninterference.replay import replay
from tests.noninterference.report import Report
from tests.noninterference.twins import Twins, base_of, rules_text, run_twins
from tests.support.debian import Unavailable
from tests.support.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(7200)]

COUNT = int(os.environ.get("MASKPROXY_GENERATED", "100"))
SEED = int(os.environ.get("MASKPROXY_SEED", "0"))
SMITHED = max(50, COUNT // 5)
MASKED = ("hidden", "realistic")
"""Not twins with other numbers of rows behind filters: the planner knows those numbers, and where no order is asked
for, rows come (and LIMIT takes them) in that of its plan."""


@pytest.fixture(scope="module")
def twins(postgres18: Server) -> Iterator[dict[str, Twins]]:
    with run_twins(postgres18) as twins:
        yield dict(twins)


@pytest.mark.parametrize("variant", MASKED)
def test_generated_queries(twins: dict[str, Twins], variant: str, report: Report) -> None:
    statements = [TwinQueries(seed).statement() for seed in range(SEED, SEED + COUNT)]
    replay(twins[variant], statements, report, least=0.6)


@pytest.mark.parametrize("variant", MASKED)
def test_statements_by_sqlsmith(twins: dict[str, Twins], variant: str, postgres18: Server, report: Report) -> None:
    base = base_of(twins[variant].left.name)
    try:
        statements = sqlsmith.statements(postgres18, base, seen(base), SEED, SMITHED)
    except Unavailable as error:
        pytest.skip(str(error))
    assert len(statements) == SMITHED
    replay(twins[variant], statements, report, least=0.4)


def seen(base: str) -> set[str]:
    """What the rules let the writer read; no column of routes, whose partitions a masked one makes."""
    scopes = YAML(typ="safe").load(rules_text(base))["scopes"]
    names = [name for scope in ("agent", "writer") for name in scopes[scope]["select"]]
    return {name.removeprefix("public.") for name in names} - {"routes"}
