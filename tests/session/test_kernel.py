"""The kernel's ops against the masks' own functions: on every value, of a type or not, they give the same bytes."""

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskproxy.core.masks.definition import bind, recipe
from maskproxy.core.masks.table import MASKS
from maskproxy.session.kernel import ops
from maskproxy.session.masking import kernel_op
from maskproxy.session.rows import COMPILED, RowMasks, mask_rows, row_run
from maskproxy.wire.postgres.messages import DataRow
from maskproxy.wire.postgres.values import BINARY, TEXT, encode, masker
from tests.core.masks.columns import COLUMNS, KEY, ColumnType
from tests.core.masks.columns import values as server_values
from tests.core.masks.samples import samples

RULES = [
    {"mask": "redact"},
    {"mask": "token"},
    {"mask": "token", "prefix": "t_", "length": 42},
    {"mask": "partial"},
    {"mask": "partial", "keep_first": 1, "keep_last": 4},
    {"mask": "partial", "keep_first": 2, "char": "•"},
    {"mask": "partial", "keep_last": 3, "char": "𝄪"},
    {"mask": "email"},
    *({"mask": "truncate", "to": unit} for unit in ("year", "quarter", "month", "day", "hour")),
    *({"mask": "round", "to": to} for to in (2, 7, 1000, 2**61, 10**20, 0.25, 0.01, 12.5)),
    *({"mask": "bucket", "width": width} for width in (2, 7, 1000, 2**61, 10**20, 0.25, 0.01, 12.5)),
]
SCALARS = [column for column in COLUMNS if column.type.element is None]


@dataclass(frozen=True)
class Masked:
    """A column with its mask, in one format."""

    name: str
    function: ops.RowMask
    op: ops.Op


def masked_columns(column: ColumnType, format: int) -> list[Masked]:
    """Every mask that has an op of its own there."""
    found = []
    for parameters in RULES:
        rule = MASKS[str(parameters["mask"])].model_validate(parameters)
        apply = bind(rule, column.type, column.typmod, KEY)
        if not callable(apply):
            continue
        what = recipe(rule, column.type, column.typmod, KEY)
        function = masker(column.type, format, apply)
        op = None if what is None else kernel_op(what, column.type, format, function)
        if op is not None:
            found.append(Masked(str(parameters), function, op))
    return found


