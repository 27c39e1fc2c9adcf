"""One run of pgbench through one target: point SELECTs by primary key, from a script of our own.

The built-in ``pgbench -S`` has the same statement and also asks the catalog how the tables are partitioned, once per
run, which is none of a scope's business.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.database import ROWS_OF_ACCOUNTS
from benchmarks.measure import cpu, percentile
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
class Load:
    """``reconnect``: a connection for each query. ``rate``: queries a second in all, None for as many as can be."""

    column: Column
    mode: Mode
    clients: int
    reconnect: bool = False
    rate: int | None = None

    def options(self) -> Sequence[str]:
        options = ["-n", "-M", self.mode, "-c", str(self.clients), "-j", str(min(self.clients, THREADS))]
        return options + ["-C"] * self.reconnect + ([] if self.rate is None else [f"--rate={self.rate}"])


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. Latencies in microseconds, when they were asked for; CPU of the proxy in microseconds per query."""

    tps: float
    p50: float | None
    p99: float | None
    cpu: float
    cpu_user: float


def run(target: Target, load: Load, seconds: float, *, latencies: bool = False) -> Sample:
    with tempfile.TemporaryDirectory(prefix="pgbench-") as scratch:
        script = Path(scratch, "select.sql")
        script.write_text(SCRIPT.format(column=load.column), encoding="utf-8")
        options = [*load.options(), "-f", str(script), "-T", f"{seconds:.0f}"]
        if latencies:
            options += ["-l", f"--log-prefix={scratch}/log"]
        before = cpu(target.pid)
        output = target.run("pgbench", *options, *target.arguments(), timeout=seconds + MARGIN_SECONDS)
        used = cpu(target.pid) - before
        queries = _figure(r"number of transactions actually processed: (\d+)", output)
        times = _latencies(Path(scratch)) if latencies else []
        return Sample(
            tps=_figure(r"tps = ([\d.]+)", output),
            p50=percentile(times, 50) if latencies else None,
            p99=percentile(times, 99) if latencies else None,
            cpu=used.total / queries * 1e6,
            cpu_user=used.user / queries * 1e6,
        )


def _figure(pattern: str, output: str) -> float:
    found = re.search(pattern, output)
    if found is None:
        raise RuntimeError(f"pgbench did not say {pattern!r}: {output}")
    return float(found[1])


def _latencies(directory: Path) -> list[float]:
    """Third column of pgbench's transaction log: microseconds, from when the query was due."""
    lines = [line.split() for log in directory.glob("log.*") for line in log.read_text(encoding="ascii").splitlines()]
    return [float(line[2]) for line in lines]
