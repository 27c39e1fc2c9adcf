"""A worker's line to the recorder: records go in, and each one's ``done`` is called once with its index, or None.

None means: do not act on it. The recorder is gone, it refused, or the deadline passed. A record whose answer was lost
may still be in the log; that is the harmless side: an intent without an outcome.
Records that somebody waits for and that are submitted in one turn of the event loop leave in one write. There is no
timer per record: answers come in order, so only the oldest waiting record is looked at.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import structlog

from maskproxy.audit.framing import MAX_RECORD, encode_record, take_answers
from maskproxy.base import limits

Done = Callable[[int | None], None]

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
        self._recorded = 0
        self._refused = 0
        self._connections = 0

    @property
    def connected(self) -> bool:
        return self._line is not None and not self._line.lost.is_set()

    def statistics(self) -> Statistics:
        waiting = 0 if self._line is None else len(self._line.waiting)
        return Statistics(self.connected, waiting, self._recorded, self._refused, self._connections)

    def submit(self, record: bytes, done: Done | None = None) -> None:
        """Never blocks, never raises. ``done`` is called later, from the event loop, exactly once.

        A record that nobody waits for may travel with the next one that somebody waits for: it costs no fsync then.
        """
        line = self._line
        if line is None or line.lost.is_set() or len(record) > MAX_RECORD or line.waiting_bytes > MAX_WAITING:
            asyncio.get_running_loop().call_soon(self._settle, done, None)
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
                    _, line = await loop.create_unix_connection(lambda: _Line(loop, self._settle), str(self._path))
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

    async def _watch(self, line: "_Line") -> None:
        """Returns when the line is lost or the oldest record has waited too long."""
        while line.oldest_age() <= self._deadline:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS, self._deadline / 4)):
                    await line.lost.wait()
                return
        _complain("recorder does not answer, statements are refused", waiting=len(line.waiting))

    def _settle(self, done: Done | None, index: int | None) -> None:
        if index is None:
            self._refused += 1
        else:
            self._recorded += 1
        if done is not None:
            done(index)


def _complain(event: str, **facts: object) -> None:
    with contextlib.suppress(OSError):  # our own log may lie on the disk that is full
        log.error(event, **facts)


class _Line(asyncio.Protocol):
    """One connection. ``waiting``: submitted records without an answer, oldest first: (time, size, done)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settle: Callable[[Done | None, int | None], None]) -> None:
        self._loop = loop
        self._settle = settle
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._flushing = False
        self._incoming = bytearray()
        self._answered = 0
        self.waiting: deque[tuple[float, int, Done | None]] = deque()
        self.waiting_bytes = 0
        self.lost = asyncio.Event()

    def send(self, record: bytes, done: Done | None) -> None:
        if done is not None and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        elif not self._outgoing and not self._flushing:
            self._loop.call_later(LEISURE_SECONDS, self._flush)
        self._outgoing.append(encode_record(record))
        self.waiting.append((self._loop.time(), len(record), done))
        self.waiting_bytes += len(record)

    def oldest_age(self) -> float:
        return self._loop.time() - self.waiting[0][0] if self.waiting else 0.0

    def abort(self) -> None:
        """Gives everything up that waits. ``done`` may submit again: that goes to the next line."""
        self.lost.set()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        waiting, self.waiting = self.waiting, deque()
        for _, _, done in waiting:
            self._loop.call_soon(self._settle, done, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        transport.set_write_buffer_limits(high=MAX_WAITING)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        self._incoming += data
        for count, last_index in take_answers(self._incoming):
            covered = count - self._answered
            if not 0 < covered <= len(self.waiting):
                self.abort()
                _complain("recorder answers what was not asked", count=count)
                return
            self._answered = count
            for behind in range(covered - 1, -1, -1):
                _, size, done = self.waiting.popleft()
                self.waiting_bytes -= size
                self._settle(done, None if last_index is None else last_index - behind)

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        self._flushing = False
        if outgoing and self._transport is not None:
            self._transport.write(b"".join(outgoing))
