"""Statement text without its literals and comments, by PostgreSQL's own lexical rules (``scan.l``, chapter 4.1).

Quoted names can hold anything, a value too (``ssn = "123-45-6789"``), so ``"…"`` keeps only what looks like a plain
name; in messages, which quote names in the same way, likewise. A value that looks like a name still appears, quoted or
not: nobody can tell ``WHERE name = Miller`` from a column.

The text goes into the audit log, so the rule is: a value may never be taken for SQL. What has two readings is not
lexed at all and the caller records only a digest:

- anything unterminated, and characters that are no part of SQL outside quotes;
- ``\\'`` in a plain string: its end depends on ``standard_conforming_strings``;
- a number with letters behind it (``12ab``): one token or two, depending on the server's version.

One left-to-right pass; every alternative is possessive or atomic, so time is linear in the text. Only single characters
are repeated possessively, groups are atomic: before Python 3.11.5 a possessive group matches wrongly (gh-106052).
"""

import re

PLACEHOLDER = "?"

_SPACE = r"[ \t\n\r\f\v]"
_LINE_COMMENT = r"--[^\n\r]*+"
# A string goes on after white space that holds a newline; line comments count as white space (scan.l, quotecontinue).
_CONTINUED = rf"(?>(?>(?:[ \t\f\v]|{_LINE_COMMENT})*)[\n\r](?>(?:{_SPACE}|{_LINE_COMMENT}(?=[\n\r]))*))"
_PLAIN = r"'(?>(?:[^'\\]|''|\\(?!'))*)'"
_ESCAPE = r"'(?>(?:[^'\\]|''|\\[\s\S])*)'"
_BITS = r"'[^']*+'"  # here two quotes are an end and a beginning
_NAME_START = r"A-Za-z_\u0080-\U0010ffff"
_NAME = rf"[{_NAME_START}][{_NAME_START}0-9$]*+"
_TAG = rf"(?>(?:[{_NAME_START}][{_NAME_START}0-9]*+)?)"
_DIGITS = r"(?>[0-9](?>(?:_?[0-9])*))"
_NUMBER = (
    rf"(?>0[xX](?>(?:_?[0-9A-Fa-f])+)|0[oO](?>(?:_?[0-7])+)|0[bB](?>(?:_?[01])+)"
    rf"|(?>{_DIGITS}(?>(?:\.(?!\.){_DIGITS}?)?)|\.{_DIGITS})(?>(?:[eE][+-]?{_DIGITS})?))(?![{_NAME_START}0-9])"
)

# What is kept for certain, many tokens at once. Not so a name with a quote or & behind it, which may be the prefix of
# a literal, and - and / that may begin a comment.
_MANY = (
    rf"(?>(?:{_NAME}(?!['\"&$])|{_SPACE}++|[,()\[\];:+*%^<>=~!@#&|`?]|-(?!-)|/(?!\*)|\.(?![.0-9])"
    rf"|\$[0-9]++(?![{_NAME_START}0-9]))+)"
)

_TOKEN = re.compile(
    rf"(?P<many>{_MANY})"
    rf"|(?P<comment>{_LINE_COMMENT})"
    r"|(?P<block>/\*)"
    rf"|(?P<escape>[eE]{_ESCAPE}(?>(?:{_CONTINUED}{_ESCAPE})*))"
    rf"|(?P<bits>[bBxX]{_BITS}(?>(?:{_CONTINUED}{_BITS})*))"
    rf"|(?P<plain>(?:[uU]&)?{_PLAIN}(?>(?:{_CONTINUED}{_PLAIN})*))"
    rf"|(?P<dollar>\${_TAG}\$)"
    rf"|(?P<number>{_NUMBER})"
    rf'|(?P<quoted>(?:[uU]&)?"(?>(?:[^"]|"")*)")'
    rf"|(?P<kept>{_NAME}|\$[0-9]++(?![{_NAME_START}0-9])"
    rf"|{_SPACE}++|[,()\[\];:+*/%^<>=~!@#&|`?-]|\.\.|\.(?![0-9]))"
)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
_OUR_WORDS = re.compile(r"[A-Za-z ,;:()`._-]*")
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
        if kind in ("many", "kept"):
            pieces.append(token.group())
        elif kind == "quoted":
            prefix, name = token.group()[:-1].split('"', 1)
            pieces.append(f'{prefix}"{_plain_name(name)}"')
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


def strip_names(message: str) -> str:
    """A message of ours with ``"?"`` for each quoted name that is not plain.

    A name may hold quotes itself. Where that leaves in doubt what is quoted, nothing from the first quote to the last
    is kept."""
    if '"' not in message:
        return message
    before, *between, after = message.split('"')
    names, words = between[::2], between[1::2]
    if len(names) == len(words):  # the number of quotes is odd
        return f'{before}"{PLACEHOLDER}"'
    if not all(map(_OUR_WORDS.fullmatch, words)):
        return f'{before}"{PLACEHOLDER}"{after}'
    between[::2] = map(_plain_name, names)
    return '"'.join([before, *between, after])


def _plain_name(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else PLACEHOLDER


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
