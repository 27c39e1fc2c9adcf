"""Values: what the server sends, laws over all values, and what becomes NULL."""

import struct
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format

from maskproxy.base.refs import Oid
from maskproxy.base.types import PG_TYPES, Domain, PgType
from maskproxy.wire.postgres.arrays import Array
from maskproxy.wire.postgres.scalars import SCALARS
from maskproxy.wire.postgres.values import BINARY, TEXT, decode, encode, masker

from .samples import DECIMALS, FIRST, FORMATS, LAST, SERVER, TEXTS, TYPES, VALUES, values


def test_every_type_has_a_codec_and_a_sample():
    scalars = {type.name for type in PG_TYPES.values() if type.element is None}
    assert set(SCALARS) == scalars
    assert {name for name, *_ in SERVER} == scalars


@pytest.mark.parametrize(("name", "text", "binary", "value"), SERVER, ids=repr)
def test_what_the_server_sends(name, text, binary, value):
    type, binary = TYPES[name], bytes.fromhex(binary)
    value = bytes.fromhex(value) if name == "uuid" else value
    for format, data in ((TEXT, text), (BINARY, binary)):
        assert repr(decode(type, format, data)) == repr(value)  # 1.50 is not 1.5, and -0.0 not 0.0
        assert encode(type, format, value) == data
        assert masker(type, format, lambda value: value)(data) == data
        assert masker(type, format, lambda value: None)(data) is None


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", PG_TYPES.values(), ids=lambda type: type.name)
@given(data=st.data())
def test_encoding_is_undone_by_decoding(type, data):
    value = data.draw(values(type))
    for format in FORMATS:
        encoded = encode(type, format, value)
        assert encoded is not None
        assert repr(decode(type, format, encoded)) == repr(value)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("type", PG_TYPES.values(), ids=lambda type: type.name)
@given(data=st.binary(max_size=40))
def test_any_bytes_are_a_value_or_null(type, format, data):
    masked = masker(type, format, lambda value: value)(data)
    if masked is not None:
        assert repr(decode(type, format, masked)) == repr(decode(type, format, data))


# --- NULL: what cannot be read, masked or written -------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("type", PG_TYPES.values(), ids=lambda type: type.name)
def test_a_mask_that_fails_shows_nothing(type, format):
    def fails(value: object) -> object:
        raise KeyError(value)

    if type.element is None:
        _, text, binary, _ = next(row for row in SERVER if row[0] == type.name)
        data = text if format == TEXT else bytes.fromhex(binary)
        assert masker(type, format, fails)(data) is None
        assert masker(type, format, lambda value: object())(data) is None  # a value of no type at all
    else:
        sample = decode(type.element, TEXT, next(row for row in SERVER if row[0] == type.element.name)[1])
        array = encode(type, format, Array(((1, 1),), (sample,)))
        assert decode(type, format, masker(type, format, fails)(array)) == Array(((1, 1),), (None,))


