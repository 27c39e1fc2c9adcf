"""Which process runs in a run directory: the pid file that the supervisor writes and holds locked."""

import fcntl
from pathlib import Path


def pid_path(run: Path) -> Path:
    return run / "maskproxy.pid"


def running_pid(run: Path) -> int | None:
    """The process id of the supervisor that holds this run directory, or None."""
    try:
        with pid_path(run).open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except (FileNotFoundError, ValueError):
        return None
    return None
