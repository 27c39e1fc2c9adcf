"""The audit log's writer: appends batches, each with one fdatasync, and trusts no file that failed once.

After a failed write or fsync nobody can say what is on disk: the kernel may have dropped the pages and call the next
fsync a success ("fsyncgate", PostgreSQL wiki, "Fsync Errors"). So the file is cut back to what was acknowledged, if it
still can be, and never written again; ``reopen`` starts a new one whose first record says how much of the old one
counts (``audit.files``).

Files are not written ahead with zeros, though fdatasync takes but two thirds of the time then (0.21 ms instead of 0.32
for 2 kB on ext4; space reserved with fallocate gains nothing): whoever follows the file would read the zeros, and each
byte would be written twice.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path

from maskproxy.audit import files, records
from maskproxy.audit.framing import encode_record
from maskproxy.audit.moment import Moment, Moments
from maskproxy.audit.values import RecordType
from maskproxy.base.errors import MaskproxyError
from maskproxy.base.limits import KiB, MiB
from maskproxy.recorder.lines import add_lines

ROTATE_BYTES = 256 * MiB
RESERVE_BYTES = 256 * KiB  # a new file is not begun on a disk that is about to refuse its second record
LOCK_FILE = "recorder.lock"
LOOK_SECONDS = 1.0  # how often the file is looked for under its name


class LogLocked(MaskproxyError):
    """Another process writes this log."""


class Log:
    """Owns the directory while open. Every method that raises OSError has left nothing acknowledged behind."""

    def __init__(
        self, directory: Path, *, context: records.Context, moments: Moments, rotate_bytes: int = ROTATE_BYTES
    ) -> None:
        self._directory = directory
        self._context = context
        self._moments = moments
        self._rotate_bytes = rotate_bytes
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(directory)
        self._end = files.find_end(directory)
        self._file = -1
        self._path = directory
        self._looked = 0.0

    @property
    def next_index(self) -> int:
        return self._end.next_index

    @property
    def is_open(self) -> bool:
        return self._file >= 0

    def reopen(self, kind: RecordType, why: str | None = None) -> None:
        """Begins a new file with a record of ``kind``. Raises OSError, and then leaves no file behind."""
        self._close_file()
        free = os.statvfs(self._directory)
        if free.f_bavail * free.f_frsize < RESERVE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._directory))
        at = self._moments.now()
        self._path = self._directory / files.file_name(self.next_index, at.id)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        previous = self._end
        self._end = files.LogEnd(previous.next_index, self._path.name)
        try:
            _sync_directory(self._directory)
            self._write([encode_record(self._first_record(kind, at, previous, why))])
        except OSError:
            self._abandon()
            self._end = previous
            raise

    def append(self, frames: Sequence[bytes]) -> int:
        """Makes records durable, all or none, and returns the index of the first. Raises OSError.

        Each of ``frames`` is any number of whole records as they were sent (``lines.whole_records``)."""
        if not self.is_open:
            raise OSError(errno.EBADF, "the audit log is not open")
        try:
            self._look()
            if self._end.bytes >= self._rotate_bytes:
                self.reopen(RecordType.AUDIT_ROTATE)
            return self._write(frames)
        except OSError:
            self._abandon()
            raise

    def close(self) -> None:
        """Says goodbye in the log when that is possible, and gives the directory free."""
        if self.is_open:
            with contextlib.suppress(OSError):
                stop = records.log_event(self._context, self._moments.now(), RecordType.AUDIT_STOP, prev=None)
                self.append([encode_record(stop)])
        self._close_file()
        os.close(self._lock)

    def _write(self, frames: Sequence[bytes]) -> int:
        first = index = self._end.next_index
        lines: list[bytes] = []
        for each in frames:
            index = add_lines(lines, each, index)
        data = b"".join(lines)
        written = os.write(self._file, data)
        while written < len(data):
            written += os.write(self._file, memoryview(data)[written:])
        os.fdatasync(self._file)
        self._end = files.LogEnd(index, self._path.name, self._end.bytes + len(data))
        return first

    def _first_record(self, kind: RecordType, at: Moment, previous: files.LogEnd, why: str | None) -> bytes:
        prev = None
        if previous.file is not None:
            prev = {"file": previous.file, "bytes": previous.bytes, "torn": previous.torn}
        return records.log_event(self._context, at, kind, prev=prev, why=why)

    def _look(self) -> None:
        """Raises OSError when the open file is no longer the one under its name: moved, removed or replaced."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if not os.path.samestat(os.fstat(self._file), self._path.stat()):
            raise OSError(errno.ESTALE, "the audit file was replaced", str(self._path))

    def _abandon(self) -> None:
        if self._file < 0:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._end.bytes)
        if self._end.bytes == 0:  # nothing in it was ever acknowledged
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._close_file()

    def _close_file(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(OSError):
                os.close(file)


def _lock(directory: Path) -> int:
    lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise LogLocked(
            f'another recorder writes the audit log in "{directory}"',
            hint="one log has one recorder; stop the other one",
        ) from error
    return lock


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
