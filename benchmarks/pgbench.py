"""Point SELECTs by primary key with pgbench, through each target in turn.

    python -m benchmarks.pgbench [--json FILE] [--seconds N] [--rounds N] [--quick]

The statement reads a clear column of a table that has a masked one; a second reads the masked column, so that a mask is
applied to each row. A round visits every target once with the same statement, mode and number of clients; ratios are
taken within a round. With one client, each query's time is taken: what a proxy adds to it.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from benchmarks import budgets, command, report
from benchmarks.budgets import Verdict
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.lineup import lineup
from benchmarks.load import Column, Load, Mode, Sample, run
from benchmarks.measure import Spread, ratios, turn
from benchmarks.targets import Target

SPEED, CPU, ADDED = 0.90, 1.5, 2.0  # of PgBouncer's: the budgets
PROXIES = ("PgBouncer", "maskproxy")
MANY = 8  # clients, from which on the first two hold
CASES = tuple(
    [Load(Column.CLEAR, mode, clients) for mode in Mode for clients in (1, 8, 32)]
    + [Load(Column.MASKED, mode, 8) for mode in Mode]
)
QUICK = (Load(Column.CLEAR, Mode.PREPARED, 1), *(Load(column, Mode.PREPARED, 8) for column in Column))

Rounds = Sequence[Mapping[str, Sample]]
"""Per round, target to sample."""


def name_of(case: Load) -> str:
    kind = "clear" if case.column is Column.CLEAR else "masked"
    return f"{kind}, {case.mode}, {case.clients} client{'s' * (case.clients > 1)}"


def measure(targets: Sequence[Target], cases: Sequence[Load], *, rounds: int, seconds: float) -> Mapping[Load, Rounds]:
    """Rounds outside, cases inside: a slow minute of the machine hits every case a little, not one of them wholly."""
    for target in targets:
        run(target, cases[0], 1)  # fills caches, is not counted
    samples: dict[Load, list[Mapping[str, Sample]]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases:
            alone = case.clients == 1
            samples[case].append(
                {each.name: run(each, case, seconds, latencies=alone) for each in turn(targets, number)}
            )
    return samples


def speeds(rounds: Rounds, base: str) -> Mapping[str, Spread]:
    return ratios([{name: sample.tps for name, sample in each.items()} for each in rounds], base)


def spent(rounds: Rounds) -> Spread:
    """maskproxy's CPU per query over PgBouncer's."""
    return ratios([{name: each[name].cpu for name in PROXIES} for each in rounds], "PgBouncer")["maskproxy"]


def added(rounds: Rounds) -> Spread:
    """What maskproxy adds to the median latency, over what PgBouncer adds. Less than a microsecond counts as one: in
    a round in which the machine did something else, a proxy can seem to add nothing."""
    more = [
        {name: max(1.0, latency(each[name].p50) - latency(each["direct"].p50)) for name in PROXIES} for each in rounds
    ]
    return ratios(more, "PgBouncer")["maskproxy"]


def latency(value: float | None) -> float:
    if value is None:
        raise ValueError("latencies were not taken")
    return value


def tables(results: Mapping[Load, Rounds]) -> str:
    _, alone = divided(results)
    parts = [
        "Transactions per second over those of a direct connection: median (least to greatest) of the rounds; and "
        f"maskproxy's over PgBouncer's, with the budget of {SPEED} from {MANY} clients on.",
        _table(results, _speed_columns(results)),
        "CPU of the proxy's processes per query in microseconds (of it in user mode), medians; and maskproxy's over "
        f"PgBouncer's, with the budget of {CPU} from {MANY} clients on.",
        _table(results, _cpu_columns(results)),
    ]
    if alone:
        parts += [
            "One client: latency in microseconds, p50 · p99, medians of the rounds; and what maskproxy adds to p50 "
            f"over what PgBouncer adds, with the budget of {ADDED}.",
            _table(alone, _latency_columns(alone)),
        ]
    return "\n\n".join(parts)


def divided(results: Mapping[Load, Rounds]) -> tuple[Mapping[Load, Rounds], Mapping[Load, Rounds]]:
    """Those of many clients, and those of one."""
    many = {case: rounds for case, rounds in results.items() if case.clients >= MANY}
    return many, {case: rounds for case, rounds in results.items() if case.clients == 1}


def _table(cases: Mapping[Load, Rounds], columns: Mapping[str, Sequence[str]]) -> str:
    rows = [[name_of(case), *cells] for case, *cells in zip(cases, *columns.values(), strict=True)]
    return report.table(["column, mode, clients", *columns], rows)


def _names(results: Mapping[Load, Rounds]) -> list[str]:
    """The targets, direct first."""
    return sorted(next(iter(results.values()))[0], key=lambda name: name != "direct")


def _speed_columns(results: Mapping[Load, Rounds]) -> Mapping[str, Sequence[str]]:
    columns = {"direct": [f"{statistics.median(each['direct'].tps for each in r):,.0f} tps" for r in results.values()]}
    for name in _names(results)[1:]:
        columns[name] = [report.ratio(speeds(rounds, "direct")[name]) for rounds in results.values()]
    return {
        **columns,
        **_judged(results, lambda r: budgets.at_least("", SPEED, speeds(r, "PgBouncer")["maskproxy"]), MANY),
    }


def _cpu_columns(results: Mapping[Load, Rounds]) -> Mapping[str, Sequence[str]]:
    columns = {
        name: [
            f"{statistics.median(each[name].cpu for each in rounds):.1f} "
            f"({statistics.median(each[name].cpu_user for each in rounds):.1f})"
            for rounds in results.values()
        ]
        for name in _names(results)[1:]
    }
    return {**columns, **_judged(results, lambda rounds: budgets.at_most("", CPU, spent(rounds)), MANY)}


def _latency_columns(results: Mapping[Load, Rounds]) -> Mapping[str, Sequence[str]]:
    columns = {
        name: [
            " · ".join(
                f"{statistics.median(latency(getattr(each[name], which)) for each in rounds):.0f}"
                for which in ("p50", "p99")
            )
            for rounds in results.values()
        ]
        for name in _names(results)
    }
    return {**columns, **_judged(results, lambda rounds: budgets.at_most("", ADDED, added(rounds)), 1)}


def _judged(
    results: Mapping[Load, Rounds], judge: Callable[[Rounds], Verdict], clients: int
) -> Mapping[str, Sequence[str]]:
    """The columns that compare maskproxy with PgBouncer; the budget is for so many clients or more."""
    if "PgBouncer" not in _names(results):
        return {}
    verdicts = [judge(rounds) for rounds in results.values()]
    told = [
        budgets.holds(each) if case.clients >= clients else "" for case, each in zip(results, verdicts, strict=True)
    ]
    return {"over PgBouncer": [each.measured for each in verdicts], "holds": told}


def verdicts(results: Mapping[Load, Rounds]) -> Sequence[Verdict]:
    """Of each mode, the case that is farthest from its budget."""
    if "PgBouncer" not in _names(results):
        return ()
    many, alone = divided(results)
    lines = []
    for mode in dict.fromkeys(case.mode for case in many):
        cases = [rounds for case, rounds in many.items() if case.mode is mode]
        worst = min((speeds(rounds, "PgBouncer")["maskproxy"] for rounds in cases), key=lambda each: each.median)
        lines.append(budgets.at_least(f"point SELECT, {mode}, 8 to 32 clients: tps over PgBouncer's", SPEED, worst))
        worst = max((spent(rounds) for rounds in cases), key=lambda each: each.median)
        lines.append(budgets.at_most("the same: CPU per query over PgBouncer's", CPU, worst))
    for case, rounds in alone.items():
        what = f"one client, {case.mode}: added p50 over PgBouncer's added p50"
        lines.append(budgets.at_most(what, ADDED, added(rounds)))
    return lines


def chart(results: Mapping[Load, Rounds]) -> Chart:
    groups = {
        name_of(case): {name: each for name, each in speeds(rounds, "direct").items() if name != "direct"}
        for case, rounds in results.items()
    }
    return Chart(
        name="pgbench", title="Point SELECTs: transactions per second over a direct connection's", groups=groups
    )


def outcome(options: Options) -> Outcome:
    cases = QUICK if options.quick else CASES
    with lineup(scopes={"maskproxy": "masked"}) as (targets, versions):
        results = measure(targets, cases, rounds=options.rounds, seconds=options.seconds)
    return Outcome(
        versions=versions,
        about=f"{options.rounds} rounds of {options.seconds:g} s.",
        text=tables(results),
        samples=[
            asdict(case) | {"rounds": [{name: asdict(sample) for name, sample in each.items()} for each in rounds]}
            for case, rounds in results.items()
        ],
        verdicts=verdicts(results),
        charts=[chart(results)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("pgbench", __doc__, outcome, arguments, rounds=3, seconds=2)


if __name__ == "__main__":
    main()
