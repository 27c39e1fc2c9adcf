"""How long a statement takes until there is a plan: never seen before, seen with other literals, seen.

    python -m benchmarks.analysis [--json FILE] [--quick]

The 22 queries of TPC-H as a company would label its tables (names, addresses, telephone numbers, balances and clerks
are masked, so most of them run on masked values), and small statements. CPU time in one process, without the way to
an analyst and back.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import budgets, command, report
from benchmarks.budgets import Verdict
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.measure import Spread
from maskproxy.base.refs import Generation, Oid, TableRef
from maskproxy.core.catalog import Catalog, Column, Table
from maskproxy.core.plan import Plan, Stamp
from maskproxy.core.policy.compile import compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.sql.shape import LiteralKind, shape
from maskproxy.session.enforce import Policy, make_plan
from tests.usability.generate import generate
from tests.usability.tpc import queries as tpc

_HERE = Path(tpc.__file__).parent
_OIDS = {
    "int": 23,
    "integer": 23,
    "bigint": 20,
    "char": 1042,
    "varchar": 1043,
    "numeric": 1700,
    "date": 1082,
    "text": 25,
}
TRIES = 30
_OTHER = {LiteralKind.STRING: "'another'", LiteralKind.INTEGER: "77", LiteralKind.DECIMAL: "7.25"}
SMALL: Mapping[str, str] = {
    "trivial": "SELECT o_totalprice FROM orders WHERE o_orderkey = 4711",
    "masked column": "SELECT c_custkey, c_phone FROM customer WHERE c_custkey = 4711",
    "masked column in WHERE": "SELECT c_custkey FROM customer WHERE c_phone LIKE '13-%'",
    "typical": "SELECT c.c_custkey, c.c_mktsegment, o.o_totalprice FROM customer c JOIN orders o ON o.o_custkey = "
    "c.c_custkey WHERE o.o_totalprice > 1000 AND c.c_mktsegment = 'BUILDING' ORDER BY o.o_totalprice DESC LIMIT 10",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Microseconds. ``usual`` is the median of what ``cold`` is the least and ``slow`` the greatest of. ``similar`` is
    None where a plan is not shared."""

    cold: float
    usual: float
    slow: float
    similar: float | None
    exact: float


def policy() -> Policy:
    """TPC-H's tables and rules."""
    tables = {}
    for number, table in enumerate(generate((_HERE / "tpch.yaml").read_text(encoding="utf-8")), 20_000):
        columns = tuple(
            Column(name=name, type_oid=Oid(_OIDS[kind.partition("(")[0]]), type_name=kind, attnum=attnum)
            for attnum, (name, kind) in enumerate(table.columns, 1)
        )
        ref = TableRef("public", table.name)
        tables[ref] = Table(ref=ref, oid=Oid(number), columns=columns)
    rules = RulesDocument.parse((_HERE / "tpch_rules.yaml").read_text(encoding="utf-8"), "tpch_rules.yaml")
    catalog = Catalog(generation=Generation(1), tables=tables)
    compiled = compile_rules([rules], catalog, "shop", lambda label: label.encode().ljust(32), Generation(1))
    return Policy.of(compiled.combine(("analyst",)), Stamp(Generation(1), Generation(1)), ("public",))


def measure(text: str, policy: Policy, tries: int) -> Sample:
    """Raises ValueError for a statement that is refused."""

    def cold() -> None:
        make_plan(text, policy.scope, policy.search_path, policy.stamp)

    plan = policy.decide(text)
    if not isinstance(plan, Plan):
        raise ValueError(f"{plan.message}: {text}")
    other = with_other_literals(text, policy)
    similar = None if other is None else least(lambda: policy.cached(other), tries, 1_000)
    colds = spent(cold, tries, 1)
    return Sample(
        min(colds), statistics.median(colds), max(colds), similar, least(lambda: policy.cached(text), tries, 1_000)
    )


def with_other_literals(text: str, policy: Policy) -> str | None:
    """A text that finds the plan of this one; None when there is none."""
    found = shape(text)
    if found is None:
        return None
    parts = iter(found.literals)
    written = [(part, next(parts) if isinstance(part, LiteralKind) else part) for part in found.key]
    for number in range(len(written)):
        kind, _ = written[number]
        if isinstance(kind, LiteralKind):
            pieces = [each for _, each in written]
            pieces[number] = _OTHER[kind]
            if policy.cached("".join(map(str, pieces))) is not None:
                return "".join(map(str, pieces))
    return None


def least(work: Callable[[], object], tries: int, repeats: int) -> float:
    """Microseconds of CPU, the least of the tries."""
    return min(spent(work, tries, repeats))


def spent(work: Callable[[], object], tries: int, repeats: int) -> list[float]:
    """Microseconds of CPU, by try."""
    samples = []
    for _ in range(tries):
        begin = time.process_time()
        for _ in range(repeats):
            work()
        samples.append((time.process_time() - begin) / repeats * 1e6)
    return samples


def table(samples: Mapping[str, Sample]) -> str:
    rows = [_row(name, samples[name]) for name in SMALL]
    worst = dearest(samples)
    rows.append(_row(f"TPC-H, dearest ({worst.removeprefix('tpc-h ')})", samples[worst]))
    tpch = [sample for name, sample in samples.items() if name not in SMALL]
    return report.table(["statement", "never seen", "other literals", "seen"], [*rows, _median(tpch)])


def dearest(samples: Mapping[str, Sample]) -> str:
    """Which of TPC-H."""
    return max((name for name in samples if name not in SMALL), key=lambda name: samples[name].cold)


def _row(name: str, sample: Sample) -> list[str]:
    similar = "" if sample.similar is None else f"{sample.similar:.1f}"
    return [name, f"{sample.cold:,.0f} ({sample.usual:,.0f})", similar, f"{sample.exact:.2f}"]


def _median(samples: Sequence[Sample]) -> list[str]:
    similar = [each.similar for each in samples if each.similar is not None]
    cold, usual, slow, exact = (
        statistics.median(getattr(each, name) for each in samples) for name in ("cold", "usual", "slow", "exact")
    )
    return _row(f"TPC-H, median of {len(samples)}", Sample(cold, usual, slow, statistics.median(similar), exact))


def verdicts(samples: Mapping[str, Sample]) -> Sequence[Verdict]:
    lines = []
    for what, name, bound in (
        ("a trivial statement", "trivial", 1.0),
        ("the dearest of TPC-H", dearest(samples), 10.0),
    ):
        lines.append(budgets.at_most(f"analysis of {what} never seen before", bound, _cold(samples[name]), " ms"))
    return lines


def _cold(sample: Sample) -> Spread:
    """Milliseconds."""
    return Spread(sample.usual / 1000, sample.cold / 1000, sample.slow / 1000)


def chart(samples: Mapping[str, Sample]) -> Chart:
    groups = {name: {"never seen": _cold(sample)} for name, sample in samples.items()}
    return Chart(name="analysis", title="Milliseconds of CPU until a statement has a plan", groups=groups, budget=10.0)


def outcome(options: Options) -> Outcome:
    rules = policy()
    texts = {**SMALL, **tpc.queries("tpc-h")}
    samples = {name: measure(text, rules, 3 if options.quick else TRIES) for name, text in texts.items()}
    return Outcome(
        versions={"maskproxy": report.commit()},
        about=f"{TRIES} tries.",
        text=f"Microseconds of CPU.\n\n{table(samples)}",
        samples={name: asdict(sample) for name, sample in samples.items()},
        verdicts=verdicts(samples),
        charts=[chart(samples)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("analysis", __doc__, outcome, arguments)


if __name__ == "__main__":
    main()
