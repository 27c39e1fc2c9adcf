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

    def __add__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.user + other.user, self.total + other.total)

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.user - other.user, self.total - other.total)


@dataclass(frozen=True, slots=True)
class Memory:
    """KiB that are resident, and the share of them when pages of several processes are divided among these."""

    rss: int
    pss: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Median of the rounds with the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], percent: int) -> float:
    """The least value that so many of a hundred do not exceed. Raises ValueError when there are none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def turn(targets: Sequence[K], number: int) -> Sequence[K]:
    """The order of round ``number``: each round begins with another target."""
    start = number % len(targets)
    return [*targets[start:], *targets[:start]]


def cpu(root: int | None) -> Cpu:
    """CPU time so far of process ``root`` and all below it, those that ended included. Zero for no process."""
    used = Cpu(0.0, 0.0)
    for pid in set() if root is None else tree(root):
        used += cpu_of(pid)
    return used


def cpu_of(pid: int) -> Cpu:
    """Of one process, with its children that ended. Zero when it is gone.

    proc_pid_stat(5): utime, stime, cutime, cstime are fields 14 to 17, counted from behind the command's name.
    """
    fields = _stat(pid) or ["0"] * 15
    user, system = int(fields[11]) + int(fields[13]), int(fields[12]) + int(fields[14])
    return Cpu(user / TICKS_PER_SECOND, (user + system) / TICKS_PER_SECOND)


def memory(root: int | None) -> Memory:
    """Of process ``root`` and all below it. Zero for no process."""
    rollups = [] if root is None else [_rollup(pid) for pid in tree(root)]
    return Memory(*(sum(each.get(key, 0) for each in rollups) for key in ("Rss", "Pss")))


def tree(root: int) -> set[int]:
    """Process ``root`` and all below it."""
    parents = {pid: int(fields[1]) for pid in _processes() if (fields := _stat(pid))}
    found = {root}
    while added := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= added
    return found


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


def _rollup(pid: int) -> Mapping[str, int]:
    """KiB by key, proc_pid_smaps(5); empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    lines = (line.split() for line in text.splitlines()[1:])
    return {words[0].removesuffix(":"): int(words[1]) for words in lines}
