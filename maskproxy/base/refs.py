"""References to things: engines, tables, columns, places in files; ids and generations that cannot be swapped."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

Oid = NewType("Oid", int)
"""PostgreSQL's number for a type or relation, 0 when unknown."""

Generation = NewType("Generation", int)
"""Counter of a thing that is replaced as a whole (rules, catalog, grants). Greater is newer."""


class Engine(StrEnum):
    POSTGRES = "postgres"
    MYSQL = "mysql"


@dataclass(frozen=True, slots=True, order=True)
class TableRef:
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class ColumnRef:
    schema: str
    table: str
    column: str

    @property
    def table_ref(self) -> TableRef:
        return TableRef(self.schema, self.table)

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}.{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"
