"""What the demo shows: five queries raw and masked side by side, a refusal, an explanation; and whether it leaked.

The tour logs in twice with an ordinary driver, once to the database and once to the proxy, and knows nothing about
masks: what is printed on the right is what any client gets.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

SCOPE = "support"

QUERIES = (
    ("A list of customers", "SELECT id, name, email, ssn FROM customers ORDER BY id LIMIT 5"),
    (
        "Another name for a column hides nothing",
        "SELECT id, phone AS total, dob AS status FROM customers ORDER BY id LIMIT 5",
    ),
    (
        "Joins work, and the database still uses its indexes",
        "SELECT o.id, c.name, c.email, o.total FROM orders o JOIN customers c ON c.id = o.customer_id"
        " ORDER BY o.total DESC LIMIT 5",
    ),
    (
        "A star inside a CTE: masked the same, and what is denied (notes) is not there",
        "WITH rich AS (SELECT * FROM customers WHERE balance > 4500) SELECT name, dob, balance FROM rich"
        " ORDER BY balance DESC LIMIT 5",
    ),
    (
        "What is not sensitive passes byte for byte",
        "SELECT status, count(*), sum(total) FROM orders GROUP BY status ORDER BY status",
    ),
)
REFUSED = "SELECT name FROM customers WHERE ssn LIKE '9%'"
EXPLAINED = "SELECT id, email AS contact, balance FROM customers"

SENSITIVE = (
    ("customers", ("name", "email", "ssn", "phone", "dob", "notes")),
    ("payroll", ("salary", "iban")),
)
"""What the scope may not see, by table."""


@dataclass(slots=True)
class Tour:
    """``shown`` collects all that came through the proxy, ``problems`` what should not have happened."""

    console: Console
    raw: asyncpg.Connection
    masked: asyncpg.Connection
    config: Path
    shown: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    async def run(self) -> list[str]:
        """Print the tour; what went wrong, which must be nothing."""
        for title, sql in QUERIES:
            await self._compare(title, sql)
        await self._refuse(REFUSED)
        await self._explain(EXPLAINED)
        await self._search_leaks()
        return self.problems

    async def _compare(self, title: str, sql: str) -> None:
        raw, masked = await self.raw.fetch(sql), await self.masked.fetch(sql)
        self.shown += (_text(value) for row in masked for value in row.values())
        grid = Table.grid(padding=(0, 2))
        grid.add_row(_table("straight from the database", raw, "red"), _table("through maskproxy", masked, "green"))
        self.console.print(f"\n[bold]{escape(title)}[/bold]\n[dim]{escape(sql)}[/dim]")
        self.console.print(grid)

    async def _refuse(self, sql: str) -> None:
        self.console.print("\n[bold]What would disclose a value is refused, and the session goes on[/bold]")
        self.console.print(f"[dim]{escape(sql)}[/dim]")
        try:
            rows = await self.masked.fetch(sql)
        except asyncpg.PostgresError as error:
            parts = {"ERROR": error.args[0], "DETAIL": error.detail, "HINT": error.hint}
            self.shown += (part for part in parts.values() if part)
            for name, part in parts.items():
                if part:
                    self.console.print(f"[yellow]{name}:[/yellow]  {escape(part)}", highlight=False)
            self.console.print(f"[dim]SQLSTATE {error.sqlstate}[/dim]")
        else:
            self.shown += (_text(value) for row in rows for value in row.values())
            self.problems.append(f"not refused: {sql}")
        await self.masked.fetchval("SELECT 1")

    async def _explain(self, sql: str) -> None:
        self.console.print("\n[bold]Why a column looks as it does, rule by rule[/bold]")
        arguments = ["explain", "-c", str(self.config), "--scope", SCOPE, sql]
        self.console.print(f"[dim]maskproxy explain --scope {SCOPE} {escape(repr(sql))}[/dim]", highlight=False)
        command = [sys.executable, "-m", "maskproxy", *arguments]
        environment = os.environ | {"COLUMNS": str(self.console.width)}
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, check=False
        )
        self.shown.append(done.stdout)
        self.console.print(escape(done.stdout + done.stderr), highlight=False, end="")
        if done.returncode != 0:
            self.problems.append(f"explain ended with {done.returncode}")

    async def _search_leaks(self) -> None:
        """Every value of every sensitive column, read directly, is searched for in all that came through the proxy."""
        everything = "\n".join(self.shown)
        for table, columns in SENSITIVE:
            for column in columns:
                values = await self.raw.fetch(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608
                if any(_text(value[0]) in everything for value in values):
                    self.problems.append(f"raw values of {table}.{column} came through the proxy")


def _table(title: str, rows: Sequence[asyncpg.Record], colour: str) -> Table:
    table = Table(title=title, title_style=colour, border_style=colour)
    for name in rows[0].keys() if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_text(value)) for value in row.values()))
    return table


def _text(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case datetime() | date():
            return value.isoformat()
        case str():
            return value
        case Iterable():
            return ", ".join(map(_text, value))
        case _:
            return str(value)
