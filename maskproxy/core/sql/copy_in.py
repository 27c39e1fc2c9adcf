"""``COPY table (columns) FROM STDIN``: a write of rows that analysis never sees.

So it is judged as the INSERT of computed values into these columns: nothing is known of what they will be, and what may
not take such a value (every masked column) may not be copied into. Tables are named with schema and columns by then
(``copy_table``)."""

from dataclasses import dataclass

from maskproxy.base.errors import Refused
from maskproxy.core.sql.options import Options, column_list, copy_in_source, read_option
from maskproxy.core.sql.oracle import Fields, Message, Source, strings
from maskproxy.core.sql.substitute import quoted
from maskproxy.core.sql.tokens import Piece, TokenCursor


@dataclass(frozen=True, slots=True)
class CopyIn:
    schema: str
    table: str
    columns: tuple[str, ...]
    options: tuple[tuple[str, str | None], ...]

    @property
    def insert(self) -> str:
        """The INSERT that it is judged as. It is never sent, so the types of its values do not matter."""
        names = ", ".join(map(quoted, self.columns))
        values = ", ".join("pg_catalog.lower('x')" for _ in self.columns)
        return f"INSERT INTO {quoted(self.schema)}.{quoted(self.table)} ({names}) VALUES ({values})"  # noqa: S608


def copy_in(piece: Piece) -> CopyIn | None:
    """None for anything but a COPY of a table; raises Refused for forms of it that are not allowed."""
    cursor = TokenCursor(piece, ())
    if piece.root != "copy" or cursor.take_symbol("("):
        return None
    schema = cursor.name()
    if not cursor.take_symbol("."):
        raise cursor.refusal()
    table = cursor.name()
    columns = [token.value for token in column_list(cursor)]
    if not columns or not cursor.take("from"):
        raise cursor.refusal()
    options: Options = copy_in_source(cursor, piece.start + 1)
    return CopyIn(schema, table, tuple(columns), tuple(options))


def check_copy_in(source: Source, name: str, message: Message, found: CopyIn) -> None:
    """Raises Refused unless the server's grammar says the same."""
    if name != "copy_stmt":
        raise _disagreement()
    with Fields(source, message) as fields:
        options = tuple(read_option(source, each.def_elem) for each in fields.take("options", ()))
        columns = strings(source, fields.take("attlist"))
        agreed = fields.take("is_from") and columns == found.columns and options == found.options
        with Fields(source, fields.take("relation")) as relation:
            relation.take("relpersistence")
            target = (relation.take("schemaname"), relation.take("relname"), relation.take("inh"))
    if not agreed or target != (found.schema, found.table, True):
        raise _disagreement()


def _disagreement() -> Refused:
    return Refused("this statement is read differently by two parsers")
