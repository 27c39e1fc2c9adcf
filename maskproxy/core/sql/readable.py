"""A statement's text as the second parser can read it: without syntax that is new to it.

What is taken away names no column: types, operators, clauses of constants and options, names of joins and variables,
and what strings hold (plans are shared by texts that differ in it, so all of them must be read alike). If that is wrong
of a text, then the server's tree has a reference there which the second parser does not see, and the two disagree.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from maskproxy.core.sql.lex import Token, TokenKind

Edit = tuple[int, int, str]
"""What stands between two offsets is replaced."""

_PLAIN: Final = "plain_call"  # a function nobody knows the syntax of
_JSON: Final = frozenset(
    {
        "json",
        "json_array",
        "json_arrayagg",
        "json_exists",
        "json_object",
        "json_objectagg",
        "json_query",
        "json_scalar",
        "json_serialize",
        "json_table",
        "json_value",
    }
)
_XML: Final = frozenset({"xmlattributes", "xmlconcat", "xmlelement", "xmlforest", "xmlparse", "xmlpi", "xmlserialize"})
_CLAUSES: Final = frozenset({"returning", "format", "with", "without", "keep", "omit", "columns", "default"})
_BEHAVIORS: Final = frozenset({"absent", "empty", "error", "false", "null", "true", "unknown"})
_NO_ARRAYS: Final = frozenset({"oid", "regclass", "regtype", "regproc", "regnamespace", "name"})
_NO_TOKENS: Final = frozenset(
    {"<<=", ">>=", "~=", "##", "&<|", "|&>", "<<|", "|>>", "<^", ">^", "?#", "?-|", "?||", "@@@"}
    | {"~<~", "~<=~", "~>~", "~>=~"}
)
"""Operators of networks, shapes and text patterns, for which sqlglot has no token. All stand between two operands."""
_VALUES: Final = (TokenKind.WORD, TokenKind.QUOTED, TokenKind.STRING, TokenKind.NUMBER, TokenKind.PARAMETER)


def readable(text: str, tokens: Sequence[Token]) -> str:
    """The text of one statement, which the tokens are of."""
    start = tokens[0].start
    parts, end = [], 0
    for first, last, replacement in sorted(_edits(tokens)):
        if first - start >= end:  # else it is in what was taken away
            parts += [text[end : first - start], replacement]
            end = last - start
    return "".join([*parts, text[end:]])


def _edits(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens):
        after = tokens[index + 1 : index + 2]
        if token.kind is TokenKind.PARAMETER:  # in ``$1,$2`` sqlglot sees the dollar quote ``$1,$``
            yield token.end, token.end, " "
        elif token.kind is TokenKind.OPERATOR and token.value in _NO_TOKENS:
            yield token.start, token.end, "||"
        elif token.kind is TokenKind.STRING:  # sqlglot parses some, such as the step of generate_series
            yield token.start, token.end, "'1'"
        if not after:
            return
        if token.value == "::" and tokens[index + 2 : index + 3] and tokens[index + 2].is_punctuation("["):
            if after[0].value in _NO_ARRAYS:  # types that sqlglot knows no arrays of; it says nothing of types anyway
                yield after[0].start, after[0].end, "text"
        elif token.is_word("using") and after[0].is_punctuation("("):
            yield from _using_alias(tokens, index)
        elif token.is_word("is", "not") and after[0].is_word("document"):
            yield after[0].start, after[0].end, "null"
        elif token.is_word(*_JSON) and after[0].is_punctuation("("):
            yield token.start, token.end, _PLAIN
            yield from _json(tokens, index + 1)
        elif token.is_word(*_XML) and after[0].is_punctuation("("):
            yield token.start, token.end, _PLAIN
            yield from _xml(tokens, index + 1)


def _using_alias(tokens: Sequence[Token], index: int) -> Iterator[Edit]:
    """``JOIN t USING (a, b) AS name``."""
    index += 2
    while tokens[index : index + 1] and tokens[index].kind in (TokenKind.WORD, TokenKind.QUOTED):
        index += 2
        if tokens[index - 1 : index] and tokens[index - 1].is_punctuation(")"):
            ahead = tokens[index : index + 2]
            if len(ahead) == 2 and ahead[0].is_word("as"):
                yield ahead[0].start, ahead[1].end, " "
            return


def _json(tokens: Sequence[Token], opening: int) -> Iterator[Edit]:
    """``(value, path PASSING a AS b RETURNING type NULL ON EMPTY)`` and the like, as ``(value, path, a)``."""
    depth, clause = 0, None
    for index in range(opening, len(tokens)):
        token = tokens[index]
        depth += (token.value in ("(", "[")) - (token.value in (")", "]")) if _is_punctuation(token) else 0
        closed = depth == 0
        if depth != 1 and not closed:
            continue
        if clause is not None and (closed or token.is_punctuation(",") or token.is_word("passing", "order", "columns")):
            yield clause, token.start, " "
            clause = None
        if closed:
            return
        if clause is not None or not _is_behind_a_value(tokens, index):
            continue
        if token.is_punctuation(":") or token.is_word("passing", "value"):
            yield token.start, token.end, ","
        elif token.is_word("as"):
            yield token.start, tokens[index + 1].end, " "
        elif token.is_word(*_CLAUSES) or _is_behavior(tokens, index):
            clause = token.start


def _xml(tokens: Sequence[Token], opening: int) -> Iterator[Edit]:
    """``(NAME label, value AS name)`` and the like, as ``(1, value)``."""
    function, ahead = tokens[opening - 1], tokens[opening + 1 : opening + 3]
    if len(ahead) == 2 and ahead[0].is_word("name") and function.is_word("xmlelement", "xmlpi"):
        yield ahead[0].start, ahead[1].end, "1"
    elif ahead and function.is_word("xmlparse", "xmlserialize"):  # DOCUMENT or CONTENT
        yield ahead[0].start, ahead[0].end, " "
    depth, clause = 0, None
    for index in range(opening, len(tokens)):
        token = tokens[index]
        depth += token.is_punctuation("(") - token.is_punctuation(")")
        if clause is not None and (depth == 0 or (depth == 1 and token.is_punctuation(","))):
            yield clause, token.start, " "
            clause = None
        if depth == 0:
            return
        if depth == 1 and clause is None and token.is_word("as", "preserve", "strip"):
            clause = token.start if _is_behind_a_value(tokens, index) else None


def _is_behavior(tokens: Sequence[Token], index: int) -> bool:
    """``NULL ON EMPTY``, ``EMPTY ARRAY ON ERROR`` ..."""
    ahead = tokens[index + 1 : index + 3]
    on = ahead[:1] if not ahead[:1] or not ahead[0].is_word("array", "object") else ahead[1:]
    return tokens[index].is_word(*_BEHAVIORS) and bool(on) and on[0].is_word("on")


def _is_behind_a_value(tokens: Sequence[Token], index: int) -> bool:
    """So that it is not a value by itself."""
    before = tokens[index - 1]
    return before.kind in _VALUES or before.is_punctuation(")") or before.is_punctuation("]")


def _is_punctuation(token: Token) -> bool:
    return token.kind is TokenKind.PUNCTUATION
