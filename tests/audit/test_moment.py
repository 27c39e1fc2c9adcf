"""Ids ascend whatever the clock does; times are UTC with microseconds."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from maskproxy.audit.moment import Moments, ulid


def test_a_ulid_is_time_then_randomness_in_crockfords_base32() -> None:
    assert ulid(0, 0) == "0" * 26
    assert ulid(2**48 - 1, 2**80 - 1) == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
    assert ulid(1469918176385, 0)[:10] == "01ARYZ6S41"  # the example of the specification


@given(st.lists(st.integers(0, 2**60), min_size=2, max_size=50))
def test_ids_ascend_while_the_clock_jumps(times: list[int]) -> None:
    clock = iter(times)
    moments = Moments(lambda: next(clock), lambda: 7, lambda size: b"\xff" * size)
    ids = [moments.now().id for _ in times]
    assert ids == sorted(set(ids))
    assert {len(id) for id in ids} == {26}


@given(st.integers(0, 253402300799_999999))
def test_times_are_iso_8601_in_utc_to_the_microsecond(microseconds: int) -> None:
    at = Moments(lambda: microseconds * 1000 + 999, lambda: 7, bytes).now()
    assert len(at.ts) == 27
    parsed = datetime.fromisoformat(at.ts)
    assert round(parsed.timestamp() * 1_000_000) == microseconds or abs(parsed.timestamp()) > 2**32
    assert at.mono == 7
