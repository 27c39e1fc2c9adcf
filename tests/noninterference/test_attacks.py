"""Every attack against both twins: whatever it does, the client must be sent the same bytes by either."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
import pytest

from maskproxy.cli.twins.transcript import Frame, render, served
from maskproxy.wire.postgres.backend_messages import IDLE, BackendType
from tests.noninterference.attacks import MOVES as ON_THE_PROTOCOL
from tests.noninterference.attacks import WRITE, Attack, corpus, on_filters, ours
from tests.noninterference.moves import MOVES
from tests.noninterference.report import Report
from tests.noninterference.twins import VARIANTS, Outcome, Play, Twin, Twins, run_twins
from tests.support.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

OWN_MOVES = [
    Attack(id=name, category=ON_THE_PROTOCOL, expected="sanitise", statements=("123-45-6789", "888-11-2222"))
    for name in MOVES
    if not name.startswith("PX-")
]
WRITES = [attack for attack in ours() if attack.category == WRITE]
BATCHES: Mapping[str, Sequence[Attack]] = {
    "ours": [*(attack for attack in ours() if attack.category != WRITE), *OWN_MOVES]
}
if corpus():  # where it lies beside the repository
    BATCHES = {**BATCHES, "corpus": corpus()}
AT_LEAST = 0.85  # of what is to be masked is served masked, not refused


@pytest.fixture(scope="module")
def twins18(postgres18: Server) -> Iterator[Mapping[str, Twins]]:
    with run_twins(postgres18) as twins:
        yield twins


@pytest.fixture(scope="module")
def twins15(postgres15: Server) -> Iterator[Mapping[str, Twins]]:
    with run_twins(postgres15) as twins:
        yield twins


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_attacks_on_18(twins18: Mapping[str, Twins], variant: str, batch: str, report: Report) -> None:
    run(twins18[variant], BATCHES[batch], report)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_attacks_on_15(twins15: Mapping[str, Twins], variant: str, batch: str, report: Report) -> None:
    run(twins15[variant], BATCHES[batch], report)


@pytest.mark.parametrize(("variant", "at_least"), [("hidden", AT_LEAST), ("realistic", AT_LEAST), ("filtered", 0.7)])
def test_writes_on_18(twins18: Mapping[str, Twins], variant: str, at_least: float, report: Report) -> None:
    """Rows are not inserted into filtered tables with keys, so less is served there."""
    run_writes(twins18[variant], report, at_least)


def test_writes_on_15(twins15: Mapping[str, Twins], report: Report) -> None:
    run_writes(twins15["realistic"], report)


def test_row_filters_on_18(twins18: Mapping[str, Twins], report: Report) -> None:
    run(twins18["filtered"], on_filters(), report)


def test_row_filters_on_15(twins15: Mapping[str, Twins], report: Report) -> None:
    run(twins15["filtered"], on_filters(), report)


def run(twins: Twins, attacks: Sequence[Attack], report: Report) -> None:
    tally = Tally(twins.secrets())
    for attack in attacks:
        attempt(twins, attack, spoken, tally)
    tally.check(report)


def run_writes(twins: Twins, report: Report, at_least: float = AT_LEAST) -> None:
    """Whatever writes, under a scope that may write: what it leaves where everybody may see it is compared, too."""
    tally = Tally(twins.secrets())
    with twins.as_user("writer"):
        for attack in [*WRITES, *(attack for batch in BATCHES.values() for attack in batch if attack.writes)]:
            if attack.category != "row-filter":  # the rules have none
                attempt(twins, attack, spoken_once, tally)
    tally.check(report, at_least)


def attempt(twins: Twins, attack: Attack, speak: Callable[[Sequence[str]], Play], tally: "Tally") -> None:
    play = MOVES[attack.id] if attack.category == ON_THE_PROTOCOL else speak(attack.statements)
    try:
        outcome = twins.compare(play, attack.setup)
    except psycopg.Error as error:
        tally.impossible.append(f"{attack.id} ({type(error).__name__} in its setup)")
    else:
        tally.add(attack, outcome)
    twins.restore()


def spoken(statements: Sequence[str]) -> Play:
    """The statements in one session as simple queries, then as prepared ones with text and with binary results."""

    def play(twin: Twin) -> list[Frame]:
        with twin.session() as session:
            for statement in statements:
                session.query(statement)
            if session.status != IDLE:
                session.query("ROLLBACK")
            session.query("DISCARD ALL")
            for statement in statements:
                session.execute_twice(statement)
            return session.frames

    return play


def spoken_once(statements: Sequence[str]) -> Play:
    """The statements as simple queries. Behind the first line of a COPY stands what is copied."""

    def play(twin: Twin) -> list[Frame]:
        with twin.session() as session:
            for statement in statements:
                head, _, session.copied = statement.partition("\n")
                session.query(head if session.copied else statement)
            return session.frames

    return play


@dataclass(slots=True)
class Tally:
    secrets: frozenset[str]
    leaks: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)
    refused_masks: list[str] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, attack: Attack, outcome: Outcome) -> None:
        counts = self.counts.setdefault(attack.category, Counter())
        ending = self.ending(attack, outcome)
        counts["all"] += 1
        counts[ending] += 1
        if attack.expected == "mask":
            counts["to be masked"] += 1
            counts["served masked"] += ending == "masked"
            if ending != "masked":
                self.refused_masks.append(attack.id)
        if outcome.noise:
            self.noise.append(attack.id)
        if found := self.finding(attack, outcome):
            counts["leaks"] += 1
            self.leaks.append(f"{attack.id}: {found}\n" + "\n".join(attack.statements))

    def check(self, report: Report, at_least: float = AT_LEAST) -> None:
        """Nothing leaked, and the way to that is not that everything was refused."""
        report.add(self.table())
        assert not self.leaks, "\n\n".join(self.leaks)
        total: Counter[str] = sum(self.counts.values(), Counter())
        assert total["served masked"] >= at_least * total["to be masked"] > 0, self.refused_masks

    def finding(self, attack: Attack, outcome: Outcome) -> str | None:
        if outcome.differs:
            return "the twins answer differently\n" + difference(outcome)
        if outcome.marked:
            return "what was written where it is clear differs"
        for frames in (outcome.left, outcome.right):
            transcript = render(frames)
            if told := attack.told(transcript):
                return f"the transcript has {told!r}, what the attack is after"
            raw = b"".join(payload for _, payload in frames)
            for secret in self.secrets:
                if secret.encode() in raw and not attack.says(secret):
                    return f"the transcript has the protected value {secret!r}"
            if any(kind == 0 and payload == b"no answer" for kind, payload in frames):
                return "no answer in time"
        return None

    def ending(self, attack: Attack, outcome: Outcome) -> str:
        """How the simple queries ended, that is, before the first ROLLBACK of ours."""
        moves = attack.category == ON_THE_PROTOCOL
        frames = outcome.left if moves else first_pass(outcome.left, len(attack.statements))
        if served(frames) or (moves and has_rows(frames)):
            return "masked"
        ours = any(kind == BackendType.ERROR_RESPONSE and refused(payload) for kind, payload in frames)
        return "refused" if ours else "sanitised"

    def table(self) -> str:
        total: Counter[str] = sum(self.counts.values(), Counter())
        lines = [f"{'category':22}" + "".join(f"{name:>12}" for name in COLUMNS)]
        for category, counts in [*sorted(self.counts.items()), ("all", total)]:
            lines.append(f"{category:22}" + "".join(f"{_cell(name, counts):>12}" for name in COLUMNS))
        for title, names in (
            ("noise, not compared", self.noise),
            ("cannot run here", self.impossible),
            ("refused, though to be masked", self.refused_masks),
        ):
            if names:
                lines.append(f"{title}: {', '.join(names)}")
        return "\n".join(lines)


COLUMNS = ("all", "masked", "refused", "sanitised", "leaks", "mask served")


def _cell(name: str, counts: Counter[str]) -> str:
    if name == "mask served":
        return f"{counts['served masked']}/{counts['to be masked']}" if counts["to be masked"] else ""
    return str(counts[name])


def first_pass(frames: Sequence[Frame], statements: int) -> list[Frame]:
    """What came between the greeting's ReadyForQuery and that of the last simple query."""
    ready = [index for index, (kind, _) in enumerate(frames) if kind == BackendType.READY_FOR_QUERY]
    return list(frames[ready[0] : ready[statements] + 1]) if len(ready) > statements else list(frames)