@pytest.mark.parametrize(
    ("name", "format", "data"),
    [
        *(
            (name, TEXT, word)
            for name in ("float4", "float8", "numeric")
            for word in (b"NaN", b"Infinity", b"-Infinity")
        ),
        *((name, TEXT, word) for name in ("date", "timestamp", "timestamptz") for word in (b"infinity", b"-infinity")),
        ("date", BINARY, bytes.fromhex("7fffffff")),
        ("date", BINARY, bytes.fromhex("80000000")),
        ("timestamp", BINARY, bytes.fromhex("7fffffffffffffff")),
        ("timestamptz", BINARY, bytes.fromhex("8000000000000000")),
        ("float4", BINARY, bytes.fromhex("7fc00000")),
        ("float8", BINARY, bytes.fromhex("fff0000000000000")),
        ("numeric", BINARY, bytes.fromhex("00000000c0000000")),
        ("numeric", BINARY, bytes.fromhex("00000000d0000020")),
        ("numeric", BINARY, bytes.fromhex("00000000f0000020")),
        ("numeric", BINARY, bytes.fromhex("00010000000000002710")),  # a digit above 9999
        ("numeric", BINARY, bytes.fromhex("0002000000000000000a")),  # a digit is missing
        ("numeric", BINARY, bytes.fromhex("0000")),
        ("numeric", TEXT, b"1e5"),
        ("date", TEXT, b"02/29/2024"),  # DateStyle SQL
        ("date", TEXT, b"29.02.2024"),  # German
        ("date", TEXT, b"2023-02-29"),
        ("date", TEXT, b"2023-13-01"),
        ("date", TEXT, b"0000-01-01"),
        ("timestamp", TEXT, b"Thu Feb 29 12:00:00 2024"),  # Postgres
        ("timestamp", TEXT, b"2024-02-29 24:00:00"),
        ("timestamp", TEXT, b"2024-02-29 12:00:00+00"),
        ("timestamptz", TEXT, b"2024-02-29 12:00:00"),
        ("timestamptz", TEXT, b"2024-02-29 12:00:00 CET"),
        ("int4", TEXT, b"1_000"),
        ("int4", TEXT, b" 1"),
        ("int4", TEXT, "٣".encode()),
        ("int4", BINARY, b"\0\0\0"),
        ("int8", TEXT, b"9" * 5000),
        ("float8", TEXT, b"0x1p3"),
        ("bool", TEXT, b"true"),
        ("bool", BINARY, b"\2"),
        ("text", TEXT, b"\xff"),
        ("char", TEXT, rb"\377"),
        ("char", BINARY, b"\xff"),
        ("jsonb", BINARY, b"\2{}"),
        ("jsonb", BINARY, b""),
        ("uuid", TEXT, b"a0eebc999c0b4ef8bb6d6bb9bd380a11"),
        ("uuid", BINARY, bytes(15)),
        ("bytea", TEXT, rb"\xabc"),
        ("bytea", TEXT, rb"a\9"),
    ],
)
def test_what_cannot_be_read(name, format, data):
    type = TYPES[name]
    assert decode(type, format, data) is None
    seen = []
    assert masker(type, format, seen.append)(data) is None
    assert seen == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("int2", 2**15),
        ("int4", -(2**31) - 1),
        ("int8", 2**63),
        ("int4", True),
        ("int4", "1"),
        ("int4", 1.0),
        ("float4", 1e39),
        ("float8", float("nan")),
        ("float8", float("inf")),
        ("float8", 10**400),
        ("float8", Decimal(1)),
        ("numeric", Decimal("NaN")),
        ("numeric", Decimal("-Infinity")),
        ("numeric", Decimal("1E+131072")),
        ("numeric", Decimal("1E-16384")),
        ("numeric", 1.5),
        ("bool", 1),
        ("text", b"x"),
        ("text", "a\0b"),
        ("text", "\ud800"),
        ("name", "é" * 32),
        ("char", "ab"),
        ("char", "é"),
        ("bytea", "x"),
        ("uuid", bytes(15)),
        ("json", "{"),
        ("json", "NaN"),
        ("jsonb", ""),
        ("date", -2451546),
        ("date", 2145031949),
        ("timestamp", FIRST - 1),
        ("timestamptz", LAST + 1),
        ("timestamp", 1.0),
        ("text[]", "x"),
    ],
)
def test_what_cannot_be_written(name, value):
    for format in FORMATS:
        assert encode(TYPES[name], format, value) is None


@pytest.mark.parametrize("format", [-1, 2])
@pytest.mark.parametrize("name", ["int4", "int4[]"])
def test_an_unknown_format_shows_nothing(name, format):
    assert masker(TYPES[name], format, lambda value: value)(b"1") is None
    assert decode(TYPES[name], format, b"1") is None
    assert encode(TYPES[name], format, 1) is None


def test_an_unknown_type_shows_nothing():
    point = PgType(Oid(600), "point", Domain.TEXT, 16)
    assert masker(point, TEXT, lambda value: value)(b"(1,2)") is None


