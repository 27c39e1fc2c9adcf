"""Many statements against both twins: the same bytes from either, no answer missing, and enough of them served."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from maskproxy.cli.twins.transcript import Frame, RawSession
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.backend_messages import BackendType
from tests.noninterference.report import Report
from tests.noninterference.twins import Outcome, Play, Twin, Twins

BATCH = 50
READY_EACH = 6  # BEGIN, the statement and ROLLBACK, as a simple query and prepared
SERVED, FAILED = "served", "failed in the server"


def replay(twins: Twins, statements: Sequence[str], report: Report, *, least: float) -> None:
    """At least the given share must be served, or nothing is tested."""
    leaks: list[str] = []
    endings: Counter[str] = Counter()
    with twins.as_user("writer"):
        for begin in range(0, len(statements), BATCH):
            batch = statements[begin : begin + BATCH]
            whole = twins.compare(told_one_by_one(batch))
            left, right = answers(whole.left), answers(whole.right)
            assert min(len(left), len(right)) == len(batch), f"no answer to {batch[min(len(left), len(right))]}"
            endings.update(map(ending, left))
            differing = [each for each, one, two in zip(batch, left, right, strict=True) if one != two]
            found = [shown for each in differing if (shown := leak(twins, each))]
            endings["the same twin answers differently"] += len(differing) - len(found)
            leaks += found
    report.add("\n".join(f"{count:6} {name}" for name, count in endings.most_common(14)))
    assert not leaks, "\n\n".join(leaks)
    assert endings[SERVED] >= least * len(statements)


def leak(twins: Twins, statement: str) -> str | None:
    outcome = twins.compare(told_one_by_one([statement]))
    return f"{statement}\n{_difference(outcome)}" if outcome.differs else None


def told_one_by_one(statements: Sequence[str]) -> Play:
    """Each as a simple query and prepared, in transactions that are rolled back."""

    def play(twin: Twin) -> list[Frame]:
        with twin.session() as session:
            for statement in statements:
                _ask(session, statement)
            return session.frames

    return play


def _ask(session: RawSession, statement: str) -> None:
    session.query("BEGIN")
    session.query(statement)
    session.query("ROLLBACK")
    session.query("BEGIN")
    session.execute(statement, formats=(1,))
    session.query("ROLLBACK")


def answers(frames: Sequence[Frame]) -> list[list[Frame]]:
    """What each statement was sent, up to the second ROLLBACK's end. Without those that got no answer."""
    ends = [index for index, (kind, _) in enumerate(frames, 1) if kind == BackendType.READY_FOR_QUERY]
    edges = ends[::READY_EACH]  # the first is the greeting's
    return [list(frames[start:end]) for start, end in pairwise(edges)]


def ending(frames: Sequence[Frame]) -> str:
    """SERVED, or why not, without names."""
    for kind, payload in frames:
        if kind == BackendType.ERROR_RESPONSE:
            message = m.decode_backend(kind, payload)
            assert isinstance(message, m.ErrorResponse)
            fields = dict(message.fields)
            text = re.sub(r'"[^"]*"', '"…"', fields["M"])
            return f"{fields['C']} {text}" if fields["C"] in _OURS else FAILED
    return SERVED


_OURS: Final = frozenset({"42501", "42P01", "54000", "0A000"})


def _difference(outcome: Outcome) -> str:
    pairs = zip(outcome.left, outcome.right, strict=False)
    left, right = next(((a, b) for a, b in pairs if a != b), ((0, b"longer"), (0, b"shorter")))
    return f"left:  {left}\nright: {right}"
