"""The schema that migrations make is the schema the program uses, and HEAD is the newest of them."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from maskproxy.store import migrations
from maskproxy.store.engine import create_file, migrate, open_engine
from maskproxy.store.tables import metadata


def test_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


async def test_migrations_make_the_tables_of_the_program(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    create_file(tmp_path / "store.db")
    async with open_engine(tmp_path / "store.db", writes=True) as engine:
        await migrate(engine)
        await migrate(engine)
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []


async def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    """Schema changes are part of the transaction: a table in the way undoes what was made before it."""
    path = tmp_path / "store.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE principals (a)")
    raw.commit()
    async with open_engine(path, writes=True) as engine:
        with pytest.raises(OperationalError, match="already exists"):
            await migrate(engine)
    assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("principals",)]
    raw.close()
