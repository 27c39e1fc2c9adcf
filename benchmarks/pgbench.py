"""Point SELECTs by primary key with pgbench, through each target in turn.

    python -m benchmarks.pgbench [--json] [--seconds N] [--rounds N] [--quick]

The statement is that of ``pgbench -S``, from a script of our own because the built-in one also asks the catalog how the
tables are partitioned, once per run, which is none of a scope's business. It reads a clear column of a table that has a
masked one; a second script reads the masked column, so that a mask is applied to each row. A round visits every target
once with the same script, mode and number of clients; ratios are taken within a round.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks import report
from benchmarks.database import ROWS_OF_ACCOUNTS
from benchmarks.lineup import lineup
from benchmarks.measure import Spread, cpu, ratios
from benchmarks.targets import Target

SCRIPT = f"\\set aid random(1, {ROWS_OF_ACCOUNTS})\nSELECT {{column}} FROM pgbench_accounts WHERE aid = :aid;\n"
THREADS = min(2, os.cpu_count() or 1)
MARGIN_SECONDS = 60


class Mode(StrEnum):
    SIMPLE = "simple"
    EXTENDED = "extended"
    PREPARED = "prepared"


class Column(StrEnum):
    CLEAR = "abalance"
    MASKED = "filler"


@dataclass(frozen=True, slots=True)
class Case:
    column: Column
    mode: Mode
    clients: int

    def __str__(self) -> str:
        kind = "clear" if self.column is Column.CLEAR else "masked"
        return f"{kind}, {self.mode}, {self.clients} client{'s' * (self.clients > 1)}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of pgbench. ``p50`` in microseconds, measured with one client only; CPU in microseconds per query."""

    tps: float
    p50: float | None
    cpu: float
    cpu_user: float


Rounds = Sequence[Mapping[str, Sample]]
"""Per round, target to sample."""

CASES = tuple(
    [Case(Column.CLEAR, mode, clients) for mode in Mode for clients in (1, 8, 32)]
    + [Case(Column.MASKED, mode, 8) for mode in Mode]
)
QUICK = tuple(Case(column, Mode.PREPARED, 8) for column in Column)


