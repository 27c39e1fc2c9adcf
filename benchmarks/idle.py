"""What a session costs that is logged in, has run a query and does nothing: memory of the proxy's processes.

    python -m benchmarks.idle [--json FILE] [--quick]

Sessions come in four steps, and each step is a sample. Session pooling on either side: each session has its own
connection to the database, whose processes are not counted; so ``max_connections``, and the memory for as many server
processes, bound how many there can be.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks import budgets, command, report
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.lineup import lineup
from benchmarks.measure import Memory, Spread, memory
from benchmarks.targets import Target

SESSIONS, QUICK, STEPS, WARM_UP = 1000, 120, 4, 40
EACH = 25.0  # KiB for a session: the budget
SETTLE_SECONDS = 1.0

Samples = Mapping[str, Sequence["Sample"]]
"""Target to its steps."""


@dataclass(frozen=True, slots=True)
class Sample:
    """KiB before the step, and so many sessions later."""

    sessions: int
    before: Memory
    after: Memory

    @property
    def pss(self) -> float:
        return (self.after.pss - self.before.pss) / self.sessions

    @property
    def rss(self) -> float:
        return (self.after.rss - self.before.rss) / self.sessions


def allow_files(sessions: int) -> None:
    """For us and our children: two sockets for each session, were all of them one worker's."""
    wanted = 3 * (sessions + WARM_UP)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if most < wanted else wanted, most))


def measure(target: Target, sessions: int) -> Sequence[Sample]:
    """The first few are there before the first sample: what comes with the first session is no session's cost."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sleepers"],
        env=target.libpq(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        marks = [WARM_UP, *(WARM_UP + sessions * step // STEPS for step in range(1, STEPS + 1))]
        sizes = [_with_sessions(process, target, count) for count in marks]
        process.communicate()
    return [Sample(marks[step + 1] - marks[step], sizes[step], sizes[step + 1]) for step in range(STEPS)]


def _with_sessions(process: subprocess.Popen[str], target: Target, count: int) -> Memory:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    if process.stdout.readline().strip() != str(count):
        raise RuntimeError(f"there cannot be {count} sessions through {target.name}")
    time.sleep(SETTLE_SECONDS)
    return memory(target.pid)


def table(results: Samples) -> str:
    rows = []
    for name, steps in results.items():
        first, last = steps[0].before, steps[-1].after
        each, total = Spread.of([step.pss for step in steps]), Spread.of([step.rss for step in steps])
        rows.append([name, f"{first.pss / 1024:.1f}", f"{last.pss / 1024:.1f}", _figure(each), _figure(total)])
    sessions = sum(step.sessions for step in next(iter(results.values())))
    head = ["target", f"MiB with {WARM_UP} sessions", f"and {sessions:,} more", "KiB each", "by RSS"]
    return report.table(head, rows)


def _figure(spread: Spread) -> str:
    return f"{spread.median:.1f} ({spread.low:.1f} to {spread.high:.1f})"


def chart(results: Samples) -> Chart:
    groups = {name: {"KiB": Spread.of([step.pss for step in steps])} for name, steps in results.items()}
    return Chart(name="idle", title="KiB of the proxy for each idle session", groups=groups, budget=EACH)


def outcome(options: Options) -> Outcome:
    sessions = QUICK if options.quick else SESSIONS
    allow_files(sessions)
    with lineup(scopes={"maskproxy": "masked"}, sessions=sessions + WARM_UP) as (targets, versions):
        results = {target.name: measure(target, sessions) for target in targets if target.pid is not None}
    steps = results["maskproxy"]
    return Outcome(
        versions=versions,
        about=f"{STEPS} steps.",
        text=table(results),
        samples={name: [asdict(step) for step in steps] for name, steps in results.items()},
        verdicts=[budgets.at_most("idle session", EACH, Spread.of([step.pss for step in steps]), " KiB", 1)],
        charts=[chart(results)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("idle", __doc__, outcome, arguments)


if __name__ == "__main__":
    main()
