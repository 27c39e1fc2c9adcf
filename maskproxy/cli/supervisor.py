"""``maskproxy serve``: starts the recorder and the workers, starts again what dies, reloads, drains.

The supervisor handles no statement and holds no connection; its death ends the others (PR_SET_PDEATHSIG), so that
nothing runs unwatched.
"""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import structlog

from maskproxy.base import limits
from maskproxy.cli.running import pid_path
from maskproxy.core.settings import Settings
from maskproxy.proxy.control import ask, control_path, recorder_path
from maskproxy.proxy.policies import load_written
from maskproxy.store.configuration import load_key
from maskproxy.store.store import open_store

_SHORT_LIFE_SECONDS = 1.0  # a child that dies sooner is not started again at once
_PAUSE_SECONDS = 0.5
_READY_SECONDS = 30.0
_WARM_SECONDS = 10.0

log = structlog.get_logger()


class AlreadyRunning(Exception):
    """Another supervisor holds the run directory."""


class Supervisor:
    """Owns the child processes. ``run`` ends after SIGTERM or SIGINT, when all children have ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        self._recorder: asyncio.subprocess.Process | None = None
        self._spare: asyncio.subprocess.Process | None = None  # a worker that waits for its number

    async def run(self) -> None:
        """Raises AlreadyRunning, ConfigurationError."""
        settings = self._settings
        settings.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.run.chmod(0o700)
        with pid_path(settings.run).open("a+") as pid_file:
            try:
                fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AlreadyRunning(str(settings.run)) from error
            pid_file.truncate(0)
            pid_file.write(str(os.getpid()))
            pid_file.flush()
            await self._check()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stopping.set)
            loop.add_signal_handler(signal.SIGHUP, self._reload)
            await self._supervise()

    async def _check(self) -> None:
        """Everything that would make each child fail in turn is said once, here."""
        settings = self._settings
        for key in (settings.keys.token, settings.keys.audit, settings.keys.identity):
            load_key(key)
        for name in settings.databases:
            load_written(settings, name)
        async with open_store(settings.store):
            pass

    async def _supervise(self) -> None:
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep_recorder())]
            await self._wait_for_recorder()
            numbers = range(self._settings.workers)
            keepers += [group.create_task(self._keep_worker(number)) for number in numbers]
            keepers.append(group.create_task(self._keep_spare()))
            await self._stopping.wait()
            log.info("draining")
            await _stop(list(self._workers.values()), limits.DRAIN_SECONDS + 5.0)
            for keeper in keepers[1:]:
                keeper.cancel()
            await _stop([process for process in (self._spare, self._recorder) if process is not None], 5.0)
            keepers[0].cancel()
        log.info("stopped")

    async def _announce(self) -> None:
        """Say when clients can come, and their first statements are served at once; after a while, that they can
        come."""
        began = time.monotonic()
        while time.monotonic() < began + _READY_SECONDS and not self._stopping.is_set():
            patient = time.monotonic() < began + _WARM_SECONDS
            numbers = range(self._settings.workers)
            answers = [await ask(control_path(self._settings.run, n), {"op": "status"}) for n in numbers]
            if all(takes_clients(answer, warm=patient) for answer in answers):
                log.info("ready", postgres=str(self._settings.listen.postgres), workers=len(answers))
                return
            await asyncio.sleep(0.05)

    async def _wait_for_recorder(self) -> None:
        path = recorder_path(self._settings.run)
        ends = time.monotonic() + 5.0
        while time.monotonic() < ends and not path.exists():  # noqa: ASYNC110  (another process makes it)
            await asyncio.sleep(0.02)

    async def _keep_recorder(self) -> None:
        path = recorder_path(self._settings.run)
        path.unlink(missing_ok=True)
        while not self._stopping.is_set():
            self._recorder = await self._start(
                "recorder", str(recorder_path(self._settings.run)), str(self._settings.audit.directory)
            )
            await self._watch("recorder", self._recorder)

    async def _keep_worker(self, number: int) -> None:
        while not self._stopping.is_set():
            process = await self._take_spare()
            if process.stdin is not None:
                process.stdin.write(f"{number}\n".encode())
            self._workers[number] = process
            await self._watch(f"worker {number}", process)

    async def _take_spare(self) -> asyncio.subprocess.Process:
        """The spare if there is one. The next is started by ``_keep_spare``."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.returncode is None:
            return spare
        return await self._start_worker()

    async def _keep_spare(self) -> None:
        """Once the workers are up: one more that has imported everything, whenever there is none."""
        await self._announce()
        while not self._stopping.is_set():
            if self._spare is None or self._spare.returncode is not None:
                self._spare = await self._start_worker()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _start_worker(self) -> asyncio.subprocess.Process:
        return await self._start("worker", str(self._settings.file))

    async def _start(self, *command: str) -> asyncio.subprocess.Process:
        arguments = [sys.executable, "-m", "maskproxy.cli.child", *command]
        return await asyncio.create_subprocess_exec(*arguments, stdin=asyncio.subprocess.PIPE, start_new_session=True)

    async def _watch(self, name: str, process: asyncio.subprocess.Process) -> None:
        began = time.monotonic()
        code = await process.wait()
        if self._stopping.is_set():
            return
        log.error("a process died and is started again", child=name, exit_code=code)
        if time.monotonic() - began < _SHORT_LIFE_SECONDS:
            await asyncio.sleep(_PAUSE_SECONDS)

    def _reload(self) -> None:
        """SIGHUP goes to every worker; each takes the new rules as a whole, or says why not."""
        for process in self._workers.values():
            if process.returncode is None:
                process.send_signal(signal.SIGHUP)


def takes_clients(answer: dict[str, Any] | None, *, warm: bool) -> bool:
    """By what a worker says of itself; None when it does not answer."""
    if not answer or (warm and not answer["warm"]):
        return False
    return bool(answer["listening"] and all(each["available"] for each in answer["databases"].values()))


async def _stop(processes: Sequence[asyncio.subprocess.Process], patience: float) -> None:
    for process in processes:
        if process.returncode is None:
            process.terminate()
    try:
        async with asyncio.timeout(patience):
            for process in processes:
                await process.wait()
    except TimeoutError:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
