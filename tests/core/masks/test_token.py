import json
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maskproxy.core.masks.definition import Misfit, bind
from maskproxy.core.masks.token import Token
from tests.core.masks.columns import BY_NAME, KEY, ColumnType, char, varchar

OTHER = bytes(32)
PLAIN = Token(mask="token")
TEXT = ColumnType("text", BY_NAME["text"])


def apply(value: object, column: ColumnType = TEXT, mask: Token = PLAIN, key: bytes = KEY) -> object:
    function = bind(mask, column.type, column.typmod, key)
    assert callable(function)
    return function(value)


def test_a_token_is_stable() -> None:
    # a change of this value breaks every token already handed out
    assert apply("Ann Example", mask=Token(mask="token", prefix="person-")) == "person-u09f7x7plxsgbvv8"


def test_tokens_match_across_columns_of_a_label_but_not_across_keys() -> None:
    assert apply("ann") == apply("ann", varchar(20)) == str(apply("ann".ljust(40), char(40))).rstrip()
    assert apply("ann") != apply("ann", key=OTHER)
    assert apply(b"ann", ColumnType("bytea", BY_NAME["bytea"])) != apply("ann")


@given(st.text(), st.text())
def test_different_values_have_different_tokens(one: str, other: str) -> None:
    assert (apply(one) == apply(other)) == (one == other)


def test_shape() -> None:
    token = apply("ann", mask=Token(mask="token", prefix="p_", length=42))
    assert isinstance(token, str)
    assert re.fullmatch(r"p_[a-z0-9]{42}", token)
    uuid = apply(bytes(16), ColumnType("uuid", BY_NAME["uuid"]))
    assert isinstance(uuid, bytes)
    assert UUID(bytes=uuid).version == 8
    document = apply('{"a": 1}', ColumnType("jsonb", BY_NAME["jsonb"]))
    assert isinstance(document, str)
    assert isinstance(json.loads(document), str)


@given(st.integers(-(2**15), 2**15 - 1))
def test_integers_become_other_positive_integers(value: int) -> None:
    for name, bits in (("int2", 15), ("int4", 31), ("int8", 63)):
        token = apply(value, ColumnType(name, BY_NAME[name]))
        assert isinstance(token, int)
        assert 0 <= token < 2**bits
        assert token != value


def test_a_token_too_long_for_the_column_does_not_fit() -> None:
    assert isinstance(bind(PLAIN, BY_NAME["varchar"], 15 + 4, KEY), Misfit)
    assert callable(bind(PLAIN, BY_NAME["varchar"], 16 + 4, KEY))
    assert isinstance(bind(PLAIN, BY_NAME["char"], -1, KEY), Misfit)


@pytest.mark.parametrize(
    "parameters", [{"length": 15}, {"length": 43}, {"prefix": "a b"}, {"prefix": '"'}, {"prefix": "x" * 41}]
)
def test_parameters(parameters: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Token.model_validate({"mask": "token", **parameters})
