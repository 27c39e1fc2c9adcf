"""Engines on SQLite files: WAL, synchronous FULL, own transactions, files that only their owner may read."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from maskproxy.base.errors import MaskproxyError
from maskproxy.store.migrations import HEAD

DRIVER = "sqlite+aiosqlite"
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000")


class StoreError(MaskproxyError):
    """The control store is missing, is of another version, or refuses what was asked of it."""

    sqlstate = "58000"


def store_path(url: str) -> Path:
    """The file behind the URL. Raises StoreError for an engine we do not keep stores in."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername != DRIVER or not parsed.database:
        raise StoreError("the store's URL is not one maskproxy can use", hint=f"write {DRIVER}:///path/to/store.db")
    return Path(parsed.database)


def existing_store(url: str) -> Path:
    """Raises StoreError with the command that makes a store when there is none."""
    path = store_path(url)
    if not path.is_file():
        raise StoreError(
            f'the control store "{path}" does not exist', hint="make one with: maskproxy principal add NAME"
        )
    return path


def create_file(path: Path) -> None:
    """An empty file, which SQLite takes for an empty database. Its journals inherit the mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


@contextlib.asynccontextmanager
async def open_engine(path: Path, *, writes: bool) -> AsyncIterator[AsyncEngine]:
    """Transactions that will write take the lock when they begin: one that read first could not wait for it later."""
    engine = create_async_engine(f"{DRIVER}:///{path}")
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    try:
        yield engine
    finally:
        await engine.dispose()


def _prepare(connection: Any, record: object) -> None:
    # Otherwise the driver begins transactions by itself, late and never for reads (SQLAlchemy, "pysqlite",
    # "Serializable isolation / Savepoints / Transactional DDL").
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def migrate(engine: AsyncEngine) -> None:
    """Brings the schema to ``HEAD`` in one transaction. Raises StoreError for a store newer than this program."""
    async with engine.begin() as connection:
        if await connection.run_sync(_revision) != HEAD:
            await connection.run_sync(_upgrade)


def _revision(connection: Connection) -> str | None:
    try:
        revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except OperationalError:
        return None
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            "the control store was written by another version of maskproxy",
            detail="Its schema has an unknown revision.",
        ) from error
