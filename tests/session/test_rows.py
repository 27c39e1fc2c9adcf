"""The row kernel against a reading of the rows that is slow and obvious."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import ProtocolError
from maskproxy.session.kernel.ops import Call
from maskproxy.session.rows import RowMasks, mask_rows, oversized, row_run
from maskproxy.wire.postgres.messages import DataRow

Table = tuple[list[str], list[tuple[bytes | None, ...]]]
values = st.none() | st.binary(max_size=40)
MASKS = {"clear": None, "null": lambda value: None, "same": lambda value: value, "long": lambda value: value * 3 + b"!"}


def kernel(*names: str) -> RowMasks:
    return RowMasks(tuple(None if (mask := MASKS[name]) is None else Call(mask) for name in names))


def slow(rows: list[tuple[bytes | None, ...]], names: list[str]) -> bytes:
    out = b""
    for row in rows:
        masked = [v if v is None or MASKS[n] is None else MASKS[n](v) for v, n in zip(row, names, strict=True)]
        out += DataRow(tuple(masked)).encode()
    return out


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.lists(st.sampled_from(sorted(MASKS)), max_size=6))
    rows = draw(st.lists(st.tuples(*[values for _ in names]), max_size=8))
    return names, rows


@given(tables(), st.binary(max_size=8))
def test_masks_each_value_and_nothing_else(table: Table, before: bytes) -> None:
    names, rows = table
    data = before + b"".join(DataRow(row).encode() for row in rows)
    end, count = row_run(data, len(before))
    assert (end, count) == (len(data), len(rows))
    assert mask_rows(data, len(before), end, kernel(*names)) == slow(rows, names)


@given(tables(), st.data())
def test_a_run_ends_at_the_last_complete_row(table: Table, data: st.DataObject) -> None:
    _, rows = table
    whole = [DataRow(row).encode() for row in rows]
    stream = b"".join(whole)
    cut = data.draw(st.integers(0, len(stream)))
    complete, size = 0, 0
    while complete < len(whole) and size + len(whole[complete]) <= cut:
        size += len(whole[complete])
        complete += 1
    assert row_run(stream[:cut], 0) == (size, complete)


def test_a_run_ends_where_another_message_begins() -> None:
    row = DataRow((b"1",)).encode()
    assert row_run(row + b"C\0\0\0\x0dSELECT 1\0", 0) == (len(row), 1)


def row(payload: bytes) -> bytes:
    return b"D" + struct.pack("!i", len(payload) + 4) + payload


@pytest.mark.parametrize(
    "payload",
    [
        struct.pack("!h", 2),  # announces two columns, has none
        struct.pack("!h", 1) + struct.pack("!i", 5) + b"abc",  # a column longer than the row
        struct.pack("!h", 1) + struct.pack("!i", -2),  # a length that means nothing
        struct.pack("!h", 1) + struct.pack("!i", 1) + b"ab",  # bytes behind the last column
        struct.pack("!h", 1) + b"\0\0",  # the length itself is cut
    ],
)
def test_a_row_that_does_not_add_up_is_refused(payload: bytes) -> None:
    data = row(payload)
    with pytest.raises(ProtocolError):
        mask_rows(data, 0, len(data), kernel("clear"))


@pytest.mark.parametrize("length", [0, 4, 5, 0xFFFFFFFF])
def test_an_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError):
        row_run(b"D" + struct.pack("!I", length) + b"\0" * 16, 0)


@given(st.binary(max_size=200))
def test_garbage_gives_rows_or_an_error(data: bytes) -> None:
    try:
        end, _ = row_run(b"D" + data, 0)
        mask_rows(b"D" + data, 0, end, kernel("clear", "null"))
    except ProtocolError:
        pass


@pytest.mark.parametrize(
    ("clear", "masked", "too_large"),
    [(10, 10, False), (60, 39, False), (100, 100, False), (101, 0, True), (0, 101, True), (99, 99, False)],
)
def test_clear_and_masked_sizes_count_apart(clear: int, masked: int, too_large: bool) -> None:
    """A client that pads a row with clear bytes learns nothing of how long the masked value is."""
    data = DataRow((b"x" * clear, b"y" * masked, None)).encode()
    assert oversized(data, 0, kernel("clear", "null", "null"), 100) is too_large


def test_an_unfinished_row_is_judged_by_what_is_known() -> None:
    data = DataRow((b"x" * 101, b"y")).encode()
    assert not oversized(data[:9], 0, kernel("clear", "null"), 100)
    assert oversized(data[:30], 0, kernel("clear", "null"), 100)
