"""A recorder process to kill and starve, and a client that checks that each record is answered once."""

import asyncio
import contextlib
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson

from maskproxy.audit.files import read_log
from maskproxy.proxy.recorder_client import RecorderClient

SCRIPT = (
    "import sys; from pathlib import Path; from maskproxy.recorder.server import run;"
    "run(Path(sys.argv[1]), Path(sys.argv[2]), rotate_bytes=int(sys.argv[3]))"
)


class RecorderProcess:
    """Owns the process; the directory survives it."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "run" / "recorder.sock"
        self.directory = directory / "audit"
        self.log = directory / "log"
        self.rotate_bytes = 1 << 28
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._process = self.spawn()
        deadline = time.monotonic() + 10
        while not self._answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _answers(self) -> bool:
        """A socket file is there before anybody listens on it."""
        with socket.socket(socket.AF_UNIX) as line:
            return line.connect_ex(str(self.socket)) == 0

    def spawn(self) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-c", SCRIPT, str(self.socket), str(self.directory), str(self.rotate_bytes)]
        with self.log.open("ab") as log:
            return subprocess.Popen(arguments, stdout=log, stderr=log)

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.send_signal(number)
        return process.wait(10)

    def refuse_writes(self) -> None:
        """From now on the kernel fails every write to a regular file with EFBIG."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def allow_writes(self, size: int = resource.RLIM_INFINITY) -> None:
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def records(self) -> list[dict[str, Any]]:
        """The log. Fails when its indexes have a gap or a double."""
        records = list(read_log(self.directory))
        assert [record["i"] for record in records] == list(range(len(records)))
        return records

    def numbers(self) -> dict[int, int]:
        """What the tests recorded: number -> index."""
        return {record["n"]: record["i"] for record in self.records() if "n" in record}

    def types(self) -> list[str]:
        return [record["type"] for record in self.records() if "type" in record]


class Client:
    """Submits numbered records and remembers each answer; fails on a second one."""

    def __init__(self, line: RecorderClient) -> None:
        self.line = line
        self.answers: dict[int, int | None] = {}
        self._next = 0

    def submit(self, size: int = 0) -> "asyncio.Future[int | None]":
        number, self._next = self._next, self._next + 1
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def done(durable: bool) -> None:
            assert number not in self.answers
            assert durable == (self.line.index is not None)
            self.answers[number] = self.line.index
            future.set_result(self.line.index)

        self.line.submit(orjson.dumps({"n": number, "pad": "x" * size}), done)
        return future

    async def submit_many(self, count: int, size: int = 0) -> list[int | None]:
        return list(await asyncio.gather(*(self.submit(size) for _ in range(count))))

    async def wait(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 (other processes set no events)
                await asyncio.sleep(0.01)

    async def wait_connected(self) -> None:
        await self.wait(lambda: self.line.connected)

    async def wait_recorded(self) -> float:
        """Submits until a record is durable again; returns the seconds that took."""
        began = time.monotonic()
        async with asyncio.timeout(10):
            while await self.submit() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return time.monotonic() - began

    def recorded(self) -> dict[int, int]:
        return {number: index for number, index in self.answers.items() if index is not None}


@contextlib.asynccontextmanager
async def connected(path: Path, deadline: float = 5.0) -> AsyncIterator[Client]:
    client = Client(RecorderClient(path, deadline))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(client.line.run())
        yield client
        task.cancel()
