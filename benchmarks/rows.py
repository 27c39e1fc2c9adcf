"""One result of a million rows and six columns, read through each target in turn.

    python -m benchmarks.rows [--json FILE] [--rounds N] [--quick]

maskproxy is measured for scopes that see all six columns, four, or none in clear (rows masked in the proxy), and with a
statement that computes from two masked columns (masked in the server, by the SQL that the proxy makes of it). The rival
is masking in the engine: views with the same masks, read without a proxy.
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
from benchmarks.database import FEW_ROWS, ROWS
from benchmarks.lineup import lineup
from benchmarks.measure import Spread, cpu, ratios, turn
from benchmarks.targets import Target

COLUMNS = "id, name, email, ssn, amount, made"
ALL = f"SELECT {COLUMNS} FROM bench_rows"
SCOPES = {"maskproxy, 0 masked": "clear", "maskproxy, 2 masked": "masked", "maskproxy, 6 masked": "six"}
EVALUATED = "maskproxy, 2 computed from"
BINARY = ", binary"
VIEWS = {"view, 2 masked": "two_masked", "view, 6 masked": "six_masked"}
COMPUTED = "SELECT id, name, upper(email) AS email, ssn || '' AS ssn, amount, made FROM bench_rows"
CLEAR, MASKED, CPU = 0.90, 0.60, 500  # of PgBouncer's speed, of direct speed, ns per row: the budgets
READ_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Way:
    """A target with what is read through it."""

    name: str
    target: Target
    statement: str
    binary: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One read. CPU in nanoseconds per row."""

    seconds: float
    megabytes: float
    cpu: float
    cpu_user: float


Rounds = Sequence[Mapping[str, Sample]]


def ways(targets: Sequence[Target]) -> Sequence[Way]:
    """Text through all of them; binary where a proxy masks rows, and where it is compared with."""
    by_name = {target.name: target for target in targets}
    found = [Way(f"{name}{how}", target, ALL, bool(how)) for how in ("", BINARY) for name, target in by_name.items()]
    found.append(Way(EVALUATED, by_name["maskproxy, 2 masked"], COMPUTED, False))
    views = (Way(name, by_name["direct"], f"SELECT {COLUMNS} FROM {view}", False) for name, view in VIEWS.items())
    return [*found, *views]


def measure(lines: Sequence[Way], *, rounds: int, rows: int) -> Rounds:
    for way in lines:
        read(replace(way, statement=f"{way.statement} LIMIT 1000"), 1000)  # fills caches, is not counted
    samples = []
    for number in range(rounds):
        samples.append({way.name: read(way, rows) for way in turn(lines, number)})
    return samples


def read(way: Way, rows: int) -> Sample:
    before = cpu(way.target.pid)
    with reader(way.target, way.statement, rows, binary=way.binary) as process:
        out, complaint = process.communicate(timeout=READ_SECONDS)
    used = cpu(way.target.pid) - before
    if process.returncode != 0:
        raise RuntimeError(f"reading {way.name}: {complaint.strip()}")
    told = json.loads(out)
    return Sample(
        seconds=told["seconds"],
        megabytes=told["bytes"] / 1e6,
        cpu=used.total / rows * 1e9,
        cpu_user=used.user / rows * 1e9,
    )


def reader(
    target: Target, statement: str, rows: int, *, binary: bool = False, pause: float = 0.0
) -> subprocess.Popen[str]:
    """``benchmarks.reader`` under way."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.reader",
        statement,
        str(rows),
        "binary" if binary else "text",
        str(pause),
    ]
    return subprocess.Popen(command, env=target.libpq(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def speeds(results: Rounds) -> Mapping[str, Spread]:
    """Over that of a direct connection in the same format and round."""
    return {name: speed(results, name, f"direct{BINARY}" if name.endswith(BINARY) else "direct") for name in results[0]}


def speed(results: Rounds, name: str, base: str) -> Spread:
    return ratios([{each: 1 / samples[each].seconds for each in (name, base)} for samples in results], base)[name]


def table(results: Rounds) -> str:
    rows = []
    for name, over_direct in speeds(results).items():
        seconds, size, used, user = (
            statistics.median(getattr(each[name], field) for each in results)
            for field in ("seconds", "megabytes", "cpu", "cpu_user")
        )
        spent = f"{used:.0f} ({user:.0f})" if used else ""
        rows.append([name, report.ratio(over_direct), f"{seconds:.2f}", f"{size:.0f}", spent])
    return report.table(["what is read", "speed over direct", "seconds", "MB", "CPU ns per row (user)"], rows)


def verdicts(results: Rounds) -> Sequence[Verdict]:
    rows = "1 M rows × 6 columns"
    lines = []
    for how in ("", BINARY):
        if f"PgBouncer{how}" in results[0]:
            clear = speed(results, f"maskproxy, 0 masked{how}", f"PgBouncer{how}")
            lines.append(budgets.at_least(f"{rows}{how}, nothing masked: speed over PgBouncer's", CLEAR, clear))
        masked = f"maskproxy, 2 masked{how}"
        what = f"{rows}{how}, partial and keyed token"
        lines.append(budgets.at_least(f"{what}: speed over direct", MASKED, speeds(results)[masked]))
        used = Spread.of([each[masked].cpu for each in results])
        lines.append(budgets.at_most(f"{what}: CPU per row", CPU, used, " ns", 0))
    return lines


def chart(results: Rounds) -> Chart:
    groups = {name: {"speed": each} for name, each in speeds(results).items() if not name.startswith("direct")}
    return Chart(name="rows", title="A million rows: speed over a direct connection's", groups=groups)


def outcome(options: Options) -> Outcome:
    rows = FEW_ROWS if options.quick else ROWS
    with lineup(scopes=SCOPES, rows=rows) as (targets, versions):
        results = measure(ways(targets), rounds=options.rounds, rows=rows)
    return Outcome(
        versions=versions,
        about=f"{options.rounds} rounds.",
        text=table(results),
        samples=[{name: asdict(sample) for name, sample in each.items()} for each in results],
        verdicts=verdicts(results),
        charts=[chart(results)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("rows", __doc__, outcome, arguments, rounds=3)


if __name__ == "__main__":
    main()
