"""Makes a schema again in an empty database. What cannot be made as it was is made simpler, and said.

A relation that fails becomes a plain table with the same columns, those of unknown types as text: rules that name it
still fit, and what protects its columns is still tried.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from maskproxy.cli.twins.schema import ColumnDefinition, Definition, Schema, create_table

_NOT_KNOWN: Final = (asyncpg.UndefinedObjectError, asyncpg.InvalidSchemaNameError)

# Rows of any key must have a place.
_WITHOUT_DEFAULT: Final = """
SELECT format('CREATE TABLE %I.%I PARTITION OF %s DEFAULT', n.nspname, c.relname || '_any', c.oid::regclass)
FROM pg_catalog.pg_partitioned_table AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.partrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE p.partdefid = 0 AND p.partstrat <> 'h'
"""


@dataclass(frozen=True, slots=True)
class Note:
    """What is not as it was. ``reason``: the server's words."""

    name: str
    what: str
    reason: str


async def rebuild(connection: asyncpg.Connection, schema: Schema) -> list[Note]:
    """What is not as it was."""
    await connection.execute("SET search_path = pg_catalog")
    await connection.execute("SET check_function_bodies = off")  # they may be about tables that come later
    notes = [*await _attempt(connection, schema.places)]
    waiting = await _settle(connection, schema.objects)
    while waiting:
        definition, error = next(iter(waiting.items()))
        notes.append(await _simplify(connection, definition, error))
        waiting = await _settle(connection, [each for each in waiting if each is not definition])
    for row in await connection.fetch(_WITHOUT_DEFAULT):
        await _run(connection, row[0])
    return [*notes, *await _attempt(connection, schema.keys)]


async def _run(connection: asyncpg.Connection, sql: str) -> asyncpg.PostgresError | None:
    try:
        await connection.execute(sql)
    except asyncpg.PostgresError as error:
        return error
    return None


async def _attempt(connection: asyncpg.Connection, definitions: Iterable[Definition]) -> list[Note]:
    tried = [(each, await _run(connection, each.sql)) for each in definitions]
    return [Note(each.name, "not made again", _words(error)) for each, error in tried if error is not None]


async def _settle(
    connection: asyncpg.Connection, definitions: Sequence[Definition]
) -> dict[Definition, asyncpg.PostgresError]:
    """Make all that can be made, whatever their order; what fails once nothing more succeeds."""
    waiting = list(definitions)
    while True:
        failed = {}
        for each in waiting:
            error = await _run(connection, each.sql)
            if error is not None:
                failed[each] = error
        if len(failed) in (0, len(waiting)):
            return failed
        waiting = list(failed)


async def _simplify(connection: asyncpg.Connection, definition: Definition, error: asyncpg.PostgresError) -> Note:
    """With what is generated and collated, if that goes, else without."""
    columns = [await _known(connection, column) for column in definition.columns]
    for made in (columns, [replace(column, extra="") for column in columns]):
        if columns and await _run(connection, create_table(definition.name, made)) is None:
            changed = [old.name for old, new in zip(definition.columns, columns, strict=True) if old.type != new.type]
            text = f", with {', '.join(changed)} as text" if changed else ""
            return Note(definition.name, f"made as a plain table{text}", _words(error))
    return Note(definition.name, "not made again", _words(error))


async def _known(connection: asyncpg.Connection, column: ColumnDefinition) -> ColumnDefinition:
    try:
        await connection.execute(f"SELECT NULL::{column.type}")
    except _NOT_KNOWN:
        return replace(column, type="text")
    except asyncpg.PostgresError:  # a domain that is not null
        pass
    return column


def _words(error: asyncpg.PostgresError) -> str:
    return str(error.args[0])
