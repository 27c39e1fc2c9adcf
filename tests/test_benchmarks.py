"""The benchmarks still run, and say of what they measured what is so. How fast anything is, is not tested here."""

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import audit, breakdown, budgets, connect, idle, novel, pgbench, report, rows, slow, transactions
from benchmarks.__main__ import ALL
from benchmarks.budgets import Verdict
from benchmarks.charts import Chart, tick
from benchmarks.lineup import lineup
from benchmarks.load import Column, Load, Mode, Sample, run
from benchmarks.measure import Spread, percentile, turn
from benchmarks.novelist import KINDS
from benchmarks.profiled import functions_before

README = report.README.read_text(encoding="utf-8")
EVEN = Spread.of([1.0])


@pytest.mark.parametrize("name", ["budgets", *ALL])
def test_every_benchmark_has_its_place_in_the_readme(name: str) -> None:
    assert README.count(f"<!-- {name}: begin -->") == README.count(f"<!-- {name}: end -->") == 1


def test_every_chart_in_the_readme_is_there() -> None:
    assert all((report.README.parent / file).is_file() for file in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README))


def test_a_budget_is_of_the_median() -> None:
    spread = Spread.of([0.5, 0.95, 2.0])
    assert budgets.at_least("speed", 0.9, spread) == Verdict("speed", "≥ 0.90", "0.95 (0.50 to 2.00)", True)
    assert not budgets.at_least("speed", 1.0, spread).holds
    assert budgets.at_most("cpu", 1000, Spread.of([1234.0]), " ns", 0) == Verdict(
        "cpu", "≤ 1,000 ns", "1,234 ns (1,234 to 1,234)", False
    )


def test_a_benchmark_replaces_its_own_verdicts_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- budgets: begin -->\nold\n<!-- budgets: end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(report, "README", readme)
    monkeypatch.setattr(budgets, "FILE", tmp_path / "budgets.json")
    budgets.publish("rows", [budgets.at_most("rows", 2, EVEN)])
    budgets.publish("pgbench", [budgets.at_most("first try", 2, EVEN)])
    budgets.publish("pgbench", [budgets.at_least("second try", 2, EVEN)])
    lines = readme.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "1.00" in line] == [
        "| second try | ≥ 2.00 | 1.00 (1.00 to 1.00) | **no** |",
        "| rows | ≤ 2.00 | 1.00 (1.00 to 1.00) | yes |",
    ]
    assert lines[0] == "before"
    assert lines[-1] == "after"


def test_a_chart_is_well_formed() -> None:
    groups = {"one & two": {"a": Spread(1, 0.5, 4), "b": EVEN}, "three": {"a": EVEN}}
    root = ElementTree.fromstring(Chart(name="x", title="more < less", groups=groups, budget=2.0).svg())
    kinds = [each.attrib.get("class") for each in root.iter()]
    assert kinds.count("whisker") == 3
    assert kinds.count("budget") == 1
    assert "one & two" in [each.text for each in root.iter()]


@pytest.mark.parametrize(
    ("greatest", "step"), [(0.9, 0.2), (1.0, 0.2), (2.4, 0.5), (5.0, 1.0), (7.0, 2.0), (0.04, 0.01), (1300, 500)]
)
def test_an_axis_has_round_steps(greatest: float, step: float) -> None:
    assert tick(greatest) == pytest.approx(step)


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile(range(1, 101), 99) == 99
    assert percentile([3.0], 50) == 3.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0


def test_each_round_begins_with_another_target() -> None:
    assert [turn("abc", number) for number in range(4)] == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], [*"abc"]]


def _sample(factor: float) -> Sample:
    return Sample(tps=1000 / factor, p50=100 * factor, p99=300.0, cpu=10 * factor, cpu_user=1.0)


