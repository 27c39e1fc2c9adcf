"""Texts without their literals: what is taken out, what is kept, and where it is not certain."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import StatementError
from maskproxy.core.sql.lex import Token, TokenKind, lex
from maskproxy.core.sql.shape import LiteralKind, Shape, shape

S, I, D = LiteralKind.STRING, LiteralKind.INTEGER, LiteralKind.DECIMAL  # noqa: E741


def parts(text: str) -> tuple[str | LiteralKind, ...] | None:
    """The key, without empty texts and with neighbours joined."""
    found = shape(text)
    if found is None:
        return None
    joined: list[str | LiteralKind] = []
    for part in found.key:
        if isinstance(part, str) and joined and isinstance(joined[-1], str) and not isinstance(joined[-1], LiteralKind):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", ("SELECT ", I)),
        ("SELECT a1, t2.b3 FROM t2 WHERE c = 'x'", ("SELECT a1, t2.b3 FROM t2 WHERE c = ", S)),
        ("x='it''s' AND y<2.50", ("x=", S, " AND y<", D)),
        ("LIMIT 10 OFFSET 20", ("LIMIT ", I, " OFFSET ", I)),
        ("a[1:2]", ("a[", I, ":", I, "]")),
        ("-1+-2", ("-", I, "+-", I)),
        ("''", (S,)),
        ("'-- no comment' || '/*'", (S, " || ", S)),
        ('"a 1 " = 2', ('"a 1 " = ', I)),
        ('"a""1" = \'x\'', ('"a""1" = ', S)),
        ("a -- it's 1\n = 1", ("a -- it's 1\n = ", I)),
        ("a /* it's 1 */ = 1", ("a /* it's 1 */ = ", I)),
        ("$1 + 1", ("$1 + ", I)),
        ("'é' = 'ü'", (S, " = ", S)),
        ("é1 = 1", ("é1 = ", I)),
    ],
)
def test_plain_literals_are_taken_out(text: str, expected: tuple[str | LiteralKind, ...]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    "text", ["1e5", "0x1F", "1_000", ".5", "5.", "1.e3", "1234567890", "t.1", "a1", "1..2", "1.2.3", "2x", "$1", "1é"]
)
def test_numbers_of_other_forms_stay(text: str) -> None:
    assert parts(text) == (text,)


@pytest.mark.parametrize(
    "text",
    [
        "E'a'",
        "e'a\\'b'",
        "B'1'",
        "X'1F'",
        "N'a'",
        "U&'a'",
        "a&'b'",
        "'a\\b'",
        "'a\nb'",
        "'a\0'",
        "'\udcff'",
        "'a",
        "'a'' ",
        '"a',
        "$$a$$",
        "$x$'$x$",
        "a$b$ = '1'",
        "/* a",
        "/* a /* b */ '1' */",
        "'a' /* /* */ */",
    ],
)
def test_where_it_is_not_certain_there_is_no_shape(text: str) -> None:
    assert shape(text) is None


def test_no_literal_shows() -> None:
    assert "secret" not in repr(shape("SELECT 'secret'"))


def test_chunks_and_literals_make_the_text() -> None:
    text = """SELECT "a 1", 'x' /* 'y' */ FROM t WHERE a = 1 -- 'z'\n AND b = 2.5"""
    found = shape(text)
    assert found is not None
    chunks = found.chunks()
    assert "".join(each for pair in zip(chunks, (*found.literals, ""), strict=True) for each in pair) == text


PIECES = st.sampled_from(
    [
        *("a", "E", "e", "U&", "N", "x1", "_", "$", "$1", "$x$", "é", '"', '""', '"q 1"', "'", "''", "'s'", "'\\'"),
        *("1", "23", "4.5", ".", "..", "e3", "0x1", "1_0", "-", "--", "--c\n", "/*", "*/", "/", "*", "&", "&'t'"),
        *(" ", "\n", "(", ")", "[", "]", ",", ";", "::", ":=", "=", "<", "@", "\\", "\0", "\x01", "1234567890"),
    ]
)


def tokens(text: str) -> tuple[Token, ...] | None:
    try:
        return lex(text)
    except StatementError:
        return None


def refilled(found: Shape, random: Random) -> str:
    """A text of the same shape with other literals."""
    values = {S: ["'a'", "''", "'it''s'", "'1'", "'--'"], I: ["1", "0", "77", "999999999"], D: ["1.5", "0.25", "10.0"]}
    return "".join(random.choice(values[each]) if isinstance(each, LiteralKind) else each for each in found.key)


@given(st.lists(PIECES, max_size=14).map("".join), st.randoms(use_true_random=False))
def test_texts_of_one_shape_have_the_same_tokens_but_for_literals(text: str, random: Random) -> None:
    """Against the exact lexer, which the server's scanner confirms."""
    found = shape(text)
    if found is None:
        return
    other = refilled(found, random)
    again = shape(other)
    assert again is not None
    assert again.key == found.key
    one, two = tokens(text), tokens(other)
    assert (one is None) == (two is None)
    if one is None or two is None:
        return
    assert [each.kind for each in one] == [each.kind for each in two]
    for left, right in zip(one, two, strict=True):
        if left.value != right.value:
            assert left.kind in (TokenKind.STRING, TokenKind.NUMBER)
            assert text[left.start : left.end] in found.literals
            assert other[right.start : right.end] in again.literals
    literal = [text[each.start : each.end] for each in one if each.kind in (TokenKind.STRING, TokenKind.NUMBER)]
    assert all(each in literal for each in found.literals)
    assert not re.search(r"[\0\ud800-\udfff]", "".join(found.literals))
