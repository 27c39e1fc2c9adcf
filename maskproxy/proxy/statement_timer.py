"""The clock of one session's statements: a second guard, behind the server's own statement_timeout.

The server's is set at the start of a session; rules that were reloaded since may allow less.
"""

import asyncio
from collections.abc import Callable
from typing import Final

GRACE_SECONDS: Final = 1.0  # for the server to be the first to say so


class StatementTimer:
    """``expired`` is called when one statement has been under way for longer than its limit."""

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._running: set[int] = set()
        self._handle: asyncio.TimerHandle | None = None

    def started(self, number: int, seconds: int | None) -> None:
        """A pipeline's statements run one after the other: the clock starts with the first."""
        if seconds is None:
            return
        self._running.add(number)
        if self._handle is None:
            self._start(seconds)

    def ended(self, number: int, seconds: int | None) -> None:
        """The next one, if there is one, has its own time."""
        self._running.discard(number)
        self.stop()
        if self._running and seconds is not None:
            self._start(seconds)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _start(self, seconds: int) -> None:
        self._handle = asyncio.get_running_loop().call_later(seconds + GRACE_SECONDS, self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._expired()
