"""What the commands of principals, tokens and grants share: one visit to the store, and tables."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from rich.markup import escape
from rich.table import Table

from maskproxy.cli.common import console, fail, stop
from maskproxy.core.settings import Settings
from maskproxy.store.engine import StoreError
from maskproxy.store.store import Store, open_store

T = TypeVar("T")


def with_store(settings: Settings, work: Callable[[Store], Awaitable[T]], *, create: bool = False) -> T:
    """What ``work`` returns, or the end of the command with what the store refused."""

    async def visit() -> T:
        async with open_store(settings.store, create=create) as store:
            return await work(store)

    try:
        return asyncio.run(visit())
    except StoreError as error:
        fail(error)


def check_database(settings: Settings, database: str) -> None:
    """Ends the command for a database that the settings do not name: a grant or DSN for it would open nothing."""
    if database not in settings.databases:
        stop(f'there is no database "{database}" in {settings.file}', hint=f"one of: {', '.join(settings.databases)}")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str | None]], *, empty: str) -> None:
    table = Table(*headings)
    for row in rows:
        table.add_row(*(escape(cell or "-") for cell in row))
    console.print(table if table.row_count else empty)
