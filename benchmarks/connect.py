"""A connection for each query: connect, log in with SCRAM, one point SELECT, close.

    python -m benchmarks.connect [--json FILE] [--seconds N] [--rounds N] [--quick]

pgbench with ``-C``: every login makes libpq work out the keys of SCRAM anew, on processors that all share.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from benchmarks import command, report
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.lineup import lineup
from benchmarks.load import Column, Load, Mode
from benchmarks.pgbench import Rounds, measure, speeds

CASES = {
    "1 client": Load(Column.MASKED, Mode.SIMPLE, 1, reconnect=True),
    "8 clients": Load(Column.MASKED, Mode.SIMPLE, 8, reconnect=True),
}


def table(results: Mapping[str, Rounds]) -> str:
    names = list(results["8 clients"][0])
    names.sort(key=lambda name: name != "direct")
    rows = []
    for case, rounds in results.items():
        for name in names:
            tps, used, user = (
                statistics.median(getattr(each[name], field) for each in rounds) for field in ("tps", "cpu", "cpu_user")
            )
            ratio = report.ratio(speeds(rounds, "direct")[name]) if name != "direct" else "1"
            spent = f"{used:,.0f} ({user:,.0f})" if name != "direct" else ""
            rows.append([f"{case}, {name}", f"{tps:,.0f}", ratio, spent])
    head = ["clients, target", "connections a second", "over direct", "CPU µs per connection (user)"]
    return report.table(head, rows)


def chart(results: Mapping[str, Rounds]) -> Chart:
    groups = {case: speeds(rounds, "direct") for case, rounds in results.items()}
    return Chart(name="connect", title="Connect, query, close: per second, over a direct connection's", groups=groups)


def outcome(options: Options) -> Outcome:
    with lineup(scopes={"maskproxy": "masked"}) as (targets, versions):
        measured = measure(targets, tuple(CASES.values()), rounds=options.rounds, seconds=options.seconds)
    results = {case: measured[load] for case, load in CASES.items()}
    return Outcome(
        versions=versions,
        about=f"{options.rounds} rounds of {options.seconds:g} s.",
        text=table(results),
        samples={
            case: [{name: asdict(sample) for name, sample in each.items()} for each in rounds]
            for case, rounds in results.items()
        },
        charts=[chart(results)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("connect", __doc__, outcome, arguments, rounds=3, seconds=2)


if __name__ == "__main__":
    main()
