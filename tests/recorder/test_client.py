"""A worker's line to the recorder: every record is answered once, whatever happens to the recorder."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from maskproxy.audit.framing import ANSWER, MAX_RECORD, REFUSED
from maskproxy.proxy import recorder_client
from tests.recorder.support import RecorderProcess, connected


async def test_without_a_recorder_every_record_is_refused_soon(tmp_path: Path) -> None:
    async with connected(tmp_path / "nobody.sock") as client:
        future = client.submit()
        assert not future.done()  # never inside submit: the caller is in the middle of something
        assert await asyncio.wait_for(future, 1) is None
        assert not client.line.connected


async def test_records_that_nobody_waits_for_are_recorded_in_their_order(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        client.line.submit(b'{"n":1000}')
        assert await client.submit() == 2
        client.line.submit(b'{"n":1001}')
        await client.wait(lambda: client.line.statistics().recorded == 3, seconds=1.0)
    assert recorder.numbers() == {1000: 1, 0: 2, 1001: 3}


async def test_an_oversize_record_is_refused_here(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        assert await client.submit(size=MAX_RECORD) is None
        assert await client.submit(size=MAX_RECORD - 100) is not None


async def test_a_stuck_recorder_is_given_up_at_the_deadline(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket, deadline=0.5) as client:
        await client.wait_connected()
        assert await client.submit() is not None
        os.kill(recorder.pid, signal.SIGSTOP)
        began = time.monotonic()
        assert await client.submit_many(3) == [None] * 3
        assert 0.4 < time.monotonic() - began < 1.5
        os.kill(recorder.pid, signal.SIGCONT)
        await client.wait_recorded()
    kept = recorder.numbers()
    assert {number: kept.get(number) for number in client.recorded()} == client.recorded()


async def test_a_lost_line_refuses_what_waits_and_submitting_from_done_is_fine(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        os.kill(recorder.pid, signal.SIGSTOP)
        again: list[asyncio.Future[int | None]] = []
        client.line.submit(b'{"a":1}', lambda index: again.append(client.submit()))
        waiting = client.submit()
        await asyncio.sleep(0.1)
        recorder.stop(signal.SIGKILL)
        assert await asyncio.wait_for(waiting, 2) is None
        assert await asyncio.wait_for(again[0], 2) is None
        recorder.start()
        assert await client.wait_recorded() < 2.0


async def test_answers_that_fit_no_question_end_the_line(tmp_path: Path) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # of the client's next try, which ends with it
            await reader.readexactly(4)
            writer.write(ANSWER.pack(2, 5))
            await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(lie, tmp_path / "s.sock")
    async with server, connected(tmp_path / "s.sock") as client:
        await client.wait_connected()
        assert await asyncio.wait_for(client.submit(), 2) is None


async def test_cancelling_the_client_leaves_nobody_waiting(recorder: RecorderProcess) -> None:
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        os.kill(recorder.pid, signal.SIGSTOP)
        waiting = client.submit()
    assert await asyncio.wait_for(waiting, 2) is None
    assert REFUSED not in client.answers.values()


async def test_what_waits_is_bounded_and_counted_down_by_answers(
    recorder: RecorderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_client, "MAX_WAITING", 100_000)
    async with connected(recorder.socket) as client:
        await client.wait_connected()
        for _ in range(3):
            os.kill(recorder.pid, signal.SIGSTOP)
            waiting = [client.submit(size=1000) for _ in range(150)]
            await asyncio.sleep(0.05)
            refused = [future for future in waiting if future.done()]
            assert 40 < len(refused) < 60
            os.kill(recorder.pid, signal.SIGCONT)
            answers = await asyncio.wait_for(asyncio.gather(*waiting), 5)
            assert answers.count(None) == len(refused)
            assert await client.submit() is not None
    assert recorder.numbers() == client.recorded()