# --- particulars ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        (b"2024-06-01 02:00:00+02", b"2024-06-01 00:00:00+00"),
        (b"2024-06-01 05:30:00.25+05:30", b"2024-06-01 00:00:00.25+00"),
        (b"2023-12-31 19:00:00-05", b"2024-01-01 00:00:00+00"),
        (b"1900-01-01 00:19:32+00:19:32", b"1900-01-01 00:00:00+00"),  # Amsterdam's local mean time
        (b"0001-01-01 00:30:00+01", b"0001-12-31 23:30:00+00 BC"),
    ],
)
def test_offsets_become_utc(text, utc):
    assert masker(TYPES["timestamptz"], TEXT, lambda value: value)(text) == utc


def test_bytea_in_escape_format_comes_back_in_hex():
    assert masker(TYPES["bytea"], TEXT, lambda value: value)(rb"a\\b\000\377'") == b"\\x615c6200ff27"


def test_padding_is_no_part_of_a_character_value():
    assert decode(TYPES["bpchar"], TEXT, b"ab   ") == decode(TYPES["bpchar"], BINARY, b"ab   ") == "ab"


def test_float4_reads_the_same_from_text_and_binary():
    assert decode(TYPES["float4"], TEXT, b"0.1") == decode(TYPES["float4"], BINARY, bytes.fromhex("3dcccccd")) != 0.1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.2E+4"), b"12000"),
        (Decimal("0E+5"), b"0"),
        (Decimal("-0.0"), b"0.0"),
        (7, b"7"),
        (Decimal("1E+131071"), b"1" + b"0" * 131071),
    ],
)
def test_numerics_of_any_spelling(value, text):
    type = TYPES["numeric"]
    assert encode(type, TEXT, value) == text
    assert decode(type, BINARY, encode(type, BINARY, value)) == decode(type, TEXT, text)


def test_a_whole_number_is_a_float():
    assert encode(TYPES["float8"], TEXT, 7) == b"7"
    assert encode(TYPES["float4"], BINARY, 7) == struct.pack(">f", 7)


# --- against other implementations ------------------------------------------------------------------------------------


@given(st.dates())
def test_dates_agree_with_datetime(day):
    days = (day - date(2000, 1, 1)).days
    assert encode(TYPES["date"], TEXT, days) == day.isoformat().encode()
    assert decode(TYPES["date"], TEXT, day.isoformat().encode()) == days


@given(st.datetimes())
def test_timestamps_agree_with_datetime(moment):
    microseconds = (moment - datetime(2000, 1, 1)) // timedelta(microseconds=1)
    assert encode(TYPES["timestamp"], TEXT, microseconds).ljust(26, b"0")[:19] == moment.isoformat(" ")[:19].encode()
    assert decode(TYPES["timestamp"], TEXT, moment.isoformat(" ").encode()) == microseconds


@given(st.integers(-2451545, 2145031947))
def test_the_calendar_has_no_gaps(day):
    shown = [encode(TYPES["date"], TEXT, number) for number in (day, day + 1)]
    assert all(decode(TYPES["date"], TEXT, text) == day + offset for offset, text in enumerate(shown))
    assert all(first != second for first, second in pairwise(shown))


@given(
    st.one_of(
        st.tuples(st.just("numeric"), DECIMALS),
        st.tuples(st.just("float8"), VALUES["float8"]),
        st.tuples(st.just("bytea"), VALUES["bytea"]),
        st.tuples(st.just("bool"), st.booleans()),
        st.tuples(st.just("int8"), VALUES["int8"]),
        st.tuples(st.just("text[]"), st.lists(st.none() | TEXTS, min_size=1, max_size=4)),
    )
)
def test_psycopg_reads_the_same(sample):
    name, value = sample
    ours = Array(((len(value), 1),), tuple(value)) if isinstance(value, list) else value
    for format in (Format.TEXT, Format.BINARY):
        data = encode(TYPES[name], int(format), ours)
        loaded = Transformer().get_loader(TYPES[name].oid, format).load(data)
        assert repr(bytes(loaded) if name == "bytea" else loaded) == repr(value)
