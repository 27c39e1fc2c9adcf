"""From text to what each of its statements reads: limits, lexing, classification, two parsers, names and flows.

    read:       lex -> split -> session statement?
                                  yes: its own grammar, agreed by the server's
                                  no:  the server's grammar -> tree
    interpret:  tree -> names and flows -> sqlglot agrees -> edits -> parsed again

A statement is read once and may be interpreted twice: as it stands, and under masked evaluation. Whatever fails on the
way refuses the whole text (StatementError); nothing is guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused, StatementError
from maskproxy.base.refs import TableRef
from maskproxy.core.catalog import SYSTEM_SCHEMAS, Catalog, SearchPath
from maskproxy.core.sql import carry, classify, copy_in, substitute
from maskproxy.core.sql.facts import check_agreement, statement_facts
from maskproxy.core.sql.findings import Findings
from maskproxy.core.sql.findings import Output as Found
from maskproxy.core.sql.flows import Queries
from maskproxy.core.sql.flows_from import WRITABLE, unknown_table
from maskproxy.core.sql.functions import AllowList
from maskproxy.core.sql.lex import lex
from maskproxy.core.sql.mentions import Mentions
from maskproxy.core.sql.oracle import Source, parse_statements
from maskproxy.core.sql.oracle_queries import read_locked, read_query
from maskproxy.core.sql.oracle_writes import read_statement
from maskproxy.core.sql.parse_writes import parse_statement
from maskproxy.core.sql.statement import Analysis, Carrier, Output, SessionCommand, Splice, StatementKind, Verb
from maskproxy.core.sql.substitute import Evaluated
from maskproxy.core.sql.target_filter import filter_splices
from maskproxy.core.sql.tokens import Piece, split
from maskproxy.core.sql.tree import TableItem, combines
from maskproxy.core.sql.tree_writes import Delete, Insert, StatementTree, Update

_NOTHING: Final[Evaluated] = {}

# The node of the server's grammar that each session statement must be.
_NODES: Final[Mapping[Verb, str]] = {
    Verb.BEGIN: "transaction_stmt",
    Verb.COMMIT: "transaction_stmt",
    Verb.ROLLBACK: "transaction_stmt",
    Verb.SAVEPOINT: "transaction_stmt",
    Verb.RELEASE: "transaction_stmt",
    Verb.ROLLBACK_TO: "transaction_stmt",
    Verb.SET_TRANSACTION: "variable_set_stmt",
    Verb.SET: "variable_set_stmt",
    Verb.RESET: "variable_set_stmt",
    Verb.SHOW: "variable_show_stmt",
    Verb.DISCARD_ALL: "discard_stmt",
    Verb.DISCARD_PLANS: "discard_stmt",
    Verb.DEALLOCATE: "deallocate_stmt",
    Verb.CLOSE: "close_portal_stmt",
    Verb.UNLISTEN: "unlisten_stmt",
    Verb.FETCH: "fetch_stmt",
    Verb.MOVE: "fetch_stmt",
    Verb.EXECUTE: "execute_stmt",
    Verb.LOCK: "lock_stmt",
}


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement of a text, not yet compared with a catalog: either a session command or a tree, which may be a
    query in a carrier."""

    source: Source
    piece: Piece
    command: SessionCommand | None
    tree: StatementTree | None
    carrier: Carrier | None = None
    locked: tuple[TableItem, ...] = ()  # by LOCK
    copied: Piece | None = None  # the COPY FROM that it stands for

    @property
    def tree_piece(self) -> Piece:
        return self.piece if self.carrier is None else carry.query_piece(self.piece, self.carrier)


def analyse(text: str, catalog: Catalog, search_path: SearchPath = ("public",)) -> tuple[Analysis, ...]:
    """One Analysis for each statement of the text; none for a text without statements.

    ``catalog`` says what the scope may see (``Catalog.visible_to``). Raises a StatementError for the first statement
    refused."""
    analyses = tuple(interpret(statement, catalog, search_path) for statement in read(text, search_path))
    check_splices(analyses)
    return analyses


def read(text: str, search_path: SearchPath = ("public",)) -> tuple[Statement, ...]:
    """The statements of a text. Raises a StatementError for the first that cannot be read."""
    if "pg_catalog" in search_path[1:]:
        raise Refused("the search path must not list pg_catalog after other schemas")
    with _refusing():
        return tuple(_read(text, search_path))


def interpret(
    statement: Statement, catalog: Catalog, search_path: SearchPath = ("public",), evaluated: Evaluated = _NOTHING
) -> Analysis:
    """What a statement reads. Tables with ``evaluated`` columns are substituted: that is the second time it is
    interpreted, so the parsers have agreed already. Raises the StatementError that refuses it."""
    if statement.copied is not None:
        return _copy_in(statement, statement.copied, catalog, search_path)
    piece, tree = statement.piece, statement.tree
    if tree is None:
        return Analysis(
            kind=StatementKind.SESSION,
            start=piece.start,
            end=piece.end,
            tables=frozenset(_locked(item, catalog, search_path) for item in statement.locked),
            session=statement.command,
        )
    with _refusing():
        findings = Findings(catalog, search_path, AllowList(catalog, search_path), Mentions(tree), evaluated)
        outputs = Queries(findings).statement(tree)
        if not evaluated:
            _check_agreement(statement, tree)
        found = _analysis(statement.tree_piece, statement.source, tree, outputs, findings)
        combined = statement.carrier is not None and combines(tree)
    if statement.carrier is None:
        return found
    if found.session is not None:
        raise Refused("set_config is allowed in a plain SELECT without other clauses only")
    if found.writes or found.locks:
        raise Refused(
            f"{statement.piece.root.upper()} of a statement that writes or locks rows is not allowed",
            hint="Send that statement by itself.",
            position=piece.start + 1,
        )
    return replace(
        found,
        kind=statement.carrier.kind,
        start=piece.start,
        end=piece.end,
        carrier=statement.carrier,
        combines=combined,
    )


