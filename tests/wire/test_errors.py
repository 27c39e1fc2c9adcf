"""Our errors as clients see them, and the words that replace a server's."""

import pytest

from maskproxy.base import errors as e
from maskproxy.wire.postgres.errors import canonical_text, error_fields
from maskproxy.wire.postgres.messages import ErrorResponse


def test_every_field():
    error = e.Refused('permission denied for column "ssn"', detail="Rule pii.", hint="Ask.", position=8)
    assert error_fields(error).fields == (
        ("S", "ERROR"),
        ("V", "ERROR"),
        ("C", "42501"),
        ("M", 'permission denied for column "ssn"'),
        ("D", "Rule pii."),
        ("H", "Ask."),
        ("P", "8"),
    )


def test_absent_fields_are_left_out():
    assert error_fields(e.SessionEnded("bye"), "FATAL").fields == (
        ("S", "FATAL"),
        ("V", "FATAL"),
        ("C", "57P01"),
        ("M", "bye"),
    )


def test_text_is_always_readable():
    response = error_fields(e.UnknownTable('relation "a\udcff\0b" does not exist'))
    assert response.message == 'relation "a?b" does not exist'
    assert ErrorResponse.decode(response.encode()[5:]) == response


@pytest.mark.parametrize(
    ("sqlstate", "text"),
    [
        ("22012", "division by zero"),
        ("42501", "insufficient privilege"),
        ("23505", "unique violation"),
        ("2202E", "array subscript error"),
        ("22ZZZ", "data exception"),
        ("10999", "error"),
        ("ZZZZZ", "error"),
        ("", "error"),
    ],
)
def test_canonical_text(sqlstate, text):
    assert canonical_text(sqlstate) == text
