"""Statements recorded in a second: both records of each, the first durable before the statement goes on.

    python -m benchmarks.audit [--json FILE] [--seconds N] [--rounds N] [--quick]

A recorder as ``maskproxy serve`` starts it, its log on the disk of the temporary directory, and this process as the
worker: so many sessions at once wait for their intent to be durable, record the outcome and begin the next statement.
No client and no database, so this is the most that the audit log allows. Afterwards the log is read: every statement
is there with both records.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from benchmarks import budgets, command, report
from benchmarks.analysis import policy
from benchmarks.budgets import Verdict
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.measure import Cpu, Spread, cpu
from maskproxy.audit import records
from maskproxy.audit.files import read_entries
from maskproxy.audit.framing import encode_record
from maskproxy.audit.values import Actor, Destination, GrantInfo
from maskproxy.base.secret import Secret
from maskproxy.core.plan import Plan
from maskproxy.proxy.journal import Journal, SessionJournal
from maskproxy.proxy.recorder_client import Done, RecorderClient
from maskproxy.recorder.lines import add_lines, whole_records
from tests.recorder.support import RecorderProcess

STATEMENT = "SELECT c_custkey, c_phone FROM customer WHERE c_custkey = $1"
SESSIONS = (1, 8, 32, 128)
RECORDED, READ, JUDGED = 5_000, 200_000, 32  # statements and records in a second: the budgets; for so many sessions


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. Latencies, from submitting an intent to its answer, and CPU per statement in microseconds."""

    per_second: float
    p50: float
    p99: float
    worker_cpu: float
    recorder_cpu: float


@dataclass(frozen=True, slots=True)
class Alone:
    """CPU in nanoseconds for both records of one statement, without system calls, and records read in a second."""

    made: float
    taken: float
    read: float


class Discarding(RecorderClient):
    def __init__(self) -> None:
        super().__init__(Path(os.devnull))
        self.records: list[bytes] = []

    def submit(self, record: bytes, done: Done | None = None) -> None:
        self.records.append(record)


class Statements:
    """One session's, one after the other, until ``deadline``."""

    def __init__(self, session: SessionJournal, plan: Plan, deadline: float, ended: Callable[[], None]) -> None:
        self._session = session
        self._plan = plan
        self._deadline = deadline
        self._ended = ended
        self._masked = tuple((mask.column, 1) for mask in plan.statements[0].masks)
        self._number = 0
        self._began = 0.0
        self.latencies: list[float] = []

    def begin(self) -> None:
        self._number += 1
        self._began = time.perf_counter()
        self._session.intent_of(self._number, self._plan, (b"%d" % self._number,), self._recorded)

    def _recorded(self, durable: bool) -> None:
        if not durable:
            raise RuntimeError("the recorder refused a record")
        now = time.perf_counter()
        self.latencies.append(now - self._began)
        self._session.outcome_of(self._number, 1, 83, "SELECT 1", None, self._masked)
        if now < self._deadline:
            self.begin()
        else:
            self._ended()


def session(journal: Journal, number: int) -> SessionJournal:
    """With the context of a usual one."""
    made = SessionJournal.connected(journal, "10.0.0.17", "0.0.0.0:6543")
    made.context = records.make_context(
        journal.origin,
        session=made.session,
        actor=Actor(agent=f"agent-{number}", kind="agent", authn="scram-sha-256", cred="t-01J0000000"),
        source=made.source,
        destination=Destination(db="shop", host="db.internal:5432", role="maskproxy"),
        grant=GrantInfo(
            id="g-01J0000000",
            scope="analyst",
            expires="2026-12-24T18:00:00+00:00",
            approver="owner@shop.example",
            purpose="answer questions of the support desk",
            ticket="SUP-4711",
        ),
        claimed={"application_name": "agent"},
    )
    return made


def prepared() -> Plan:
    plan = policy().decide(STATEMENT)
    if not isinstance(plan, Plan):
        raise RuntimeError(f"refused: {plan}")
    return plan


