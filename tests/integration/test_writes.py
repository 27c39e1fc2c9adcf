"""Writes of real drivers on real servers: what is written arrives, what is masked stays masked, and nothing tells."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy import orm

from tests.integration.conftest import MARKERS
from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
GRANTS = {"writer": ["writer"], "caller": ["caller"], "root": ["break-glass"]}


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def shop(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server: Server = request.getfixturevalue(request.param)
    database = server.create_database((HERE / "writes.sql").read_text(encoding="utf-8"))
    rules = (HERE / "writes.yaml").read_text(encoding="utf-8")
    with run_proxy(server, database, rules=rules, grants=GRANTS) as proxy:
        yield proxy
        for connection in proxy.relay.connections:
            if connection.user != "root":
                assert not [marker for marker in MARKERS if marker in connection.sent]


@pytest.fixture
def writer(shop: Proxy) -> Iterator[psycopg.Connection]:
    """What it does is undone."""
    with psycopg.connect(shop.dsn("writer")) as connection:
        yield connection
        connection.rollback()


def rows(connection: psycopg.Connection, statement: str, *parameters: object, **options: Any) -> list[Any]:
    cursor = connection.execute(statement, parameters or None, **options)
    return cursor.fetchall() if cursor.description else [cursor.rowcount]


def truth(shop: Proxy, statement: str) -> list[Any]:
    with psycopg.connect(shop.dsn("root"), autocommit=True) as root:
        return root.execute(statement).fetchall()


@pytest.mark.parametrize("prepare", [False, True])
def test_written_values_come_back_masked(writer: psycopg.Connection, prepare: bool) -> None:
    columns = "name, ssn, birth, balance, iban, tags, status"
    found = rows(
        writer,
        "INSERT INTO customers (ssn, birth, balance, iban, tags) VALUES (%s, %s, %s, %s, %s) "
        f"RETURNING {columns}",
        "123-45-6789", dt.date(1999, 5, 6), Decimal("123456.78"), "XY12", ["a", "b"],
        prepare=prepare,
    )  # fmt: skip
    masked = (None, "*******6789", dt.date(1999, 1, 1), Decimal("100000.00"), None, ["[redacted]"] * 2, "new")
    assert found == [masked]


@pytest.mark.parametrize("prepare", [False, True])
def test_a_star_returns_the_columns_in_sight(writer: psycopg.Connection, prepare: bool) -> None:
    statement = "UPDATE customers AS c SET status = %s WHERE id = 1 RETURNING *"
    cursor = writer.execute(statement, ["seen"], prepare=prepare)
    (row,) = cursor.fetchall()
    names = [column.name for column in cursor.description or ()]
    assert names == ["id", "name", "email", "ssn", "birth", "balance", "iban", "tags", "status", "bonus"]
    assert row[names.index("ssn")].endswith("*6789")
    assert row[names.index("status")] == "seen"


def test_simple_and_extended_protocol_write_alike(shop: Proxy) -> None:
    with psycopg.connect(shop.dsn("writer"), cursor_factory=psycopg.ClientCursor) as connection:
        (id,) = rows(connection, "INSERT INTO orders (total, comment) VALUES (%s, %s) RETURNING id", 5, "o'x")[0]
        assert rows(connection, "UPDATE orders SET total = total + %s WHERE id = %s", 1, id) == [1]
        connection.commit()
    assert truth(shop, f"SELECT total, comment FROM orders WHERE id = {id}") == [(Decimal(6), "o'x")]
    with psycopg.connect(shop.dsn("writer")) as connection:
        assert rows(connection, "DELETE FROM orders WHERE id = %s RETURNING *", id)[0][0] == id
    assert truth(shop, f"SELECT FROM orders WHERE id = {id}") == []


def test_a_masked_row_is_read_and_masked_values_cannot_be_saved(writer: psycopg.Connection) -> None:
    """An agent that saves what it saw destroys nothing."""
    columns = ("ssn", "birth", "balance", "tags", "email")
    (row,) = rows(writer, f"SELECT {', '.join(columns)} FROM customers WHERE id = 1")
    for column, value in zip(columns, row, strict=True):
        with pytest.raises(errors.InsufficientPrivilege), writer.transaction():
            rows(writer, f"UPDATE customers SET {column} = %s WHERE id = 1", value)
        with pytest.raises(errors.InsufficientPrivilege), writer.transaction(), writer.cursor() as cursor:
            cursor.execute(f"UPDATE customers SET {column} = %b WHERE id = 1", [value])
    with pytest.raises(errors.InsufficientPrivilege), writer.transaction():
        rows(writer, "UPDATE customers SET iban = %s WHERE id = 1", None)
    assert rows(writer, "UPDATE customers SET ssn = %s WHERE id = 1", "123-45-6789") == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO orders (comment) SELECT ssn FROM customers",
        "UPDATE customers SET status = ssn",
        "UPDATE customers SET status = status WHERE ssn LIKE 'C%'",
        "DELETE FROM orders USING customers c WHERE c.ssn LIKE 'C%'",
        "WITH d AS (UPDATE customers SET status = 'x' RETURNING ssn) INSERT INTO orders (comment) SELECT ssn FROM d",
        "INSERT INTO customers (email) VALUES ('CANARY.ann@example.com')",
        "INSERT INTO customers (email) VALUES ('CANARY.ann@example.com') ON CONFLICT DO NOTHING",
        "UPDATE customers SET email = 'new@example.com' WHERE id = 1",
        "INSERT INTO customers (name) VALUES ('CANARY Ann') RETURNING name",
        "UPDATE customers SET bonus = 500000 WHERE id = 1",
        "DELETE FROM customers WHERE id = 1",
        "UPDATE customers SET status = 'x' RETURNING customers",
        "UPDATE customers SET status = 'x' RETURNING notes",
        "UPDATE customers SET status = 'x' RETURNING upper(ssn)",
        "UPDATE customers SET status = 'x' RETURNING old.ssn",
        "INSERT INTO ruled VALUES (1, 'x')",
        "INSERT INTO shown VALUES (9, 'x')",
        "INSERT INTO calls VALUES (9, 'CANARY.bob@example.com')",
        "INSERT INTO parts (id, secret) VALUES (1, 'CANARY')",
        "UPDATE secured SET word = 'y'",
        "UPDATE unvalidated SET word = 'y'",
        "INSERT INTO parts_1 (id) VALUES (1)",
        "MERGE INTO orders o USING customers c ON c.id = o.customer_id WHEN MATCHED THEN DELETE",
        "TRUNCATE orders",
        "COPY customers (id, email) FROM STDIN",
    ],
)
def test_what_would_tell_or_launder_is_refused(shop: Proxy, writer: psycopg.Connection, statement: str) -> None:
    before = truth(shop, "SELECT customers, orders FROM customers, orders ORDER BY 1, 2")
    with pytest.raises(errors.Error) as refused:
        rows(writer, statement)
    assert refused.value.sqlstate in ("42501", "42P01", "42703")
    assert writer.info.transaction_status is not psycopg.pq.TransactionStatus.INERROR
    writer.commit()
    assert truth(shop, "SELECT customers, orders FROM customers, orders ORDER BY 1, 2") == before


def test_errors_of_clear_tables_are_told_and_of_masked_ones_are_not(writer: psycopg.Connection) -> None:
    with pytest.raises(errors.CheckViolation) as told, writer.transaction():
        rows(writer, "INSERT INTO orders (total) VALUES (-1)")
    assert "orders_total_check" in str(told.value)
    assert told.value.diag.message_detail is None
    with pytest.raises(errors.NotNullViolation) as kept, writer.transaction():
        rows(writer, "UPDATE customers SET status = NULL WHERE id = 1")
    assert "CANARY" not in str(kept.value)


def test_what_triggers_say_is_not_told(shop: Proxy) -> None:
    notices: list[str] = []
    with psycopg.connect(shop.dsn("writer"), autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        rows(connection, "INSERT INTO audited VALUES (1, 'x')")
        with pytest.raises(errors.RaiseException):
            rows(connection, "INSERT INTO audited VALUES (2, 'fail')")
        with pytest.raises(errors.RaiseException), connection.transaction():
            rows(connection, "INSERT INTO audited VALUES (3, 'late')")
    assert notices
    assert not any("CANARY" in notice for notice in notices)


def test_equality_lets_a_caller_find_and_write_by_email(shop: Proxy) -> None:
    with psycopg.connect(shop.dsn("caller")) as caller:
        assert rows(caller, "UPDATE customers SET status = 'seen' WHERE email = %s", "CANARY.ann@example.com") == [1]
        assert rows(caller, "INSERT INTO calls VALUES (2, %s) RETURNING id", "CANARY.bob@example.com") == [(2,)]
        with pytest.raises(errors.UniqueViolation), caller.transaction():
            rows(caller, "INSERT INTO customers (email) VALUES (%s)", "CANARY.bob@example.com")
        caller.rollback()


def test_many_rows(shop: Proxy) -> None:
    with psycopg.connect(shop.dsn("writer")) as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO customers (ssn) VALUES (%s) RETURNING ssn", [("1234567",), ("7654321",)],
                           returning=True)  # fmt: skip
        assert cursor.fetchall() == [("***4567",)]
        assert cursor.nextset()
        assert cursor.fetchall() == [("***4321",)]
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.executemany("INSERT INTO customers (ssn) VALUES (%s)", [("1234567",), ("***4321",)])
        connection.rollback()


def test_rows_are_locked(shop: Proxy, writer: psycopg.Connection) -> None:
    assert rows(writer, "SELECT id FROM orders WHERE id = 1 FOR UPDATE") == [(1,)]
    with psycopg.connect(shop.dsn("writer")) as other:
        assert rows(other, "SELECT id FROM orders WHERE id = 1 FOR UPDATE SKIP LOCKED") == []
        assert rows(other, "SELECT id, ssn FROM customers WHERE id = 1 FOR NO KEY UPDATE")[0][1].startswith("*")


def test_asyncpg(shop: Proxy) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(shop.dsn("writer"))
        transaction = connection.transaction()
        await transaction.start()
        insert = "INSERT INTO customers (ssn,birth,balance) VALUES ($1,$2,$3) RETURNING id, ssn, birth"
        row = await connection.fetchrow(insert, "123-45-6789", dt.date(1999, 5, 6), Decimal("1.50"))
        assert (row["ssn"], row["birth"]) == ("*******6789", dt.date(1999, 1, 1))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute("UPDATE customers SET birth = $1 WHERE id = 1", dt.date(1999, 1, 1))
        await connection.executemany("UPDATE customers SET ssn = $1 WHERE id = $2", [("999-99-9999", row["id"])] * 2)
        assert await connection.execute("DELETE FROM orders WHERE id = $1", 2) == "DELETE 1"
        await transaction.rollback()
        await connection.close()

    asyncio.run(run())


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    ssn: orm.Mapped[str | None]
    birth: orm.Mapped[dt.date | None]
    status: orm.Mapped[str] = orm.mapped_column(server_default="new")


class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    customer_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("customers.id"))
    total: orm.Mapped[Decimal | None]
    status: orm.Mapped[str | None]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemy_orm(shop: Proxy, driver: str) -> None:
    engine = sa.create_engine(shop.dsn("writer").replace("postgresql://", f"postgresql+{driver}://"))
    with orm.Session(engine) as session:
        added = [Customer(ssn=f"{n}23-45-6789", birth=dt.date(1999, 5, 6)) for n in range(3)]
        session.add_all(added)
        session.flush()
        order = Order(customer_id=added[0].id, total=Decimal(5))
        session.add(order)
        session.flush()
        session.refresh(added[0])
        assert (added[0].ssn, added[0].status) == ("*******6789", "new")
        added[0].status = "old"
        order.total = Decimal(6)
        session.flush()
        session.delete(order)
        session.flush()
        added[0].ssn = added[1].ssn = "*******6789"  # as it was read
        with pytest.raises(sa.exc.ProgrammingError, match="looks masked"):
            session.flush()
        session.rollback()
    engine.dispose()


def test_copy_from_stdin(shop: Proxy) -> None:
    """By psycopg in the simple protocol, by asyncpg in the extended one; the second of each is wrong in its data."""
    with psycopg.connect(shop.dsn("writer")) as connection:
        with connection.cursor().copy("COPY orders (id, total) FROM STDIN") as copying:
            copying.write_row((1001, Decimal("2.50")))
        connection.commit()
        again = connection.cursor().copy("COPY orders (id) FROM STDIN (FORMAT csv)")
        with pytest.raises(errors.UniqueViolation) as refusal, again as copying:
            copying.write("1001")
        assert refusal.value.diag.message_detail is None
        connection.rollback()
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("COPY customers (id, email) FROM STDIN")
        assert connection.execute("SELECT total FROM orders WHERE id = 1001").fetchone() == (Decimal("2.50"),)

    async def copy() -> None:
        agent = await asyncpg.connect(shop.dsn("writer"))
        try:
            records = [(1002, Decimal(1)), (1003, Decimal(2))]
            tag = await agent.copy_records_to_table("orders", records=records, columns=["id", "total"])
            assert tag == "COPY 2"
            with pytest.raises(asyncpg.UniqueViolationError):
                await agent.copy_records_to_table("orders", records=records, columns=["id", "total"])
            assert await agent.fetchval("SELECT count(*) FROM orders WHERE id > 1000") == 3
        finally:
            await agent.close()

    asyncio.run(copy())
    assert truth(shop, "DELETE FROM orders WHERE id > 1000 RETURNING 1") == [(1,)] * 3
