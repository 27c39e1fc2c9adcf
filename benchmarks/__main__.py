"""``python -m benchmarks [--quick] [--json DIRECTORY]``: every benchmark, one after the other."""

import argparse
from pathlib import Path

from benchmarks import analysis, audit, breakdown, connect, idle, novel, pgbench, rows, slow, transactions

ALL = {
    "pgbench": pgbench,
    "transactions": transactions,
    "connect": connect,
    "rows": rows,
    "slow": slow,
    "idle": idle,
    "novel": novel,
    "analysis": analysis,
    "audit": audit,
    "breakdown": breakdown,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short look; README.md stays as it is")
    parser.add_argument("--json", type=Path, metavar="DIRECTORY", help="write every sample there, a file each")
    given = parser.parse_args()
    for name, benchmark in ALL.items():
        arguments = ["--quick"] if given.quick else []
        if given.json is not None:
            given.json.mkdir(parents=True, exist_ok=True)
            arguments += ["--json", str(given.json / f"{name}.json")]
        benchmark.main(arguments)


if __name__ == "__main__":
    main()
