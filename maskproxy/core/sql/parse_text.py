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
from maskproxy.core.sql.lex import Token, TokenKind

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
        trees = sqlglot.parse(_readable(text, tokens), dialect="postgres", error_level=ErrorLevel.RAISE)
        if len(trees) != 1 or trees[0] is None:
            raise refusal("number of statements")
        return trees[0]


def _readable(text: str, tokens: Sequence[Token]) -> str:
    """With a space behind each parameter: in ``$1,$2`` sqlglot sees the dollar quote ``$1,$``. Its facts say nothing of
    types and operators; so without arrays of types that it knows no arrays of (``$1::oid[]``), and with another
    operator in the place of those that it has no token for."""
    start = tokens[0].start
    edits = [(token.end, token.end, " ") for token in tokens if token.kind is TokenKind.PARAMETER]
    edits += [
        (token.start, token.end, "text")
        for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if token.value in _NO_ARRAYS and before.value == "::" and after.is_punctuation("[")
    ]
    edits += [
        (token.start, token.end, "||")
        for token in tokens
        if token.kind is TokenKind.OPERATOR and token.value in _NO_TOKENS
    ]
    parts, end = [], 0
    for first, last, replacement in sorted(edits):
        parts += [text[end : first - start], replacement]
        end = last - start
    return "".join([*parts, text[end:]])


_NO_ARRAYS: Final = frozenset({"oid", "regclass", "regtype", "regproc", "regnamespace", "name"})
_NO_TOKENS: Final = frozenset(
    {"<<=", ">>=", "~=", "##", "&<|", "|&>", "<<|", "|>>", "<^", ">^", "?#", "?-|", "?||", "@@@"}
    | {"~<~", "~<=~", "~>~", "~>=~"}
)
"""Of networks, shapes and text patterns. All stand between two operands."""
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
