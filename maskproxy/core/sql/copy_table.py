"""``COPY table [(columns)] TO STDOUT`` written as the COPY of a query, before anything is analysed.

The server copies the table's own rows only and leaves generated columns out ("COPY", SQL commands); the query says the
same, of the columns that may be seen. From there on there is one kind of COPY."""

from collections.abc import Iterator

from maskproxy.base.errors import Refused, UnknownColumn, UnknownTable
from maskproxy.core.catalog import Catalog, RelationKind, SearchPath, Table
from maskproxy.core.sql import carry
from maskproxy.core.sql.lex import Token, lex
from maskproxy.core.sql.statement import Splice
from maskproxy.core.sql.substitute import apply_splices, quoted
from maskproxy.core.sql.tokens import Piece, TokenCursor, split

_COPIED = frozenset({RelationKind.TABLE, RelationKind.MATERIALIZED_VIEW})


def without_table_copies(text: str, catalog: Catalog, search_path: SearchPath) -> str:
    """The text with each table to be copied replaced by a query. Raises Refused."""
    if "copy" not in text.lower():
        return text
    return apply_splices(text, _splices(lex(text), catalog, search_path))


def _splices(tokens: tuple[Token, ...], catalog: Catalog, search_path: SearchPath) -> Iterator[Splice]:
    for piece in split(tokens):
        cursor = TokenCursor(piece, search_path)
        if piece.root == "copy" and not cursor.take_symbol("("):
            yield _splice(piece, cursor, catalog, search_path)


def _splice(piece: Piece, cursor: TokenCursor, catalog: Catalog, search_path: SearchPath) -> Splice:
    start = (cursor.rest() or piece.tokens)[0].start
    if cursor.take("binary"):
        raise Refused("this form of COPY is not allowed", hint="Write WITH (FORMAT binary).", position=start + 1)
    schema, name = None, cursor.name()
    if cursor.take_symbol("."):
        schema, name = name, cursor.name()
    columns = [token.value for token in _columns(cursor)]
    end = cursor.rest()[0].start if cursor.rest() else piece.end
    carry.copy_target(cursor)
    table = catalog.lookup(schema, name, search_path)
    if table is None or table.hidden:
        shown = name if schema is None else f"{schema}.{name}"
        raise UnknownTable(f'relation "{shown}" does not exist', position=start + 1)
    if table.kind not in _COPIED:
        raise Refused(f'"{name}" is not a table', hint="COPY (SELECT ...) TO STDOUT is allowed.", position=start + 1)
    return Splice(start, end, f"({_query(table, columns, start)}) ")


def _columns(cursor: TokenCursor) -> Iterator[Token]:
    if not cursor.take_symbol("("):
        return
    while True:
        yield cursor.rest()[0] if cursor.rest() else cursor.tokens[0]
        cursor.name()
        if cursor.take_symbol(")"):
            return
        if not cursor.take_symbol(","):
            raise cursor.refusal()


def _query(table: Table, columns: list[str], start: int) -> str:
    visible = {column.name: column for column in table.visible_columns}
    unknown = [name for name in columns if name not in visible]
    if unknown:
        raise UnknownColumn(f'column "{unknown[0]}" of relation "{table.ref.name}" does not exist', position=start + 1)
    if len(set(columns)) < len(columns):
        raise Refused("a column is named twice", position=start + 1)
    chosen = columns or [name for name, column in visible.items() if not column.sources]
    listed = ", ".join(map(quoted, chosen))
    return f"SELECT {listed} FROM ONLY {quoted(table.ref.schema)}.{quoted(table.ref.name)}"  # noqa: S608 - quoted names
