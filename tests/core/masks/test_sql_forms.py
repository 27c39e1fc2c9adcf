"""SQL forms of masks against their row forms, on real servers: the same bytes for every value of every type."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from maskproxy.base.types import Domain
from maskproxy.core.masks.definition import SqlForm, bind, sql_form
from maskproxy.core.masks.token import Token
from maskproxy.wire.postgres.arrays import Array
from maskproxy.wire.postgres.values import BINARY, TEXT, Masker, encode, masker
from tests.core.masks.columns import BY_NAME, COLUMNS, KEY, ColumnType, numeric, values
from tests.core.masks.samples import samples
from tests.core.masks.test_table import RULES, make
from tests.support.servers import Server

pytestmark = pytest.mark.server

V = '"v"'
SETTING = "maskproxy.token_0123456789abcdef"
MORE_RULES: list[dict[str, object]] = [
    {"mask": "token", "length": 42},
    {"mask": "partial"},
    {"mask": "partial", "keep_last": 1, "char": "\\"},
    {"mask": "partial", "keep_first": 1, "char": "'"},
    {"mask": "bucket", "width": 7},
    {"mask": "bucket", "width": 32_767},
    {"mask": "bucket", "width": 1e19},
    {"mask": "bucket", "width": 9_223_372_036_854_775_808},
    {"mask": "bucket", "width": 0.1},
    {"mask": "bucket", "width": 100.0},
    {"mask": "round", "to": 7},
    {"mask": "round", "to": 9_223_372_036_854_775_807},
    {"mask": "round", "to": 9_223_372_036_854_775_808},
    {"mask": "round", "to": 1e-20},
    {"mask": "round", "to": 7e29},
    {"mask": "truncate", "to": "quarter"},
    {"mask": "truncate", "to": "day"},
]
MASKED = [rule for rule in RULES + MORE_RULES if rule["mask"] != "null"]

TYPES = [
    *COLUMNS,
    ColumnType("timestamp(3)", BY_NAME["timestamp"], 3),
    ColumnType("timestamptz(0)", BY_NAME["timestamptz"], 0),
    ColumnType("numeric(12,2)[]", BY_NAME["numeric[]"], numeric(12, 2).typmod),
    ColumnType("char(9)[]", BY_NAME["bpchar[]"], 13),
]

ODD_SETTINGS = [
    {"DateStyle": "German, DMY", "TimeZone": "Pacific/Kiritimati", "extra_float_digits": "-15"},
    {"DateStyle": "SQL, MDY", "TimeZone": "Etc/GMT+12", "bytea_output": "escape", "IntervalStyle": "iso_8601"},
    {"standard_conforming_strings": "off", "search_path": "shadows, pg_catalog", "TimeZone": "Asia/Kolkata"},
]
SHADOWS = """
CREATE SCHEMA shadows;
CREATE FUNCTION shadows.length(text) RETURNS int4 LANGUAGE sql AS 'SELECT 1/0';
CREATE FUNCTION shadows.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION shadows.same(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION shadows.joined(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE OPERATOR shadows.= (LEFTARG = text, RIGHTARG = text, FUNCTION = shadows.same);
CREATE OPERATOR shadows.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = shadows.joined);
CREATE DOMAIN shadows.text AS pg_catalog.int4;
"""


@dataclass(frozen=True)
class Form:
    rule: dict[str, object]
    form: SqlForm
    row: dict[int, Masker]


def forms(column: ColumnType) -> list[Form]:
    found = []
    for rule in MASKED:
        mask = make(rule)
        apply = bind(mask, column.type, column.typmod, KEY)
        if callable(apply):
            form = sql_form(mask, column.type, column.typmod, SETTING)
            assert form is not None, rule
            row = {format: masker(column.type, format, apply) for format in (TEXT, BINARY)}
            found.append(Form(rule, form, row))
    return found


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def server(request: pytest.FixtureRequest) -> Server:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found


@pytest.fixture(scope="module")
def database(server: Server) -> str:
    return server.create_database(SHADOWS)


@pytest.fixture(scope="module")
def connection(server: Server, database: str) -> Iterator[psycopg.Connection]:
    keys = {name: key.reveal() for name, key in Token(mask="token").settings(KEY, SETTING).items()}
    keys["jit"] = "off"  # compiling all the forms of a query takes half a minute
    options = " ".join(f"-c {name}={value}" for name, value in keys.items())
    with psycopg.connect(server.dsn(database), autocommit=True, options=options) as connection:
        yield connection


def query(connection: psycopg.Connection, text: str, parameters: Sequence[bytes] = (), format: int = BINARY) -> Any:
    result = connection.pgconn.exec_params(
        text.encode(), list(parameters), param_formats=[BINARY] * len(parameters), result_format=format
    )
    assert not result.error_message, (result.error_message.decode(), text)
    return result


def check(
    connection: psycopg.Connection,
    column: ColumnType,
    source: str,
    parameters: Sequence[bytes] = (),
    formats: tuple[int, ...] = (BINARY, TEXT),
) -> None:
    """``source`` gives the column "v"; every mask's form on it, in both formats, and its type."""
    masks = forms(column)
    outputs = ", ".join(f"{each.form(V)} AS m{index}" for index, each in enumerate(masks))
    for format in formats:
        result = query(connection, f"SELECT * FROM (SELECT v, {outputs} FROM {source}) AS d", parameters, format)
        assert {(result.ftype(i), result.fmod(i)) for i in range(result.nfields)} == {(result.ftype(0), result.fmod(0))}
        for row in range(result.ntuples):
            value = result.get_value(row, 0)
            for index, each in enumerate(masks):
                expected = None if value is None else each.row[format](value)
                assert result.get_value(row, index + 1) == expected, (each.rule, column, format, value)


def quoted(value: str) -> str:
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def constants(column: ColumnType) -> list[str]:
    """SQL constants to store in the column; those that its precision refuses are skipped."""
    scalar = column.type.element or column.type
    name = sql_name(column).removesuffix("[]")
    written = [f"{quoted(each)}::{name}" for each in samples(scalar, column.typmod)]
    if scalar.domain is Domain.NUMERIC and column.typmod >= 0:
        written += [
            f"({each} * 10::numeric ^ {power})::{name}" for each in ("1", "-9.99", "4.5") for power in range(-4, 11)
        ]
    if scalar.name == "char":
        written.append('(-56)::int4::"char"')
    if column.type.element is None:
        return ["NULL", *written]
    return [f"({each})::{name}[]" for each in arrays(written, name)]


def arrays(elements: list[str], name: str) -> list[str]:
    """Of every number of dimensions, also such as are not numbered from 1."""
    one, two, three = elements[0], elements[-1], elements[len(elements) // 2]
    flat = f"ARRAY[{one}, {two}, NULL, {three}]"
    square = f"ARRAY[ARRAY[{one}, {two}], ARRAY[NULL, {three}], ARRAY[{two}, {two}]]"
    deep = f"ARRAY[ARRAY[{square}, {square}], ARRAY[{square}, {square}]]"
    long = f"ARRAY[ARRAY[ARRAY[ARRAY[{flat}, {flat}]], ARRAY[ARRAY[{flat}, {flat}]]]]"
    shifted = [f"('{bounds}=' || {each}::text)" for bounds, each in [("[0:3]", flat), ("[-1:1][7:8]", square)]]
    return ["NULL", "'{}'", *elements_of(elements, name), flat, square, deep, long, f"ARRAY[{long}, {long}]", *shifted]


def elements_of(elements: list[str], name: str) -> list[str]:
    return [f"ARRAY[{each}]::{name}[]" for each in elements]


def store(connection: psycopg.Connection, column: ColumnType) -> str:
    """A table of what ``constants`` has for the column. Returns its name."""
    connection.execute("DROP TABLE IF EXISTS sample")
    connection.execute(f"CREATE TABLE sample (v {sql_name(column)})")
    stored = 0
    for each in constants(column):
        try:
            connection.execute(f"INSERT INTO sample VALUES ({each})")
            stored += 1
        except psycopg.errors.NumericValueOutOfRange:
            assert "numeric" in column.text or scalar_name(column) in ("int2", "int4"), each
    assert stored >= 4 - (column.type.name == "bool")
    return "sample"


def sql_name(column: ColumnType) -> str:
    """``char`` without quotes would be character(1)."""
    return column.text.replace("char", '"char"') if column.text in ("char", "char[]") else column.text


def scalar_name(column: ColumnType) -> str:
    return (column.type.element or column.type).name


@pytest.mark.parametrize("column", TYPES, ids=repr)
def test_every_mask_on_stored_values(column: ColumnType, connection: psycopg.Connection) -> None:
    check(connection, column, store(connection, column))


@pytest.mark.parametrize("odd", ODD_SETTINGS, ids=lambda odd: next(iter(odd.values())))
def test_settings_of_the_session_change_nothing(odd: dict[str, str], connection: psycopg.Connection) -> None:
    for column in TYPES:
        store(connection, column)
        for name, value in odd.items():
            connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])
        try:
            check(connection, column, "public.sample", formats=(BINARY,))
        finally:
            for name in odd:
                connection.execute(sql.SQL("RESET {}").format(sql.Identifier(name)))


