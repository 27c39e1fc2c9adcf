"""``maskproxy serve`` as anybody would start it, for commands that need a proxy of their own for a while."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

from maskproxy.cli.embedded import end_with_parent
from maskproxy.core.settings import Settings

STOP_SECONDS = 10.0


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Its log is beside its settings."""
    with (settings.file.parent / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "maskproxy", "serve", "-c", str(settings.file)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us, who stop first the proxy and then the database
            preexec_fn=end_with_parent(signal.SIGTERM),
        )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    for end in (process.terminate, process.kill):
        if process.returncode is None:
            end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
                return
