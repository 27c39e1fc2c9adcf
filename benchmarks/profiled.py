"""A worker and the recorder, sampled: which Python function has the processor, by CPU time.

    python -m benchmarks.profiled FILE ARGUMENT...

is one of these processes: the arguments are those of ``maskproxy.cli.child``. SIGUSR1 starts the samples, every two
milliseconds of CPU time (or as often as the kernel's clock ticks), and they are in FILE when the process has ended, as
SIGTERM ends it. A sample is taken before the next bytecode: what compiled code and system calls take counts for the
function that called them, and for a callback of the event loop what the loop itself took before it.
"""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from benchmarks.database import database
from benchmarks.load import Load, run
from benchmarks.measure import cpu_of
from benchmarks.proxy import configure, grant
from benchmarks.targets import START_SECONDS, Pooling, Target, free_port, wait_for_port
from maskproxy.cli.child import main
from maskproxy.proxy.control import recorder_path

INTERVAL = 0.002
SESSIONS = 50
SCOPE = "masked"


@dataclass(frozen=True, slots=True)
class Function:
    """For each query: microseconds of CPU in the function itself, and with all that it called."""

    name: str
    own: float
    all: float


class Sampler:
    """Counts where the process is."""

    def __init__(self) -> None:
        self.own = Counter[str]()
        self.all = Counter[str]()

    def start(self, *_: object) -> None:
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _take(self, _: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(_name(frame))
            frame = frame.f_back
        self.own[stack[0]] += 1
        self.all.update(set(stack))


def _name(frame: FrameType) -> str:
    """File and function; the class, where a dataclass made the function."""
    code = frame.f_code
    if code.co_filename == "<string>" and "self" in frame.f_locals:
        return f"{type(frame.f_locals['self']).__name__}.{code.co_name}"
    return f"{Path(code.co_filename).stem}.{code.co_qualname}"


def functions(load: Load, seconds: float) -> Mapping[str, Sequence[Function]]:
    """Of the worker and of the recorder, the dearest first."""
    with tempfile.TemporaryDirectory(prefix="maskproxy-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with database(directory / "postgres", sessions=SESSIONS) as direct:
            return functions_before(direct, directory / "maskproxy", load, seconds)


def functions_before(direct: Target, directory: Path, load: Load, seconds: float) -> Mapping[str, Sequence[Function]]:
    """The same with a proxy before ``direct`` whose files are in ``directory``, which does not exist yet."""
    spent = _drive(direct, directory, load, seconds)
    return {role: _read(directory / f"{role}.samples", used) for role, used in spent.items()}


def _drive(direct: Target, directory: Path, load: Load, seconds: float) -> Mapping[str, float]:
    """Microseconds of CPU for each query, by role."""
    listen = free_port()
    settings = configure(direct, directory, listen, Pooling(SESSIONS, None))
    tokens = asyncio.run(grant(f"sqlite+aiosqlite:///{directory}/store.db", direct.database, {SCOPE}))
    socket = recorder_path(directory / "run")
    processes = {"recorder": _start(directory, "recorder", str(socket), str(directory / "audit"))}
    try:
        ends = time.monotonic() + START_SECONDS
        while not socket.exists() and time.monotonic() < ends:
            time.sleep(0.05)
        worker = processes["worker"] = _start(directory, "worker", str(settings))
        assert worker.stdin is not None
        worker.stdin.write(b"0\n")
        worker.stdin.flush()
        wait_for_port(listen, worker)
        target = replace(direct, name="maskproxy", port=listen, user=SCOPE, password=tokens[SCOPE], pid=worker.pid)
        run(target, load, 2)  # fills caches, is not counted
        before = {role: cpu_of(process.pid).total for role, process in processes.items()}
        for process in processes.values():
            process.send_signal(signal.SIGUSR1)
        queries = run(target, load, seconds).tps * seconds
        after = {role: cpu_of(process.pid).total for role, process in processes.items()}
        return {role: (after[role] - before[role]) / queries * 1e6 for role in processes}
    finally:
        for role in ("worker", "recorder"):
            processes[role].terminate()
            processes[role].communicate()


def _start(directory: Path, role: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.profiled", str(directory / f"{role}.samples"), role, *arguments]
    with (directory / f"{role}.log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)


def _read(file: Path, spent: float) -> Sequence[Function]:
    """The samples as shares of the CPU time that was ``spent``."""
    counts = json.loads(file.read_text(encoding="utf-8"))
    each = spent / max(1, sum(counts["own"].values()))
    found = [Function(name, counts["own"].get(name, 0) * each, count * each) for name, count in counts["all"].items()]
    return sorted(found, key=lambda function: -function.own)


if __name__ == "__main__":
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, sampler.start)
    try:
        main(sys.argv[2:])
    finally:
        sampler.stop()
        Path(sys.argv[1]).write_text(json.dumps({"own": sampler.own, "all": sampler.all}), encoding="utf-8")
