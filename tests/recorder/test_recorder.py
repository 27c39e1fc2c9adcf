"""The recorder as a real process: killed, refused by the disk, robbed of its file; its clients on the real client."""

import asyncio
import contextlib
import signal
import socket
import stat
import time
from pathlib import Path

import orjson
import pytest

from maskproxy.audit.framing import ANSWER, LENGTH, MAX_RECORD, encode_record
from tests.recorder.support import RecorderProcess, connected


async def test_thousands_of_records_are_durable_in_order_with_few_fsyncs(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        indexes = await client.submit_many(5000, size=500)
    assert indexes == list(range(1, 5001))
    assert recorder.numbers() == client.recorded()
    assert client.line.statistics().recorded == 5000


async def test_workers_interleave_and_each_learns_its_own_indexes(recorder: RecorderProcess) -> None:
    async def work(first: int) -> dict[int, int]:
        async with connected(recorder.socket) as client:
            client._next = first
            await client.wait_connected()
            for _ in range(20):
                await client.submit_many(25)
            return client.recorded()

    answers = await asyncio.gather(*(work(first) for first in range(0, 4000, 1000)))
    told = {number: index for part in answers for number, index in part.items()}
    assert len(told) == 2000
    assert recorder.numbers() == told


async def test_files_and_socket_are_the_owners_alone(recorder: RecorderProcess) -> None:
    assert stat.S_IMODE(recorder.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(recorder.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in recorder.directory.iterdir()} == {0o600}


@pytest.mark.parametrize("round_", range(3))
async def test_what_was_acknowledged_survives_a_kill_exactly_once(recorder: RecorderProcess, round_: int) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        for kill in range(3):
            load = asyncio.gather(*(client.submit(size=300) for _ in range(3000)))
            enough = len(client.recorded()) + 50 * (round_ + 1)
            await client.wait(lambda enough=enough: len(client.recorded()) > enough)
            recorder.stop(signal.SIGKILL)
            await load
            recorder.start()
            await client.wait_recorded()
            assert client.line.statistics().connections == kill + 2
    assert None in client.answers.values()
    kept = recorder.numbers()
    recorded = client.recorded()
    assert {number: kept.get(number) for number in recorded} == recorded
    assert recorder.types() == ["audit.start"] * 4


async def test_a_torn_line_is_left_where_it_is_and_counted_out(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        await client.submit_many(3)
        recorder.stop(signal.SIGKILL)
        (file,) = recorder.directory.glob("*.jsonl")
        whole = file.read_bytes()
        file.write_bytes(whole + b'{"i":4,"n":99,"pa')
        recorder.start()
        await client.wait_recorded()
    assert file.read_bytes() == whole + b'{"i":4,"n":99,"pa'
    start = recorder.records()[4]
    assert start["type"] == "audit.start"
    assert start["prev"] == {"file": file.name, "bytes": len(whole), "torn": 17}
    assert 99 not in recorder.numbers()


async def test_a_full_disk_refuses_at_once_and_work_goes_on_without_a_restart(recorder: RecorderProcess) -> None:
    """The recorder's own log is a file, too, and can't be written either."""
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        assert None not in await client.submit_many(10)
        recorder.refuse_writes()
        began = time.monotonic()
        assert await client.submit_many(200) == [None] * 200
        assert time.monotonic() - began < 1.0
        assert client.line.connected
        assert await client.submit_many(5) == [None] * 5
        await asyncio.sleep(1.0)
        assert len(list(recorder.directory.glob("*.jsonl"))) == 1  # attempts leave nothing behind
        recorder.allow_writes()
        assert await client.wait_recorded() < 3.0
        assert None not in await client.submit_many(10)
    assert client.line.statistics().connections == 1
    assert recorder.numbers() == client.recorded()
    assert recorder.types() == ["audit.start", "audit.resume"]
    resume = recorder.records()[11]
    assert resume["why"].endswith("records were refused")


async def test_a_batch_written_in_part_counts_for_nothing(recorder: RecorderProcess) -> None:
    """The limit falls inside the batch: some of its lines reach the file before the write fails.

    New files stay below the limit, so each failure is over soon; one line in the log tells of them all.
    """
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        await client.submit_many(10, size=100)
        (file,) = recorder.directory.glob("*.jsonl")
        size = file.stat().st_size
        recorder.allow_writes(size + 1000)
        for _ in range(3):
            assert await client.submit_many(200, size=100) == [None] * 200
            await client.wait_recorded()
        recorder.allow_writes()
        await client.wait_recorded()
    assert recorder.numbers() == client.recorded()
    assert recorder.types().count("audit.resume") == 3
    assert file.stat().st_size == recorder.records()[11]["prev"]["bytes"] == size
    log = recorder.log.read_text()
    assert log.count("cannot be written, statements are refused") == 1
    assert "xxx" not in log


async def test_a_removed_file_is_noticed(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        await client.submit_many(3)
        (file,) = recorder.directory.glob("*.jsonl")
        file.rename(file.with_suffix(".stolen"))
        await asyncio.sleep(1.1)
        assert await client.submit() is None
        await client.wait_recorded()
    assert "replaced" in recorder.log.read_text() or "No such file" in recorder.log.read_text()
    (fresh,) = recorder.directory.glob("*.jsonl")
    first = orjson.loads(fresh.read_bytes().splitlines()[0])
    assert (first["i"], first["type"], first["prev"]["file"]) == (4, "audit.resume", file.name)


async def test_a_large_log_goes_on_in_a_new_file(recorder: RecorderProcess) -> None:
    recorder.stop()
    recorder.rotate_bytes = 20_000
    recorder.start()
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        for _ in range(30):
            await client.submit_many(10, size=300)
    assert recorder.numbers() == client.recorded()
    assert recorder.types().count("audit.rotate") >= 3
    assert len(list(recorder.directory.glob("*.jsonl"))) == 2 + recorder.types().count("audit.rotate")


async def test_stopping_commits_says_goodbye_and_the_next_goes_on(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        await client.submit_many(3)
        assert recorder.stop() == 0
        await client.wait(lambda: not client.line.connected)
        recorder.start()
        await client.wait_recorded()
    assert recorder.types() == ["audit.start", "audit.stop", "audit.start"]
    assert recorder.numbers() == client.recorded()


def test_a_second_recorder_is_refused_and_the_first_lives_on(recorder: RecorderProcess, tmp_path: Path) -> None:
    second = RecorderProcess(tmp_path / "other")
    (tmp_path / "other").mkdir()
    second.directory = recorder.directory
    process = second.spawn()
    assert process.wait(10) != 0
    assert "another recorder writes the audit log" in second.log.read_text()
    assert not second.socket.exists()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(recorder.socket))
        line.sendall(encode_record(b'{"n":0}'))
        assert ANSWER.unpack(line.recv(16)) == (1, 1)


@pytest.mark.parametrize(
    "garbage",
    [
        LENGTH.pack(MAX_RECORD + 1),
        b"GET / HTTP/1.1\r\n\r\n",
        encode_record(b""),
        encode_record(b"{}"),
        encode_record(b"[1]"),
        encode_record(b'{"a":'),
        encode_record(b'{"i":7}'),
        encode_record(b'{"a":1}\n{"i":9}'),
        encode_record(b'{"a":\n1}'),
        encode_record(b' {"a":1}'),
        encode_record(b"\xff\xfe"),
    ],
)
def test_what_is_no_record_ends_the_connection_and_is_not_recorded(recorder: RecorderProcess, garbage: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(recorder.socket))
        line.sendall(garbage)
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(16) == b""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(recorder.socket))
        line.sendall(encode_record(b'{"n":1}'))
        assert ANSWER.unpack(line.recv(16)) == (1, 1)
    assert len(recorder.records()) == 2


def test_records_may_come_byte_by_byte(recorder: RecorderProcess) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(recorder.socket))
        for byte in encode_record(b'{"n":1}') + encode_record(b'{"n":2}'):
            line.sendall(bytes([byte]))
        answers = b""
        while len(answers) < 32 and (data := line.recv(64)):
            answers += data
            if ANSWER.unpack(answers[-16:])[0] == 2:
                break
    assert ANSWER.unpack(answers[-16:]) == (2, 2)
    assert recorder.numbers() == {1: 1, 2: 2}
