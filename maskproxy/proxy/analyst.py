"""The processes in which statements are parsed: ``python -m maskproxy.proxy.analyst CPU-SECONDS BYTES``, by a worker.

The first process imports the parsers, analyses one statement of ours, which has them load and compute what they keep,
and then does nothing but fork *analysts* of itself, which start in milliseconds and share its memory, and kill them. An
analyst says that it is there by an empty result; then it reads texts from its socket and answers each with a plan or a
refusal.

Parsers are made to be fed by their owner, not by a stranger: one text may take them seconds, gigabytes or down. So an
analyst has bounds that the kernel enforces (CPU time per text by a timer whose signal kills, memory, no core file),
runs behind everything else, gets no environment, and knows no key, password or row (``analysis_wire``). Whatever kills
one costs the statement that did it and nothing else.

Behind everything else: a *patient* analyst has SCHED_IDLE (sched(7)). It runs when nothing else would, and whoever
wakes up takes the processor from it at once. Niceness alone is not enough: a process that has just begun to run keeps
the processor for some milliseconds, at whatever niceness. A *hasty* one has the least share that is one.

Protocol of the first process, on its standard input: ``P`` or ``H``, number, and a socket as ancillary data: a patient
or hasty analyst of that number serves that socket. ``K`` number: it is killed, if it still runs, and buried some time
later, since one without a share of the processor takes long to die. End of input: we end.
Protocol of an analyst: frames (``read_frame``), policies and texts in, results out; ``Request`` says how.
"""

import contextlib
import gc
import os
import resource
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from enum import IntEnum
from itertools import filterfalse
from typing import Final

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded
from maskproxy.base.refs import Generation
from maskproxy.core.catalog import Catalog
from maskproxy.core.sql.analysis import analyse
from maskproxy.proxy.analysis_wire import Brief, pack_result, unpack_policy
from maskproxy.proxy.parent import die_with_parent
from maskproxy.session.enforce import make_plan

COMMAND: Final = struct.Struct("!cI")  # P, H or K, number of the analyst
HEADER: Final = struct.Struct("!BII")  # Request, number of the policy, length of what follows
LENGTH: Final = struct.Struct("!I")  # of a result
_NICENESS: Final = 10  # of the first process
_HASTY_NICENESS: Final = 19
_BURIAL_SECONDS: Final = 0.1  # until those that were killed are looked after again
_FIRST: Final = (
    "SELECT upper(n), count(*) FROM (VALUES ('a')) AS v(n) WHERE n <> 'b' AND CAST(n AS text) = n GROUP BY n"
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one text may take: CPU time, time by the clock (the worker sees to that), memory. ``patience``: by the
    clock, until a hasty analyst takes it over."""

    cpu_seconds: float = limits.ANALYSIS_CPU_SECONDS
    seconds: float = limits.ANALYSIS_SECONDS
    patience: float = limits.ANALYSIS_PATIENCE
    memory: int = limits.ANALYSIS_MEMORY


class Request(IntEnum):
    POLICY = 1
    TEXT = 2


def main(bounds: Bounds) -> None:
    die_with_parent(signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are for the worker; we end when it has ended
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold statements
    analyse(_FIRST, Catalog(generation=Generation(0), tables={}))
    os.nice(_NICENESS)
    gc.collect()
    gc.freeze()  # what is shared with the analysts stays shared
    commands, parent = socket.socket(fileno=0), os.getpid()
    analysts: dict[int, int] = {}
    dying: set[int] = set()
    while True:
        dying = set(filterfalse(_buried, dying))
        commands.settimeout(_BURIAL_SECONDS if dying else None)
        try:
            data, files, _, _ = socket.recv_fds(commands, COMMAND.size, 1)
        except TimeoutError:
            continue
        if len(data) < COMMAND.size:
            return
        what, number = COMMAND.unpack(data)
        if what == b"K":
            if (killed := analysts.pop(number, None)) is not None:
                os.kill(killed, signal.SIGKILL)  # nobody else waits for it, so the number is still its own
                dying.add(killed)
        elif (pid := os.fork()) == 0:
            commands.close()
            _live(socket.socket(fileno=files[0]), bounds, parent, patient=what == b"P")
        else:
            os.close(files[0])
            analysts[number] = pid


def _buried(pid: int) -> bool:
    """Whether it has ended, and does not even have a number any more."""
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _queue_up(*, patient: bool) -> None:
    """Where there are no such classes (a sandbox may refuse them), niceness remains."""
    os.nice(_HASTY_NICENESS - _NICENESS)
    with contextlib.suppress(OSError):  # SCHED_BATCH: when it wakes up, nobody has to make room at once
        os.sched_setscheduler(0, os.SCHED_IDLE if patient else os.SCHED_BATCH, os.sched_param(0))


def _live(channel: socket.socket, bounds: Bounds, parent: int, *, patient: bool) -> None:
    """An analyst's whole life. Nothing may escape: a traceback could quote a statement."""
    try:
        die_with_parent(signal.SIGKILL, parent)
        _queue_up(patient=patient)
        memory = _address_space() + bounds.memory
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        channel.sendall(LENGTH.pack(0))
        _serve(channel, bounds.cpu_seconds)
    finally:
        os._exit(0)


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _serve(channel: socket.socket, cpu_seconds: float) -> None:
    policies: dict[int, Brief] = {}
    while True:
        kind, number, size = HEADER.unpack(_read(channel, HEADER.size))
        data = _read(channel, size)
        if kind == Request.POLICY:
            policies[number] = unpack_policy(data)
        else:
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            result = _analyse(data.decode(), policies[number])
            signal.setitimer(signal.ITIMER_PROF, 0)
            channel.sendall(LENGTH.pack(len(result)) + result)


def _analyse(text: str, policy: Brief) -> bytes:
    result = pack_result(make_plan(text, policy.scope, policy.search_path, policy.stamp))
    if len(result) > limits.MAX_ANALYSIS:
        return pack_result(LimitExceeded("statement has too many columns to be analysed"))
    return result


def _read(channel: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; at the end of input the process ends."""
    parts: list[bytes] = []
    while size:
        part = channel.recv(min(size, limits.READ_SIZE))
        if not part:
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    main(Bounds(cpu_seconds=float(sys.argv[1]), memory=int(sys.argv[2])))