def _locked(item: TableItem, catalog: Catalog, search_path: SearchPath) -> TableRef:
    table = catalog.lookup(item.schema, item.name, search_path)
    if table is None or table.hidden or table.ref.schema in SYSTEM_SCHEMAS:
        raise unknown_table(item)
    if table.kind not in WRITABLE:
        raise Refused(f'"{item.name}" is not a table', position=None if item.position is None else item.position + 1)
    return table.ref


def _copy_in(statement: Statement, piece: Piece, catalog: Catalog, search_path: SearchPath) -> Analysis:
    try:
        found = interpret(replace(statement, copied=None), catalog, search_path)
    except StatementError as error:
        error.position = piece.start + 1
        raise
    return replace(found, kind=StatementKind.COPY_IN, start=piece.start, end=piece.end, outputs=(), splices=())


def check_splices(analyses: Sequence[Analysis]) -> None:
    """Raises LimitExceeded when the statements of one text need too many edits together."""
    _check_splices(sum(len(analysis.splices) for analysis in analyses))


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except StatementError:
        raise
    except RecursionError:
        raise LimitExceeded("statement is nested too deeply") from None
    except Exception:
        # A parser's or our own fault. Its words may hold literals, so they go nowhere; the statement is refused.
        raise Refused("this statement cannot be analysed") from None


def _read(text: str, search_path: SearchPath) -> Iterator[Statement]:
    tokens = lex(text)
    pieces = split(tokens)
    if len(pieces) > limits.MAX_STATEMENTS:
        raise LimitExceeded(f"text has more than {limits.MAX_STATEMENTS} statements", hint="Send them one by one.")
    source = Source(text)
    parsed = parse_statements(source)
    if len(parsed) != len(pieces):
        raise Refused("this text is split into statements differently by two parsers")
    for piece, (offset, node, message) in zip(pieces, parsed, strict=True):
        if not offset <= piece.start:
            raise Refused("this text is split into statements differently by two parsers", position=piece.start + 1)
        copied = copy_in.copy_in(piece)
        if copied is not None:
            copy_in.check_copy_in(source, node, message, copied)
            (insert,) = _read(copied.insert, search_path)
            yield replace(insert, copied=piece)
            continue
        carrier = carry.carrier(piece)
        if carrier is not None:
            inner = carry.carried_query(source, node, message, carrier)
            yield Statement(source, piece, None, read_query(source, inner), carrier)
            continue
        command = classify.session_command(piece, search_path)
        if command is None:
            yield Statement(source, piece, None, read_statement(source, node, message))
        elif node != _NODES[command.verb] or not classify.same_name(command, message):
            raise Refused("this statement is read differently by two parsers", position=piece.start + 1)
        else:
            locked = read_locked(source, message) if command.verb is Verb.LOCK else ()
            yield Statement(source, piece, command, None, locked=locked)


def _check_agreement(statement: Statement, tree: StatementTree) -> None:
    piece, text = statement.tree_piece, statement.source.text
    check_agreement(statement_facts(tree), parse_statement(text[piece.start : piece.end], piece.tokens))


def _kind(tree: StatementTree) -> StatementKind:
    match tree:
        case Insert():
            return StatementKind.INSERT
        case Update():
            return StatementKind.UPDATE
        case Delete():
            return StatementKind.DELETE
        case _:
            return StatementKind.SELECT


def _analysis(
    piece: Piece, source: Source, tree: StatementTree, outputs: tuple[Found, ...], findings: Findings
) -> Analysis:
    _check_splices(len(findings.edits))
    splices = (*_filter_splices(piece, source, findings), *substitute.make_splices(findings.edits, piece.tokens))
    if splices and source.statements == 1 and findings.edits.of_tables_only:
        edited = substitute.apply_splices(source.text, splices)
        substitute.check_derived(source.text, edited, findings.edits)
    elif splices:
        edited = substitute.apply_splices(source.text[: piece.end], splices)[piece.start :]
        substitute.check_edited(tree, edited, findings.edits)
    return Analysis(
        kind=_kind(tree),
        start=piece.start,
        end=piece.end,
        outputs=tuple(
            Output(output.name, output.flow.sources, output.flow.direct, output.position) for output in outputs
        ),
        uses=tuple(dict.fromkeys(findings.uses)),
        tables=frozenset(findings.tables),
        writes=tuple(findings.writes),
        locks=frozenset(findings.locks),
        functions=frozenset(findings.functions),
        trusted=frozenset(findings.trusted),
        parameters=findings.parameters,
        session=findings.session,
        splices=splices,
        literals=frozenset(source.literals),
    )


def _filter_splices(piece: Piece, source: Source, findings: Findings) -> Iterator[Splice]:
    for position, found in sorted(findings.edits.filters.items()):
        yield from filter_splices(position, found, piece.tokens, source.text, source.literals)


def _check_splices(number: int) -> None:
    if number > limits.MAX_SPLICES:
        raise LimitExceeded(f"text names more than {limits.MAX_SPLICES} tables with hidden columns or rows")
