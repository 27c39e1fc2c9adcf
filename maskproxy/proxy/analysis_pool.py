"""Statements never seen before are analysed in other processes, so that no client waits for another's parse.

``submit`` puts a text into the queue; an analyst (``analyst``) takes it, and ``done`` is called with the plan or the
refusal. An analyst that takes too long, dies or talks nonsense is killed and replaced by a fork, which takes
milliseconds; the statement that it had is refused. Clients take turns (``fair_queue``).

Analysts are *patient*: they run when nobody else wants the processor, so new statements delay nobody. Where others want
it all the time, one would wait for ever. So what a patient one has not answered in a while goes to a *hasty* one in its
place, which gets a small share of the processor, and stays until there is a lull.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import structlog

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, StatementError
from maskproxy.core.plan import Plan
from maskproxy.proxy.analysis_wire import pack_policy, unpack_result
from maskproxy.proxy.analyst import COMMAND, HEADER, LENGTH, Bounds, Request
from maskproxy.proxy.fair_queue import FairQueue
from maskproxy.session.enforce import Policy, check_text

Done = Callable[[Plan | StatementError], None]

_START_SECONDS = 30.0  # until an analyst is there, on a machine that is very busy
_PAUSE_SECONDS = 0.2  # before a first process that died is started again
_LULL_SECONDS = 0.5  # without a new text, after which a patient analyst is tried again
_POLICIES = 4  # whose packed form is kept for the next analyst: packing a thousand tables takes 80 ms
_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "PYTHONWARNINGS")
"""What an interpreter needs to start; the worker's environment may hold passwords."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Inquiry:
    """One text of one client. ``waiting`` are those who asked; nobody is left when all have gone away."""

    client: Hashable
    policy: Policy
    text: str = field(repr=False)
    waiting: list[Done]
    expiry: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """``given_up``: texts whose analyst was killed or died. ``ready``: analysts that wait for a text, or have one."""

    ready: int
    waiting: int
    analysed: int
    given_up: int


