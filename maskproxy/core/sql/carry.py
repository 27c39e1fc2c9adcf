"""Statements that carry a query: EXPLAIN, DECLARE, PREPARE and COPY ... TO STDOUT.

A grammar of ours strips what stands around the query, token by token; the query is then analysed where it stands, like
a bare one. The node of the server's grammar must say the same of it, field by field (``carried_query``).
"""

from collections.abc import Callable, Mapping
from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.core.sql.functions import check_type
from maskproxy.core.sql.lex import TokenKind, lex
from maskproxy.core.sql.options import OFF, ON, TRUE, Options, copy_out_target, option_list, read_option
from maskproxy.core.sql.oracle import Fields, Message, Source, node, parse_statements
from maskproxy.core.sql.oracle_expressions import Reader
from maskproxy.core.sql.oracle_queries import read_query
from maskproxy.core.sql.statement import Carrier, Splice, StatementKind
from maskproxy.core.sql.tokens import Piece, TokenCursor, split

_QUERY_ROOTS: Final = ("select", "values", "table", "with", "(")


def carrier(piece: Piece) -> Carrier | None:
    """What stands around the query of this statement, None when it carries none; raises Refused for what of it is not
    allowed."""
    reader = _GRAMMAR.get(piece.root)
    return None if reader is None else reader(TokenCursor(piece, ()))


def query_piece(piece: Piece, found: Carrier) -> Piece:
    """The tokens of the query carried."""
    inside = (token for token in piece.tokens if found.query_start <= token.start and token.end <= found.query_end)
    return Piece(tuple(inside))


def _rest(cursor: TokenCursor) -> tuple[int, int]:
    """The query is all that is left."""
    tokens = cursor.rest()
    if not tokens or tokens[0].value not in _QUERY_ROOTS or tokens[0].kind is TokenKind.QUOTED:
        raise Refused(
            f"{cursor.root.upper()} of this statement is not allowed under a masking scope",
            hint="SELECT, VALUES, TABLE and WITH are allowed in it.",
            position=(tokens or cursor.tokens)[0].start + 1,
        )
    return tokens[0].start, tokens[-1].end


# ------------------------------------------------------------------------------------------------------------- EXPLAIN

_SWITCHES: Final = frozenset({"costs", "verbose", "generic_plan", "buffers", "summary", "memory"})
_ONLY_OFF: Final = frozenset({"analyze", "timing", "wal", "settings"})
_FORMATS: Final = frozenset({"text", "xml", "json", "yaml"})


def _explain(cursor: TokenCursor) -> Carrier:
    options: Options = []
    ahead = cursor.rest()
    if len(ahead) > 1 and ahead[0].is_punctuation("(") and ahead[1].value not in _QUERY_ROOTS:
        options = option_list(cursor)
    else:
        for word in ("analyze", "analyse", "verbose"):
            if cursor.take(word):
                options.append((word, None))
    for name, value in options:
        _check_explain_option(cursor, name, value)
    start, end = _rest(cursor)
    return Carrier(kind=StatementKind.EXPLAIN, query_start=start, query_end=end, options=tuple(options))


def _check_explain_option(cursor: TokenCursor, name: str, value: str | None) -> None:
    allowed = (name == "format" and value in _FORMATS) or (name in _SWITCHES and (value in OFF or value in ON))
    if allowed or (name in _ONLY_OFF and value in OFF):
        return
    if name in ("analyze", "analyse"):
        raise Refused(
            "EXPLAIN ANALYZE is not allowed under a masking scope",
            hint="EXPLAIN without ANALYZE is allowed.",
            position=cursor.tokens[0].start + 1,
        )
    raise Refused(
        f"this option of EXPLAIN is not allowed under a masking scope: {name}",
        hint=f"Allowed: FORMAT, {', '.join(sorted(each.upper() for each in _SWITCHES))}.",
        position=cursor.tokens[0].start + 1,
    )


def explain_splice(found: Carrier, start: int) -> Splice:
    """Options that show nothing of a statistic: estimated rows, widths and costs come from the values themselves, and
    VERBOSE lists columns. Of the client's only FORMAT and GENERIC_PLAN stay."""
    options = ["COSTS OFF"]
    if (layout := found.option("format")) is not None:
        options.append(f"FORMAT {layout}")
    if found.option("generic_plan") in ("", *TRUE):
        options.append("GENERIC_PLAN")
    return Splice(start + len("explain"), found.query_start, f" ({', '.join(options)}) ")