CASES = [(column, format) for column in SCALARS for format in (TEXT, BINARY) if masked_columns(column, format)]
TEXTS = {"text", "varchar", "bpchar", "name"}
UTF8 = ["\0", "a\0b@c", "ä" * 70, "a" * 70, "日本@例え", "\U0010ffff@", "  ", "x  ", "\u00a0 "]
BROKEN = [
    *(b"\xff", b"a\xc3", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80@b", b"\xed\x9f\xbf@b", b"\xf4\x90\x80\x80"),
    *(b"\xf0\x8f\xbf\xbf", b"\xf0\x9f\x98", b"\xc3\x28", b"ab\x80", b"\xe2\x82x", b"\xf5\x80\x80\x80", b"\xef\xbf\xbf"),
]
NUMBERS = [
    *("", "-", "-0", "007", "+1", " 1", "1 ", "1.0", "1e3", "٣", "9" * 18, "9" * 19, "-" + "9" * 19, "9" * 20),
    *(str(sign * (2**power + off)) for sign in (1, -1) for power in (15, 31, 61, 62, 63) for off in (-1, 0, 1)),
]
MOMENTS = [
    *("2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2024-13-01", "2024-00-10", "2024-04-31", "0000-01-01"),
    *("2024-1-01", "2024/01/01", "24-01-01", "12024-01-01", "02024-01-01", "2024-01-01 BC", "2024-01-00", "infinity"),
    *(
        "2024-05-06 07:08:09",
        "2024-05-06 24:00:00",
        "2024-05-06 23:60:00",
        "2024-05-06 23:59:60",
        "2024-05-06T07:08:09",
    ),
    *("2024-05-06 07:08:09.", "2024-05-06 07:08:09.1", "2024-05-06 07:08:09.123456", "2024-05-06 07:08:09.1234567"),
    *("2024-05-06 07:08:09+00", "2024-05-06 07:08:09.25+00", "2024-05-06 07:08:09+05:30", "2024-05-06 07:08:09-00"),
    *("2024-05-06 07:08:09+00 BC", "2024-05-06 07:08+00", "+00", "2024-05-06 07:08:09,5", "2024-05-06 07:08:0x"),
]
DECIMALS = [
    *("-0.00", "0.0", ".5", "5.", "-", "-.5", "1..2", "1.2.3", "-1.5", "1.125", "99.995", "9999999999.99", "-99999.99"),
    *("12345678901234567.8", "123456789012345678", "0." + "0" * 16 + "5", "1." + "0" * 15, "NaN", "Infinity", "1e5"),
    *("00012.50", "49.99", "-0.125", "-0.001", "0.999", "9999.5", "-9999.5"),
]
UUIDS = [
    *(
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
    ),
    *(
        "a0eebc99--c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc990-9c0b4ef8-bb6d-6bb9bd380a11",
        "g0eebc99-9c0b-4ef8-bb6d-6bb9bd38",
    ),
    *("\\x", "\\xab", "\\xAB", "\\xa", "\\xag", "\\\\", "\\001", "abc", "\\x" + "00ff" * 50),
]
_DIGITS = [(), (0,), (1,), (5000,), (9999,), (0, 1), (12, 5000), (1, 0, 2), (9999,) * 5, (1,) * 9]
_HEADS = [  # number of digits, weight, sign, scale
    *((1, 0, sign, 2) for sign in (0x4001, 0x8000, 0xC000, 0xD000, 0xF000)),
    *((1, 0, 0x4000, scale) for scale in (19, 16_383, 16_384, 65_535)),
    *((count, 0, 0, 2) for count in (0, 2, 32_769, 65_535)),
    *((1, weight, 0, 2) for weight in (5, 250, 32_767, -5, -32_768)),
]
NUMERICS = [
    struct.pack(f">HhHH{len(digits)}H", len(digits), weight, sign, scale, *digits)
    for digits in _DIGITS
    for weight in (-2, -1, 0, 1, 4)
    for sign in (0, 0x4000)
    for scale in (0, 2, 5, 18)
]
NUMERICS += [struct.pack(">HhHHH", *head, digit) for head in _HEADS for digit in (12, 9999, 10_000)]
STRANGE = [*map(str.encode, [*UTF8, *NUMBERS, *DECIMALS, *MOMENTS, *UUIDS]), *BROKEN]


@st.composite
def packed_numerics(draw: st.DrawFn) -> bytes:
    """Such as no server sends: with zeros at both ends, and digits that are not shown."""
    digits = draw(st.lists(st.integers(0, 9999) | st.sampled_from([0, 1, 5000, 9999]), max_size=6))
    weight, sign, scale = draw(st.integers(-3, 5)), draw(st.sampled_from([0, 0x4000])), draw(st.integers(0, 19))
    return struct.pack(f">HhHH{len(digits)}H", len(digits), weight, sign, scale, *digits)


def raw_values(column: ColumnType, format: int) -> st.SearchStrategy[bytes]:
    """What the server sends for the column, what it might for another, and noise."""
    proper = server_values(column).map(lambda value: encode(column.type, format, value) or b"")
    written = st.sampled_from([each.encode() for each in samples(column.type, column.typmod)])
    packed = st.integers(0, 2**64 - 1).map(lambda number: number.to_bytes(8, "big")[-column.type.size :])
    versioned = st.text(max_size=9).map(lambda text: b"\x01" + text.encode("utf-8", "surrogatepass"))
    other = packed_numerics() if column.type.name == "numeric" and format == BINARY else versioned
    return proper | written | st.sampled_from(STRANGE) | packed | other | st.binary(max_size=20)


def slow(rows: list[tuple[bytes | None, ...]], columns: list[Masked | None]) -> bytes:
    return b"".join(
        DataRow(
            tuple(
                value if value is None or column is None else column.function(value)
                for value, column in zip(row, columns, strict=True)
            )
        ).encode()
        for row in rows
    )


def fast(rows: list[tuple[bytes | None, ...]], columns: list[Masked | None]) -> bytes:
    data = b"".join(DataRow(row).encode() for row in rows)
    assert row_run(data, 0) == (len(data), len(rows))
    return mask_rows(data, 0, len(data), RowMasks(tuple(column and column.op for column in columns)))


@pytest.mark.parametrize(("column", "format"), CASES, ids=str)
def test_known_and_strange_values(column: ColumnType, format: int) -> None:
    columns: list[Masked | None] = [*masked_columns(column, format)]
    values = [*STRANGE, b"", *(each.encode() for each in samples(column.type, column.typmod))]
    values += [number.to_bytes(8, "big", signed=True)[-column.type.size :] for number in range(-5000, 5000, 37)]
    values += [(1 << power).to_bytes(9, "big")[-8:] for power in range(65)]
    values += NUMERICS if (column.type.name, format) == ("numeric", BINARY) else []
    rows = [(value,) * len(columns) for value in values]
    assert fast(rows, columns) == slow(rows, columns)


@pytest.mark.parametrize(("column", "format"), CASES, ids=str)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_value(column: ColumnType, format: int, data: st.DataObject) -> None:
    columns: list[Masked | None] = [None, *masked_columns(column, format)]
    values = data.draw(st.lists(st.none() | raw_values(column, format), max_size=10))
    rows = [(value,) * len(columns) for value in values]
    assert fast(rows, columns) == slow(rows, columns)


@settings(deadline=None)
@given(st.data())
def test_a_stream_in_pieces(data: st.DataObject) -> None:
    """Rows of several columns, that come as the network cuts them."""
    drawn = data.draw(st.lists(st.sampled_from(CASES), min_size=1, max_size=5))
    columns: list[Masked | None] = [None]
    columns += [data.draw(st.sampled_from(masked_columns(column, format))) for column, format in drawn]
    row = st.tuples(st.none() | st.binary(max_size=9), *(st.none() | raw_values(*each) for each in drawn))
    rows = data.draw(st.lists(row, max_size=12))
    stream = b"".join(DataRow(each).encode() for each in rows)
    masks = RowMasks(tuple(column and column.op for column in columns))
    out, held = b"", b""
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        held, stream = held + stream[:size], stream[size:]
        end, _ = row_run(held, 0)
        out += mask_rows(held, 0, end, masks)
        held = held[end:]
    assert (out, held) == (slow(rows, columns), b"")


def test_every_mask_has_ops_where_it_is_used_most() -> None:
    """What falls back to a function per value is slower, not wrong, so nothing else would tell."""
    covered = {
        (parameters.name.split("'")[3], column.type.name, format)
        for column, format in CASES
        for parameters in masked_columns(column, format)
        if type(parameters.op) is not ops.Call
    }
    numbers, formats = ("int2", "int4", "int8"), (TEXT, BINARY)
    wanted = {(mask, name, f) for mask in ("redact", "token", "partial", "email") for name in TEXTS for f in formats}
    wanted |= {(mask, name, f) for mask in ("redact", "token", "round", "bucket") for name in numbers for f in formats}
    wanted |= {("truncate", name, f) for name in ("date", "timestamp", "timestamptz") for f in formats}
    wanted |= {("token", name, f) for name in ("uuid", "bytea", "json", "jsonb") for f in formats}
    wanted |= {(mask, "numeric", f) for mask in ("redact", "round", "bucket") for f in formats}
    wanted |= {("redact", name, f) for name in ("bool", "date", "timestamp", "timestamptz") for f in formats}
    assert wanted <= covered


@pytest.mark.parametrize("size", [1 << 16, (1 << 20) + 1, 5_000_000] if COMPILED else [1 << 16])
def test_a_huge_value(size: int) -> None:
    column = next(each for each in SCALARS if each.text == "text")
    columns: list[Masked | None] = [*masked_columns(column, TEXT)]
    for value in (b"x" * size, "é".encode() * size, b"a" * size + b"@b", b"\xff" * size):
        rows = [(value,) * len(columns), (b"ann@example.com",) * len(columns)]
        assert fast(rows, columns) == slow(rows, columns)


def test_nothing_of_an_earlier_row_is_left_in_a_later_one() -> None:
    """The buffer is used again: also behind a NULL, a shorter value and a row that raised."""
    column = next(each for each in SCALARS if each.text == "text")
    clear_then_null: list[Masked | None] = [None, *masked_columns(column, TEXT)]
    canary = b"CANARY-c4n4ry@example.org"
    secrets = (canary * 50 + b"\xff", *(canary * 50 for _ in clear_then_null[1:]))
    fast([(b"1", *secrets[1:])], clear_then_null)
    fast([(secrets[0],) * len(clear_then_null)], clear_then_null)  # no UTF-8: taken back half-way
    for value in (b"", b"x", None, b"\xff", b"\0", canary[:3]):
        assert canary[:10] not in fast([(b"", *(value for _ in clear_then_null[1:]))], clear_then_null)


def test_an_op_is_wanted() -> None:
    with pytest.raises(TypeError):
        RowMasks((lambda value: value,))  # type: ignore[arg-type]


def test_every_mask_is_tried() -> None:
    assert {str(each["mask"]) for each in RULES} | {"null"} == set(MASKS)
