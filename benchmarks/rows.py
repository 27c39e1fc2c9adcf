"""One result of a million rows and six columns, read through each target in turn.

    python -m benchmarks.rows [--json] [--rounds N] [--quick]

maskproxy is measured twice: for a scope that sees everything, and for one that sees ``ssn`` partial and ``email`` as a
keyed token. Text format, as psql reads it.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks import report
from benchmarks.database import ROWS
from benchmarks.lineup import lineup
from benchmarks.measure import cpu, ratios
from benchmarks.targets import HOST, Target

STATEMENT = "SELECT id, name, email, ssn, amount, made FROM bench_rows"
SCOPES = {"maskproxy, nothing masked": "clear", "maskproxy, partial and token": "masked"}
READ_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Sample:
    """One read. CPU in nanoseconds per row."""

    seconds: float
    megabytes: float
    cpu: float
    cpu_user: float


Rounds = Sequence[Mapping[str, Sample]]


def measure(targets: Sequence[Target], *, rounds: int) -> Rounds:
    for target in targets:
        run(target)  # fills caches, is not counted
    samples = []
    for number in range(rounds):
        turn = [*targets[number % len(targets) :], *targets[: number % len(targets)]]
        samples.append({target.name: run(target) for target in turn})
    return samples


def run(target: Target) -> Sample:
    environment = {**target.environment(), "PGHOST": HOST, "PGPORT": str(target.port)}
    environment |= {"PGUSER": target.user, "PGDATABASE": target.database}
    command = [sys.executable, "-m", "benchmarks.reader", STATEMENT, str(ROWS)]
    before = cpu(target.pid)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=READ_SECONDS)
    used = cpu(target.pid) - before
    if done.returncode != 0:
        raise RuntimeError(f"reading through {target.name}: {done.stderr.strip()}")
    read = json.loads(done.stdout)
    return Sample(
        seconds=read["seconds"],
        megabytes=read["bytes"] / 1e6,
        cpu=used.total / ROWS * 1e9,
        cpu_user=used.user / ROWS * 1e9,
    )


def table(results: Rounds) -> str:
    names = sorted(results[0], key=lambda name: name != "direct")
    speeds = ratios([{name: 1 / sample.seconds for name, sample in each.items()} for each in results], "direct")
    head = ["target", "speed over direct", "seconds", "CPU ns per row (user)"]
    rows = []
    for name in names:
        samples = [each[name] for each in results]
        seconds = statistics.median(sample.seconds for sample in samples)
        used = statistics.median(sample.cpu for sample in samples)
        user = statistics.median(sample.cpu_user for sample in samples)
        spent = "" if name == "direct" else f"{used:.0f} ({user:.0f})"
        rows.append([name, "1" if name == "direct" else report.ratio(speeds[name]), f"{seconds:.2f}", spent])
    return report.table(head, rows)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rows", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print every sample as JSON instead of the table")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over the targets (default 5)")
    parser.add_argument("--quick", action="store_true", help="one round; README.md stays as it is")
    options = parser.parse_args(arguments)
    rounds = 1 if options.quick else options.rounds
    with lineup(scopes=SCOPES) as (targets, versions):
        results = measure(targets, rounds=rounds)
    samples = [{name: asdict(sample) for name, sample in each.items()} for each in results]
    print(json.dumps(samples, indent=2) if options.json else table(results))
    if not options.quick:
        report.write("rows", f"{report.machine(versions)} {rounds} rounds.\n\n{table(results)}")


if __name__ == "__main__":
    main(sys.argv[1:])
