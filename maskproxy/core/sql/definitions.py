"""Definitions of views, as the server prints them (``pg_get_viewdef`` under an empty search path): every name in them
is qualified, but for those of pg_catalog."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.core.catalog import SearchPath
from maskproxy.core.sql.facts import check_agreement, query_facts
from maskproxy.core.sql.lex import Token, lex
from maskproxy.core.sql.oracle import Source, parse_statements
from maskproxy.core.sql.oracle_queries import read_query
from maskproxy.core.sql.parse_writes import parse_statement
from maskproxy.core.sql.tree import Query

SEARCH_PATH: Final[SearchPath] = ("pg_catalog",)


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """``text`` is one query without a semicolon."""

    text: str
    tokens: tuple[Token, ...]
    query: Query


@lru_cache(maxsize=4096)
def read_definition(text: str) -> Definition:
    """Raises a StatementError when it is not read as one query, alike by both parsers."""
    text = text.strip().removesuffix(";")
    tokens = lex(text)
    source = Source(text)
    statements = parse_statements(source)
    if len(statements) != 1 or statements[0][1] != "select_stmt":
        raise Refused("the definition of the view is not one query")
    query = read_query(source, statements[0][2])
    check_agreement(query_facts(query), parse_statement(text, tokens))
    return Definition(text, tokens, query)
