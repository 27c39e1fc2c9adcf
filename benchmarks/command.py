"""What all benchmarks have in common: their options, and where their figures go.

--json FILE   every sample, as JSON
--rounds N    rounds over the targets
--quick       one short round; README.md, its budgets and charts stay as they are
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import budgets, report
from benchmarks.budgets import Verdict
from benchmarks.charts import Chart


@dataclass(frozen=True, slots=True)
class Options:
    """``seconds``: length of one run. A quick look is one round of one second."""

    rounds: int
    seconds: float
    quick: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``about``: what goes behind the machine. ``samples``: anything JSON takes."""

    versions: Mapping[str, str]
    about: str
    text: str
    samples: object
    verdicts: Sequence[Verdict] = ()
    charts: Sequence[Chart] = ()


def run(
    name: str,
    description: str,
    measure: Callable[[Options], Outcome],
    arguments: Sequence[str] | None,
    *,
    rounds: int | None = None,
    seconds: float | None = None,
) -> None:
    """The command line of the benchmark ``name``: measures, prints, and publishes unless it was a quick look. Without
    ``rounds`` or ``seconds`` it has no such option."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description.splitlines()[0])
    parser.set_defaults(rounds=1, seconds=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds over the targets (default {rounds})")
    if seconds is not None:
        parser.add_argument("--seconds", type=float, default=seconds, help=f"length of one run (default {seconds})")
    parser.add_argument("--quick", action="store_true", help="one short round; README.md stays as it is")
    given = parser.parse_args(arguments)
    outcome = measure(Options(1, 1, True) if given.quick else Options(given.rounds, given.seconds, False))
    charts = "".join(f"\n\n![{chart.title}]({chart.file})" for chart in outcome.charts)
    print(f"## {name}\n\n{outcome.text}\n")
    if outcome.verdicts:
        print(f"{budgets.table(outcome.verdicts)}\n")
    if given.json is not None:
        given.json.write_text(json.dumps(outcome.samples, indent=1), encoding="utf-8")
    if not given.quick:
        head = f"{report.machine(outcome.versions)} {outcome.about}".strip()
        report.write(name, f"{head}\n\n{outcome.text}{charts}")
        budgets.publish(name, outcome.verdicts)
        for chart in outcome.charts:
            chart.write(report.README.parent)
