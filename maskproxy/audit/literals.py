"""Statement text without its literals and comments, by PostgreSQL's own lexical rules (``scan.l``, chapter 4.1).

The text goes into the audit log, so the rule is: a value may never be taken for SQL. What has two readings is not
lexed at all and the caller records only a digest:

- anything unterminated, and characters that are no part of SQL outside quotes;
- ``\\'`` in a plain string: its end depends on ``standard_conforming_strings``;
- a number with letters behind it (``12ab``): one token or two, depending on the server's version;
- ``U&"…"`` and ``"…"`` are names, not values, and stay.

One left-to-right pass; every alternative is possessive or atomic, so time is linear in the text.
"""

import re

PLACEHOLDER = "?"

_SPACE = r"[ \t\n\r\f\v]"
_LINE_COMMENT = r"--[^\n\r]*+"
# A string goes on after white space that holds a newline; line comments count as white space (scan.l, quotecontinue).
_CONTINUED = rf"(?>(?:[ \t\f\v]|{_LINE_COMMENT})*+[\n\r](?:{_SPACE}|{_LINE_COMMENT}(?=[\n\r]))*+)"
_PLAIN = r"'(?>(?:[^'\\]|''|\\(?!'))*+)'"
_ESCAPE = r"'(?>(?:[^'\\]|''|\\[\s\S])*+)'"
_BITS = r"'[^']*+'"  # here two quotes are an end and a beginning
_NAME_START = r"A-Za-z_\u0080-\U0010ffff"
_NAME = rf"[{_NAME_START}][{_NAME_START}0-9$]*+"
_TAG = rf"(?:[{_NAME_START}][{_NAME_START}0-9]*+)?+"
_DIGITS = r"(?>[0-9](?:_?[0-9])*+)"
_NUMBER = (
    rf"(?>0[xX](?:_?[0-9A-Fa-f])++|0[oO](?:_?[0-7])++|0[bB](?:_?[01])++"
    rf"|(?>{_DIGITS}(?:\.(?!\.){_DIGITS}?+)?+|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?+)(?![{_NAME_START}0-9])"
)

_TOKEN = re.compile(
    rf"(?P<comment>{_LINE_COMMENT})"
    r"|(?P<block>/\*)"
    rf"|(?P<escape>[eE]{_ESCAPE}(?:{_CONTINUED}{_ESCAPE})*+)"
    rf"|(?P<bits>[bBxX]{_BITS}(?:{_CONTINUED}{_BITS})*+)"
    rf"|(?P<plain>(?:[uU]&)?{_PLAIN}(?:{_CONTINUED}{_PLAIN})*+)"
    rf"|(?P<dollar>\${_TAG}\$)"
    rf"|(?P<number>{_NUMBER})"
    rf'|(?P<kept>(?:[uU]&)?"(?>(?:[^"]|"")*+)"|{_NAME}|\$[0-9]++(?![{_NAME_START}0-9])'
    rf"|{_SPACE}++|[,()\[\];:+*/%^<>=~!@#&|`?-]|\.\.|\.(?![0-9]))"
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")


def strip_literals(text: str) -> str | None:
    """``text`` with ``?`` for each literal and a space for each comment; None when it cannot be lexed for certain."""
    pieces: list[str] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        end: int | None = token.end()
        kind = token.lastgroup
        if kind == "kept":
            pieces.append(token.group())
        elif kind == "comment":
            pieces.append(" ")
        elif kind == "block":
            end = _end_of_block_comment(text, token.end())
            pieces.append(" ")
        else:
            if kind == "dollar":
                end = _end_of_dollar_quote(text, token.end(), token.group())
            pieces.append(PLACEHOLDER)
        if end is None:
            return None
        position = end
    return "".join(pieces)


def _end_of_block_comment(text: str, position: int) -> int | None:
    """Block comments nest. Returns the position behind the closing mark, None when there is none."""
    depth = 1
    for edge in _BLOCK_EDGE.finditer(text, position):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return None


def _end_of_dollar_quote(text: str, position: int, quote: str) -> int | None:
    end = text.find(quote, position)
    return None if end < 0 else end + len(quote)