class AnalysisPool:
    """``run`` belongs to the caller's TaskGroup; ``submit`` may be called at any time from the event loop."""

    def __init__(self, size: int = limits.MAX_ANALYSTS, bounds: Bounds | None = None) -> None:
        self._size = size
        self._queue: FairQueue[Inquiry] = FairQueue(size)
        self._open: dict[tuple[Hashable, int, str], Inquiry] = {}
        self._work = asyncio.Event()
        self._bounds = bounds or Bounds()
        self._forker = Forker(self._bounds)
        self._ready: set[Analyst] = set()
        self._analysed = 0
        self._given_up = 0

    @property
    def warm(self) -> bool:
        """Nothing has to be started before the next text is analysed."""
        return self.statistics().ready == self._size

    def statistics(self) -> Statistics:
        ready = sum(each.alive for each in self._ready)
        return Statistics(ready, len(self._queue), self._analysed, self._given_up)

    def submit(self, client: Hashable, policy: Policy, text: str, done: Done) -> Callable[[], None]:
        """``done`` is called later, from the event loop, at most once. Call what this returns when it no longer
        matters. Sessions of one client that ask for the same at the same time are answered together."""
        loop = asyncio.get_running_loop()
        refusal = check_text(text, policy.scope)
        if refusal is not None:
            return loop.call_soon(done, refusal).cancel
        key = (client, id(policy), text)
        inquiry = self._open.get(key)
        if inquiry is None:
            inquiry = self._open[key] = Inquiry(client, policy, text, [])
            inquiry.expiry = loop.call_later(self._bounds.seconds, self._expire, inquiry)
            self._queue.put(inquiry)
            self._work.set()
        inquiry.waiting.append(done)
        return lambda: self._abandon(inquiry, done)

    def _abandon(self, inquiry: Inquiry, done: Done) -> None:
        if done in inquiry.waiting:
            inquiry.waiting.remove(done)
        if not inquiry.waiting and self._queue.drop(inquiry):
            self._close(inquiry)

    def _expire(self, inquiry: Inquiry) -> None:
        """It waited for its turn all the time; one under way has a deadline of its own."""
        if self._queue.drop(inquiry):
            self._answer(inquiry, LimitExceeded("too many statements wait to be analysed", hint="Try again later."))

    def _answer(self, inquiry: Inquiry, result: Plan | StatementError) -> None:
        self._close(inquiry)
        for done in inquiry.waiting:
            asyncio.get_running_loop().call_soon(done, result)

    def _close(self, inquiry: Inquiry) -> None:
        if inquiry.expiry is not None:
            inquiry.expiry.cancel()
        del self._open[(inquiry.client, id(inquiry.policy), inquiry.text)]

    # the analysts

    async def run(self) -> None:
        """For ever. Ends by cancellation, and all its processes with it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forker.run())
            for _ in range(self._size):
                group.create_task(self._attend())

    async def _attend(self) -> None:
        """One analyst after the other; each is ready before its first text comes. One in haste for what a patient one
        was too slow for."""
        left: Inquiry | None = None
        while True:
            if left is not None and not self._forker.started.is_set():
                self._put_back(left)
                left = None
            await self._forker.started.wait()
            try:
                analyst = self._forker.fork(patient=left is None)
            except OSError:  # the first process has just died
                await asyncio.sleep(_PAUSE_SECONDS / 4)
                continue
            try:
                if await analyst.started():
                    self._ready.add(analyst)
                    left = await self._serve(analyst, left)
                elif left is not None:
                    self._put_back(left)
                    left = None
            finally:
                self._ready.discard(analyst)
                self._forker.kill(analyst)

    async def _serve(self, analyst: "Analyst", first: Inquiry | None) -> Inquiry | None:
        """Until it is of no use any more. What a patient one was too slow for, if that is why."""
        while not analyst.worn_out:
            inquiry, first = first or await self._next(None if analyst.patient else _LULL_SECONDS), None
            if inquiry is None:  # nothing is urgent any more
                break
            if not analyst.alive:  # it died while it had nothing to do
                self._put_back(inquiry)
                break
            try:
                result = await self._ask(analyst, inquiry)
            except TimeoutError:
                return inquiry
            self._finish(inquiry, result)
            if result is None:
                break
        return None

    async def _next(self, seconds: float | None) -> Inquiry | None:
        """None when there was nothing for so long."""
        try:
            async with asyncio.timeout(seconds):
                while (inquiry := self._queue.take()) is None:
                    self._work.clear()
                    await self._work.wait()
                return inquiry
        except TimeoutError:
            return None

    def _put_back(self, inquiry: Inquiry) -> None:
        self._queue.finished(inquiry)
        self._queue.put(inquiry)
        self._work.set()

    async def _ask(self, analyst: "Analyst", inquiry: Inquiry) -> Plan | StatementError | None:
        """None when the analyst has to be given up. Raises TimeoutError when it is patient and needs too long."""
        try:
            async with asyncio.timeout(self._bounds.patience if analyst.patient else self._bounds.seconds):
                return await analyst.ask(inquiry.policy, inquiry.text)
        except (OSError, EOFError, ValueError) as error:
            if analyst.patient and isinstance(error, TimeoutError):
                raise
            log.warning("the analysis of a statement was given up", reason=type(error).__name__)
            return None

    def _finish(self, inquiry: Inquiry, result: Plan | StatementError | None) -> None:
        self._queue.finished(inquiry)
        self._work.set()
        self._analysed += 1
        self._given_up += result is None
        if isinstance(result, Plan):
            inquiry.policy.learn(result)
        self._answer(inquiry, result or _too_long())


def _too_long() -> LimitExceeded:
    return LimitExceeded("statement takes too long or too much memory to be analysed", hint="Simplify or split it.")


class Analyst:
    """Our end of one analyst."""

    def __init__(self, number: int, channel: socket.socket, *, patient: bool) -> None:
        self.number = number
        self.channel = channel
        self.patient = patient
        self._policies: dict[Policy, int] = {}

    @property
    def worn_out(self) -> bool:
        """It holds policies that nobody uses any more."""
        return len(self._policies) >= limits.MAX_POLICIES_SENT

    @property
    def alive(self) -> bool:
        try:
            return bool(self.channel.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def started(self) -> bool:
        """Whether it is there, once that is known. The first process may have to import everything first, or die."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                return not await self._read()
        except (OSError, EOFError, ValueError, TimeoutError):
            return False

    async def ask(self, policy: Policy, text: str) -> Plan | StatementError:
        """Raises OSError, EOFError or ValueError when the analyst is of no use any more."""
        frames = []
        number = self._policies.get(policy)
        if number is None:
            number = self._policies[policy] = len(self._policies)
            frames.append(_frame(Request.POLICY, number, _packed(policy)))
        frames.append(_frame(Request.TEXT, number, text.encode()))
        await asyncio.get_running_loop().sock_sendall(self.channel, b"".join(frames))
        return unpack_result(await self._read(), policy)

    async def _read(self) -> bytes:
        """One result, which is all that there can be to read: mostly it comes as a whole."""
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < LENGTH.size or len(data) < LENGTH.size + LENGTH.unpack_from(data)[0]:
            part = await loop.sock_recv(self.channel, limits.READ_SIZE)
            if not part:
                raise EOFError
            data += part
            if len(data) > limits.MAX_ANALYSIS + LENGTH.size:
                raise ValueError("longer than any plan")
        if len(data) > LENGTH.size + LENGTH.unpack_from(data)[0]:
            raise ValueError("more than a plan")
        return data[LENGTH.size :]


_packed = lru_cache(_POLICIES)(pack_policy)


def _frame(kind: Request, number: int, data: bytes) -> bytes:
    return HEADER.pack(kind, number, len(data)) + data


class Forker:
    """The first process: keeps it running, has it fork analysts and kill them. ``started``: it takes commands."""

    def __init__(self, bounds: Bounds) -> None:
        self._arguments = [sys.executable, "-m", "maskproxy.proxy.analyst", str(bounds.cpu_seconds), str(bounds.memory)]
        self.started = asyncio.Event()
        self._commands: socket.socket | None = None
        self._forked = 0

    async def run(self) -> None:
        while True:
            await self._run_once()
            log.error("the process that starts analysts died and is started again")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _run_once(self) -> None:
        ours, its = socket.socketpair()
        ours.setblocking(False)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            with its:
                process = await asyncio.create_subprocess_exec(
                    *self._arguments, stdin=its.fileno(), stdout=subprocess.DEVNULL, env=environment
                )
            self._commands = ours
            self.started.set()
            try:
                await process.wait()
            finally:
                await _end(process)
        finally:
            self.started.clear()
            self._commands = None
            ours.close()

    def fork(self, *, patient: bool) -> Analyst:
        """Raises OSError."""
        if self._commands is None:
            raise ConnectionError
        ours, its = socket.socketpair()
        ours.setblocking(False)
        self._forked += 1
        try:
            with its:
                socket.send_fds(self._commands, [COMMAND.pack(b"P" if patient else b"H", self._forked)], [its.fileno()])
        except OSError:
            ours.close()
            raise
        return Analyst(self._forked, ours, patient=patient)

    def kill(self, analyst: Analyst) -> None:
        analyst.channel.close()
        if self._commands is not None:
            try:
                self._commands.send(COMMAND.pack(b"K", analyst.number))
            except OSError:
                log.warning("an analyst could not be killed", number=analyst.number)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
