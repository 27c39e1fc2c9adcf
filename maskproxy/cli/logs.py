"""Logs of the long-running processes: one JSON object a line on standard error, never a value of a row or a literal."""

import contextlib
import io
import sys
from typing import TextIO, cast

import structlog


class _BestEffort(io.TextIOBase):
    """Standard error that may be a file on a full disk: a log line that cannot be written must stop nothing."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def configure_logs(process: str) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _BestEffort())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
