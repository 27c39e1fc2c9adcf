"""What is measured, and how samples become figures: CPU time of process trees, ratios per round, their median."""

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

K = TypeVar("K")

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU, in user mode and in all."""

    user: float
    total: float

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.user - other.user, self.total - other.total)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median of the rounds with the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


def cpu(root: int | None) -> Cpu:
    """CPU time so far of process ``root`` and all below it, those that ended included. Zero for no process.

    proc_pid_stat(5): utime, stime, cutime, cstime are fields 14 to 17, counted from behind the command's name.
    """
    if root is None:
        return Cpu(0.0, 0.0)
    fields = [_stat(pid) for pid in _tree(root)]
    user = sum(int(each[11]) + int(each[13]) for each in fields if each)
    system = sum(int(each[12]) + int(each[14]) for each in fields if each)
    return Cpu(user / TICKS_PER_SECOND, (user + system) / TICKS_PER_SECOND)


def _tree(root: int) -> set[int]:
    parents = {pid: int(fields[1]) for pid in _processes() if (fields := _stat(pid))}
    tree = {root}
    while added := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= added
    return tree


def _processes() -> Iterable[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())


def _stat(pid: int) -> list[str]:
    """Fields from the state on; empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def ratios(rounds: Sequence[Mapping[K, float]], base: K) -> dict[K, Spread]:
    """Per key, its value over that of ``base`` in the same round: neighbours in time share the machine's mood."""
    return {key: Spread.of([each[key] / each[base] for each in rounds]) for key in rounds[0]}
