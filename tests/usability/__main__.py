"""Prints how each query of a suite fares: ``python -m tests.usability [tpc-h|tpc-ds|everyday] [part of a name]``."""

import sys

from tests.support.servers import postgres18
from tests.usability.measure import Outcome, measure_all, table
from tests.usability.suites import SUITES, texts


def main(suites: list[str], part: str) -> None:
    with postgres18() as server:
        for suite in suites:
            with SUITES[suite].run(server) as twins:
                measured = measure_all(twins, {name: each for name, each in texts(suite).items() if part in name})
            print(table(measured))
            for name, each in measured.items():
                if each.outcome is not Outcome.SERVED:
                    print(f"  {name}: {each.outcome} {each.told}")


if __name__ == "__main__":
    named = [each for each in sys.argv[1:] if each in SUITES]
    main(named or list(SUITES), " ".join(each for each in sys.argv[1:] if each not in SUITES))