def measure(targets: Sequence[Target], cases: Sequence[Case], *, rounds: int, seconds: int) -> dict[Case, Rounds]:
    """Rounds outside, cases inside: a slow minute of the machine hits every case a little, not one of them wholly."""
    for target in targets:
        run(target, cases[0], 1)  # fills caches, is not counted
    samples: dict[Case, list[Mapping[str, Sample]]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases:
            turn = [*targets[number % len(targets) :], *targets[: number % len(targets)]]
            samples[case].append({target.name: run(target, case, seconds) for target in turn})
    return dict(samples)


def run(target: Target, case: Case, seconds: int) -> Sample:
    with tempfile.TemporaryDirectory(prefix="pgbench-") as scratch:
        script = Path(scratch, "select.sql")
        script.write_text(SCRIPT.format(column=case.column), encoding="utf-8")
        options = ["-n", "-M", case.mode, "-f", str(script), "-T", str(seconds), "-c", str(case.clients)]
        options += ["-j", str(min(case.clients, THREADS)), *target.arguments()]
        if case.clients == 1:
            options += ["-l", f"--log-prefix={scratch}/log"]
        before = cpu(target.pid)
        output = target.run("pgbench", *options, timeout=seconds + MARGIN_SECONDS)
        used = cpu(target.pid) - before
        queries = _figure(r"number of transactions actually processed: (\d+)", output)
        return Sample(
            tps=_figure(r"tps = ([\d.]+)", output),
            p50=_median_latency(Path(scratch)) if case.clients == 1 else None,
            cpu=used.total / queries * 1e6,
            cpu_user=used.user / queries * 1e6,
        )


def _figure(pattern: str, output: str) -> float:
    found = re.search(pattern, output)
    if found is None:
        raise RuntimeError(f"pgbench did not say {pattern!r}: {output}")
    return float(found[1])


def _median_latency(directory: Path) -> float:
    """Third column of pgbench's transaction log: microseconds."""
    lines = [line.split() for log in directory.glob("log.*") for line in log.read_text(encoding="ascii").splitlines()]
    return statistics.median(float(line[2]) for line in lines)


def tables(results: Mapping[Case, Rounds]) -> str:
    names = list(next(iter(results.values()))[0])
    names.sort(key=lambda name: name != "direct")
    parts = [
        "Transactions per second over those of a direct connection: median (least to greatest) of the rounds.",
        _table(results, names, [_tps(results, name) for name in names]),
        "CPU of the proxy's processes per query in microseconds (of it in user mode), medians.",
        _table(results, names[1:], [_cpu(results, name) for name in names[1:]]),
    ]
    if alone := {case: rounds for case, rounds in results.items() if case.clients == 1}:
        parts += [
            "One client: median latency in microseconds (added to that of a direct connection).",
            _table(alone, names, [_latency(alone, name) for name in names]),
        ]
    return "\n\n".join(parts)


def _table(cases: Mapping[Case, Rounds], names: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    rows = [[str(case), *cells] for case, *cells in zip(cases, *columns, strict=True)]
    return report.table(["column, mode, clients", *names], rows)


def _tps(results: Mapping[Case, Rounds], name: str) -> list[str]:
    if name == "direct":
        medians = (statistics.median(each[name].tps for each in rounds) for rounds in results.values())
        return [f"{median:,.0f} tps" for median in medians]
    return [report.ratio(_ratio_of_tps(rounds, name)) for rounds in results.values()]


def _ratio_of_tps(rounds: Rounds, name: str) -> Spread:
    return ratios([{key: sample.tps for key, sample in each.items()} for each in rounds], "direct")[name]


def _cpu(results: Mapping[Case, Rounds], name: str) -> list[str]:
    return [
        f"{statistics.median(each[name].cpu for each in rounds):.1f} "
        f"({statistics.median(each[name].cpu_user for each in rounds):.1f})"
        for rounds in results.values()
    ]


def _latency(results: Mapping[Case, Rounds], name: str) -> list[str]:
    medians = [_p50(rounds, name) for rounds in results.values()]
    if name == "direct":
        return [f"{median:.0f}" for median in medians]
    added = [median - _p50(rounds, "direct") for median, rounds in zip(medians, results.values(), strict=True)]
    return [f"{median:.0f} (+{more:.0f})" for median, more in zip(medians, added, strict=True)]


def _p50(rounds: Rounds, name: str) -> float:
    return statistics.median(each[name].p50 or 0.0 for each in rounds)


def to_json(results: Mapping[Case, Rounds]) -> str:
    cases = [
        asdict(case) | {"rounds": [{name: asdict(sample) for name, sample in each.items()} for each in rounds]}
        for case, rounds in results.items()
    ]
    return json.dumps(cases, indent=2)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pgbench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print every sample as JSON instead of the tables")
    parser.add_argument("--seconds", type=int, default=2, help="length of one run of pgbench (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over the targets (default 5)")
    parser.add_argument("--quick", action="store_true", help="two cases, one round of 1 s; README.md stays as it is")
    options = parser.parse_args(arguments)
    cases, rounds, seconds = (QUICK, 1, 1) if options.quick else (CASES, options.rounds, options.seconds)
    with lineup(scopes={"maskproxy": "masked"}) as (targets, versions):
        results = measure(targets, cases, rounds=rounds, seconds=seconds)
    text = tables(results)
    print(to_json(results) if options.json else text)
    if not options.quick:
        about = f"{report.machine(versions)} {rounds} rounds of {seconds} s."
        report.write("pgbench", f"{about}\n\n{text}")


if __name__ == "__main__":
    main(sys.argv[1:])