async def run(recorder: RecorderProcess, plan: Plan, sessions: int, seconds: float) -> tuple[Sample, int]:
    """And the number of statements."""
    client = RecorderClient(recorder.socket)
    journal = Journal(client, Secret(os.urandom(32)), "0" * 64)
    left = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        line = group.create_task(client.run())
        while not client.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        before, own, began = cpu(recorder.pid), time.process_time(), time.perf_counter()
        streams = [Statements(session(journal, n), plan, began + seconds, left.release) for n in range(sessions)]
        for stream in streams:
            stream.begin()
        for _ in streams:
            await left.acquire()
        elapsed, own = time.perf_counter() - began, time.process_time() - own
        used: Cpu = cpu(recorder.pid) - before
        while client.statistics().waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        line.cancel()
    latencies = sorted(each for stream in streams for each in stream.latencies)
    count = len(latencies)
    sample = Sample(
        per_second=count / elapsed,
        p50=latencies[count // 2] * 1e6,
        p99=latencies[count * 99 // 100] * 1e6,
        worker_cpu=own / count * 1e6,
        recorder_cpu=used.total / count * 1e6,
    )
    return sample, count


def measure(directory: Path, *, rounds: int, seconds: float) -> tuple[dict[int, list[Sample]], Alone]:
    plan = prepared()
    recorder = RecorderProcess(directory)
    recorder.start()
    samples: dict[int, list[Sample]] = {sessions: [] for sessions in SESSIONS}
    total = 0
    try:
        for _ in range(rounds):
            for sessions in SESSIONS:
                sample, count = uvloop.run(run(recorder, plan, sessions, seconds))
                samples[sessions].append(sample)
                total += count
    finally:
        recorder.stop()
    return samples, Alone(*alone(plan), read=check(recorder.directory, total))


def check(directory: Path, statements: int) -> float:
    """Every statement has both its records, in one log without gaps. Records read in a second."""
    began = time.process_time()
    intents: set[str] = set()
    index = count = 0
    for index, entry in enumerate(read_entries(directory)):
        if entry.number != index:
            raise RuntimeError(f"record {index} has the index {entry.number}")
        if entry.id is None or (entry.type == "stmt.outcome" and entry.ref is None):
            raise RuntimeError(f"record {index} does not say which it is, or of which")
        if entry.type == "stmt.intent":
            intents.add(entry.id)
        elif entry.type == "stmt.outcome":
            intents.remove(entry.ref)
            count += 1
    if intents or count != statements:
        raise RuntimeError(f"{statements} statements, {count} outcomes, {len(intents)} intents without one")
    return (index + 1) / (time.process_time() - began)


def alone(plan: Plan, repeats: int = 20_000) -> tuple[float, float]:
    kept = Discarding()
    one = session(Journal(kept, Secret(os.urandom(32)), "0" * 64), 1)
    masked = tuple((mask.column, 1) for mask in plan.statements[0].masks)
    made = taken = float("inf")
    for _ in range(5):
        kept.records.clear()
        began = time.process_time()
        for number in range(repeats):
            one.intent_of(number, plan, (b"4711",), print)
            one.outcome_of(number, 1, 83, "SELECT 1", None, masked)
        made = min(made, time.process_time() - began)
        frames = [b"".join(map(encode_record, kept.records[start : start + 64])) for start in range(0, repeats, 64)]
        began = time.process_time()
        for each in frames:
            whole_records(each)
            b"".join(_lines(each))
        taken = min(taken, (time.process_time() - began) * 2 * repeats / (64 * len(frames)))
    return made / repeats * 1e9, taken / repeats * 1e9


def _lines(frames: bytes) -> list[bytes]:
    lines: list[bytes] = []
    add_lines(lines, frames, 1_000_000)
    return lines


def text(samples: Mapping[int, Sequence[Sample]], facts: Alone) -> str:
    rows = []
    for sessions, each in samples.items():
        speed = Spread.of([sample.per_second for sample in each])
        figures = [statistics.median(getattr(sample, name) for sample in each) for name in ("p50", "p99")]
        used = [statistics.median(getattr(sample, name) for sample in each) for name in ("worker_cpu", "recorder_cpu")]
        speeds = f"{speed.median:,.0f} ({speed.low:,.0f} to {speed.high:,.0f})"
        rows.append([str(sessions), speeds, *(f"{figure:,.0f}" for figure in figures), *(f"{cpu:.1f}" for cpu in used)])
    head = ["sessions at once", "statements a second", "durable after, p50", "p99", "CPU, worker", "CPU, recorder"]
    return (
        f"{report.table(head, rows)}\n\n"
        f"Microseconds; CPU per statement, system calls included. Without them both records of a statement take "
        f"{facts.made:,.0f} ns to make in the worker and {facts.taken:,.0f} ns to check and place in the recorder. "
        f"Read back afterwards: {facts.read:,.0f} records a second."
    )


def verdicts(samples: Mapping[int, Sequence[Sample]], facts: Alone) -> Sequence[Verdict]:
    speed = Spread.of([sample.per_second for sample in samples[JUDGED]])
    read = Spread.of([facts.read])
    return [
        budgets.at_least(f"statements recorded a second, {JUDGED} sessions", RECORDED, speed, digits=0),
        budgets.at_least("records read back and checked in a second", READ, read, digits=0),
    ]


def chart(samples: Mapping[int, Sequence[Sample]]) -> Chart:
    groups = {
        f"{sessions} session{'s' * (sessions > 1)}": {"statements": Spread.of([sample.per_second for sample in each])}
        for sessions, each in samples.items()
    }
    return Chart(name="audit", title="Statements recorded in a second, by sessions", groups=groups, budget=RECORDED)


def outcome(options: Options) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="audit-") as directory:
        samples, facts = measure(Path(directory), rounds=options.rounds, seconds=options.seconds)
    return Outcome(
        versions={"maskproxy": report.commit()},
        about=f"{options.rounds} rounds of {options.seconds:g} s.",
        text=text(samples, facts),
        samples={
            "runs": [{"sessions": number, "rounds": list(map(asdict, each))} for number, each in samples.items()],
            "alone": asdict(facts),
        },
        verdicts=verdicts(samples, facts),
        charts=[chart(samples)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("audit", __doc__, outcome, arguments, rounds=3, seconds=2)


if __name__ == "__main__":
    main()
