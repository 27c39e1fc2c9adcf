"""COPY of tables written plainly, before anything is analysed: ``COPY table TO`` as the COPY of a query, and
``COPY table FROM`` with the table's schema and columns.

The server copies the table's own rows only and leaves generated columns out ("COPY", SQL commands); the query says the
same, of the columns that may be seen. From there on there is one kind of COPY TO."""

from collections.abc import Iterator

from maskproxy.base.errors import Refused, UnknownColumn, UnknownTable
from maskproxy.core.catalog import Catalog, RelationKind, SearchPath, Table
from maskproxy.core.sql.lex import Token, lex
from maskproxy.core.sql.options import column_list, copy_in_source, copy_out_target
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
    columns = [token.value for token in column_list(cursor)]
    end = cursor.rest()[0].start if cursor.rest() else piece.end
    is_from = cursor.take("from")
    if is_from:
        copy_in_source(cursor, piece.start + 1)
    elif cursor.take("to"):
        copy_out_target(cursor, piece.start + 1)
    else:
        raise cursor.refusal()
    table = catalog.lookup(schema, name, search_path)
    if table is None or table.hidden:
        shown = name if schema is None else f"{schema}.{name}"
        raise UnknownTable(f'relation "{shown}" does not exist', position=start + 1)
    return Splice(
        start, end, _with_columns(table, columns, start) if is_from else f"({_query(table, columns, start)}) "
    )


def _with_columns(table: Table, columns: list[str], start: int) -> str:
    if not columns and any(column.hidden for column in table.columns):
        raise Refused("this COPY needs a list of columns under a masking scope", position=start + 1)
    listed = ", ".join(map(quoted, _chosen(table, columns, start)))
    return f"{quoted(table.ref.schema)}.{quoted(table.ref.name)} ({listed}) "


def _query(table: Table, columns: list[str], start: int) -> str:
    if table.kind not in _COPIED:
        raise Refused(
            f'"{table.ref.name}" is not a table', hint="COPY (SELECT ...) TO STDOUT is allowed.", position=start + 1
        )
    listed = ", ".join(map(quoted, _chosen(table, columns, start)))
    return f"SELECT {listed} FROM ONLY {quoted(table.ref.schema)}.{quoted(table.ref.name)}"  # noqa: S608 - quoted names


def _chosen(table: Table, columns: list[str], start: int) -> list[str]:
    """The columns named; without a list all but the generated ones."""
    visible = {column.name: column for column in table.visible_columns}
    for name in columns:
        if name not in visible:
            raise UnknownColumn(f'column "{name}" of relation "{table.ref.name}" does not exist', position=start + 1)
    if len(set(columns)) < len(columns):
        raise Refused("a column is named twice", position=start + 1)
    return columns or [name for name, column in visible.items() if not column.sources]
