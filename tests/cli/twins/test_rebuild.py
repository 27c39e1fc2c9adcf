"""A schema that is read, made again and read again is the same; what cannot be made again is named."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from maskproxy.base.refs import TableRef
from maskproxy.cli.twins.layout import read_layout
from maskproxy.cli.twins.rebuild import Note, rebuild
from maskproxy.cli.twins.schema import Schema, read_schema
from tests.support.servers import Server

TRUSTED = ["App.mail_of"]
HERE = Path(__file__).parent
Connect = Callable[[str], asyncpg.Connection]


@asynccontextmanager
async def fresh(server: Server, name: str) -> AsyncIterator[asyncpg.Connection]:
    """A new database, which is dropped."""
    admin = await asyncpg.connect(server.dsn())
    await admin.execute(f"CREATE DATABASE {name}")
    connection = await asyncpg.connect(server.dsn(name))
    try:
        yield connection
    finally:
        await connection.close()
        await admin.execute(f"DROP DATABASE {name}")
        await admin.close()


async def made_again(server: Server, file: str) -> tuple[Schema, Schema, list[Note]]:
    async with fresh(server, "twins_original") as original, fresh(server, "twins_again") as again:
        await original.execute((HERE / file).read_text(encoding="utf-8"))
        schema = await read_schema(original, TRUSTED)
        notes = await rebuild(again, schema)
        return schema, await read_schema(again, TRUSTED), notes


async def test_a_schema_is_made_again(postgres18: Server) -> None:
    schema, again, notes = await made_again(postgres18, "schema.sql")
    assert notes == []
    assert {each.name for each in schema.objects} == {each.name for each in again.objects}
    assert set(schema.objects) == set(again.objects)
    assert set(schema.keys) == set(again.keys)
    assert set(schema.places) == set(again.places)
    assert len(schema.objects) == 18
    assert len(schema.keys) == 6


async def test_a_schema_of_an_older_server_is_made_again(postgres15: Server, postgres18: Server) -> None:
    async with fresh(postgres15, "twins_original") as original, fresh(postgres18, "twins_again") as again:
        await original.execute((HERE / "schema.sql").read_text(encoding="utf-8"))
        schema = await read_schema(original, TRUSTED)
        assert await rebuild(again, schema) == []
        made = await read_schema(again, TRUSTED)
    assert {each.name for each in schema.objects} == {each.name for each in made.objects}
    assert set(schema.keys) == set(made.keys)


async def test_what_cannot_be_made_again_is_named_and_stands_for_itself(postgres18: Server) -> None:
    schema, again, notes = await made_again(postgres18, "lossy.sql")
    assert {(note.name, note.what) for note in notes} == {
        ("public.plain", "made as a plain table, with own as text"),
        ("public.doubled", "made as a plain table"),
        ("public.by_twice", "not made again"),
    }
    assert all("does not exist" in note.reason for note in notes)
    assert (
        {each.name for each in again.objects}
        == {each.name for each in schema.objects}
        == {"public.plain", "public.doubled"}
    )
    (plain,) = [each for each in again.objects if each.name == "public.plain"]
    assert "GENERATED ALWAYS AS ((value + 1)) STORED" in plain.sql


@pytest.mark.parametrize("name", ["events", "events_25"])
async def test_values_of_partition_keys_have_partitions(postgres18: Server, name: str) -> None:
    async with fresh(postgres18, "twins_layout") as connection:
        await connection.execute((HERE / "schema.sql").read_text(encoding="utf-8"))
        layout = await read_layout(connection)
    table = layout.tables[TableRef("App", name)]
    assert table.bounds == {"events": {"at": ["2024-01-01"]}, "events_25": {"who": ["a", "b"]}}[name]
    assert layout.root(TableRef("App", "events_25_ab")) == TableRef("App", "events")
    assert len(list(layout.partitions(TableRef("App", "events")))) == 4
    assert list(layout.above(TableRef("App", "child"))) == [TableRef("App", "child"), TableRef("App", "parent")]
