from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.core.masks.dates import Truncate, civil_from_days, days_from_civil
from maskproxy.core.masks.definition import Misfit, bind
from tests.core.masks.columns import BY_NAME, KEY

EPOCH = date(2000, 1, 1)
UNITS = ["year", "quarter", "month", "day", "hour"]


def apply(unit: str, value: int, type: str) -> object:
    function = bind(Truncate.model_validate({"mask": "truncate", "to": unit}), BY_NAME[type], -1, KEY)
    assert callable(function)
    return function(value)


@given(st.dates())
def test_the_calendar_agrees_with_python_where_python_has_one(day: date) -> None:
    days = (day - EPOCH).days
    assert civil_from_days(days) == (day.year, day.month)
    assert days_from_civil(day.year, day.month) == (day.replace(day=1) - EPOCH).days


@given(st.dates(), st.sampled_from(["year", "quarter", "month"]))
def test_dates(day: date, unit: str) -> None:
    months = {"year": 12, "quarter": 3, "month": 1}[unit]
    start = day.replace(day=1, month=(day.month - 1) // months * months + 1)
    assert apply(unit, (day - EPOCH).days, "date") == (start - EPOCH).days


@given(st.datetimes(), st.sampled_from(UNITS), st.sampled_from(["timestamp", "timestamptz"]))
def test_timestamps(moment: datetime, unit: str, type: str) -> None:
    months = {"year": 12, "quarter": 3, "month": 1}.get(unit)
    start = moment.replace(minute=0, second=0, microsecond=0, hour=moment.hour if unit == "hour" else 0)
    if months:
        start = start.replace(day=1, month=(moment.month - 1) // months * months + 1)
    epoch = datetime(2000, 1, 1)
    microsecond = timedelta(microseconds=1)
    assert apply(unit, (moment - epoch) // microsecond, type) == (start - epoch) // microsecond


def test_the_first_day_of_postgresql_has_no_beginning_of_its_year() -> None:
    assert apply("year", -2_451_545, "date") is None  # 4714-11-24 BC
    assert apply("year", -2_451_545 + 38, "date") == days_from_civil(-4712, 1)  # the next first of January


def test_the_last_day_of_postgresql() -> None:
    assert civil_from_days(2_145_031_948) == (5_874_897, 12)
    assert apply("year", 2_145_031_948, "date") == days_from_civil(5_874_897, 1)


@pytest.mark.parametrize("unit", ["day", "hour"])
def test_a_date_has_nothing_below_a_day(unit: str) -> None:
    assert isinstance(bind(Truncate.model_validate({"mask": "truncate", "to": unit}), BY_NAME["date"], -1, KEY), Misfit)


def test_the_longer_unit_is_stricter() -> None:
    ordered = sorted(UNITS, key=lambda unit: Truncate.model_validate({"mask": "truncate", "to": unit}).strictness)
    assert ordered == UNITS[::-1]
