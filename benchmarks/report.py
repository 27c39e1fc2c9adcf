"""Tables: GitHub's Markdown, kept in ``benchmarks/README.md`` between markers, with the machine and the date."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Spread

README = Path(__file__).with_name("README.md")
ROOT = README.parents[1]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratio(spread: Spread) -> str:
    """``0.61 (0.58 to 0.66)``"""
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def machine(versions: Mapping[str, str]) -> str:
    """One paragraph: when, where, what."""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    processor = f"{_processor()}, {os.cpu_count()} processors, {_memory()} GiB"
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{date}; {processor}, Linux {platform.release()}; Python {platform.python_version()}, {software}."


def commit() -> str:
    """The commit measured, ``+`` when files other than the figures differ from it."""
    git = ["git", "-C", str(ROOT)]
    others = ["--", ".", *(f":!benchmarks/{name}" for name in ("README.md", "budgets.json", "*.svg"))]
    try:
        short = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "-uno", *others], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "outside git"
    return short.stdout.strip() + ("+" if dirty.stdout else "")


def write(section: str, text: str) -> None:
    """Replace what stands between the markers of ``section``."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    readme = README.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(readme):
        raise ValueError(f"{README} has no markers for {section}")
    README.write_text(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", readme), encoding="utf-8")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
