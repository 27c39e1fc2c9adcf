"""Every driver and mode gets the same masked rows, and clear columns as the database sent them."""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.integration.clients import READERS, SQL_CURSORS, asyncpg_connect, psycopg_text
from tests.integration.conftest import Zoo

pytestmark = pytest.mark.server

ALL = READERS | SQL_CURSORS

CLEAR = ("id", "city", "joined", "score")
MASKED = "name, email, ssn, phone, birth, seen, balance, visits, weight, account, device, profile, photo, tags, vip"
COLUMNS = (*CLEAR, *MASKED.split(", "))
PEOPLE = f"SELECT {', '.join(COLUMNS)} FROM people ORDER BY id"

# what the masks of zoo.yaml make of the first row; where a key decides, what kind of value it is
FIRST: Mapping[str, Any] = {
    "email": "C*********@example.com",
    "ssn": "**************6789",
    "phone": "[redacted]".ljust(24),
    "birth": dt.date(1961, 1, 1),
    "seen": dt.datetime(1961, 1, 1, tzinfo=dt.UTC),
    "balance": Decimal("900000.00"),
    "visits": 9000000,
    "weight": 900000.0,
    "profile": "[redacted]",
    "tags": ["[redacted]", "[redacted]"],
    "vip": None,
}
KINDS: Mapping[str, type] = {"name": str, "account": int, "device": uuid.UUID, "photo": bytes}


def test_masks_of_every_type(zoo: Zoo) -> None:
    first, second, third, fourth = (dict(zip(COLUMNS, row, strict=True)) for row in psycopg_text(zoo.agent, PEOPLE))
    assert {name: first[name] for name in FIRST} == FIRST
    assert {name: type(first[name]) for name in KINDS} == KINDS
    assert re.fullmatch(r"person-[a-z0-9]{16}", first["name"])
    assert second["tags"] == ["[redacted]", None]
    assert {third[name] for name in MASKED.split(", ")} == {None}
    assert {name: fourth[name] for name in KINDS} == {name: first[name] for name in KINDS}
    assert all(second[name] != first[name] for name in KINDS)


@pytest.mark.parametrize("reader", ALL)
def test_every_driver_gets_the_same(zoo: Zoo, reader: str) -> None:
    assert ALL[reader](zoo.agent, PEOPLE) == psycopg_text(zoo.agent, PEOPLE)


@pytest.mark.parametrize("reader", ALL)
def test_clear_columns_are_what_the_database_sent(zoo: Zoo, reader: str) -> None:
    statement = f"SELECT {', '.join(CLEAR)} FROM people ORDER BY id"
    assert ALL[reader](zoo.agent, statement) == ALL[reader](zoo.direct, statement)
    visits = "SELECT v.id, v.at, v.fee, p.city FROM visits v JOIN people p ON p.id = v.person ORDER BY v.id"
    assert ALL[reader](zoo.agent, visits) == ALL[reader](zoo.direct, visits)


@pytest.mark.parametrize("reader", ALL)
def test_unrestricted_sees_what_the_database_sent(zoo: Zoo, reader: str) -> None:
    read, statement = ALL[reader], "SELECT * FROM people ORDER BY id"
    assert read(zoo.root, statement) == read(zoo.direct, statement)


@pytest.mark.parametrize("reader", ALL)
def test_a_star_lacks_denied_columns(zoo: Zoo, reader: str) -> None:
    with psycopg.connect(zoo.agent) as connection:
        described = connection.execute("SELECT * FROM people").description or ()
    assert {column.name for column in described} == set(COLUMNS)
    assert len(ALL[reader](zoo.agent, "SELECT * FROM people")[0]) == len(COLUMNS)


@pytest.mark.parametrize("reader", ALL)
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id, m FROM (SELECT id, email AS m FROM people) AS q ORDER BY id",
        "WITH c AS (SELECT id, email FROM people) SELECT id, email FROM c ORDER BY id",
        "SELECT id, email FROM people WHERE id < 3 UNION ALL SELECT id, email FROM people WHERE id >= 3 ORDER BY id",
        'SELECT id, email AS "an alias" FROM public.people AS p ORDER BY p.id',
    ],
)
def test_detours(zoo: Zoo, reader: str, statement: str) -> None:
    expected = [(row[0], row[COLUMNS.index("email")]) for row in psycopg_text(zoo.agent, PEOPLE)]
    assert ALL[reader](zoo.agent, statement) == expected


async def test_asyncpg_executemany(zoo: Zoo) -> None:
    connection = await asyncpg_connect(zoo.agent)
    try:
        await connection.executemany("SELECT email FROM people WHERE id = $1", [(1,), (2,), (3,)])
        assert await connection.fetchval("SELECT email FROM people WHERE id = $1", 1) == FIRST["email"]
    finally:
        await connection.close()


async def test_asyncpg_pool_resets(zoo: Zoo) -> None:
    async with asyncpg.create_pool(zoo.agent, min_size=1, max_size=1) as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT email FROM people WHERE id = 1") == FIRST["email"]
                await connection.execute("SET application_name = 'changed'")
        assert await pool.fetchval("SHOW application_name") == ""


async def test_asyncpg_cursor_in_steps(zoo: Zoo) -> None:
    connection = await asyncpg_connect(zoo.agent)
    try:
        async with connection.transaction():
            cursor = await connection.cursor("SELECT id, ssn FROM people WHERE id <> 3 ORDER BY id")
            assert [tuple(row) for row in await cursor.fetch(1)] == [(1, FIRST["ssn"])]
            assert (await cursor.fetchrow())["id"] == 2
            assert [tuple(row) for row in await cursor.fetch(5)] == [(4, FIRST["ssn"])]
            assert await cursor.fetch(5) == []
    finally:
        await connection.close()


def test_parameters_in_binary(zoo: Zoo) -> None:
    with psycopg.connect(zoo.agent) as connection:
        cursor = connection.execute(
            "SELECT id, email FROM people WHERE id = %b AND city = %b", (1, "Lyon"), binary=True
        )
        assert cursor.fetchall() == [(1, FIRST["email"])]


def test_description_names_the_types_that_come(zoo: Zoo) -> None:
    def describe(dsn: str) -> list[tuple[str, int]]:
        with psycopg.connect(dsn) as connection:
            return [(column.name, column.type_code) for column in connection.execute(PEOPLE).description or ()]

    assert describe(zoo.agent) == describe(zoo.direct)


def test_many_rows(zoo: Zoo) -> None:
    """More than any buffer holds, in text and in binary."""
    statement = "SELECT id, filler, secret FROM wide ORDER BY id"
    answers = [READERS[reader](zoo.agent, statement) for reader in ("psycopg text", "psycopg binary")]
    assert answers[0] == answers[1]
    assert [row[:2] for row in answers[0]] == psycopg_text(zoo.direct, "SELECT id, filler FROM wide ORDER BY id")
    assert len({row[2] for row in answers[0]}) == 20_000
