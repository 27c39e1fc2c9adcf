"""Many clients on few connections to the database: transaction pooling.

    python -m benchmarks.transactions [--json FILE] [--seconds N] [--rounds N] [--quick]

Point SELECTs of ``benchmarks.pgbench`` by more clients than there are connections, through PgBouncer and maskproxy in
transaction mode; a direct client has a connection of its own. Then ten thousand sessions that do nothing through
maskproxy, in steps as in ``benchmarks.idle``. Prepared statements are measured through maskproxy alone: Debian's
PgBouncer does not keep them across connections (1.21 and newer do).
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from benchmarks import budgets, command, idle, report
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.lineup import lineup
from benchmarks.load import Column, Load, Mode
from benchmarks.measure import Spread
from benchmarks.pgbench import Rounds, measure, name_of, speeds

CONNECTIONS = 8  # of PgBouncer, and of each of maskproxy's workers
CLIENTS = 64
CASES = tuple(Load(Column.MASKED, mode, CLIENTS) for mode in (Mode.SIMPLE, Mode.EXTENDED))
PREPARED = Load(Column.MASKED, Mode.PREPARED, CLIENTS)
SESSIONS, QUICK = 10_000, 200


def table(results: Mapping[Load, Rounds]) -> str:
    rows = []
    for case, rounds in results.items():
        names = sorted(rounds[0], key=lambda name: name != "direct")
        direct = statistics.median(each["direct"].tps for each in rounds)
        rows.append([f"{name_of(case)}, direct", f"{direct:,.0f}", "1", ""])
        for name in names[1:]:
            tps, used = (statistics.median(getattr(each[name], field) for each in rounds) for field in ("tps", "cpu"))
            over = report.ratio(speeds(rounds, "direct")[name])
            rows.append([f"{name_of(case)}, {name}", f"{tps:,.0f}", over, f"{used:.1f}"])
    return report.table(["column, mode, clients, target", "tps", "over direct", "CPU µs per query"], rows)


def chart(results: Mapping[Load, Rounds]) -> Chart:
    groups = {
        name_of(case): {name: each for name, each in speeds(rounds, "direct").items() if name != "direct"}
        for case, rounds in results.items()
    }
    title = f"{CLIENTS} clients on {CONNECTIONS} connections: transactions per second over direct connections'"
    return Chart(name="transactions", title=title, groups=groups)


def outcome(options: Options) -> Outcome:
    sessions = QUICK if options.quick else SESSIONS
    idle.allow_files(sessions)
    with lineup(
        scopes={"maskproxy": "masked"}, sessions=sessions + idle.WARM_UP + CLIENTS, connections=CONNECTIONS
    ) as (targets, versions):
        results = dict(measure(targets, CASES, rounds=options.rounds, seconds=options.seconds))
        ours = [target for target in targets if target.name in ("direct", "maskproxy")]
        results.update(measure(ours, (PREPARED,), rounds=options.rounds, seconds=options.seconds))
        steps = idle.measure(ours[-1], sessions)
    each = Spread.of([step.pss for step in steps])
    return Outcome(
        versions=versions,
        about=f"{options.rounds} rounds of {options.seconds:g} s.",
        text=f"{table(results)}\n\n{idle.table({'maskproxy': steps})}",
        samples=[
            *(
                asdict(case) | {"rounds": [{name: asdict(sample) for name, sample in each.items()} for each in rounds]}
                for case, rounds in results.items()
            ),
            {"idle": [asdict(step) for step in steps]},
        ],
        verdicts=[budgets.at_most(f"idle session, one of {sessions:,}", idle.EACH, each, " KiB", 1)],
        charts=[chart(results)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("transactions", __doc__, outcome, arguments, rounds=3, seconds=2)


if __name__ == "__main__":
    main()
