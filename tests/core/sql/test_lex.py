"""Our lexer cuts text where the server's scanner does."""

import postgast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused, StatementError, Unparsable
from maskproxy.core.sql.lex import TokenKind, fold, lex
from tests.core.sql.case_files import load

_COMMENTS = ("SQL_COMMENT", "C_COMMENT")

_PIECES = [
    *"'\"\\$\n\r aé_1.:()[],;+-*/<>=~!@#%^&|`?",
    *("$$", "$a$", "--", "/*", "*/", "e'", "E'", "n'", "b'", "x'", "1.5", "..", "1e3", "0x1F", "1_000", "::", ":="),
    *("=>", "$1", "select", "''", "u", "1a", "$1a", '""'),
]


def scanned(text: str) -> list[tuple[int, int]]:
    """Token boundaries by libpg_query, in characters."""
    data = text.encode()
    tokens = postgast.scan(text).tokens
    names = postgast.pg_query_pb2.Token
    return [
        (len(data[: token.start].decode()), len(data[: token.end].decode()))
        for token in tokens
        if names.Name(token.token) not in _COMMENTS
    ]


def lexed(text: str) -> list[tuple[int, int]]:
    return [(token.start, token.end) for token in lex(text)]


@pytest.mark.parametrize("sql", [each.case.sql for each in load()], ids=[each.where for each in load()])
def test_cases_are_cut_as_the_server_cuts_them(sql: str) -> None:
    try:
        ours = lexed(sql)
    except StatementError:
        return  # refused, so nothing hangs on it
    assert ours == scanned(sql)


@given(st.lists(st.sampled_from(_PIECES), max_size=24).map("".join))
def test_any_text_is_cut_as_the_server_cuts_it_or_refused(text: str) -> None:
    try:
        ours = lexed(text)
    except StatementError:
        return
    try:
        theirs = scanned(text)
    except postgast.PgQueryError:
        return  # the server refuses it in a later place than we look at
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("SELECT Straße", ["select", "straße"]),
        ('"A""b" c', ['A"b', "c"]),
        ("'it''s'", ["it's"]),
        ("a<>-1", ["a", "<>", "-", "1"]),
        ("a @- 1", ["a", "@-", "1"]),
        ("a=>1", ["a", "=>", "1"]),
        ("1+/* x /* y */ */2", ["1", "+", "2"]),
        ("a--b\rc", ["a", "c"]),
        ("$f$ it's $f$", ["$f$ it's $f$"]),
        ("x$1 $1", ["x$1", "$1"]),
    ],
)
def test_values(text: str, values: list[str]) -> None:
    assert [token.value for token in lex(text)] == values


@pytest.mark.parametrize(
    "text", ["'a'" + "\n" * 60_000, "'a'" + "\n--\n" * 15_000, "/*" * 30_000, "+" * 60_000, "'" * 60_001]
)
@pytest.mark.timeout(5)
def test_no_text_takes_long(text: str) -> None:
    try:
        lex(text)
    except StatementError:
        return


def test_kinds() -> None:
    kinds = [token.kind for token in lex("a \"b\" 'c' 1 $1 + (")]
    assert kinds == list(TokenKind)


@pytest.mark.parametrize(
    ("text", "error", "position"),
    [
        ("SELECT '", Unparsable, 8),
        ('SELECT "', Unparsable, 8),
        ('SELECT ""', Unparsable, 8),
        ("SELECT $$ x", Unparsable, 8),
        ("SELECT /* x /* */", Unparsable, 8),
        ("SELECT 1a", Unparsable, 8),
        ("SELECT $1a", Unparsable, 8),
        ("SELECT '\0'", Unparsable, 9),
        ("SELECT '\ud800'", Unparsable, 9),
        ('SELECT U&"a"', Refused, 8),
        ("SELECT u&'a'", Refused, 8),
        (f"SELECT {'é' * 32}", LimitExceeded, 8),
        (f"SELECT {'(' * 65}", LimitExceeded, 72),
        ("SELECT a[b[c[d[e[1", LimitExceeded, 17),
        ("SELECT " + "1," * limits.MAX_TOKENS, LimitExceeded, None),
        ("é" * (limits.MAX_ANALYSED // 2 + 1), LimitExceeded, None),
    ],
)
def test_refusals(text: str, error: type[StatementError], position: int | None) -> None:
    with pytest.raises(error) as caught:
        lex(text)
    assert type(caught.value) is error
    assert caught.value.position == position


def test_the_longest_name_passes() -> None:
    assert len(lex("a" * limits.MAX_IDENTIFIER)) == 1


def test_tokens_do_not_show_what_they_hold() -> None:
    assert "secret" not in repr(lex("'secret'"))


def test_only_ascii_is_folded() -> None:
    assert fold("ÄbC") == "Äbc"


@pytest.mark.parametrize(
    ("sql", "bound"),
    [
        ("a[1][1][1][1][1][1] + b[a[1][1][1][1][1][1]]", None),
        ("a[1][1][1][1][1][1][1]", "too many subscripts"),
        ("a[1][1] [1]/**/[1][1][1][b[1]]", "too many subscripts"),
        ("b[a[1][1][1][1][1][1][1]]", "too many subscripts"),
        ("a[1]," * 1000, None),
        ("a[1]," * 1001, "brackets"),
        ("/**/" * 1000, None),
        ("/**/" * 1001, "comments"),
    ],
)
def test_what_takes_parsers_long_is_bounded(sql: str, bound: str | None) -> None:
    if bound is None:
        lex(sql)
        return
    with pytest.raises(LimitExceeded, match=bound):
        lex(sql)
