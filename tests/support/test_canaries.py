"""The search for canaries finds each of them in what a server sends, so that finding none means something."""

from urllib.parse import urlsplit

import asyncpg
import psycopg

from tests.support import canaries
from tests.support.canaries import CUSTOMERS, MARKERS, found
from tests.support.relay import run_relay
from tests.support.servers import APP, Server

ALL = {marker.column: len(CUSTOMERS) for marker in MARKERS}
TABLES = ("customers", "payroll")


async def test_every_marker_is_found_in_binary_rows(postgres18: Server, shop18: str) -> None:
    with run_relay(postgres18.port) as relay:
        connection = await asyncpg.connect(_through(postgres18.dsn(shop18, APP), relay.port))
        for table in TABLES:
            await connection.fetch(f"SELECT * FROM {table}")
        await connection.close()
        assert [c.user for c in relay.connections] == [APP]
        assert found(bytes(relay.connections[0].sent)) == ALL


def test_every_marker_is_found_in_text_rows(postgres15: Server, shop15: str) -> None:
    with run_relay(postgres15.port) as relay:
        dsn = _through(postgres15.dsn(shop15, APP, sslmode="disable"), relay.port)
        with psycopg.connect(dsn) as connection:
            for table in TABLES:
                connection.execute(f"SELECT * FROM {table}").fetchall()
        assert found(bytes(relay.connections[0].sent)) == ALL


def test_a_label_that_may_be_seen_is_not_looked_for() -> None:
    data = b"".join(form for marker in MARKERS for form in marker.forms)
    assert set(found(data, {"pay"})) == {marker.column for marker in MARKERS} - {"payroll.salary", "payroll.iban"}
    assert not found(data, canaries.EVERYTHING)


def _through(dsn: str, port: int) -> str:
    return dsn.replace(f":{urlsplit(dsn).port}/", f":{port}/")
