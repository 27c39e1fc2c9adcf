"""Answers in any segmentation. Records: tests/recorder/test_lines.py."""

from hypothesis import given
from hypothesis import strategies as st

from maskproxy.audit.framing import ANSWER, REFUSED, take_answers


@given(st.lists(st.tuples(st.integers(1, 2**32), st.one_of(st.none(), st.integers(0, 2**63))), max_size=20))
def test_answers_come_out_as_they_went_in(answers: list[tuple[int, int | None]]) -> None:
    stream = b"".join(ANSWER.pack(count, REFUSED if index is None else index) for count, index in answers)
    buffer, taken = bytearray(), []
    for byte in stream:
        buffer.append(byte)
        taken += take_answers(buffer)
    assert taken == answers
