"""A million rows for a client that reads slowly: how much memory piles up in the proxy meanwhile.

    python -m benchmarks.slow [--json FILE] [--rounds N] [--quick]

The client waits half a second before it reads the first byte, and then takes 50 MB a second. Growth is of what is
resident (RSS) in all processes of the proxy: the most that was seen while it read, over what there was before the first
round, when the proxy had done no more than answer a few small queries.
"""

import time
from collections.abc import Mapping, Sequence

from benchmarks import budgets, command, report
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.database import FEW_ROWS, ROWS
from benchmarks.lineup import lineup
from benchmarks.measure import Spread, memory
from benchmarks.rows import ALL, reader
from benchmarks.targets import Target

GROWTH = 8.0  # MiB: the budget
PAUSE = 0.005  # seconds for each 256 KiB
READ_SECONDS = 60
LOOK_SECONDS = 0.05
WARM_UP = 8  # connections, so that each worker has had some
SCOPES = {"maskproxy, 0 masked": "clear", "maskproxy, 2 masked": "masked"}

Rounds = Sequence[Mapping[str, float]]
"""Per round, target to MiB."""


def measure(targets: Sequence[Target], *, rounds: int, rows: int) -> Rounds:
    for target in targets:
        for _ in range(WARM_UP):
            target.sql("SELECT id FROM bench_rows WHERE id = 1")
    before = {target.name: memory(target.pid).rss for target in targets}
    return [
        {target.name: (most(target, rows) - before[target.name]) / 1024 for target in targets} for _ in range(rounds)
    ]


def most(target: Target, rows: int) -> int:
    """KiB resident at most, while the rows are read."""
    seen = []
    ends = time.monotonic() + READ_SECONDS
    with reader(target, ALL, rows, pause=PAUSE) as process:
        while process.poll() is None:
            seen.append(memory(target.pid).rss)
            time.sleep(LOOK_SECONDS)
            if time.monotonic() > ends:
                process.kill()
        _, complaint = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"reading slowly through {target.name}: {complaint.strip()}")
    return max(seen)


def spreads(results: Rounds) -> Mapping[str, Spread]:
    return {name: Spread.of([each[name] for each in results]) for name in results[0]}


def outcome(options: Options) -> Outcome:
    rows = FEW_ROWS if options.quick else ROWS
    with lineup(scopes=SCOPES, rows=rows) as (targets, versions):
        results = measure([each for each in targets if each.pid is not None], rounds=options.rounds, rows=rows)
    found = spreads(results)
    lines = [[name, f"{each.median:.1f} ({each.low:.1f} to {each.high:.1f})"] for name, each in found.items()]
    return Outcome(
        versions=versions,
        about=f"{options.rounds} rounds.",
        text=report.table(["target", "MiB more"], lines),
        samples=results,
        verdicts=[
            budgets.at_most(f"1 M rows for a slow reader, {name}: growth of memory", GROWTH, found[name], " MiB", 1)
            for name in SCOPES
        ],
        charts=[
            Chart(
                name="slow",
                title="MiB that the proxy grows by while a client reads a million rows slowly",
                groups={name: {"MiB": each} for name, each in found.items()},
                budget=GROWTH,
            )
        ],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("slow", __doc__, outcome, arguments, rounds=2)


if __name__ == "__main__":
    main()
