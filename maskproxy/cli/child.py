"""What the supervisor starts: ``python -m maskproxy.cli.child worker NUMBER FILE`` or ``... recorder SOCKET
DIRECTORY``.

Apart from the command line proper, so that a worker is up again fast: nothing is imported that it does not need.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from maskproxy.cli.logs import configure_logs

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """SIGTERM when the supervisor is gone, also by SIGKILL (Linux, prctl(2))."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def main(arguments: list[str]) -> None:
    die_with_parent()
    match arguments:
        case ["worker", number, file]:
            from maskproxy.proxy.worker import run_worker

            configure_logs(f"worker {number}")
            run_worker(Path(file), int(number))
        case ["recorder", socket, directory]:
            from maskproxy.recorder.server import run

            configure_logs("recorder")
            run(Path(socket), Path(directory))
        case _:
            sys.exit("usage: python -m maskproxy.cli.child worker NUMBER FILE | recorder SOCKET DIRECTORY")


if __name__ == "__main__":
    main(sys.argv[1:])
