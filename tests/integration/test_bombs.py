"""Texts that parsers choke on cost the one who sends them, and nobody else."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from maskproxy.base.limits import MiB
from tests.support.proxies import Proxy

pytestmark = pytest.mark.server

BOMBS = {
    "nested arrays": "SELECT " + "ARRAY[" * 20 + "1" + "]" * 20,
    "nested subqueries": "SELECT 1 FROM " + "(SELECT 1 FROM " * 20_000 + "orders" + ") AS q" * 20_000,
    "a long list": f"SELECT id FROM orders WHERE id IN ({', '.join(map(str, range(100_000)))})",
    "parentheses": "SELECT " + "(" * (MiB - 100),
    "nested types": "SELECT " + "date(" * 40 + "1" + ")" * 40,
    "subscripts": "SELECT " + "('{1}'::int[])" + "[1]" * 3_000,
}
HEAVY = "SELECT id FROM orders WHERE id IN ({}) LIMIT {{}}".format(", ".join(map(str, range(3_000))))
"""Permitted, and a tenth of a second and more to analyse; each LIMIT with other spaces makes it new."""

REFUSED_SECONDS = 0.2
SLOWER = 2.0  # a victim's 99th percentile under attack over its quiet one
ROUNDS = 5
QUERIES = 200


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_at_once(proxy: Proxy, bomb: str) -> None:
    with psycopg.connect(proxy.dsn(recorded=False), autocommit=True) as connection:
        assert min(seconds_until_refused(connection, BOMBS[bomb]) for _ in range(5)) < REFUSED_SECONDS
        assert connection.execute("SELECT 1").fetchone() == (1,)


def seconds_until_refused(connection: psycopg.Connection, bomb: str) -> float:
    begin = time.perf_counter()
    with pytest.raises(psycopg.Error) as refusal:
        connection.execute(bomb.encode())
    assert refusal.value.sqlstate in ("54000", "42601", "42501")
    return time.perf_counter() - begin


def throw_bombs(connection: psycopg.Connection, number: int) -> None:
    text = list(BOMBS.values())[number % len(BOMBS)]
    with pytest.raises(psycopg.Error):
        connection.execute(text.encode())


def ask_heavy(connection: psycopg.Connection, number: int) -> None:
    connection.execute(HEAVY.format(f"{' ' * (number % 500)}{1 + number // 500}").encode()).fetchall()


@pytest.mark.parametrize("attack", [throw_bombs, ask_heavy])
def test_other_clients_do_not_notice(proxy: Proxy, attack: Callable[[psycopg.Connection, int], None]) -> None:
    """Quiet and under attack by turns. The machine's own noise is in both, so the best round is what counts."""
    with psycopg.connect(proxy.dsn("analyst", recorded=False), autocommit=True) as victim:
        percentile(victim)
        slower = []
        for _ in range(ROUNDS):
            quiet = percentile(victim)
            with attacked(proxy, attack):
                slower.append(percentile(victim) / quiet)
        assert min(slower) <= SLOWER, slower


def percentile(victim: psycopg.Connection) -> float:
    """The 99th of a tiny statement's times."""
    times = []
    for _ in range(QUERIES):
        begin = time.perf_counter()
        victim.execute("SELECT count(*) FROM orders").fetchone()
        times.append(time.perf_counter() - begin)
    return statistics.quantiles(times, n=100)[98]


@contextmanager
def attacked(proxy: Proxy, attack: Callable[[psycopg.Connection, int], None]) -> Iterator[None]:
    """Ten attacks a second: more would measure how the processors are shared with the attacker's own work."""
    over = threading.Event()

    def work() -> None:
        with psycopg.connect(proxy.dsn("agent", recorded=False), autocommit=True) as connection:
            number = next(numbers)
            while not over.wait(0.1):
                attack(connection, number)
                number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


numbers = iter(range(0, 10**9, 10_000))
"""Where each attack starts to count, so that no text comes twice."""
