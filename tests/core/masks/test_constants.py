from decimal import Decimal

import pytest

from maskproxy.core.masks.constants import Null, Redact
from maskproxy.core.masks.definition import bind
from tests.core.masks.columns import BY_NAME, KEY, ColumnType, char, numeric, varchar


def plain(name: str) -> ColumnType:
    return ColumnType(name, BY_NAME[name])


@pytest.mark.parametrize(
    ("column", "constant"),
    [
        (plain("text"), "[redacted]"),
        (varchar(5), "[reda"),
        (char(12), "[redacted]  "),
        (plain("char"), "["),
        (plain("int4"), 0),
        (plain("bool"), False),
        (numeric(12, 2), Decimal("0.00")),
        (plain("numeric"), Decimal(0)),
        (plain("uuid"), bytes(16)),
        (plain("bytea"), b""),
        (plain("jsonb"), '"[redacted]"'),
        (plain("date"), 0),
        (plain("text[]"), "[redacted]"),
    ],
    ids=str,
)
def test_redact(column: ColumnType, constant: object) -> None:
    apply = bind(Redact(mask="redact"), column.type, column.typmod, KEY)
    assert callable(apply)
    assert repr(apply(object())) == repr(constant)


def test_null_has_no_function() -> None:
    assert bind(Null(mask="null"), BY_NAME["text"], -1, KEY) is None
