import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maskproxy.core.masks.definition import bind
from maskproxy.core.masks.text import Email, Partial, Room
from tests.core.masks.columns import BY_NAME, KEY, ColumnType, char, varchar

TEXT = ColumnType("text", BY_NAME["text"])


def apply(mask: Partial | Email, value: str, column: ColumnType = TEXT) -> object:
    function = bind(mask, column.type, column.typmod, KEY)
    assert callable(function)
    return function(value)


@pytest.mark.parametrize(
    ("first", "last", "value", "masked"),
    [
        (0, 4, "123-45-6789", "*******6789"),
        (2, 2, "abcdef", "ab**ef"),
        (2, 0, "äöü", "äö*"),
        (1, 1, "a😀b", "a*b"),
        (0, 4, "6789", "****"),
        (0, 4, "89", "**"),
        (2, 2, "abcd", "****"),
        (0, 0, "abc", "***"),
        (3, 3, "", ""),
    ],
)
def test_partial(first: int, last: int, value: str, masked: str) -> None:
    assert apply(Partial(mask="partial", keep_first=first, keep_last=last), value) == masked


@given(st.integers(0, 9), st.integers(0, 9), st.text())
def test_partial_keeps_the_length_and_no_more_than_it_says(first: int, last: int, value: str) -> None:
    masked = apply(Partial(mask="partial", keep_first=first, keep_last=last, char="#"), value)
    assert isinstance(masked, str)
    assert len(masked) == len(value)
    if len(value) > first + last:
        assert masked[first : len(value) - last] == "#" * (len(value) - first - last)
    else:
        assert set(masked) <= {"#"}


def test_partial_does_not_count_the_padding_of_char() -> None:
    assert apply(Partial(mask="partial", keep_last=2), "abcd    ", char(8)) == "**cd    "


def test_partial_with_a_wide_mask_character_is_null_where_it_would_not_fit() -> None:
    name = ColumnType("name", BY_NAME["name"])
    assert apply(Partial(mask="partial", char="•"), "a" * 63, name) is None
    assert apply(Partial(mask="partial", char="•"), "a" * 21, name) == "•" * 21


@pytest.mark.parametrize("char", ["", "ab", " ", "\n", "\0"])
def test_the_mask_character_is_one_visible_character(char: str) -> None:
    with pytest.raises(ValidationError, match="one visible character"):
        Partial(mask="partial", char=char)


@pytest.mark.parametrize("keep", [-1, 1001, 1.5, True, "4"])
def test_what_is_kept_is_a_small_count(keep: object) -> None:
    with pytest.raises(ValidationError):
        Partial.model_validate({"mask": "partial", "keep_last": keep})


def test_partial_that_keeps_less_is_stricter() -> None:
    assert Partial(mask="partial", keep_last=2).strictness > Partial(mask="partial", keep_last=4).strictness


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("ann@example.com", "a**@example.com"),
        ("a@example.com", "*@example.com"),
        ("äöü@example.com", "ä**@example.com"),
        ('"odd@name"@example.com', '"*********@example.com'),
        ("no address", "**********"),
        ("@example.com", "************"),
        ("ann@", "a**@"),
        ("", ""),
    ],
)
def test_email(value: str, masked: str) -> None:
    assert apply(Email(mask="email"), value) == masked
    assert apply(Email(mask="email"), value, varchar(50)) == masked


def test_room() -> None:
    assert Room.of(BY_NAME["varchar"], 9).holds("äääää")
    assert not Room.of(BY_NAME["varchar"], 9).holds("aaaaaa")
    assert Room.of(BY_NAME["varchar"], -1) == Room()
    assert Room.of(BY_NAME["char"], -1).holds("a")
    assert not Room.of(BY_NAME["char"], -1).holds("ä")
