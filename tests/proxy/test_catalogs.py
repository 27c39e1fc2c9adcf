"""The catalog of a real database, old and new."""

import asyncpg
import pytest

from maskproxy.base.refs import ColumnRef, Generation, Oid, TableRef
from maskproxy.core.catalog import Catalog, Index, RelationKind
from maskproxy.proxy.catalogs import load_catalog
from tests.support.servers import Server

SCRIPT = """
CREATE SCHEMA app;
CREATE DOMAIN app.short AS varchar(10);
CREATE DOMAIN app.shorter AS app.short CHECK (length(VALUE) < 5);
CREATE TYPE app.mood AS ENUM ('ok', 'bad');
CREATE TABLE app.base (id int4 NOT NULL, code app.shorter, mood app.mood, tags text[], gone int, price numeric(12,2));
ALTER TABLE app.base DROP COLUMN gone;
CREATE TABLE app.child (extra text) INHERITS (app.base);
CREATE TABLE app.parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX ON app.parts (id);
CREATE VIEW app.seen AS SELECT id FROM app.base;
CREATE MATERIALIZED VIEW app.kept AS SELECT id FROM app.base;
CREATE SEQUENCE app.numbers;
CREATE FUNCTION app.upper(app.base) RETURNS text LANGUAGE sql AS 'SELECT $1.code::text';
CREATE FUNCTION app.same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR app.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = app.same);
CREATE FUNCTION app.to_mood(text) RETURNS app.mood LANGUAGE sql IMMUTABLE AS $$SELECT 'ok'::app.mood$$;
CREATE CAST (text AS app.mood) WITH FUNCTION app.to_mood(text);
CREATE TABLE app."Odd ""n"" x" ("Odd column" int);
"""


async def catalog(server: Server, script: str, settings: str = "") -> Catalog:
    connection = await asyncpg.connect(server.dsn(server.create_database()))
    try:
        await connection.execute(script)
        if settings:
            await connection.execute(settings)
        return await load_catalog(connection, Generation(7))
    finally:
        await connection.close()


@pytest.fixture(params=["postgres18", "postgres15"])
def server(request: pytest.FixtureRequest) -> Server:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found


async def test_relations_and_columns(server: Server) -> None:
    found = await catalog(server, SCRIPT)
    assert found.generation == 7
    base = found.tables[TableRef("app", "base")]
    assert [(column.name, column.attnum, column.type_name, column.not_null) for column in base.columns] == [
        ("id", 1, "integer", True),
        ("code", 2, "character varying", False),
        ("mood", 3, "app.mood", False),
        ("tags", 4, "text[]", False),
        ("price", 6, "numeric", False),
    ]
    code, price = base.columns[1], base.columns[4]
    assert (code.type_oid, code.typmod) == (Oid(1043), 14)
    assert price.typmod == ((12 << 16) | 2) + 4
    assert base.oid > 16384
    kinds = {ref.name: table.kind for ref, table in found.tables.items() if ref.schema == "app"}
    assert kinds["seen"] is RelationKind.VIEW
    assert kinds["kept"] is RelationKind.MATERIALIZED_VIEW
    assert kinds["parts"] is RelationKind.PARTITIONED
    assert kinds["numbers"] is RelationKind.SEQUENCE
    assert found.column(ColumnRef("app", 'Odd "n" x', "Odd column")) is not None


async def test_children(server: Server) -> None:
    found = await catalog(server, SCRIPT)
    assert found.tables[TableRef("app", "base")].children == {TableRef("app", "child")}
    assert found.tables[TableRef("app", "parts")].children == {TableRef("app", "part1")}


GENERATED = """
CREATE FUNCTION public.fixed() RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'x'$$;
CREATE TABLE public.people (
    gone int, id int GENERATED ALWAYS AS IDENTITY, email text DEFAULT 'none', ssn text,
    domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED,
    "Both" text GENERATED ALWAYS AS (ssn || lower(email)) KIND,
    fixed text GENERATED ALWAYS AS ('x') KIND,
    origin oid GENERATED ALWAYS AS (tableoid) KIND
) PARTITION BY LIST (id);
ALTER TABLE public.people DROP COLUMN gone;
CREATE TABLE public.people_1 PARTITION OF public.people FOR VALUES IN (1);
CREATE TABLE public.people_2 (
    ssn text, email text, id int NOT NULL, origin oid GENERATED ALWAYS AS (tableoid) KIND,
    "Both" text GENERATED ALWAYS AS (ssn || lower(email)) KIND, fixed text GENERATED ALWAYS AS ('x') KIND,
    domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED
);
ALTER TABLE public.people ATTACH PARTITION public.people_2 FOR VALUES IN (2);
CREATE TABLE public.lonely (one int GENERATED ALWAYS AS (1) KIND);
"""


