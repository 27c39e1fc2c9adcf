"""pg_dump of what a scope may see: it can be restored, and holds nothing else (see ``test_introspection``)."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.test_introspection import COLUMNS, HIDDEN
from tests.support.proxies import run_proxy
from tests.support.servers import APP, Server

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('public', 'sales')"
INDEXES = "SELECT relname FROM pg_class WHERE relkind = 'i' AND relname IN ('customers_created_idx', 'orders_pkey')"
OWN = "SELECT attname FROM pg_attribute WHERE attrelid = 'public.customers'::regclass AND attnum > 0"


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def agent(server: Server) -> Iterator[str]:
    """Its DSN."""
    database = server.create_database((HERE / "introspection.sql").read_text(encoding="utf-8"))
    rules = (HERE / "introspection.yaml").read_text(encoding="utf-8")
    with run_proxy(server, database, rules=rules, grants={"agent": ["reader"]}) as proxy:
        yield proxy.dsn("agent")
        assert not [connection for connection in proxy.relay.connections if HIDDEN in connection.sent]


def dump(server: Server, dsn: str, *options: str) -> str:
    """By the pg_dump that came with the server."""
    command = [server.postgres.program("pg_dump"), "--schema-only", "--enable-row-security", *options, dsn]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def names(connection: psycopg.Connection, statement: str) -> list[str]:
    return [name for (name,) in connection.execute(statement.encode())]


def test_what_is_in_sight_can_be_restored(server: Server, agent: str) -> None:
    text = dump(server, agent, "--exclude-table=sales.events*")  # the keys and bounds of partitions are withheld
    script = "\n".join(line for line in text.splitlines() if not line.startswith("\\"))  # \restrict is for psql
    with psycopg.connect(server.dsn(server.create_database(), APP), autocommit=True) as restored:
        restored.execute(script.encode())
        assert names(restored, OWN) == COLUMNS
        assert set(names(restored, TABLES)) == {"customers", "orders"}
        assert len(names(restored, INDEXES)) == 2


def test_one_schema(server: Server, agent: str) -> None:
    text = dump(server, agent, "--table=public.*")
    assert "CREATE TABLE public.customers" in text
    assert "CREATE TABLE sales.orders" not in text
    assert "DEFAULT ," not in text
