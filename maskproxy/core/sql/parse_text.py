"""sqlglot's tree of a statement's text, and how it refuses. With ``parse`` and ``parse_writes``, which read the tree,
the only caller of sqlglot."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.parser import logger

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused, StatementError
from maskproxy.core.sql.lex import Token
from maskproxy.core.sql.readable import readable

logger.disabled = True  # its warnings quote the statement, literals and all


@contextmanager
def reading() -> Iterator[None]:
    """Turns what sqlglot raises into refusals."""
    try:
        yield
    except StatementError:
        raise
    except RecursionError:
        raise LimitExceeded("statement is nested too deeply") from None
    except SqlglotError:
        raise Refused("this statement is read by only one of two parsers", hint=_HINT) from None


def parse_tree(text: str, tokens: Sequence[Token]) -> exp.Expr:
    """sqlglot's tree of one statement, which the tokens are of.

    Raises Refused when it cannot read it, LimitExceeded where that would take long."""
    _check_type_depth(tokens)
    with reading():
        trees = sqlglot.parse(readable(text, tokens), dialect="postgres", error_level=ErrorLevel.RAISE)
        if len(trees) != 1 or trees[0] is None:
            raise refusal("number of statements")
        return trees[0]


_TYPE_WORDS: Final = frozenset(
    word.lower() for word, kind in Postgres.Tokenizer.KEYWORDS.items() if kind in Postgres.Parser.TYPE_TOKENS
)
_HINT: Final = "Write it in a plainer way: quote names that are key words, avoid rare syntax."


def _check_type_depth(tokens: Sequence[Token]) -> None:
    """``date(date(date(...`` is tried as a type and as a call at each level."""
    stack: list[bool] = []
    for before, token in pairwise(tokens):
        if token.is_punctuation("("):
            stack.append(before.value in _TYPE_WORDS)
            if sum(stack) > limits.MAX_TYPE_DEPTH:
                raise LimitExceeded("statement is nested too deeply", position=token.start + 1)
        elif token.is_punctuation(")") and stack:
            stack.pop()


def refusal(construct: str) -> Refused:
    return Refused(f"this statement is read differently by two parsers ({construct})", hint=_HINT)


def check_args(node: exp.Expr, known: frozenset[str]) -> None:
    """Every argument that is set is one we look at."""
    for name, value in node.args.items():
        if value and name not in known:
            raise refusal(f"{node.key}.{name}")
