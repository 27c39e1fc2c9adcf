"""What real tools ask a database about itself is answered, and nothing of what a scope may not see is in the answers.

Everything hidden in ``introspection.sql`` (tables, columns, types, comments, literals in definitions) holds one word;
after each test no byte that went to the agent may hold it."""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.range import RangeInfo
from ruamel.yaml import YAML
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateTable

from maskproxy.cli.embedded import embedded_installation
from maskproxy.core.sql.objects import FUNCTIONS_OF_OBJECTS
from maskproxy.core.system_relations import SYSTEM_RELATIONS
from tests.integration.clients import asyncpg_connect
from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import APP, Server

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
HIDDEN = b"zephyr"
TABLES = {"public": {"customers"}, "sales": {"orders", "events", "events_south"}}
COLUMNS = ["id", "email", "mood", "code", "home", "note", "created"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A statement of ``tools.yaml``."""

    tool: str
    sql: str
    parameters: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    refused: str = ""


TOOLS = [Tool(**each) for each in YAML(typ="safe").load((HERE / "tools.yaml").read_text(encoding="utf-8"))]


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def _shop(request: pytest.FixtureRequest) -> Iterator[tuple[Proxy, str]]:
    server: Server = request.getfixturevalue(request.param)
    database = server.create_database((HERE / "introspection.sql").read_text(encoding="utf-8"))
    rules = (HERE / "introspection.yaml").read_text(encoding="utf-8")
    with run_proxy(server, database, rules=rules, grants={"agent": ["reader"], "root": ["break-glass"]}) as proxy:
        yield proxy, server.dsn(database, APP)


@pytest.fixture
def direct(_shop: tuple[Proxy, str]) -> str:
    return _shop[1]


@pytest.fixture
def agent(_shop: tuple[Proxy, str]) -> Iterator[str]:
    """Its DSN. Ends with a search for what is hidden in all that was sent to it."""
    proxy, _ = _shop
    proxy.relay.forget()
    yield proxy.dsn("agent")
    for connection in proxy.relay.connections:
        at = connection.sent.find(HIDDEN) if connection.user == "agent" else -1
        assert at < 0, bytes(connection.sent[max(0, at - 200) : at + 50])


@pytest.fixture
def curious(_shop: tuple[Proxy, str]) -> str:
    """The same without the search, for tests that name what is hidden themselves."""
    return _shop[0].dsn("agent")


def rows(dsn: str, statement: str, parameters: tuple[Any, ...] | None = None) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return psycopg.RawCursor(connection).execute(statement, parameters).fetchall()


# ---------------------------------------------------------------------------------------------------------------- psql

COMMANDS = r"""
    \d  \d+  \d customers  \d+ customers  \d sales.orders  \d+ sales.orders  \d sales.events  \d+ sales.events_south
    \d customers_email_key  \d customers_id_seq  \dt  \dt+  \dt *.*  \di  \di+ *.*  \ds  \ds+  \dv  \dv+  \dm  \dn  \dn+
    \du  \du+  \dg  \l  \l+  \df  \df lower  \df+ lower  \da sum  \dT  \dT+  \dD  \dD+  \dx  \dp  \dp *.*  \dP  \dPt
    \db  \db+  \dc  \dC  \do  \dO  \dF  \dFd  \dFp  \dFt  \dAc  \dAf  \dL  \dd  \dRp  \dRs  \dy  \dew  \des  \det  \deu
    \dE  \dX  \drds  \ddp  \dl  \dconfig  \encoding  \conninfo
"""


def psql(dsn: str, *commands: str) -> subprocess.CompletedProcess[str]:
    arguments = [part for command in commands for part in ("-c", command)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(
        [str(embedded_installation().program("psql")), "-X", "-P", "pager=off", *arguments, dsn],
        env=environment | {"LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_psql(agent: str) -> None:
    done = psql(agent, *re.split(r"\s{2,}", COMMANDS.strip()))
    unsupported = re.findall(r"The server \(version .*", done.stderr)
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert not errors, "\n".join(errors)
    assert len(unsupported) <= 1


def test_psql_describes_a_table(agent: str, direct: str) -> None:
    """As without the proxy, but for what is hidden: a column, two defaults, and what is about either."""
    shown, whole = (_lines(psql(dsn, r"\d customers").stdout) for dsn in (agent, direct))
    assert shown - whole == {"mood | mood | | |", "note | text | | |"}
    assert len(whole - shown) > 5
    text = " ".join(shown)
    for name in ("customers_pkey", "customers_email_key", "customers_created_idx", "orders_customer_fkey", *COLUMNS):
        assert name in text


def _lines(text: str) -> set[str]:
    """Without padding and rules."""
    return {" ".join(line.split()) for line in text.splitlines() if not line.startswith("---")}


# ------------------------------------------------------------------------------------------------- what cannot be known


@pytest.mark.parametrize("command", [r"\sv zephyr_view", r"\sf zephyr_function", r"\d zephyr_ledger", r"\d zephyr.*"])
def test_psql_knows_nothing_hidden(curious: str, direct: str, command: str) -> None:
    shown, missing = psql(curious, command), psql(curious, command.replace("zephyr", "nosuch"))
    assert shown.stdout.replace("zephyr", "nosuch") == missing.stdout
    assert shown.stderr.replace("zephyr", "nosuch") == missing.stderr
    assert psql(direct, command).stdout != shown.stdout


@pytest.mark.parametrize(
    "expression",
    [
        "'zephyr_ledger'::regclass",
        "'zephyr.zephyr_codes'::regclass::oid",
        "to_regclass('zephyr_ledger')",
        "has_table_privilege('zephyr_ledger', 'SELECT')",
        "has_column_privilege('customers', 'zephyr_score', 'SELECT')",
        "has_schema_privilege('zephyr', 'USAGE')",
        "has_sequence_privilege('zephyr_numbers', 'USAGE')",
        "pg_get_serial_sequence('zephyr_ledger', 'id')",
        "pg_get_serial_sequence('customers', 'zephyr_score')",
        "'zephyr_domain'::regtype",
        "'zephyr_function'::regproc",
        "'zephyr'::regnamespace",
        "NULL::zephyr_pair",
        "pg_relation_size('zephyr_ledger')",
        "pg_get_viewdef('zephyr_view'::regclass)",
        "(SELECT count(*) FROM pg_class WHERE oid = to_regclass('zephyr_ledger'))",
        "(SELECT count(*) FROM pg_type WHERE oid = to_regtype('zephyr_domain'))",
        "(SELECT count(*) FROM pg_class WHERE relname LIKE 'zephyr%')",
        "(SELECT count(*) FROM information_schema.columns WHERE column_name LIKE 'zephyr%')",
    ],
)
def test_hidden_is_as_missing(curious: str, expression: str) -> None:
    """The same answer or the same error, in every field."""
    assert _answer(curious, expression) == _answer(curious, expression.replace("zephyr", "nosuch"))


def _answer(dsn: str, expression: str) -> object:
    try:
        return rows(dsn, f"SELECT {expression}")
    except psycopg.Error as error:
        diagnostic = error.diag
        fields = ("sqlstate", "message_primary", "message_detail", "message_hint", "statement_position")
        return [str(getattr(diagnostic, field)).replace("zephyr", "nosuch") for field in fields]


def test_no_number_tells_of_hidden_objects(curious: str, direct: str) -> None:
    """Tried with the numbers of all objects that exist, in every way that is served."""
    numbers = [
        row[0]
        for row in rows(
            direct,
            "SELECT oid::int FROM pg_class WHERE relname LIKE '%zephyr%' UNION ALL SELECT oid::int FROM pg_proc WHERE "
            "proname LIKE 'zephyr%' UNION ALL SELECT oid::int FROM pg_type WHERE typname LIKE '%zephyr%' UNION ALL "
            "SELECT oid::int FROM pg_constraint WHERE conname LIKE '%zephyr%' OR contype = 'c' AND conrelid <> 0",
        )
    ]
    assert len(numbers) > 20
    for function in sorted(FUNCTIONS_OF_OBJECTS):
        for number in numbers[::4]:
            answer = _answer(curious, f"{function}({number})")
            assert isinstance(answer, list)
            assert "zephyr" not in str(answer)
            assert answer in ([], [(None,)]) or answer[0] in ("42501", "42P01", "42883"), (function, answer)


def test_parameters_name_no_hidden_objects(curious: str) -> None:
    for sql in (
        "SELECT count(*) FROM pg_class WHERE oid = $1::regclass",
        "SELECT count(*) FROM pg_type WHERE oid = CAST($1 AS regtype)",
        "SELECT count(*) FROM pg_description WHERE classoid = $1::regclass",
    ):
        assert rows(curious, sql, ("zephyr_ledger",)) == rows(curious, sql, ("nosuch_ledger",)) == [(0,)]
    for operator in ("=", "<>", "<", "IS DISTINCT FROM"):
        for looked_up in ("$1::regclass", "to_regclass($1)"):
            sql = f"SELECT c.oid {operator} {looked_up} FROM pg_class c ORDER BY c.oid LIMIT 3"
            assert rows(curious, sql, ("zephyr_ledger",)) == rows(curious, sql, ("nosuch_ledger",))
    assert _answer(curious, "NOT EXISTS (SELECT FROM pg_class WHERE oid <> to_regclass('zephyr_ledger'))") == _answer(
        curious, "NOT EXISTS (SELECT FROM pg_class WHERE oid <> to_regclass('nosuch_ledger'))"
    )
    assert rows(curious, "SELECT count(*) FROM pg_class WHERE oid = $1::regclass", ("customers",)) == [(1,)]
    assert rows(curious, "SELECT count(*) FROM pg_type WHERE oid = to_regtype('mood')") == [(1,)]
    assert rows(curious, "SELECT current_setting($1::varchar)", ("maskproxy.key",)) == [(None,)]
    assert rows(curious, "SELECT current_setting($1::varchar)", ("data_directory",)) == [(None,)]
    assert rows(curious, "SELECT current_setting($1)", ("DateStyle",)) != [(None,)]


# ------------------------------------------------------------------------------------------------------- drivers, tools


@pytest.mark.parametrize("tool", TOOLS, ids=[each.tool for each in TOOLS])
def test_tool(tool: Tool, agent: str) -> None:
    if tool.refused:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(agent, tool.sql, tool.parameters)
        return
    answer = str(rows(agent, tool.sql, tool.parameters or None))
    assert not [word for word in tool.rows if word not in answer], answer[:2000]


@pytest.mark.filterwarnings("ignore:Did not recognize type")  # a composite one, through the proxy or not
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_sqlalchemy_inspects(agent: str, driver: str) -> None:
    """All methods of the inspector, with LangChain's and LlamaIndex's SQLDatabase and pandas in mind."""
    _with_connection(agent, driver, _inspect)


def _with_connection(dsn: str, driver: str, work: Callable[[sa.Connection], None]) -> None:
    url = dsn.replace("postgresql://", f"postgresql+{driver}://")
    if driver != "asyncpg":
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            work(connection)
        engine.dispose()
        return

    async def run() -> None:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            await connection.run_sync(work)
        await engine.dispose()

    asyncio.run(run())


_NO_SCHEMA = ("get_schema_names", "get_temp_table_names", "get_temp_view_names")
_BY_TABLE = (
    "get_columns",
    "get_pk_constraint",
    "get_foreign_keys",
    "get_indexes",
    "get_unique_constraints",
    "get_check_constraints",
    "get_table_comment",
    "get_table_options",
)
_BY_SCHEMA = (
    "get_table_names",
    "get_view_names",
    "get_materialized_view_names",
    "get_sequence_names",
    "get_enums",
    "get_domains",
    "get_foreign_table_names",
    "get_sorted_table_and_fkc_names",
    *(each.replace("get_", "get_multi_") for each in _BY_TABLE),
)


def _inspect(connection: sa.Connection) -> None:
    inspector = sa.inspect(connection)
    for name in _NO_SCHEMA:
        getattr(inspector, name)()
    for schema, tables in TABLES.items():
        for name in _BY_SCHEMA:
            getattr(inspector, name)(schema=schema)
        assert set(inspector.get_table_names(schema)) == tables
        for table in tables:
            assert inspector.has_table(table, schema)
            for name in _BY_TABLE:
                getattr(inspector, name)(table, schema)
    assert not inspector.has_table("zephyr_ledger")
    assert [each["name"] for each in inspector.get_columns("customers")] == COLUMNS
    assert inspector.get_pk_constraint("orders", "sales")["constrained_columns"] == ["id"]
    (key,) = inspector.get_foreign_keys("orders", "sales")
    assert (key["referred_table"], key["referred_columns"]) == ("customers", ["id"])
    assert inspector.get_foreign_keys("customers") == []  # its only one is to a hidden table
    assert inspector.get_check_constraints("customers") == []
    assert inspector.get_table_comment("customers") == {"text": "who buys"}
    indexes = {each["name"] for each in inspector.get_indexes("customers")}
    assert indexes == {"customers_created_idx", "customers_email_key"}
    connection.rollback()


@pytest.mark.filterwarnings("ignore:Did not recognize type")  # a composite one, through the proxy or not
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_sqlalchemy_reflects(agent: str, driver: str) -> None:
    def reflect(connection: sa.Connection) -> None:
        metadata = sa.MetaData()
        for schema in (None, "sales"):
            metadata.reflect(connection, schema=schema, views=True)
        assert set(metadata.tables) == {"customers", "sales.orders", "sales.events", "sales.events_south"}
        for table in metadata.sorted_tables:
            str(CreateTable(table))
            connection.execute(sa.select(table).limit(3)).all()

    _with_connection(agent, driver, reflect)


async def test_asyncpg_learns_types(agent: str) -> None:
    connection = await asyncpg_connect(agent)
    try:
        value = await connection.fetchval("SELECT $1::mood", "sad")
        assert value == "sad"
        assert await connection.fetch("SELECT mood, code, home, ARRAY[mood] AS moods FROM customers") == []
        await connection.set_type_codec("mood", schema="public", encoder=str, decoder=str, format="text")
    finally:
        await connection.close()


def test_psycopg_learns_types(agent: str) -> None:
    with psycopg.connect(agent) as connection:
        assert EnumInfo.fetch(connection, "mood").labels == ["glad", "sad"]  # type: ignore[union-attr]
        address = CompositeInfo.fetch(connection, "address")
        assert address is not None
        assert address.field_names == ("street", "code")
        assert TypeInfo.fetch(connection, "postcode") is not None
        assert TypeInfo.fetch(connection, "nosuch_type") is None
        assert RangeInfo.fetch(connection, "int4range") is not None


# ------------------------------------------------------------------------------------ nothing told by what is listed


def test_listed_columns_tell_nothing_of_rows(direct: str, agent: str) -> None:
    """No listed relation has a column of statistics, and those of definitions are NULL in every row."""
    told = []
    for ref, relation in SYSTEM_RELATIONS.items():
        known = {row[0] for row in rows(direct, f"SELECT attname FROM pg_attribute WHERE attrelid = '{ref}'::regclass")}
        for name, column in relation.columns.items():
            if _TELLING.search(name) and name in known and relation.filter != "false" and column.expression is None:
                found = rows(agent, f'SELECT count("{name}") FROM {ref}')
                told += [f"{ref}.{name}"] if found != [(0,)] else []
    assert set(told) == _HARMLESS
    (numbers,) = rows(agent, "SELECT max(reltuples), max(relpages), max(relfilenode::int8) FROM pg_class")
    assert numbers == (-1, 0, 0)


_HARMLESS = {
    "information_schema.routines.routine_body",  # SQL or EXTERNAL
    "pg_catalog.pg_attribute.atthasdef",  # whether, not what
    "pg_catalog.pg_indexes.indexdef",  # of indexes without expression and predicate
    "pg_catalog.pg_proc.prosecdef",
}
_TELLING = re.compile(
    "stat(?!istics)|freq|hist|tuples|pages|last_value|width|definition|src$|bin$|def$|_default$|typdefault|clause|qual|expr"
    "|pred|acl$|_body|query|missingval|password|options$|condition|bound|config$|sourcefile|extcon"
)
