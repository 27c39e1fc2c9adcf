"""Frames come out whole, whatever the segmentation; lengths are judged before anything waits for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres.framing import Frames, next_frame

from .strategies import cut

FRAME = b"Q\x00\x00\x00\x07ab\x00"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_frame_ends_after_its_length(kind):
    assert next_frame(kind(b"xx" + FRAME + b"S"), 2, 100) == 2 + len(FRAME)


@pytest.mark.parametrize("size", range(len(FRAME)))
def test_more_is_needed(size):
    assert next_frame(FRAME[:size], 0, 100) == 0


def test_an_offset_at_the_end_needs_more():
    assert next_frame(FRAME, len(FRAME), 100) == 0


@pytest.mark.parametrize("length", [0, 3])
def test_a_length_below_four_is_an_error(length):
    with pytest.raises(ProtocolError):
        next_frame(b"Q" + length.to_bytes(4, "big"), 0, 100)


def test_the_limit_counts_the_whole_frame_and_acts_at_the_header():
    assert next_frame(FRAME, 0, len(FRAME)) == len(FRAME)
    with pytest.raises(ProtocolError):
        next_frame(FRAME[:5], 0, len(FRAME) - 1)
    with pytest.raises(ProtocolError):
        next_frame(b"Q\xff\xff\xff\xff", 0, 2**28)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=5), st.lists(st.integers(0, 200)))
def test_any_segmentation_gives_the_same_frames(frames, cuts):
    data = b"".join(bytes([kind]) + (len(payload) + 4).to_bytes(4, "big") + payload for kind, payload in frames)
    reader, taken = Frames(100), []
    for piece in cut(data + b"\x01\x02", cuts):
        reader.feed(piece)
        while (frame := reader.take()) is not None:
            taken.append(frame)
    assert taken == frames
    assert reader.rest() == b"\x01\x02"
    assert reader.rest() == b""
