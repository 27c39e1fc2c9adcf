"""Clients that log in, ask once and stay: ``python -m benchmarks.sleepers``.

Reads a number from each line of its standard input, sees to it that there are so many, and answers the line. Ends with
its input. Address and password come from libpq's environment.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg

AT_ONCE = 4
QUERY = "SELECT filler FROM pgbench_accounts WHERE aid = 4711"


def log_in(_: int) -> psycopg.Connection:
    connection = psycopg.connect("", autocommit=True)
    connection.execute(QUERY)
    return connection


if __name__ == "__main__":
    sleepers: list[psycopg.Connection] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in sys.stdin:
            sleepers += pool.map(log_in, range(int(line) - len(sleepers)))
            print(len(sleepers), flush=True)
