"""Where the time of one query goes: by process, by system call, by library, and by function.

    python -m benchmarks.breakdown [--json FILE] [--seconds N] [--quick]

Eight clients send a prepared query whose row is masked. CPU by process is of ``maskproxy serve`` as it is. Then the
same load again: a worker under strace (which counts its system calls), all workers under perf (which sees the kernel
and compiled code; both only where the machine has them), and one worker whose Python functions are sampled
(``profiled``).
"""

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import command, report
from benchmarks.charts import Chart
from benchmarks.command import Options, Outcome
from benchmarks.lineup import lineup
from benchmarks.load import Column, Load, Mode, run
from benchmarks.measure import Cpu, Spread, cpu_of, tree
from benchmarks.profiled import Function, functions
from benchmarks.targets import Target

LOAD = Load(Column.MASKED, Mode.PREPARED, 8)
SHOWN = 25  # functions; of symbols half as many, which are less telling
LEAST = 0.5  # per cent of the samples, below which a line of perf's is not shown
ROLES = ("worker", "recorder")


def roles(root: int) -> Mapping[int, str]:
    """What each process of the proxy is."""
    return {pid: role for pid in tree(root) if (role := _role(pid))}


def _role(pid: int) -> str | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if "maskproxy.cli.child" in words:
        return words[words.index("maskproxy.cli.child") + 1]
    return "analysts" if "maskproxy.proxy.analyst" in words else "supervisor"


def by_process(target: Target, seconds: float) -> Mapping[str, Cpu]:
    """Microseconds for each query."""
    assert target.pid is not None
    before = {pid: cpu_of(pid) for pid in roles(target.pid)}
    queries = run(target, LOAD, seconds).tps * seconds
    spent: dict[str, Cpu] = {}
    for pid, role in roles(target.pid).items():
        used = cpu_of(pid) - before.get(pid, Cpu(0.0, 0.0))
        each = Cpu(used.user / queries * 1e6, used.total / queries * 1e6)
        spent[role] = spent.get(role, Cpu(0.0, 0.0)) + each
    return spent


def by_system_call(target: Target, role: str, seconds: float) -> Mapping[str, float]:
    """Calls for each query, of all processes of that role. Empty without strace."""
    assert target.pid is not None
    pids = [option for pid, each in roles(target.pid).items() if each == role for option in ("-p", str(pid))]
    if shutil.which("strace") is None:
        return {}
    with subprocess.Popen(["strace", "-c", "-f", "-q", *pids], stderr=subprocess.PIPE, text=True) as strace:
        time.sleep(0.5)  # it has attached
        queries = run(target, LOAD, seconds).tps * seconds
        strace.send_signal(signal.SIGINT)
        _, summary = strace.communicate()
    # % time, seconds, usecs/call, calls, errors (or nothing), syscall
    lines = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", summary, re.MULTILINE)
    return {name: int(count) / queries for count, name in lines if name != "total" and int(count) > queries / 100}


def by_symbol(target: Target, role: str, seconds: float) -> Sequence[tuple[float, str, str]]:
    """Per cent of the samples, library, symbol without perf's mark of its kind. Empty without perf, or where it may not
    look."""
    assert target.pid is not None
    pids = ",".join(str(pid) for pid, each in roles(target.pid).items() if each == role)
    if shutil.which("perf") is None:
        return []
    with tempfile.TemporaryDirectory(prefix="perf-") as scratch:
        file = f"{scratch}/perf.data"
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", file, "-p", pids]
        with subprocess.Popen(record, stderr=subprocess.DEVNULL) as perf:
            run(target, LOAD, seconds)
            perf.send_signal(signal.SIGINT)
        show = ["perf", "report", "-i", file, "--stdio", "--no-children", "-g", "none", "--sort", "dso,sym", "-t", "\t"]
        told = subprocess.run(show, capture_output=True, text=True)
    lines = [line.split("\t") for line in told.stdout.splitlines() if line.strip() and not line.startswith("#")]
    return [(float(share.strip(" %")), library.strip(), symbol.strip()[4:]) for share, library, symbol in lines]


def by_library(symbols: Sequence[tuple[float, str, str]]) -> Mapping[str, float]:
    shares = defaultdict[str, float](float)
    for share, library, _ in symbols:
        shares[library.partition(".cpython")[0]] += share
    ordered = sorted(shares.items(), key=lambda each: -each[1])
    return {library: share for library, share in ordered if share >= LEAST}


def tables(
    processes: Mapping[str, Cpu],
    calls: Mapping[str, Mapping[str, float]],
    symbols: Mapping[str, Sequence[tuple[float, str, str]]],
    functions: Mapping[str, Sequence[Function]],
) -> str:
    parts = [
        "CPU by process, microseconds for each query.",
        report.table(
            ["process", "user", "system"],
            [[role, f"{each.user:.1f}", f"{each.total - each.user:.1f}"] for role, each in processes.items()],
        ),
    ]
    for role, counts in calls.items():
        listed = ", ".join(f"`{name}` {count:.2f}" for name, count in sorted(counts.items(), key=lambda each: -each[1]))
        parts.append(f"System calls of the {role} for each query: {listed or 'not counted, there is no strace'}.")
    for role, lines in symbols.items():
        shares = ", ".join(f"{library} {share:.0f} %" for library, share in by_library(lines).items())
        parts.append(f"CPU of the {role} by library: {shares or 'not sampled, there is no perf'}.")
        rows = [[f"`{symbol}`", library, f"{share:.1f}"] for share, library, symbol in lines[: SHOWN // 2]]
        parts += [report.table([f"symbol, {role}", "library", "per cent"], rows)] if rows else []
    for role, dearest in functions.items():
        rows = [[f"`{each.name}`", f"{each.own:.1f}", f"{each.all:.1f}"] for each in dearest[:SHOWN] if each.own]
        head = [f"function, {role}", "own µs for each query", "with what it calls"]
        parts.append(report.table(head, rows))
    return "\n\n".join(parts)


def chart(processes: Mapping[str, Cpu]) -> Chart:
    groups = {
        role: {"user": Spread.of([each.user]), "system": Spread.of([each.total - each.user])}
        for role, each in processes.items()
    }
    return Chart(name="breakdown", title="Microseconds of CPU for each query, by process", groups=groups)


def outcome(options: Options) -> Outcome:
    with lineup(scopes={"maskproxy": "masked"}) as (targets, versions):
        target = targets[-1]
        run(target, LOAD, 1)  # fills caches, is not counted
        processes = by_process(target, options.seconds)
        calls = {role: by_system_call(target, role, options.seconds) for role in ROLES}
        symbols = {role: by_symbol(target, role, options.seconds) for role in ROLES}
    found = functions(LOAD, options.seconds)
    return Outcome(
        versions=versions,
        about=f"{LOAD.clients} clients, {LOAD.mode}, masked.",
        text=tables(processes, calls, symbols, found),
        samples={
            "processes": {role: asdict(each) for role, each in processes.items()},
            "system calls": calls,
            "symbols": symbols,
            "functions": {role: [asdict(each) for each in lines] for role, lines in found.items()},
        },
        charts=[chart(processes)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    command.run("breakdown", __doc__, outcome, arguments, seconds=5)


if __name__ == "__main__":
    main()
