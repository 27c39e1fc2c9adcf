"""Whatever word stands wherever: the two parsers agree on what is read and by which name, or the statement is refused.

Checked against the server's grammar by a walk of its own (``keywords.nodes``), which shares nothing with the reading
that analysis goes by."""

import os
from functools import cache

import pytest

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import Generation, Oid, TableRef
from maskproxy.core.catalog import Catalog, Column, Table
from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.functions import FUNCTIONS, OPERATORS, TYPES
from maskproxy.core.sql.lex import lex
from maskproxy.core.sql.objects import REG_TYPES
from maskproxy.core.sql.parse_writes import parse_statement
from maskproxy.core.sql.statement import Analysis
from tests.core.sql.keywords import COLUMNS, POSITIONS, counted, nodes, other_words, server_words

WORDS = server_words()
OTHERS = other_words()
SHARE = int(os.environ.get("MASKPROXY_KEYWORDS", "32"))
"""One word in so many at each position. With 1 it takes minutes."""


@cache
def catalog_with(word: str) -> Catalog:
    """Where the word names a column of three tables, two of the tables, and a schema."""
    names = {
        TableRef("public", "t"): ("id", "name", "email", "created", word),
        TableRef("public", "u"): ("id", "code", word),
        TableRef("public", word): ("id", "name", word),
        TableRef(word, "t"): ("id", "secret"),
    }
    tables = {ref: Table(ref=ref, columns=tuple(map(_column, dict.fromkeys(each)))) for ref, each in names.items()}
    return Catalog(generation=Generation(1), tables=tables).visible_to(
        {ref: frozenset(each) for ref, each in names.items()}
    )


def _column(name: str) -> Column:
    return Column(name=name, type_oid=Oid(25), type_name="text")


def analysed(position: str, word: str) -> tuple[str, Analysis | str]:
    """The text, and its analysis or why it is refused."""
    text = position.replace("{w}", word)
    try:
        (analysis,) = analyse(text, catalog_with(word))
    except StatementError as error:
        return text, str(error)
    return text, analysis


@pytest.mark.parametrize("position", POSITIONS)
def test_no_word_hides_what_a_statement_reads(position: str) -> None:
    for word in some(position):
        text, analysis = analysed(position, word)
        if isinstance(analysis, Analysis):
            check(text, analysis)


def some(position: str) -> tuple[str, ...]:
    """Another share of the words for each position, in which every word comes to stand in some of them."""
    number = POSITIONS.index(position)
    return WORDS[number % SHARE :: SHARE] + OTHERS[number % (4 * SHARE) :: 4 * SHARE]


def check(text: str, analysis: Analysis) -> None:
    server, facts = nodes(text), counted(parse_statement(text, lex(text)))
    assert facts.references == server.references, text
    assert facts.relations == server.relations, text
    assert facts.aliases == server.aliases, text
    assert {name[-1] for name in server.relations} <= {ref.name for ref in analysis.tables} | set(server.aliases), text
    read = {column.column for output in analysis.outputs for column in output.sources}
    read |= {use.column.column for use in analysis.uses}
    names = set(server.aliases) | {name[-1] for name in server.relations} | {"*"}
    assert {reference[-1] for reference in server.references} <= read | names, text
    assert {name[-1] for name in server.functions} <= set(FUNCTIONS), text
    assert {name[-1] for name in server.types} <= set(TYPES) | set(REG_TYPES), (
        text
    )  # the latter of visible objects only
    assert {name[-1] for name in +server.operators} <= set(OPERATORS), text


def test_a_word_without_a_meaning_is_a_column_like_any_other() -> None:
    """So that it is not by refusing everything that nothing is hidden."""
    refused = {each for each in COLUMNS if not isinstance(analysed(each, "plain")[1], Analysis)}
    assert refused == {
        "SELECT date_trunc({w}, created) FROM t",  # sqlglot takes it for the unit itself
        "SELECT date_part({w}, created) FROM t",
        "SELECT email FROM t LIMIT {w}",  # the server allows no column there
    }


@pytest.mark.parametrize(
    ("position", "word"),
    [
        ("SELECT * FROM t {w} JOIN u ON true", "semi"),
        ("SELECT * FROM t {w}, u", "straight_join"),
        ("SELECT email FROM t {w}", "qualify"),
        ("SELECT date_trunc({w}, created) FROM t", "name"),
    ],
)
def test_words_that_are_read_differently(position: str, word: str) -> None:
    """The comparison alone, without the refusal before it: it would be noticed."""
    text = position.replace("{w}", word)
    try:
        assert counted(parse_statement(text, lex(text))) != nodes(text)
    except StatementError:
        return
