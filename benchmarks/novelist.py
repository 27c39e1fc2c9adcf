"""A client whose statements nobody has seen before: ``python -m benchmarks.novelist KIND PER-SECOND SECONDS``.

No two differ in literals only, so none finds the plan of another. KIND is ``small`` (a point SELECT) or ``large`` (some
joins and subqueries, several times the analysis). Sent at fixed times by a few connections, so that a slow answer does
not make the next statement late. Address and password come from libpq's environment. Prints a line when it
begins, and at the end how many were answered and how late the last one was, as JSON.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg

CONNECTIONS = 4

SMALL = "SELECT a.aid AS {new}, a.abalance FROM pgbench_accounts a WHERE a.aid = 4711"
LARGE = """
WITH few AS (SELECT aid, bid, abalance FROM pgbench_accounts WHERE aid IN (11, 12, 13)),
     most AS (SELECT bid, max(abalance) AS {new}, count(*) AS number FROM few GROUP BY bid HAVING count(*) > 0)
SELECT f.aid, m.{new}, r.amount, CASE WHEN r.amount > 1000 THEN 'large' ELSE 'small' END AS size,
       (SELECT count(*) FROM bench_rows s WHERE s.id BETWEEN f.aid AND f.aid + 2) AS near,
       rank() OVER (PARTITION BY f.bid ORDER BY f.abalance DESC, f.aid) AS place
FROM few f JOIN most m ON m.bid = f.bid LEFT JOIN bench_rows r ON r.id = f.aid
WHERE f.abalance BETWEEN -100000 AND 100000 AND EXISTS (SELECT 1 FROM pgbench_accounts o WHERE o.aid = f.aid + 1)
ORDER BY f.aid, place LIMIT 10
"""
KINDS = {"small": SMALL, "large": LARGE}


def send(kind: str, per_second: float, seconds: float) -> dict[str, float]:
    """Raises psycopg.Error for a statement that is refused."""
    total = int(per_second * seconds)
    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as pool:
        connections = [stack.enter_context(psycopg.connect("", autocommit=True)) for _ in range(CONNECTIONS)]
        print("begins", flush=True)
        begin = time.monotonic()

        def work(number: int) -> float:
            late = 0.0
            for each in range(number, total, CONNECTIONS):
                due = begin + each / per_second
                time.sleep(max(0.0, due - time.monotonic()))
                connections[number].execute(KINDS[kind].format(new=f"n{os.getpid()}_{each}"), prepare=False)
                late = time.monotonic() - due
            return late

        return {"answered": total, "late": max(pool.map(work, range(CONNECTIONS)))}


if __name__ == "__main__":
    print(json.dumps(send(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))))
