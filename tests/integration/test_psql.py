"""psql, the program."""

import os
import subprocess

import pytest

from maskproxy.cli.embedded import embedded_installation
from tests.support.canaries import CUSTOMERS
from tests.support.proxies import Proxy

pytestmark = pytest.mark.server


def psql(dsn: str, *commands: str, stop: bool = True) -> subprocess.CompletedProcess[str]:
    arguments = [part for command in commands for part in ("-c", command)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(
        [str(embedded_installation().program("psql")), "-XAt", "-v", f"ON_ERROR_STOP={int(stop)}", *arguments, dsn],
        env=environment | {"LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_rows_are_masked(proxy: Proxy) -> None:
    done = psql(proxy.dsn(), "SELECT id, ssn, email FROM customers WHERE id = 1")
    local, _, domain = CUSTOMERS[0].email.partition("@")
    masked = local[0] + "*" * (len(local) - 1)
    assert done.stdout == f"1|*******{CUSTOMERS[0].ssn[-4:]}|{masked}@{domain}\n"


def test_star_works(proxy: Proxy) -> None:
    done = psql(proxy.dsn(), "SELECT * FROM customers")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(CUSTOMERS) + 1


def test_a_refusal_names_column_rule_and_hint(proxy: Proxy) -> None:
    done = psql(proxy.dsn(), "SELECT id FROM customers WHERE ssn = '123'", "SELECT 7", stop=False)
    assert "ssn" in done.stderr
    assert "rules.yaml:" in done.stderr
    assert "HINT:" in done.stderr
    assert done.stdout == "7\n"


def test_session_commands(proxy: Proxy) -> None:
    done = psql(
        proxy.dsn(),
        "BEGIN",
        "SAVEPOINT a",
        "SELECT count(*) FROM orders",
        "ROLLBACK TO a",
        "COMMIT",
        "SHOW search_path",
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[2] == "20"
