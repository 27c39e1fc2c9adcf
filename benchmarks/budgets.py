"""What a proxy may cost, and whether what was measured keeps to it: the table at the top of ``README.md``.

A budget is of the median of the rounds. Each benchmark judges its own; the verdicts of the last run of each are kept in
``budgets.json``, so that the table can be written anew when one benchmark runs alone.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.measure import Spread

FILE = Path(__file__).with_name("budgets.json")
ORDER = ("pgbench", "rows", "novel", "analysis", "idle", "slow", "audit")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table. ``budget`` and ``measured`` as they are shown."""

    what: str
    budget: str
    measured: str
    holds: bool


def at_least(what: str, bound: float, measured: Spread, unit: str = "", digits: int = 2) -> Verdict:
    return Verdict(what, f"≥ {bound:,.{digits}f}{unit}", _shown(measured, unit, digits), measured.median >= bound)


def at_most(what: str, bound: float, measured: Spread, unit: str = "", digits: int = 2) -> Verdict:
    return Verdict(what, f"≤ {bound:,.{digits}f}{unit}", _shown(measured, unit, digits), measured.median <= bound)


def holds(verdict: Verdict) -> str:
    return "yes" if verdict.holds else "**no**"


def publish(benchmark: str, verdicts: Sequence[Verdict]) -> None:
    """Keep the verdicts of ``benchmark`` in place of its former ones, and write the table."""
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    kept[benchmark] = [asdict(verdict) for verdict in verdicts]
    names = sorted(kept, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    kept = {name: kept[name] for name in names if kept[name]}
    FILE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    report.write("budgets", table([Verdict(**each) for name in kept for each in kept[name]]))


def table(verdicts: Sequence[Verdict]) -> str:
    rows = [[each.what, each.budget, each.measured, holds(each)] for each in verdicts]
    return report.table(["what", "budget", "measured", "holds"], rows)


def _shown(spread: Spread, unit: str, digits: int) -> str:
    median, low, high = (f"{value:,.{digits}f}" for value in (spread.median, spread.low, spread.high))
    return f"{median}{unit} ({low} to {high})"
