"""Unix sockets of the run directory. A worker's own: other workers pass cancel requests to it, commands ask it for
its state.

One JSON object a line, one answer a line. The directory is ours alone (mode 0700), so whoever connects is us.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from maskproxy.base import limits

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def control_path(run: Path, number: int) -> Path:
    return run / f"worker-{number}.sock"


def recorder_path(run: Path) -> Path:
    return run / "recorder.sock"


async def serve_control(path: Path, handle: Handler) -> asyncio.Server:
    """Answers requests until the server is closed. A leftover socket of a dead worker is replaced."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(limits.LOGIN_SECONDS):
                request = orjson.loads(await reader.readline())
                writer.write(orjson.dumps(await handle(request)) + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError, TypeError):
            pass
        finally:
            writer.close()

    path.unlink(missing_ok=True)  # noqa: ASYNC240  (once, at start)
    return await asyncio.start_unix_server(answer, path, limit=64 * limits.KiB)


async def ask(path: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    """The answer, or None when nobody is there."""
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(orjson.dumps(request) + b"\n")
                answer = orjson.loads(await reader.readline())
                return answer if isinstance(answer, dict) else None
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return None
