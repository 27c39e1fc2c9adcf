from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maskproxy.core.masks.definition import Misfit, bind
from maskproxy.core.masks.numbers import Bucket, Round
from maskproxy.core.masks.room import NumericRoom
from tests.core.masks.columns import BY_NAME, KEY, ColumnType, numeric

INT2, INT4, FLOAT4, FLOAT8, NUMERIC = (
    ColumnType(name, BY_NAME[name]) for name in ("int2", "int4", "float4", "float8", "numeric")
)


def apply(mask: Round | Bucket, value: object, column: ColumnType) -> object:
    function = bind(mask, column.type, column.typmod, KEY)
    assert callable(function), function
    return function(value)


def rounded(to: float, value: object, column: ColumnType) -> object:
    return apply(Round.model_validate({"mask": "round", "to": to}), value, column)


def bucketed(width: float, value: object, column: ColumnType) -> object:
    return apply(Bucket.model_validate({"mask": "bucket", "width": width}), value, column)


@pytest.mark.parametrize(
    ("to", "value", "column", "expected"),
    [
        (10, 14, INT4, 10),
        (10, 15, INT4, 20),
        (10, -15, INT4, -20),
        (10, -14, INT4, -10),
        (1000, 32_767, INT2, None),  # 33,000 is no int2
        (100, Decimal("1249.99"), numeric(12, 2), Decimal("1200.00")),
        (0.5, Decimal("1.74"), numeric(12, 2), Decimal("1.50")),
        (10, Decimal("99.95"), numeric(4, 2), None),
        (0.25, Decimal("1.5"), NUMERIC, Decimal("1.50")),
        (10, Decimal("12345678901234567890123456789.5"), NUMERIC, Decimal("12345678901234567890123456790.0")),
        (10, Decimal("NaN"), NUMERIC, None),
        (0.5, 1.74, FLOAT8, 1.5),
        (0.5, -1.75, FLOAT8, -2.0),
        (10, 1e300, FLOAT8, None),  # the step vanishes in the last digit
        (10, float("nan"), FLOAT8, None),
        (10, float("-inf"), FLOAT8, None),
        (3e29, 3.4028234663852886e38, FLOAT4, None),  # the next multiple is above the largest float4
        (7e29, 3.4028234663852886e38, FLOAT4, 3.402823466e38),
        (0.1, 0.31, FLOAT8, 0.3),
        (10, -3.0, FLOAT8, 0.0),
    ],
)
def test_round(to: float, value: object, column: ColumnType, expected: object) -> None:
    assert repr(rounded(to, value, column)) == repr(expected)


@pytest.mark.parametrize(
    ("width", "value", "column", "expected"),
    [
        (10, 19, INT4, 10),
        (10, -1, INT4, -10),
        (1000, -32_768, INT2, None),
        (25, Decimal("74.99"), numeric(12, 2), Decimal("50.00")),
        (25, Decimal("-0.01"), numeric(12, 2), Decimal("-25.00")),
        (0.5, 1.74, FLOAT8, 1.5),
        (0.5, -0.1, FLOAT8, -0.5),
    ],
)
def test_bucket(width: float, value: object, column: ColumnType, expected: object) -> None:
    assert repr(bucketed(width, value, column)) == repr(expected)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(2, 10**6))
def test_rounded_integers_are_multiples_within_half_a_step(value: int, step: int) -> None:
    result = rounded(step, value, INT4)
    if result is not None:
        assert isinstance(result, int)
        assert result % step == 0
        assert abs(result - value) * 2 <= step


@given(
    st.builds(lambda number, scale: Decimal(number).scaleb(-scale), st.integers(), st.integers(0, 50)),
    st.sampled_from([0.1, 0.25, 5, 1000]),
)
def test_buckets_of_numerics_hold_their_value(value: Decimal, width: float) -> None:
    result = bucketed(width, value, NUMERIC)
    assert isinstance(result, Decimal)
    step = Decimal(str(width))
    with localcontext(Context(prec=1000)):
        assert 0 <= value - result < step
        assert result % step == 0


@pytest.mark.parametrize(
    ("mask", "column"),
    [
        ({"mask": "round", "to": 1}, INT4),
        ({"mask": "round", "to": 2.5}, INT4),
        ({"mask": "round", "to": 0.01}, numeric(12, 2)),
        ({"mask": "round", "to": 0.125}, numeric(12, 2)),
        ({"mask": "round", "to": 50}, numeric(5, -2)),
    ],
)
def test_a_step_that_changes_nothing_or_leaves_the_scale_does_not_fit(
    mask: dict[str, object], column: ColumnType
) -> None:
    assert isinstance(bind(Round.model_validate(mask), column.type, column.typmod, KEY), Misfit)


@pytest.mark.parametrize("to", [0, -1, float("inf"), float("nan"), True, "10", None])
def test_a_step_is_a_positive_number(to: object) -> None:
    with pytest.raises(ValidationError):
        Round.model_validate({"mask": "round", "to": to})


def test_the_wider_step_is_stricter() -> None:
    assert (
        Round.model_validate({"mask": "round", "to": 10}).strictness
        > Round.model_validate({"mask": "round", "to": 2}).strictness
    )


def test_numeric_room_reads_negative_scales() -> None:
    assert NumericRoom.of(numeric(5, -2).typmod) == NumericRoom(5, -2)
    assert NumericRoom.of(numeric(1000, 1000).typmod) == NumericRoom(1000, 1000)
    assert NumericRoom.of(-1) == NumericRoom(None, None)
