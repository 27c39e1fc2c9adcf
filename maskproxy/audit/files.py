"""The log on disk: which files it has, in which order, and which of their bytes belong to it.

    DIRECTORY/0000000000000000-01JH….jsonl      index of its first line, ULID of its making; mode 0600; only appended to
    {"i":0,"type":"audit.start",…}              each line: a record with its index in front
    {"i":1,…}

The first record of a file (``audit.start``, ``audit.resume``, ``audit.rotate``) names the file before it and how many
of its bytes belong to the log: ``prev: {file, bytes, torn}``. What lies beyond (a line torn by a crash, a batch whose
fsync failed) was never acknowledged, is left as evidence, and is no part of the log. So an old file is never written
again, and indexes have neither gaps nor doubles.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from maskproxy.audit.plain import Entry, parse_line, read_entry
from maskproxy.base.limits import KiB

SUFFIX = ".jsonl"
_INDEX_DIGITS = 16
_PIECE = 32 * KiB  # bytes read at once


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the log ends: the next free index, and the file that holds the last record (None for an empty log).

    ``bytes`` of the file belong to the log; ``torn`` bytes behind them do not.
    """

    next_index: int = 0
    file: str | None = None
    bytes: int = 0
    torn: int = 0


def file_name(first_index: int, ulid: str) -> str:
    return f"{first_index:0{_INDEX_DIGITS}d}-{ulid}{SUFFIX}"


def find_end(directory: Path) -> LogEnd:
    """Reads only the first and the last line of each file."""
    files = _read_files(directory)
    followed = {previous["file"] for file in files.values() if (previous := file.first.get("prev"))}
    ends = [file.end for name, file in files.items() if name not in followed]
    return max(ends, key=lambda end: (end.next_index, end.file or ""), default=LogEnd())


def read_log(directory: Path) -> Iterator[dict[str, Any]]:
    """All records of the log in order, without what does not belong to it."""
    for lines in _log_lines(directory):
        for line in lines:
            if (record := parse_line(line)) is not None:
                yield record


def read_entries(directory: Path) -> Iterator[Entry]:
    """The same records, each looked at as a whole and told in short: at several times the speed."""
    for lines in _log_lines(directory):
        for line in lines:
            if (entry := read_entry(line)) is not None:
                yield entry


def _log_lines(directory: Path) -> Iterator[list[bytes]]:
    files = _read_files(directory)
    end = find_end(directory)
    chain: list[tuple[str, int]] = []
    name, size = end.file, end.bytes
    while name in files:
        file = files.pop(name)  # popped, so that a forged circle ends
        chain.append((name, size))
        previous = file.first.get("prev") or {}
        name, size = previous.get("file"), previous.get("bytes", 0)
    for name, size in reversed(chain):
        with (directory / name).open("rb", buffering=0) as stream:
            yield from _lines(stream, size)


def _lines(file: FileIO, size: int) -> Iterator[list[bytes]]:
    """Of the first ``size`` bytes, some at a time: memory that is used again is much faster than new memory."""
    rest = b""
    while size > 0 and (data := file.read(min(size, _PIECE))):
        size -= len(data)
        *lines, rest = (rest + data).split(b"\n")
        yield lines
    yield [rest]


@dataclass(frozen=True, slots=True)
class _File:
    first: dict[str, Any]
    end: LogEnd


def _read_files(directory: Path) -> dict[str, _File]:
    """By name; without those that hold no whole record: their making was interrupted."""
    files: dict[str, _File] = {}
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            first = parse_line(file.readline())
        end = _end_of_file(path)
        if first is not None and end is not None:
            files[path.name] = _File(first, end)
    return files


def _end_of_file(path: Path) -> LogEnd | None:
    """Searches backwards for the last line that is a record; None when the file has none."""
    size = path.stat().st_size
    if size == 0:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.rfind(b"\n")
        while end >= 0:
            start = data.rfind(b"\n", 0, end) + 1
            if (record := parse_line(data[start:end])) is not None:
                return LogEnd(record["i"] + 1, path.name, end + 1, size - end - 1)
            end = start - 1
    return None