def has_rows(frames: Sequence[Frame]) -> bool:
    return any(kind == BackendType.DATA_ROW for kind, _ in frames)


def refused(payload: bytes) -> bool:
    """An error of the proxy's, as a rule: one of the SQLSTATEs that its refusals have."""
    return any(b"C%b\0" % code in payload for code in (b"42501", b"42601", b"42P01", b"42703", b"0A000", b"54000"))


def difference(outcome: Outcome, context: int = 3) -> str:
    """The first frames that differ."""
    pairs = list(itertools.zip_longest(outcome.left, outcome.right, fillvalue=(0, b"nothing more")))
    first = next(index for index, (left, right) in enumerate(pairs) if left != right)
    shown = pairs[max(0, first - 1) : first + context]
    return "\n".join(f"left:  {render([left])}\nright: {render([right])}" for left, right in shown)


def test_the_corpus_describes_no_other_moves() -> None:
    """A move that nobody has written for the corpus would be passed over."""
    missing = [attack.id for attack in corpus() if attack.category == ON_THE_PROTOCOL and attack.id not in MOVES]
    assert missing == []


def test_who_sees_everything_is_told_by_nearly_every_attack(twins18: Mapping[str, Twins]) -> None:
    """The proof that the comparison finds something: under a scope without masks most attacks tell the twins apart."""
    twins = twins18["hidden"]
    for twin in twins.both:
        twin.user = "root"
    attacks = [attack for attack in ours() if attack.category in ("naming", "expression", "aggregate", "inference")]
    try:
        silent = [attack.id for attack in attacks if not twins.compare(spoken(attack.statements)).differs]
    finally:
        for twin in twins.both:
            twin.user = "agent"
    twins.restore()
    assert len(silent) < len(attacks) / 6, silent
