"""What other clients notice while one sends a hundred statements a second that nobody has seen before.

    python -m benchmarks.novel [--json FILE] [--seconds N] [--rounds N] [--quick]

The others send a tiny prepared query: eight clients as fast as they can, and four that together send a thousand a
second, each at its time. For each target, in each round: a run alone, and one beside each kind of new statements (see
``benchmarks.novelist``). The ratio of the two 99th percentiles is what counts.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from benchmarks import budgets, command, report
from benchmarks.budgets import Verdict
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.lineup import lineup
from benchmarks.load import Column, Load, Mode, run
from benchmarks.measure import Spread, turn
from benchmarks.novelist import KINDS
from benchmarks.targets import Target

PER_SECOND = 100
P99 = 2.0  # with over without: the budget
OTHERS = {
    "8 clients, as fast as they can": Load(Column.MASKED, Mode.PREPARED, 8),
    "4 clients, 1,000 a second": Load(Column.MASKED, Mode.PREPARED, 4, rate=1000),
}
LATE = 1.0  # seconds behind its time, from which on the verdict says so: fewer were analysed than were to be sent


@dataclass(frozen=True, slots=True)
class Way:
    """How the others come, and how the one who sends what is new."""

    others: Target
    novelist: Target


@dataclass(frozen=True, slots=True)
class Sample:
    """99th percentiles in microseconds: alone, and by kind of new statements. ``late``: seconds."""

    alone: float
    beside: Mapping[str, float]
    late: Mapping[str, float]


Rounds = Sequence[Mapping[str, Sample]]


def ways(targets: Sequence[Target]) -> Sequence[Way]:
    """The client of new statements is another principal, where there are principals."""
    by_name = {target.name: target for target in targets}
    other = by_name.pop("other")
    return [Way(each, other if each.name == "maskproxy" else each) for each in by_name.values()]


def measure(lines: Sequence[Way], *, rounds: int, seconds: float) -> Mapping[str, Rounds]:
    samples: dict[str, list[Mapping[str, Sample]]] = {name: [] for name in OTHERS}
    for way in lines:
        beside(way, OTHERS["8 clients, as fast as they can"], "large", 1)  # fills caches, is not counted
    for number in range(rounds):
        for name, load in OTHERS.items():
            order = turn(lines, number)
            samples[name].append({way.others.name: compare(way, load, seconds) for way in order})
    return samples


def compare(way: Way, load: Load, seconds: float) -> Sample:
    alone = p99(way, load, seconds)
    pairs = {kind: beside(way, load, kind, seconds) for kind in KINDS}
    return Sample(alone, {kind: each for kind, (each, _) in pairs.items()}, {k: late for k, (_, late) in pairs.items()})


def p99(way: Way, load: Load, seconds: float) -> float:
    found = run(way.others, load, seconds, latencies=True).p99
    assert found is not None
    return found


def beside(way: Way, load: Load, kind: str, seconds: float) -> tuple[float, float]:
    """The 99th percentile beside new statements, and how late the last of those was answered."""
    arguments = [sys.executable, "-m", "benchmarks.novelist", kind, str(PER_SECOND), str(seconds + 0.5)]
    with subprocess.Popen(
        arguments, env=way.novelist.libpq(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it begins
        found = p99(way, load, seconds)
        out, complaint = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"new statements through {way.novelist.name}: {complaint.strip()}")
    return found, float(json.loads(out)["late"])


def ratio(rounds: Rounds, name: str, kind: str) -> Spread:
    return Spread.of([each[name].beside[kind] / each[name].alone for each in rounds])


def table(results: Mapping[str, Rounds]) -> str:
    rows = []
    for others, rounds in results.items():
        for name in sorted(rounds[0], key=lambda name: name != "direct"):
            alone = statistics.median(each[name].alone for each in rounds)
            cells = [report.ratio(ratio(rounds, name, kind)) for kind in KINDS]
            late = max(statistics.median(each[name].late[kind] for each in rounds) for kind in KINDS)
            rows.append([f"{others}, {name}", f"{alone:,.0f}", *cells, f"{late * 1000:,.0f}"])
    head = [
        "others, target",
        "p99 alone, µs",
        *(f"beside {kind} ones, over alone" for kind in KINDS),
        "new ones late, ms",
    ]
    return report.table(head, rows)


def verdicts(results: Mapping[str, Rounds]) -> Sequence[Verdict]:
    lines = []
    for others, rounds in results.items():
        for kind in KINDS:
            what = f"100 new statements/s ({kind}), {others}: p99 with over without"
            verdict = budgets.at_most(what, P99, ratio(rounds, "maskproxy", kind))
            late = statistics.median(each["maskproxy"].late[kind] for each in rounds)
            if late > LATE:
                verdict = replace(verdict, measured=f"{verdict.measured}, new ones {late:.1f} s late")
            lines.append(verdict)
    return lines


def chart(results: Mapping[str, Rounds]) -> Chart:
    groups = {
        f"{others.partition(',')[0]}, {kind} ones": {name: ratio(rounds, name, kind) for name in rounds[0]}
        for others, rounds in results.items()
        for kind in KINDS
    }
    title = "p99 of others beside 100 new statements a second, over p99 alone"
    return Chart(name="novel", title=title, groups=groups, budget=P99)


def outcome(options: Options) -> Outcome:
    with lineup(scopes={"maskproxy": "masked", "other": "other"}) as (targets, versions):
        results = measure(ways(targets), rounds=options.rounds, seconds=options.seconds)
    return Outcome(
        versions=versions,
        about=f"{options.rounds} rounds of {options.seconds:g} s.",
        text=table(results),
        samples={
            others: [{name: asdict(sample) for name, sample in each.items()} for each in rounds]
            for others, rounds in results.items()
        },
        verdicts=verdicts(results),
        charts=[chart(results)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("novel", __doc__, outcome, arguments, rounds=3, seconds=2)


if __name__ == "__main__":
    main()