def check_edited(text: str, found: Carrier, query: str) -> None:
    """Raises Refused unless this statement, edited by us, still carries ``query``, already checked by itself, in the
    same way."""
    pieces = split(lex(text))
    again = carrier(pieces[0]) if len(pieces) == 1 else None
    source = Source(text)
    parsed = parse_statements(source)
    if again is None or len(parsed) != 1 or text[again.query_start : again.query_end] != query:
        raise Refused("this statement cannot be edited safely")
    carried_query(source, parsed[0][1], parsed[0][2], again)
    same = again.kind is found.kind and again.name == found.name
    if found.kind is StatementKind.EXPLAIN:
        same = same and again.option("costs") == "off" and again.option("verbose") is None
    else:
        same = same and again.options == found.options
    if not same:
        raise Refused("this statement cannot be edited safely")


# ------------------------------------------------------------------------------------------------- DECLARE and PREPARE

# parsenodes.h; CURSOR_OPT_FAST_PLAN is what gram.y always adds
_CURSOR_OPTIONS: Final[Mapping[str, int]] = {
    "binary": 0x01,
    "scroll": 0x02,
    "no scroll": 0x04,
    "insensitive": 0x08,
    "asensitive": 0x10,
    "hold": 0x20,
}
_FAST_PLAN: Final = 0x100


def _declare(cursor: TokenCursor) -> Carrier:
    name = cursor.name()
    options: Options = []
    while not cursor.take("cursor"):
        word = "no scroll" if cursor.take("no", "scroll") else cursor.take_any(*_CURSOR_OPTIONS)
        if word is None or word == "hold":
            raise cursor.refusal()
        options.append((word, None))
    if cursor.take("with", "hold"):
        options.append(("hold", None))
    else:
        cursor.take("without", "hold")
    if not cursor.take("for"):
        raise cursor.refusal()
    start, end = _rest(cursor)
    return Carrier(kind=StatementKind.DECLARE, query_start=start, query_end=end, name=name, options=tuple(options))


def _prepare(cursor: TokenCursor) -> Carrier:
    """What stands in the parentheses are types; they are read by the server's grammar alone."""
    name = cursor.name()
    if cursor.take_symbol("("):
        depth = 1
        while depth:
            token = cursor.next()
            depth += token.is_punctuation("(") - token.is_punctuation(")")
    if not cursor.take("as"):
        raise cursor.refusal()
    start, end = _rest(cursor)
    return Carrier(kind=StatementKind.PREPARE, query_start=start, query_end=end, name=name)


# ---------------------------------------------------------------------------------------------------------------- COPY


def _copy(cursor: TokenCursor) -> Carrier:
    """Of a query only: ``COPY table TO`` has been turned into that (``copy_table``)."""
    if not cursor.take_symbol("("):
        raise cursor.refusal()
    tokens = cursor.until_closed()
    if not tokens or tokens[0].value not in _QUERY_ROOTS or tokens[0].kind is TokenKind.QUOTED:
        raise Refused(
            "COPY of this statement is not allowed under a masking scope",
            hint="COPY (SELECT ...) TO STDOUT is allowed.",
            position=cursor.tokens[0].start + 1,
        )
    position = cursor.tokens[0].start + 1
    if not cursor.take("to"):
        raise cursor.refusal()
    options = copy_out_target(cursor, position)
    return Carrier(
        kind=StatementKind.COPY_OUT,
        query_start=tokens[0].start,
        query_end=tokens[-1].end,
        options=tuple(options),
    )


_GRAMMAR: Final[Mapping[str, Callable[[TokenCursor], Carrier]]] = {
    "explain": _explain,
    "declare": _declare,
    "prepare": _prepare,
    "copy": _copy,
}


# ------------------------------------------------------------------------------------------- the server's own grammar

_NODES: Final[Mapping[StatementKind, str]] = {
    StatementKind.EXPLAIN: "explain_stmt",
    StatementKind.DECLARE: "declare_cursor_stmt",
    StatementKind.PREPARE: "prepare_stmt",
    StatementKind.COPY_OUT: "copy_stmt",
}


def carried_query(source: Source, name: str, message: Message, found: Carrier) -> Message:
    """The SelectStmt inside, when the server's grammar says of all else what ours says; raises Refused otherwise."""
    if name != _NODES.get(found.kind):
        raise _disagreement()
    with Fields(source, message) as fields:
        inner_name, query = node(fields.take("query"))
        if inner_name != "select_stmt":
            raise source.refusal("this statement inside another")
        options: Options = []
        match found.kind:
            case StatementKind.DECLARE:
                bits = _FAST_PLAN
                for option, _ in found.options:
                    bits |= _CURSOR_OPTIONS[option]
                agreed = fields.take("portalname") == found.name and fields.take("options") == bits
            case StatementKind.PREPARE:
                reader = Reader(source, read_query)
                for each in fields.take("argtypes", ()):
                    check_type(reader.type_ref(each.type_name))
                agreed = fields.take("name") == found.name
            case _:
                options = [read_option(source, each.def_elem) for each in fields.take("options", ())]
                agreed = tuple(options) == found.options
    if not agreed:
        raise _disagreement()
    return query


def _disagreement() -> Refused:
    return Refused("this statement is read differently by two parsers")