def test_the_budgets_of_pgbench_compare_with_pgbouncer() -> None:
    targets = {"direct": _sample(1), "PgBouncer": _sample(2), "maskproxy": _sample(4)}
    load = Load(Column.MASKED, Mode.PREPARED, 8)
    results = {load: [targets], Load(Column.MASKED, Mode.PREPARED, 1): [targets]}
    assert [(each.measured.split()[0], each.holds) for each in pgbench.verdicts(results)] == [
        ("0.50", False),
        ("2.00", False),
        ("3.00", False),
    ]
    assert "| masked, prepared, 8 clients | 1,000 tps | 0.50 " in pgbench.tables(results)


def test_without_pgbouncer_there_is_nothing_to_compare_with() -> None:
    results = {Load(Column.MASKED, Mode.PREPARED, 8): [{"direct": _sample(1), "maskproxy": _sample(1)}]}
    assert not pgbench.verdicts(results)
    assert "PgBouncer |" not in pgbench.tables(results)


@pytest.mark.server
@pytest.mark.timeout(300)  # starts everything that is compared
def test_every_way_of_measuring_works(tmp_path: Path) -> None:
    """One short run each, on small tables: the statements are served, and by whom they should be."""
    scopes = {**rows.SCOPES, "maskproxy": "masked", "other": "other"}
    with lineup(scopes=scopes, sessions=60, rows=1000) as (targets, _):
        proxy = next(each for each in targets if each.name == "maskproxy")
        assert run(proxy, Load(Column.MASKED, Mode.PREPARED, 4, rate=100), 1, latencies=True).p99
        assert run(proxy, connect.CASES["1 client"], 1).cpu > 0
        for way in rows.ways([each for each in targets if each.name not in ("maskproxy", "other")]):
            assert rows.read(way, 1000).megabytes > 0
        [way] = novel.ways([proxy, targets[-1]])
        for kind in KINDS:
            assert novel.beside(way, Load(Column.MASKED, Mode.PREPARED, 2), kind, 1)[1] < 10
        assert len(idle.measure(proxy, 8)) == idle.STEPS
        assert slow.spreads(slow.measure([proxy], rounds=1, rows=1000))["maskproxy"].median < 100
        processes = breakdown.by_process(proxy, 1)
        calls = {role: breakdown.by_system_call(proxy, role, 1) for role in breakdown.ROLES}
        symbols = {role: breakdown.by_symbol(proxy, role, 1) for role in breakdown.ROLES}
        functions = functions_before(targets[0], tmp_path / "profiled", breakdown.LOAD, 1)
    assert processes["worker"].total > processes["recorder"].total > 0
    assert all(functions[role][0].own > 0 for role in breakdown.ROLES)
    told = breakdown.tables(processes, calls, symbols, functions)
    assert all(told.count(f"of the {role}") == 2 for role in breakdown.ROLES)


@pytest.mark.timeout(60)
def test_what_is_recorded_for_the_benchmark_is_read_back(tmp_path: Path) -> None:
    """Which raises when a record is missing."""
    samples, facts = audit.measure(tmp_path, rounds=1, seconds=0.1)
    assert [len(each) for each in samples.values()] == [1] * len(audit.SESSIONS)
    assert all(each.holds in (True, False) for each in audit.verdicts(samples, facts))
    assert f"| {audit.SESSIONS[-1]} |" in audit.text(samples, facts)


@pytest.mark.server
@pytest.mark.timeout(120)
def test_connections_are_shared_where_transactions_are_pooled() -> None:
    """One of PgBouncer's, and one of each worker's, whose number is that of the processors."""
    assert {case.clients for case in transactions.CASES} == {transactions.CLIENTS}
    ran = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT filler%'"
    with lineup(scopes={"maskproxy": "masked"}, sessions=100, connections=1, rows=1000) as (targets, _):
        for target in targets[1:]:
            assert run(target, Load(Column.MASKED, Mode.SIMPLE, 16), 3).tps > 0
        assert 0 < int(targets[0].sql(ran)) <= 1 + (os.cpu_count() or 1)
        assert len(idle.measure(targets[-1], 8)) == idle.STEPS
