"""A worker's line to the recorder: records go in, and each one's ``done`` is called once with whether it is durable.

False means: do not act on it. The recorder is gone, it refused, or the deadline passed. A record whose answer was lost
may still be in the log; that is the harmless side: an intent without an outcome.
Records that somebody waits for and that are submitted in one turn of the event loop leave in one write. There is no
timer per record: answers come in order, so only the oldest write without an answer is looked at.
Compiled by Cython; the types of attributes are in ``recorder_client.pxd``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import structlog

from maskproxy.audit.framing import LENGTH, MAX_RECORD, take_answers
from maskproxy.base import limits

Done = Callable[[bool], None]
Waiting: TypeAlias = "deque[Done | None]"

RECONNECT_SECONDS = (0.02, 0.5)  # first and longest pause between two attempts
LEISURE_SECONDS = 0.02  # how long a record that nobody waits for may wait for company
LOOK_SECONDS = 0.25  # how often the oldest record's age is looked at
MAX_WAITING = 64 * limits.MiB  # bytes without an answer; beyond, records are refused here
COMPLAINT_SECONDS = 5.0

log = structlog.get_logger("maskproxy.recorder_client")


@dataclass(frozen=True, slots=True)
class Statistics:
    connected: bool
    waiting: int
    recorded: int
    refused: int
    connections: int


class RecorderClient:
    """``run`` belongs to the caller's TaskGroup; ``submit`` may be called at any time, from the event loop's thread."""

    def __init__(self, path: Path, deadline: float = limits.AUDIT_ACK_SECONDS) -> None:
        self._path = path
        self._deadline = deadline
        self._line: _Line | None = None
        self.index: int | None = None  # of the record whose ``done`` is being called; None when it is not recorded
        self._recorded = 0
        self._refused = 0
        self._connections = 0

    @property
    def connected(self) -> bool:
        return self._line is not None and not self._line.lost

    def statistics(self) -> Statistics:
        waiting = 0 if self._line is None else len(self._line.waiting)
        return Statistics(self.connected, waiting, self._recorded, self._refused, self._connections)

    def submit(self, record: bytes, done: Done | None = None) -> None:
        """Never blocks, never raises. ``done`` is called later than now, from the event loop, exactly once.

        A record that nobody waits for may travel with the next one that somebody waits for: it costs no fsync then.
        """
        line = self._line
        if line is None or line.lost or len(record) > MAX_RECORD or line.waiting_bytes > MAX_WAITING:
            asyncio.get_running_loop().call_soon(self._refuse, done)
        else:
            line.send(record, done)

    async def run(self) -> None:
        """Connects, and connects again for ever. Ends only by cancellation; then nothing is left waiting."""
        loop = asyncio.get_running_loop()
        pause = RECONNECT_SECONDS[0]
        complained = float("-inf")
        while True:
            try:
                async with asyncio.timeout(self._deadline):
                    line = await self._connect(loop)
            except OSError as error:
                if loop.time() - complained >= COMPLAINT_SECONDS:
                    complained = loop.time()
                    _complain("no recorder, statements are refused", socket=str(self._path), error=error.strerror)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RECONNECT_SECONDS[1])
                continue
            self._connections += 1
            self._line = line
            try:
                await self._watch(line)
            finally:
                self._line = None
                line.abort()
            pause = RECONNECT_SECONDS[0]

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> _Line:
        line = _Line(loop, self)
        await loop.create_unix_connection(lambda: cast(asyncio.Protocol, line), str(self._path))
        return line

    async def _watch(self, line: _Line) -> None:
        """Returns when the line is lost or the oldest record has waited too long."""
        while line.oldest_age() <= self._deadline:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS, self._deadline / 4)):
                    await line.end.wait()
                return
        _complain("recorder does not answer, statements are refused", waiting=len(line.waiting))

    def settle(self, waiting: Waiting, count: int, last: int | None) -> None:
        """The oldest ``count`` of those that wait have an answer: the index of the last of them, None for REFUSED."""
        if last is None:
            for _ in range(count):
                self._refuse(waiting.popleft())
            return
        self._recorded += count
        for index in range(last - count + 1, last + 1):
            done = waiting.popleft()
            if done is not None:
                self.index = index
                done(True)

    def _refuse(self, done: Done | None) -> None:
        self._refused += 1
        if done is not None:
            self.index = None
            done(False)

    def give_up(self, waiting: Waiting) -> None:
        for done in waiting:
            asyncio.get_running_loop().call_soon(self._refuse, done)


def _complain(event: str, **facts: object) -> None:
    with contextlib.suppress(OSError):  # our own log may lie on the disk that is full
        log.error(event, **facts)


class _Line:
    """One connection, as asyncio.Protocol. ``waiting``: of all submitted records without an answer, oldest first, the
    ``done``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: RecorderClient) -> None:
        self._loop = loop
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._flushing = False  # with the next turn of the event loop
        self._leisure = False  # with the timer
        self._incoming = bytearray()
        self._submitted = 0  # records
        self._submitted_bytes = 0
        self._answered = 0
        self._answered_bytes = 0
        self._writes: deque[tuple[float, int, int]] = deque()  # without all answers: when, records and bytes up to it
        self.waiting: Waiting = deque()
        self.lost = False
        self.end = asyncio.Event()

    @property
    def waiting_bytes(self) -> int:
        return self._submitted_bytes - self._answered_bytes

    def send(self, record: bytes, done: Done | None) -> None:
        size = len(record)
        self._outgoing.append(LENGTH.pack(size))
        self._outgoing.append(record)
        self.waiting.append(done)
        self._submitted_bytes += size
        if self._flushing:
            return
        if done is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)
        elif not self._leisure:
            self._leisure = True
            self._loop.call_later(LEISURE_SECONDS, self._flush_leisurely)

    def oldest_age(self) -> float:
        return self._loop.time() - self._writes[0][0] if self._writes else 0.0

    def abort(self) -> None:
        """Gives everything up that waits. ``done`` may submit again: that goes to the next line."""
        self._lose()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        waiting, self.waiting = self.waiting, deque()
        self._client.give_up(waiting)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        transport.set_write_buffer_limits(high=MAX_WAITING)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lose()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        pass  # ``submit`` looks at what waits

    def resume_writing(self) -> None:
        pass

    def data_received(self, data: bytes) -> None:
        self._incoming += data
        for count, last_index in take_answers(self._incoming):
            covered = count - self._answered
            if not 0 < covered <= len(self.waiting):
                self.abort()
                _complain("recorder answers what was not asked", count=count)
                return
            self._answered = count
            while self._writes and self._writes[0][1] <= count:
                self._answered_bytes = self._writes.popleft()[2]
            self._client.settle(self.waiting, covered, last_index)

    def _lose(self) -> None:
        self.lost = True
        self.end.set()

    def _flush_leisurely(self) -> None:
        self._leisure = False
        self._flush()

    def _flush(self) -> None:
        self._flushing = False
        outgoing, self._outgoing = self._outgoing, []
        if outgoing and self._transport is not None:
            self._submitted += len(outgoing) // 2
            self._writes.append((self._loop.time(), self._submitted, self._submitted_bytes))
            self._transport.write(b"".join(outgoing))