SCALARS = [column for column in TYPES if column.type.element is None]


@given(
    st.sampled_from(SCALARS).flatmap(lambda column: st.tuples(st.just(column), st.lists(values(column), max_size=8)))
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_mask_on_generated_values(connection: psycopg.Connection, drawn: tuple[ColumnType, list[object]]) -> None:
    column, generated = drawn
    array = BY_NAME[f"{column.type.name}[]"]
    parameter = encode(array, BINARY, Array(((len(generated), 1),) if generated else (), tuple(generated)))
    assert parameter is not None
    unnested = (
        f"(SELECT u.v::{sql_name(column)} AS v FROM unnest($1::{sql_name(ColumnType(array.name, array))}) AS u(v))"
    )
    check(connection, column, f"{unnested} AS s", [parameter])


LOOSE = "CREATE COLLATION IF NOT EXISTS loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"


def test_a_result_has_the_collation_of_its_column(server: Server) -> None:
    """Otherwise the comparison with another column of the same collation would be an error."""
    column = ColumnType("text", BY_NAME["text"])
    with psycopg.connect(server.dsn(server.create_database()), autocommit=True) as connection:
        collations = ['"default"', '"C"', '"POSIX"']
        try:
            connection.execute(LOOSE)
            collations.append("loose")
        except psycopg.errors.FeatureNotSupported:  # the embedded server has no ICU
            assert server.ca is None
        for number, collation in enumerate(collations):
            table = f"collated{number}"
            connection.execute(f"CREATE TABLE {table} (v text COLLATE {collation}, other text COLLATE {collation})")
            connection.execute(f"INSERT INTO {table} VALUES ('ann@example.com', 'b'), ('Ann', 'B'), (NULL, NULL)")
            for each in forms(column):
                masked = f"(SELECT {each.form(V)} AS m, other FROM {table}) AS s"
                connection.execute(f"SELECT count(*) FROM {masked} WHERE m <= other".encode())
                same = "bool_and(pg_collation_for(m) = pg_collation_for(other))"
                assert one(connection, f"SELECT {same} FROM {masked}") == (True,), (collation, each.rule)


def test_a_token_without_its_key_is_null(server: Server, database: str) -> None:
    form = sql_form(Token(mask="token"), BY_NAME["text"], -1, SETTING)
    assert form is not None
    for setting in ({}, {f"{SETTING}_inner": "", f"{SETTING}_outer": ""}, {f"{SETTING}_inner": "ab" * 32}):
        options = " ".join(f"-c {name}={value}" for name, value in setting.items())
        with psycopg.connect(server.dsn(database), autocommit=True, options=options) as connection:
            assert one(connection, f"SELECT {form(V)} FROM (SELECT text 'ann' AS v) AS s") == (None,)


def one(connection: psycopg.Connection, query: str) -> Any:
    return connection.execute(query.encode()).fetchone()


PLACES = [
    "SELECT m, count(*) FROM {d} GROUP BY m ORDER BY m",
    "SELECT m || '!', count(*) FROM {d} GROUP BY m ORDER BY 1",
    "SELECT a.m FROM {d} JOIN (SELECT m AS k FROM {d}) AS b ON d.m = b.k ORDER BY 1",
    "SELECT DISTINCT m FROM {d} ORDER BY m",
    "SELECT m, rank() OVER (PARTITION BY m ORDER BY id) FROM {d} ORDER BY 1, 2",
    "SELECT m, grouping(m) FROM {d} GROUP BY CUBE (m) ORDER BY 1, 2",
    "SELECT o.id, m FROM (VALUES (1), (0)) AS o(id) LEFT JOIN {d} USING (id) ORDER BY 1",
    "SELECT id FROM {d} WHERE m IN (SELECT m FROM {d} WHERE id < 10) ORDER BY 1",
    "SELECT id FROM {d} WHERE m = (SELECT min(m) FROM {d}) ORDER BY 1",
    "WITH RECURSIVE r(n, m) AS (SELECT 1, m FROM {d} WHERE id = 1 UNION ALL SELECT 2, m FROM r WHERE n < 2) TABLE r",
    "SELECT string_agg(m, ',' ORDER BY m) FROM {d} WHERE id < 50",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("parallel", [False, True])
def test_a_token_in_every_place(place: str, parallel: bool, connection: psycopg.Connection) -> None:
    """What a statement gives on forms in a derived table is what it gives on the masked values stored."""
    form = sql_form(Token(mask="token"), BY_NAME["text"], -1, SETTING)
    assert form is not None
    connection.execute("DROP TABLE IF EXISTS people, masked; CREATE TABLE people (id int PRIMARY KEY, v text)")
    connection.execute("INSERT INTO people SELECT i, 'person' || i % 40 FROM generate_series(1, 2000) AS i")
    connection.execute(f"CREATE TABLE masked AS SELECT id, {form(V)} AS m FROM people".encode())
    forced = {"min_parallel_table_scan_size": "0", "parallel_setup_cost": "0", "parallel_tuple_cost": "0"}
    for name, value in forced.items() if parallel else ():
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    try:
        place = place.replace("a.m", "d.m")
        evaluated, stored = (
            connection.execute(place.replace("{d}", f"{each} AS d").encode()).fetchall()
            for each in (f"(SELECT id, {form(V)} AS m FROM people)", "masked")
        )
        assert evaluated == stored
        assert evaluated
    finally:
        for name in forced:
            connection.execute(sql.SQL("RESET {}").format(sql.Identifier(name)))
