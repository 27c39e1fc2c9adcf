"""The recorder: the only process that writes the audit log. Workers send records and wait for the answer.

Group commit without threads: one turn of the event loop takes what all sockets have, the next appends it as one batch
with one fdatasync, answers everybody, and finds what has come meanwhile. The loop stands still during the fsync, and
that is right: this process has nothing else to do, and records that wait in the sockets make the next batch larger.

When the disk refuses, the batch is answered REFUSED and so is everything after it, at once, until a new file could be
begun; that is tried with growing pauses, so work goes on without a restart. A worker that breaks the framing is cut
off.
"""

import asyncio
import contextlib
import os
import platform
import signal
import time
from pathlib import Path
from typing import cast

import structlog
import uvloop

from maskproxy import __version__
from maskproxy.audit import records
from maskproxy.audit.framing import ANSWER, REFUSED, FramingError
from maskproxy.audit.moment import Moments, ulid
from maskproxy.audit.values import Origin, RecordType
from maskproxy.base.heap import keep_memory, keep_objects
from maskproxy.base.limits import MiB
from maskproxy.recorder.lines import whole_records
from maskproxy.recorder.log import ROTATE_BYTES, Log

RETRY_SECONDS = (0.25, 2.0)  # first and longest pause before a new file is tried
COMPLAINT_SECONDS = 5.0  # between two log lines about the same trouble
KEPT_MEMORY = 16 * MiB
MAX_UNREAD_ANSWERS = 1 * MiB  # a worker that doesn't read this many is not alive

log = structlog.get_logger("maskproxy.recorder")


class Recorder:
    """Collects what connections bring, commits it, and keeps trying when the disk fails."""

    def __init__(self, audit_log: Log, loop: asyncio.AbstractEventLoop) -> None:
        self._log = audit_log
        self._loop = loop
        self._waiting: list[_Connection] = []
        self._pause = RETRY_SECONDS[0]
        self._complained = float("-inf")
        self._refused = 0
        self._retry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._reopen(RecordType.AUDIT_START)

    def connection(self) -> asyncio.Protocol:
        return _Connection(self)

    def submit(self, connection: "_Connection") -> None:
        """It has records to commit, and had none."""
        if not self._waiting:
            self._loop.call_soon(self.commit)
        self._waiting.append(connection)

    def commit(self) -> None:
        """One batch: records of one connection lie together, so its answer needs only the last index."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        batches = [connection.take() for connection in waiting]
        index = self._append([frames for each, _ in batches for frames in each], sum(count for _, count in batches))
        for connection, (_, count) in zip(waiting, batches, strict=True):
            if index is not None:
                index += count
            connection.answer(count, REFUSED if index is None else index - 1)

    def close(self) -> None:
        self.commit()
        if self._retry is not None:
            self._retry.cancel()
        self._log.close()

    def _append(self, frames: list[bytes], count: int) -> int | None:
        if self._log.is_open:
            try:
                return self._log.append(frames)
            except OSError as error:
                self._complain(error)
                self._schedule_retry()
        self._refused += count
        return None

    def _reopen(self, kind: RecordType = RecordType.AUDIT_RESUME) -> None:
        self._retry = None
        why = f"{self._refused} records were refused" if self._refused else None
        try:
            self._log.reopen(kind, why)
        except OSError as error:
            self._complain(error)
            self._pause = min(self._pause * 2, RETRY_SECONDS[1])
            self._schedule_retry()
            return
        if kind is RecordType.AUDIT_RESUME:
            with contextlib.suppress(OSError):
                log.warning("audit log is written again", refused=self._refused)
        self._refused = 0
        self._pause = RETRY_SECONDS[0]

    def _schedule_retry(self) -> None:
        if self._retry is None:
            self._retry = self._loop.call_later(self._pause, self._reopen)

    def _complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._complained >= COMPLAINT_SECONDS:
            self._complained = now
            with contextlib.suppress(OSError):  # our own log may lie on the same full disk
                log.error(
                    "audit log cannot be written, statements are refused", error=error.strerror, file=error.filename
                )


class _Connection(asyncio.Protocol):
    """One worker."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._buffer = bytearray()  # a record that has come in part
        self._frames: list[bytes] = []  # records to commit
        self._count = 0
        self._answered = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        # What was received whole is still recorded: the worker may have died after it acted.
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        try:
            if self._buffer:
                self._buffer += data
                end, count = whole_records(self._buffer)
                frames = bytes(self._buffer[:end])
                del self._buffer[:end]
            else:
                end, count = whole_records(data)
                frames = data[:end]
                self._buffer += data[end:]
        except FramingError as error:
            self._transport.abort()
            self._transport = None
            with contextlib.suppress(OSError):
                log.error("worker cut off", error=str(error))
            return
        if count:
            if not self._frames:
                self._recorder.submit(self)
            self._frames.append(frames)
            self._count += count

    def take(self) -> tuple[list[bytes], int]:
        """The records to commit, and how many they are."""
        taken = self._frames, self._count
        self._frames, self._count = [], 0
        return taken

    def answer(self, count: int, index: int) -> None:
        self._answered += count
        if self._transport is None:
            return
        self._transport.write(ANSWER.pack(self._answered, index))
        if self._transport.get_write_buffer_size() > MAX_UNREAD_ANSWERS:
            self._transport.abort()


async def serve_recorder(
    socket: Path, directory: Path, *, node: str | None = None, rotate_bytes: int = ROTATE_BYTES
) -> None:
    """Runs until cancelled; then what is waiting is committed first. Raises LogLocked when another one runs."""
    moments = Moments(time.time_ns, time.monotonic_ns, os.urandom)
    origin = Origin(
        node=node or platform.node(),
        boot=ulid(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10))),
        build=__version__,
    )
    audit_log = Log(directory, context=records.make_context(origin), moments=moments, rotate_bytes=rotate_bytes)
    loop = asyncio.get_running_loop()
    recorder = Recorder(audit_log, loop)
    try:
        recorder.start()
        server = await _listen(loop, recorder, socket)
        async with server:
            log.info("recorder ready", socket=str(socket), directory=str(directory), next_index=audit_log.next_index)
            await server.serve_forever()
    finally:
        recorder.close()


async def _listen(loop: asyncio.AbstractEventLoop, recorder: Recorder, socket: Path) -> asyncio.AbstractServer:
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mask = os.umask(0o177)  # nobody else may connect, not even before a chmod
    try:
        return await loop.create_unix_server(recorder.connection, str(socket))
    finally:
        os.umask(mask)


def run(socket: Path, directory: Path, *, node: str | None = None, rotate_bytes: int = ROTATE_BYTES) -> None:
    """The recorder's process: runs until SIGTERM or SIGINT."""
    keep_memory(KEPT_MEMORY)
    keep_objects()
    uvloop.run(_until_signal(socket, directory, node=node, rotate_bytes=rotate_bytes))


async def _until_signal(socket: Path, directory: Path, *, node: str | None, rotate_bytes: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serve_recorder(socket, directory, node=node, rotate_bytes=rotate_bytes)
