import pytest

from maskproxy.session.scrub import scrub
from maskproxy.wire.postgres.messages import ErrorResponse

FULL = {
    "S": "ERROR",
    "V": "ERROR",
    "M": "text",
    "D": "detail",
    "H": "hint",
    "P": "7",
    "p": "3",
    "q": "internal query",
    "W": "where",
    "s": "schema",
    "t": "table",
    "c": "column",
    "d": "type",
    "n": "constraint",
    "F": "file.c",
    "L": "1",
    "R": "routine",
}


def scrubbed(sqlstate: str, *, touches_masked: bool) -> dict[str, str]:
    message = ErrorResponse(tuple((FULL | {"C": sqlstate}).items()))
    return dict(scrub(message, touches_masked=touches_masked).fields)


@pytest.mark.parametrize("sqlstate", ["22P02", "23505", "22012", "P0001", "XX000", "38000", "01000"])
def test_texts_that_may_quote_a_value_become_the_condition_name(sqlstate: str) -> None:
    fields = scrubbed(sqlstate, touches_masked=True)
    assert fields.keys() == {"S", "V", "C", "M", "P"}
    assert fields["M"] != "text"
    assert fields["C"] == sqlstate


@pytest.mark.parametrize("sqlstate", ["42883", "42601", "25P02", "57014", "26000"])
def test_texts_about_the_statement_itself_stay(sqlstate: str) -> None:
    fields = scrubbed(sqlstate, touches_masked=True)
    assert fields["M"] == "text"
    assert fields["H"] == "hint"


@pytest.mark.parametrize("touches_masked", [True, False])
def test_fields_that_quote_rows_queries_or_constraints_always_go(touches_masked: bool) -> None:
    assert not scrubbed("42883", touches_masked=touches_masked).keys() & set("DWqpstcdnFLR")


def test_without_masked_columns_the_text_stays() -> None:
    assert scrubbed("22P02", touches_masked=False)["M"] == "text"
