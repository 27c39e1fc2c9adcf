"""What the supervisor starts: ``python -m maskproxy.cli.child worker FILE`` or ``... recorder SOCKET DIRECTORY``.

Apart from the command line proper, so that nothing is imported that these do not need. A worker imports everything
first and then waits for its number on standard input: the supervisor keeps one such spare, so that a worker which dies
is replaced in a fraction of a second.
"""

import sys
from pathlib import Path

from maskproxy.cli.logs import configure_logs
from maskproxy.proxy.parent import die_with_parent


def main(arguments: list[str]) -> None:
    die_with_parent()
    match arguments:
        case ["worker", file]:
            from maskproxy.proxy.worker import run_worker

            if number := sys.stdin.readline().strip():
                configure_logs(f"worker {number}")
                run_worker(Path(file), int(number))
        case ["recorder", socket, directory]:
            from maskproxy.recorder.server import run

            configure_logs("recorder")
            run(Path(socket), Path(directory))
        case _:
            sys.exit("usage: python -m maskproxy.cli.child worker FILE | recorder SOCKET DIRECTORY")


if __name__ == "__main__":
    main(sys.argv[1:])