async def test_what_generated_columns_are_computed_from(server: Server) -> None:
    await check_generated(server, "STORED")


async def test_what_virtual_columns_are_computed_from(postgres18: Server) -> None:
    """They came with that version."""
    await check_generated(postgres18, "VIRTUAL")


async def check_generated(server: Server, kind: str) -> None:
    found = await catalog(server, GENERATED.replace("KIND", kind))
    for name in ("people", "people_1", "people_2"):
        columns = found.tables[TableRef("public", name)].columns
        sources = {column.name: set(column.sources) for column in columns}
        assert sources["domain"] == {"email"}
        assert sources["Both"] == {"email", "ssn"}
        everything = {column.name for column in columns}
        for name_of_none in ("fixed", "origin"):  # nothing is recorded, so nothing is ruled out
            assert sources[name_of_none] == everything - {name_of_none}
        assert not any(sources[plain] for plain in ("id", "email", "ssn"))
    assert found.tables[TableRef("public", "lonely")].columns[0].sources == ()


async def test_what_could_stand_in_for_a_builtin(server: Server) -> None:
    found = await catalog(server, SCRIPT)
    assert found.functions == {"upper", "same", "to_mood"}
    assert found.operators == {"==="}
    assert {"mood", "base", "short"} <= found.types
    mood = found.column(ColumnRef("app", "base", "mood"))
    assert mood is not None
    assert found.cast_types == {Oid(25), mood.type_oid}


async def test_system_relations_are_known_by_name_and_listed_ones_by_column(server: Server) -> None:
    found = await catalog(server, SCRIPT)
    types = found.tables[TableRef("pg_catalog", "pg_type")]
    assert types.column("typname") is not None
    assert found.tables[TableRef("pg_catalog", "pg_authid")].columns == ()
    assert TableRef("information_schema", "tables") in found.tables
    assert not [ref for ref in found.tables if ref.schema.startswith(("pg_toast", "pg_temp"))]


async def test_objects_of_the_database_cannot_change_what_is_read(server: Server) -> None:
    """A pg_class of somebody's own, first in the path, is not the one that is asked; temporary tables are not there."""
    lure = "CREATE TABLE app.pg_class (oid oid, relname name); CREATE TEMP TABLE base (id int);"
    found = await catalog(server, SCRIPT + lure, "SET search_path = app, pg_catalog")
    assert TableRef("app", "base") in found.tables
    assert [ref for ref in found.tables if ref.name == "base"] == [TableRef("app", "base")]


async def test_extensions_do_not_count(postgres18: Server) -> None:
    found = await catalog(postgres18, "CREATE EXTENSION citext")
    assert found.functions == frozenset()
    assert found.operators == frozenset()
    assert found.cast_types == frozenset()


async def test_two_loads_of_one_database_are_equal(postgres18: Server) -> None:
    connection = await asyncpg.connect(postgres18.dsn(postgres18.create_database(SCRIPT)))
    try:
        assert await load_catalog(connection, Generation(1)) == await load_catalog(connection, Generation(1))
    finally:
        await connection.close()


async def test_partition_keys(server: Server) -> None:
    """Plain, computed, and those of parts of parts."""
    script = """
    CREATE TABLE public.plain (id int, at date, b text) PARTITION BY RANGE (at, id);
    CREATE TABLE public.computed (id int, email text) PARTITION BY LIST (lower(email));
    CREATE TABLE public.part PARTITION OF public.plain FOR VALUES FROM (MINVALUE, MINVALUE) TO (MAXVALUE, MAXVALUE)
        PARTITION BY HASH (b);
    """
    found = await catalog(server, script)
    keys = {ref.name: set(table.partition_key) for ref, table in found.tables.items() if ref.schema == "public"}
    assert keys == {"plain": {"at", "id"}, "computed": {"email"}, "part": {"b"}}


async def test_indexes(server: Server) -> None:
    """With the columns of their expressions and predicates, without those that are only INCLUDEd, and without gin."""
    script = """
    CREATE TABLE public.t (id int PRIMARY KEY, a text, b text, c int, d jsonb);
    CREATE INDEX i1 ON public.t (a, c) INCLUDE (b);
    CREATE INDEX i2 ON public.t (c, lower(a)) WHERE b = 'x';
    CREATE INDEX i3 ON public.t USING gin (d);
    CREATE INDEX i4 ON public.t ((t IS NULL));
    """
    found = await catalog(server, script)
    indexes = {each.name: each for each in found.tables[TableRef("public", "t")].indexes}
    assert indexes == {
        "t_pkey": Index("t_pkey", frozenset({"id"})),
        "i1": Index("i1", frozenset({"a", "c"})),
        "i2": Index("i2", frozenset({"a", "b", "c"}), partial=True),
        "i4": Index("i4", frozenset({"id", "a", "b", "c", "d"})),
    }
