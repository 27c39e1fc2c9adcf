"""A real server as oracle: what changes in a result when one column's values change.

``changed`` names the outputs that a perturbation of the column changes, or that an error makes unknowable. Analysis
is wrong if such an output has the column neither among its sources nor among the statement's uses. The other way
round proves nothing: a dependence the data does not show is not found."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from maskproxy.base.refs import ColumnRef

ROWS = """
INSERT INTO public.customers
    SELECT n, 'name ' || n % 4, 'mail' || n || '@x.test', '1' || (n * 7) % 10 || '-45', '+1555' || n,
    date '1980-01-01' + n * 400, jsonb_build_object('k', n % 3, 'ssn', 's' || n), n * 10.5,
    timestamptz '2024-01-01 00:00Z' + n * interval '1 day', ARRAY['t' || n % 3, 'u']
    FROM generate_series(1, 6) AS n;
INSERT INTO public.orders SELECT n, 1 + n % 5, n * 3.5, (ARRAY['open', 'paid', 'name 1'])[1 + n % 3],
    timestamptz '2024-01-01 00:00Z' + n * interval '1 day'
    FROM generate_series(1, 7) AS n;
CREATE SCHEMA original;
CREATE TABLE original.customers AS TABLE public.customers;
CREATE TABLE original.orders AS TABLE public.orders;
"""

# Every value of a type replaced: by another, by the value of another row, by NULL.
_OTHER: Mapping[str, str] = {
    "int4": "{c} + 1000",
    "numeric": "{c} + 7.25",
    "text": "'zz' || {c}",
    "date": "{c} + 100",
    "timestamptz": "{c} + interval '36 hours'",
    "jsonb": '{c} || \'{{"k": 9, "ssn": "zz"}}\'',
    "text[]": "{c} || ARRAY['zz']",
}

Result = list[list[object]] | None
"""Values by output column, rows in order; None when the statement failed."""


class Oracle:
    """Runs statements against a database that holds ROWS; nothing it changes stays."""

    def __init__(self, connection: psycopg.Connection, types: Mapping[ColumnRef, str]) -> None:
        self._connection = connection
        self._types = types

    def run(self, statement: str) -> Result:
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.execute(statement.encode())
                width = len(cursor.description or ())
                rows = cursor.fetchall()
        except psycopg.Error:
            return None
        return [[row[index] for row in rows] for index in range(width)]

    def changed(self, statement: str, plain: list[list[object]], column: ColumnRef) -> set[int]:
        """The outputs that some perturbation of the column changes."""
        found: set[int] = set()
        for expression in self._expressions(column):
            with self._perturbed(column, expression):
                after = self.run(statement)
            found |= {
                index for index, values in enumerate(plain) if after is None or repr(after[index]) != repr(values)
            }
        return found

    def columns(self) -> tuple[ColumnRef, ...]:
        return tuple(self._types)

    def _expressions(self, column: ColumnRef) -> list[str]:
        other = _OTHER[self._types[column]].format(c=f"t.{column.column}")
        if column.column == "id":
            return [other]
        neighbour = f"(SELECT o.{column.column} FROM original.{column.table} AS o WHERE o.id = t.id % 5 + 1)"
        return [other, neighbour, "NULL"]

    @contextmanager
    def _perturbed(self, column: ColumnRef, expression: str) -> Iterator[None]:
        """The table filled anew from its copy: an UPDATE would move rows, and so their order."""
        names = [each.column for each in self._types if each.table == column.table]
        values = ", ".join(expression if name == column.column else f"t.{name}" for name in names)
        with self._connection.transaction(force_rollback=True):
            self._connection.execute(
                f"TRUNCATE public.{column.table}; INSERT INTO public.{column.table} ({', '.join(names)}) "
                f"SELECT {values} FROM original.{column.table} AS t ORDER BY t.id".encode()
            )
            yield
