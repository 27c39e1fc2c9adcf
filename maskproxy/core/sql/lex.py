"""PostgreSQL's lexer in one regular expression, and the limits that hold before any parser sees the text.

The rules are those of src/backend/parser/scan.l with ``standard_conforming_strings`` on, which the proxy pins. Token
boundaries agree with the server's scanner (tests compare them with libpg_query's). Refused here, because parsers have
read them differently: ``U&"..."`` and ``U&'...'``, NUL, names the server would truncate, operators that are not
pg_catalog's by longest match."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused, Unparsable


class TokenKind(StrEnum):
    WORD = "word"  # identifier or key word, folded
    QUOTED = "quoted"  # "identifier", value without quotes
    STRING = "string"  # any string constant; value without quotes when it has no escapes
    NUMBER = "number"
    PARAMETER = "parameter"
    OPERATOR = "operator"
    PUNCTUATION = "punctuation"


@dataclass(frozen=True, slots=True)
class Token:
    """``start`` and ``end`` are character offsets into the text."""

    kind: TokenKind
    value: str = field(repr=False)
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind is TokenKind.WORD and self.value in words

    def is_punctuation(self, character: str) -> bool:
        return self.kind is TokenKind.PUNCTUATION and self.value == character


# A quoted constant continues after white space with a line end in it (whitespace_with_newline). Possessive or atomic
# throughout: each character is looked at once, whatever the text. Only single characters are repeated possessively:
# before Python 3.11.5 a possessive group matches wrongly (gh-106052).
_CONTINUE: Final = r"(?>(?:[ \t\f\v]++|--[^\n\r]*+)*)[\n\r](?>(?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*)"
_TOKEN: Final = re.compile(
    rf"""
      (?P<space>      (?>(?: [ \t\n\r\f\v]++ | --[^\n\r]*+ )+) )
    | (?P<comment>    /\* )
    | (?P<unicode>    [uU]&['"] )
    | (?P<escape>     [eE] '(?>(?: [^'\\] | '' | \\. )*)' (?>(?: {_CONTINUE} '(?>(?: [^'\\] | '' | \\. )*)' )*) )
    | (?P<string>     '(?>(?: [^'] | '' )*)' (?>(?: {_CONTINUE} '(?>(?: [^'] | '' )*)' )*) )
    | (?P<bits>       [bBxX] '[^']*+' (?>(?: {_CONTINUE} '[^']*+' )*) )
    | (?P<dollar>     \$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*+)?)\$ .*? \$(?P=tag)\$ )
    | (?P<quoted>     "(?>(?: [^"] | "" )+)" )
    | (?P<word>       [A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*+ )
    | (?P<parameter>  \$[0-9]++ )
    | (?P<number>     0[xX](?>(?:_?[0-9A-Fa-f])+) | 0[oO](?>(?:_?[0-7])+) | 0[bB](?>(?:_?[01])+)
                    | (?: [0-9]++(?>(?:_[0-9]++)*) (?: \.(?!\.)(?:[0-9]++(?>(?:_[0-9]++)*))? )?
                        | \.[0-9]++(?>(?:_[0-9]++)*) )
                      (?: [eE][+-]?[0-9]++ )? )
    | (?P<punctuation> :: | \.\. | := | [,()\[\].;:] )
    | (?P<operator>   [-~!@\#^&|`?+*/%<>=]++ )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_OPERATOR_END: Final = re.compile(r"/\*|--")
_SPECIAL: Final = frozenset("~!@#^&|`?%")
_KINDS: Final = {
    "escape": TokenKind.STRING,
    "string": TokenKind.STRING,
    "bits": TokenKind.STRING,
    "dollar": TokenKind.STRING,
    "quoted": TokenKind.QUOTED,
    "word": TokenKind.WORD,
    "parameter": TokenKind.PARAMETER,
    "number": TokenKind.NUMBER,
    "punctuation": TokenKind.PUNCTUATION,
}


def lex(text: str) -> tuple[Token, ...]:
    """Every token of the text, comments and white space left out.

    Raises Unparsable for what the server's scanner refuses, LimitExceeded above a bound, Refused for what is not
    analysed."""
    _check_size(text)
    tokens: list[Token] = []
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise Unparsable("unterminated or unknown token", position=offset + 1)
        offset = _take(text, match, tokens)
        if len(tokens) > limits.MAX_TOKENS:
            raise LimitExceeded(f"statement has more than {limits.MAX_TOKENS} tokens")
    _check_depth(tokens)
    _check_subscripts(tokens)
    return tuple(tokens)


def fold(name: str) -> str:
    """As the server folds an unquoted name: ASCII letters only (downcase_identifier with a multi-byte encoding)."""
    return name.lower() if name.isascii() else "".join(each.lower() if each.isascii() else each for each in name)


def too_long() -> LimitExceeded:
    return LimitExceeded(
        f"statement is longer than {limits.MAX_ANALYSED} bytes",
        hint="Send long lists of values as array parameters.",
    )


def _check_size(text: str) -> None:
    if "\0" in text:
        raise Unparsable("statement contains a zero character", position=text.index("\0") + 1)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise Unparsable("statement is not valid UTF-8", position=error.start + 1) from None
    if size > limits.MAX_ANALYSED:
        raise too_long()
    if text.count("/*") > limits.MAX_COMMENTS:
        raise LimitExceeded(f"statement has more than {limits.MAX_COMMENTS} block comments")


def _take(text: str, match: re.Match[str], tokens: list[Token]) -> int:
    """Append the token matched, if it is one; the offset after it."""
    group = match.lastgroup if match.lastgroup != "tag" else "dollar"
    start, end = match.span()
    match group:
        case "space":
            return end
        case "comment":
            return _end_of_comment(text, start)
        case "unicode":
            raise Refused(
                "names and strings with Unicode escapes (U&) are not supported",
                hint="Write the characters themselves.",
                position=start + 1,
            )
        case "operator":
            end = _end_of_operator(match[0], start)
            value = text[start:end]
            kind = TokenKind.PUNCTUATION if value == "=>" else TokenKind.OPERATOR
        case _:
            kind, value = _KINDS[str(group)], _value(str(group), match[0])
    if kind in (TokenKind.WORD, TokenKind.QUOTED):
        _check_name(value, start)
    if kind in (TokenKind.NUMBER, TokenKind.PARAMETER) and _is_word_start(text, end):
        raise Unparsable("trailing junk after number", position=start + 1)  # scan.l: integer_junk, param_junk
    tokens.append(Token(kind, value, start, end))
    return end


def _value(group: str, text: str) -> str:
    match group:
        case "word":
            return fold(text)
        case "quoted":
            return text[1:-1].replace('""', '"')
        case "string" if text[0] == "'" and "\n" not in text and "\r" not in text:
            return text[1:-1].replace("''", "'")
        case _:
            return text


def _end_of_comment(text: str, start: int) -> int:
    """Block comments nest, "Lexical Structure", Comments."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise Unparsable("unterminated /* comment", position=start + 1)


def _end_of_operator(text: str, start: int) -> int:
    """The longest match of scan.l: it ends before a comment; a trailing + or - stays only after one of ~ ! @ # ^ & |
    ` ? %."""
    comment = _OPERATOR_END.search(text)
    text = text[: comment.start()] if comment else text
    if len(text) > limits.MAX_IDENTIFIER:
        raise Unparsable("operator too long", position=start + 1)  # as scan.l, which cuts a run of signs first
    if not _SPECIAL.intersection(text):
        text = text[:1] + text[1:].rstrip("+-")
    return start + len(text)


def _is_word_start(text: str, offset: int) -> bool:
    return offset < len(text) and (text[offset].isalpha() or text[offset] == "_" or ord(text[offset]) > 127)


def _check_name(name: str, start: int) -> None:
    if len(name.encode()) > limits.MAX_IDENTIFIER:
        raise LimitExceeded(f"name is longer than {limits.MAX_IDENTIFIER} bytes", position=start + 1)


def _check_depth(tokens: list[Token]) -> None:
    depth = {"(": 0, "[": 0}
    bound = {"(": limits.MAX_PAREN_DEPTH, "[": limits.MAX_BRACKET_DEPTH}
    opening = {")": "(", "]": "["}
    for token in tokens:
        if token.kind is not TokenKind.PUNCTUATION:
            continue
        if token.value in depth:
            depth[token.value] += 1
            if depth[token.value] > bound[token.value]:
                raise LimitExceeded("statement is nested too deeply", position=token.start + 1)
        elif token.value in opening:
            depth[opening[token.value]] -= 1


def _check_subscripts(tokens: list[Token]) -> None:
    """``x[1][1]...``: pairs of brackets side by side, counted at each depth of brackets."""
    brackets = sum(token.kind is TokenKind.PUNCTUATION and token.value == "[" for token in tokens)
    if brackets > limits.MAX_BRACKETS:
        raise LimitExceeded("statement has too many brackets")
    if brackets < 2:
        return
    chains = [0]
    before: Token | None = None
    for token in tokens:
        if token.is_punctuation("["):
            chains[-1] = chains[-1] + 1 if before is not None and before.is_punctuation("]") else 1
            if chains[-1] > limits.MAX_SUBSCRIPTS:
                raise LimitExceeded("value has too many subscripts", position=token.start + 1)
            chains.append(0)
        elif token.is_punctuation("]") and len(chains) > 1:
            chains.pop()
        before = token
