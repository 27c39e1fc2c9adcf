"""``python -m benchmarks [--quick]``: every benchmark, one after the other."""

import argparse

from benchmarks import analysis, pgbench, rows

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
parser.add_argument("--quick", action="store_true", help="a short look; README.md stays as it is")
arguments = ["--quick"] if parser.parse_args().quick else []
for benchmark in (analysis, pgbench, rows):
    benchmark.main(arguments)
