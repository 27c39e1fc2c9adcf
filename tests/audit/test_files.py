"""Which bytes of which files are the log."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from maskproxy.audit import files
from maskproxy.audit.files import LogEnd, file_name, find_end, read_entries, read_log


def write(directory: Path, first: int, ulid: str, records: list[dict[str, Any]], tail: bytes = b"") -> Path:
    path = directory / file_name(first, ulid)
    lines = [orjson.dumps({"i": index, **record}) + b"\n" for index, record in enumerate(records, first)]
    path.write_bytes(b"".join(lines) + tail)
    return path


def prev(path: Path, size: int) -> dict[str, Any]:
    return {"prev": {"file": path.name, "bytes": size, "torn": 0}}


def indexes(directory: Path) -> list[int]:
    records = [record["i"] for record in read_log(directory)]
    assert [entry.number for entry in read_entries(directory)] == records
    return records


def test_an_empty_directory_is_an_empty_log(tmp_path: Path) -> None:
    assert find_end(tmp_path) == LogEnd(0, None, 0, 0)
    assert indexes(tmp_path) == []


def test_the_end_is_behind_the_last_whole_record(tmp_path: Path) -> None:
    for number, torn in enumerate((b"", b'{"i":2,"ha', b"\0" * 5000, b'{"i":2}', b'[1]\n"x"\n{"no":1}\n', b"\n\n")):
        directory = tmp_path / str(number)
        directory.mkdir()
        path = write(directory, 0, "A", [{}, {}], torn)
        size = path.stat().st_size
        assert find_end(directory) == LogEnd(2, path.name, size - len(torn), len(torn))
        assert indexes(directory) == [0, 1]


def test_what_a_successor_does_not_count_is_no_part_of_the_log(tmp_path: Path) -> None:
    """A refused batch that could not be cut off: its indexes are used again by records that count."""
    old = write(tmp_path, 0, "A", [{}, {}])
    size = old.stat().st_size
    write(tmp_path, 0, "A", [{}, {}, {"refused": 1}, {"refused": 2}, {"refused": 3}])
    write(tmp_path, 2, "B", [prev(old, size), {}])
    assert find_end(tmp_path).next_index == 4
    assert [record.get("refused") for record in read_log(tmp_path)] == [None] * 4
    assert indexes(tmp_path) == [0, 1, 2, 3]


def test_a_file_whose_making_failed_is_passed_over(tmp_path: Path) -> None:
    """Two successors of one file: the first is a leftover, nobody goes on from it."""
    old = write(tmp_path, 0, "A", [{}, {}])
    size = old.stat().st_size
    write(tmp_path, 2, "B", [prev(old, size)])
    write(tmp_path, 2, "C", [prev(old, size), {}])
    (tmp_path / file_name(4, "D")).write_bytes(b"")
    (tmp_path / file_name(4, "E")).write_bytes(b'{"i":4,"torn')
    assert find_end(tmp_path).next_index == 4
    assert indexes(tmp_path) == [0, 1, 2, 3]


@pytest.mark.parametrize("piece", [1, 7, 64, 10_000])
def test_a_log_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(files, "_PIECE", piece)
    old = write(tmp_path, 0, "A", [{"pad": "x" * number} for number in range(90)], b'{"i":90,"torn"')
    size = old.stat().st_size - 14
    write(tmp_path, 90, "B", [prev(old, size), {}])
    assert indexes(tmp_path) == list(range(92))
