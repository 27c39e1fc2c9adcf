"""Generated queries against both twins. MASKPROXY_GENERATED and MASKPROXY_SEED say how many, and where seeds start."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from maskproxy.cli.twins.transcript import Frame, RawSession, render
from maskproxy.wire.postgres.backend_messages import BackendType
from tests.noninterference.generated import TwinQueries
from tests.noninterference.report import Report
from tests.noninterference.twins import VARIANTS, Outcome, Play, Twin, Twins, run_twins
from tests.support.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(3600)]

COUNT = int(os.environ.get("MASKPROXY_GENERATED", "100"))
SEED = int(os.environ.get("MASKPROXY_SEED", "0"))
BATCH = 50


@pytest.fixture(scope="module")
def twins(postgres18: Server) -> Iterator[dict[str, Twins]]:
    with run_twins(postgres18) as twins:
        yield dict(twins)


@pytest.mark.parametrize("variant", VARIANTS)
def test_generated_queries(twins: dict[str, Twins], variant: str, report: Report) -> None:
    statements = [TwinQueries(seed).statement() for seed in range(SEED, SEED + COUNT)]
    replay(twins[variant], statements, report, least=0.6)


def replay(twins: Twins, statements: Sequence[str], report: Report, *, least: float) -> None:
    """Every statement as a simple query and prepared; at least the given share must be served, or nothing is tested."""
    leaks: list[str] = []
    endings: Counter[str] = Counter()
    for begin in range(0, len(statements), BATCH):
        batch = statements[begin : begin + BATCH]
        whole = twins.compare(told_one_by_one(batch))
        endings.update(ending(frames) for frames in answers(whole.left))
        if whole.left != whole.right:
            leaks += [found for each in batch if (found := leak(twins, each))]
    report.add("\n".join(f"{count:6} {name}" for name, count in endings.most_common(12)))
    assert not leaks, "\n\n".join(leaks)
    assert endings["served"] >= least * len(statements)


def leak(twins: Twins, statement: str) -> str | None:
    outcome = twins.compare(told_one_by_one([statement]))
    return f"{statement}\n{_difference(outcome)}" if outcome.differs else None


def told_one_by_one(statements: Sequence[str]) -> Play:
    def play(twin: Twin) -> list[Frame]:
        with twin.session() as session:
            for statement in statements:
                _ask(session, statement)
            return session.frames

    return play


def _ask(session: RawSession, statement: str) -> None:
    session.query(statement)
    session.execute(statement, formats=(1,))


def answers(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    """What each simple query was sent: every other stretch up to ReadyForQuery, after the greeting's."""
    stretch: list[Frame] = []
    number = 0
    for frame in frames:
        stretch.append(frame)
        if frame[0] == BackendType.READY_FOR_QUERY:
            if number % 2:
                yield stretch
            stretch, number = [], number + 1


def ending(frames: Sequence[Frame]) -> str:
    """``served``, or why not, without names."""
    for kind, payload in frames:
        if kind == BackendType.ERROR_RESPONSE:
            text = render([(kind, payload)])
            code, message = re.search(r"C=(\w+) M=(.*?)( [DHPF]=|$)", text, re.DOTALL).groups()[:2]  # type: ignore[union-attr]
            ours = code in ("42501", "42P01", "54000", "0A000")
            return f"{code} " + re.sub(r'"[^"]*"', '"…"', message) if ours else "failed in the server"
    return "served"


def _difference(outcome: Outcome) -> str:
    pairs = zip(outcome.left, outcome.right, strict=False)
    left, right = next(((a, b) for a, b in pairs if a != b), ((0, b"longer"), (0, b"shorter")))
    return f"left:  {render([left])}\nright: {render([right])}"
