"""Records and answers in any segmentation; nothing is waited for that may not be sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.audit.framing import (
    ANSWER,
    LENGTH,
    MAX_RECORD,
    REFUSED,
    FramingError,
    encode_record,
    take_answers,
    take_records,
)


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 30))
def test_records_come_out_as_they_went_in(records: list[bytes], size: int) -> None:
    stream = b"".join(map(encode_record, records))
    buffer, taken = bytearray(), []
    for start in range(0, len(stream), size):
        buffer += stream[start : start + size]
        taken += take_records(buffer)
    assert taken == records
    assert not buffer


@given(st.lists(st.tuples(st.integers(1, 2**32), st.one_of(st.none(), st.integers(0, 2**63))), max_size=20))
def test_answers_come_out_as_they_went_in(answers: list[tuple[int, int | None]]) -> None:
    stream = b"".join(ANSWER.pack(count, REFUSED if index is None else index) for count, index in answers)
    buffer, taken = bytearray(), []
    for byte in stream:
        buffer.append(byte)
        taken += take_answers(buffer)
    assert taken == answers


def test_a_length_over_the_limit_is_refused_before_its_bytes_come() -> None:
    assert take_records(bytearray(LENGTH.pack(MAX_RECORD))) == []
    with pytest.raises(FramingError):
        take_records(bytearray(LENGTH.pack(MAX_RECORD + 1)))
    with pytest.raises(FramingError):
        encode_record(bytes(MAX_RECORD + 1))
