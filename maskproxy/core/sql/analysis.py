"""From text to what each of its statements reads: limits, lexing, classification, two parsers, names and flows.

    lex -> split -> session statement?
                      yes: its own grammar, agreed by the server's
                      no:  the server's grammar -> tree -> flows -> sqlglot agrees -> edits -> parsed again

Whatever fails on the way refuses the whole text (StatementError); nothing is guessed.
"""

from collections.abc import Mapping
from typing import Final

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused, StatementError
from maskproxy.core.catalog import Catalog, SearchPath
from maskproxy.core.sql import classify, substitute
from maskproxy.core.sql.facts import check_agreement, query_facts
from maskproxy.core.sql.findings import Findings
from maskproxy.core.sql.flows import Queries
from maskproxy.core.sql.functions import AllowList
from maskproxy.core.sql.lex import lex
from maskproxy.core.sql.mentions import Mentions
from maskproxy.core.sql.oracle import Message, Source, parse_statements
from maskproxy.core.sql.oracle_queries import read_query
from maskproxy.core.sql.parse import parse_query
from maskproxy.core.sql.statement import Analysis, Output, SessionCommand, StatementKind, Verb
from maskproxy.core.sql.tree import Query

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
}


def analyse(text: str, catalog: Catalog, search_path: SearchPath = ("public",)) -> tuple[Analysis, ...]:
    """One Analysis for each statement of the text; none for a text without statements.

    ``catalog`` says what the scope may see (``Catalog.visible_to``). Raises a StatementError for the first statement
    refused."""
    if "pg_catalog" in search_path[1:]:
        raise Refused("the search path must not list pg_catalog after other schemas")
    try:
        return _analyse(text, catalog, search_path)
    except StatementError:
        raise
    except RecursionError:
        raise LimitExceeded("statement is nested too deeply") from None
    except Exception:
        # A parser's or our own fault. Its words may hold literals, so they go nowhere; the statement is refused.
        raise Refused("this statement cannot be analysed") from None


def _analyse(text: str, catalog: Catalog, search_path: SearchPath) -> tuple[Analysis, ...]:
    tokens = lex(text)
    pieces = classify.split(tokens)
    if len(pieces) > limits.MAX_STATEMENTS:
        raise LimitExceeded(f"text has more than {limits.MAX_STATEMENTS} statements", hint="Send them one by one.")
    source = Source(text)
    parsed = parse_statements(source)
    if len(parsed) != len(pieces):
        raise Refused("this text is split into statements differently by two parsers")
    analyses: list[Analysis] = []
    for piece, (offset, node, message) in zip(pieces, parsed, strict=True):
        if not offset <= piece.start:
            raise Refused("this text is split into statements differently by two parsers", position=piece.start + 1)
        command = classify.session_command(piece, search_path)
        if command is not None:
            analyses.append(_session(piece, command, node))
        else:
            query = _read(piece, source, node, message)
            findings = Findings(catalog, search_path, AllowList(catalog), Mentions(query))
            analyses.append(_query(piece, source, query, findings))
        _check_splices(sum(len(analysis.splices) for analysis in analyses))
    return tuple(analyses)


def _session(piece: classify.Piece, command: SessionCommand, node: str) -> Analysis:
    if node != _NODES[command.verb]:
        raise Refused("this statement is read differently by two parsers", position=piece.start + 1)
    return Analysis(kind=StatementKind.SESSION, start=piece.start, end=piece.end, session=command)


def _read(piece: classify.Piece, source: Source, node: str, message: Message) -> Query:
    if node != "select_stmt":
        raise Refused("this statement is not supported under a masking scope", position=piece.start + 1)
    return read_query(source, message)


def _query(piece: classify.Piece, source: Source, query: Query, findings: Findings) -> Analysis:
    outputs = Queries(findings).statement(query)
    check_agreement(query_facts(query), parse_query(source.text[piece.start : piece.end], piece.tokens))
    _check_splices(len(findings.substitutions))
    splices = tuple(
        substitute.make_splice(item, table, piece.tokens) for _, (item, table) in sorted(findings.substitutions.items())
    )
    if splices:
        edited = substitute.apply_splices(source.text[: piece.end], splices)[piece.start :]
        substitute.check_edited(query, edited, findings.substitutions)
    return Analysis(
        kind=StatementKind.SELECT,
        start=piece.start,
        end=piece.end,
        outputs=tuple(
            Output(output.name, output.flow.sources, output.flow.direct, output.position) for output in outputs
        ),
        uses=tuple(dict.fromkeys(findings.uses)),
        tables=frozenset(findings.tables),
        functions=frozenset(findings.functions),
        parameters=findings.parameters,
        session=findings.session,
        splices=splices,
    )


def _check_splices(number: int) -> None:
    if number > limits.MAX_SPLICES:
        raise LimitExceeded(f"text names more than {limits.MAX_SPLICES} tables with hidden columns or rows")
