"""What analysis says, against what a server does: names and origins of outputs, and what a changed value changes."""

import asyncio
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import ColumnRef, Generation
from maskproxy.core.catalog import Catalog
from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.statement import Analysis
from maskproxy.core.sql.substitute import apply_splices
from maskproxy.proxy.catalogs import load_catalog
from tests.core.sql.case_files import Case, load
from tests.core.sql.catalogs import VIEWS, seen_by
from tests.core.sql.generated import Generator
from tests.core.sql.perturbation import ROWS, Oracle
from tests.support.catalogs import CATALOGS
from tests.support.servers import Server

QUERIES = [
    each
    for each in load()
    if not isinstance(each.case.want, list)
    and each.case.want.outputs
    and not each.case.want.writes
    and not each.where.startswith("sqlxml")  # this server was built without libxml
]
GENERATED = 150


@pytest.fixture(scope="module")
def database(postgres18: Server) -> str:
    return postgres18.create_database((CATALOGS / "shop.sql").read_text() + VIEWS + ROWS)


@pytest.fixture(scope="module")
def whole(postgres18: Server, database: str) -> Catalog:
    async def load() -> Catalog:
        connection = await asyncpg.connect(postgres18.dsn(database))
        try:
            return await load_catalog(connection, Generation(1))
        finally:
            await connection.close()

    return asyncio.run(load())


@pytest.fixture(scope="module")
def connection(postgres18: Server, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres18.dsn(database), autocommit=True) as connection:
        connection.execute("SET statement_timeout = '2s'")
        yield connection


@pytest.fixture(scope="module")
def oracle(connection: psycopg.Connection, whole: Catalog) -> Oracle:
    types = {
        ColumnRef("public", table.ref.name, column.name): _short(column.type_name)
        for table in whole.tables.values()
        if table.ref.schema == "public" and table.ref.name in ("customers", "orders")
        for column in table.columns
    }
    return Oracle(connection, types)


def _short(type_name: str) -> str:
    return {"integer": "int4", "timestamp with time zone": "timestamptz"}.get(type_name, type_name)


@pytest.mark.parametrize("case", [each.case for each in QUERIES], ids=[each.where for each in QUERIES])
def test_the_server_describes_the_outputs_as_analysis_does(
    case: Case, connection: psycopg.Connection, whole: Catalog
) -> None:
    (analysis,) = analyse(case.sql, seen_by(case.scope, whole))
    check_description(sent(case.sql, analysis), analysis, connection, whole)


@pytest.mark.parametrize("case", [each.case for each in QUERIES], ids=[each.where for each in QUERIES])
def test_a_changed_value_changes_only_what_analysis_says(case: Case, oracle: Oracle, whole: Catalog) -> None:
    (analysis,) = analyse(case.sql, seen_by(case.scope, whole))
    # what sets the connection's settings would go on into other tests
    if not analysis.parameters and analysis.session is None and "TABLESAMPLE" not in case.sql:
        check_influences(sent(case.sql, analysis), analysis, oracle)


def test_generated_queries(oracle: Oracle, connection: psycopg.Connection, whole: Catalog) -> None:
    """The same for random queries. Most must be accepted, and run, for this to say anything."""
    catalog = seen_by("everything", whole)
    ran = 0
    refused: list[str] = []
    for seed in range(GENERATED):
        statement, _ = Generator(seed).query()
        try:
            (analysis,) = analyse(statement, catalog)
        except StatementError as error:
            if oracle.run(statement) is not None:
                refused.append(f"{seed}: {error.message}: {statement}")
            continue
        if check_influences(statement, analysis, oracle):
            check_description(statement, analysis, connection, whole)
            ran += 1
    assert ran > GENERATED / 2
    assert len(refused) < GENERATED / 50, "\n".join(refused)


def sent(text: str, analysis: Analysis) -> str:
    return apply_splices(text[: analysis.end], analysis.splices)[analysis.start :]


def check_description(statement: str, analysis: Analysis, connection: psycopg.Connection, whole: Catalog) -> None:
    """RowDescription: as many columns, of these names, and the origin analysis calls a copy of."""
    columns = {
        (table.oid, column.attnum): ColumnRef(table.ref.schema, table.ref.name, column.name)
        for table in whole.tables.values()
        for column in table.columns
    }
    connection.pgconn.prepare(b"", statement.encode())
    result = connection.pgconn.describe_prepared(b"")
    assert [(result.fname(index) or b"").decode() for index in range(result.nfields)] == [
        output.name for output in analysis.outputs
    ]
    for index, output in enumerate(analysis.outputs):
        origin = columns.get((result.ftable(index), result.ftablecol(index)))
        if origin is not None:
            assert origin in output.sources
            assert output.direct in (origin, None)


def check_influences(statement: str, analysis: Analysis, oracle: Oracle) -> bool:
    """False when the statement does not run, or not twice alike, and so tells nothing."""
    plain = oracle.run(statement)
    if plain is None or repr(oracle.run(statement)) != repr(plain):
        return False
    used = {use.column for use in analysis.uses}
    for column in oracle.columns():
        unexplained = {i for i, output in enumerate(analysis.outputs) if column not in output.sources | used}
        wrong = unexplained and unexplained & oracle.changed(statement, plain, column)
        assert not wrong, f"{column} changes outputs {wrong} of {statement}"
    return True
