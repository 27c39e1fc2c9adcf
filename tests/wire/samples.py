"""Values: a table of what PostgreSQL 18 sends in text and binary, and what Hypothesis draws for each type."""

import struct
from decimal import Decimal

from hypothesis import strategies as st

from maskproxy.base.types import PG_TYPES, PgType
from maskproxy.wire.postgres.arrays import Array
from maskproxy.wire.postgres.values import BINARY, TEXT

TYPES = {type.name: type for type in PG_TYPES.values()}
FORMATS = (TEXT, BINARY)
FIRST, LAST = -211813488000000000, 9223371331199999999  # timestamps


def float4(digits: str) -> float:
    value: float = struct.unpack(">f", bytes.fromhex(digits))[0]
    return value


# type, text, binary in hex, value: what `select v::type` gives in each format
SERVER = [
    ("bool", b"t", "01", True),
    ("bool", b"f", "00", False),
    ("bytea", rb"\x00ff5c", "00ff5c", b"\0\xff\\"),
    ("bytea", rb"\x", "", b""),
    ("char", b"a", "61", "a"),
    ("char", b"", "00", ""),
    ("name", b"abc", "616263", "abc"),
    ("text", "ü€".encode(), "c3bce282ac", "ü€"),
    ("text", b"", "", ""),
    ("varchar", b"it's", "69742773", "it's"),
    ("bpchar", b"ab", "6162", "ab"),
    ("int2", b"-32768", "8000", -32768),
    ("int4", b"42", "0000002a", 42),
    ("int8", b"-9223372036854775808", "8000000000000000", -(2**63)),
    ("json", b'{"a": 1}', "7b2261223a20317d", '{"a": 1}'),
    ("jsonb", b'{"a": 1}', "017b2261223a20317d", '{"a": 1}'),
    ("float4", b"0.1", "3dcccccd", float4("3dcccccd")),
    ("float4", b"123456", "47f12000", 123456.0),
    ("float4", b"1.234567e+06", "4996b438", 1234567.0),
    ("float4", b"3.4028235e+38", "7f7fffff", float4("7f7fffff")),
    ("float4", b"1.2379401e+27", "6c800000", 2.0**90),  # the nearest of as many digits is nearer to another float
    ("float4", b"1e-45", "00000001", float4("00000001")),
    ("float8", b"0", "0000000000000000", 0.0),
    ("float8", b"-0", "8000000000000000", -0.0),
    ("float8", b"1", "3ff0000000000000", 1.0),
    ("float8", b"-1.5", "bff8000000000000", -1.5),
    ("float8", b"100000000000000", "42d6bcc41e900000", 1e14),
    ("float8", b"1e+15", "430c6bf526340000", 1e15),
    ("float8", b"0.0001", "3f1a36e2eb1c432d", 1e-4),
    ("float8", b"1e-05", "3ee4f8b588e368f1", 1e-5),
    # 5.446060489490806e+16 and 7.60054e+20 lie half-way to the next float
    ("float8", b"5.4460604894908064e+16", "43682f74362071d4", 5.4460604894908064e16),
    ("float8", b"7.600540000000001e+20", "444499ef1f07d960", 7.60054e20),
    ("float8", b"5e-324", "0000000000000001", 5e-324),
    ("numeric", b"0", "0000000000000000", Decimal(0)),
    ("numeric", b"0.00", "0000000000000002", Decimal("0.00")),
    ("numeric", b"1.50", "000200000000000200011388", Decimal("1.50")),
    ("numeric", b"-10000", "00010001400000000001", Decimal(-10000)),
    ("numeric", b"0.00001", "0001fffe0000000503e8", Decimal("0.00001")),
    ("numeric", b"10000.0001", "0003000100000004000100000001", Decimal("10000.0001")),
    ("uuid", b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", *["a0eebc999c0b4ef8bb6d6bb9bd380a11"] * 2),
    ("date", b"2000-01-01", "00000000", 0),
    ("date", b"2024-02-29", "00002279", 8825),
    ("date", b"0001-12-31 BC", "fff4dbf8", -730120),
    ("date", b"4714-11-24 BC", "ffda97a7", -2451545),
    ("date", b"5874897-12-31", "7fda970c", 2145031948),
    ("timestamp", b"2000-01-01 00:00:00.1", "00000000000186a0", 100000),
    ("timestamp", b"1999-12-31 23:59:59.999999", "ffffffffffffffff", -1),
    ("timestamp", b"4714-11-24 00:00:00 BC", "fd0f7cc1411fa000", FIRST),
    ("timestamp", b"294276-12-31 23:59:59.999999", "7fffff5bb3b29fff", LAST),
    ("timestamptz", b"2000-01-01 00:00:01+00", "00000000000f4240", 1000000),
    ("timestamptz", b"0044-03-15 12:00:00+00 BC", "ff1af9e8fb46d000", -64464465600000000),
]
SERVER_ARRAYS = [
    ("int4[]", b"{}", "000000000000000000000017", (), ()),
    (
        "text[]",
        rb'{a,NULL,"NULL","","a b","a\"\\"}',
        "00000001000000010000001900000006000000010000000161ffffffff000000044e554c4c0000000000000003612062"
        "0000000361225c",
        ((6, 1),),
        ("a", None, "NULL", "", "a b", 'a"\\'),
    ),
    (
        "int4[]",
        b"[2:3]={1,NULL}",
        "00000001000000010000001700000002000000020000000400000001ffffffff",
        ((2, 2),),
        (1, None),
    ),
    (
        "bool[]",
        b"{{t,f},{NULL,t}}",
        "0000000200000001000000100000000200000001000000020000000100000001010000000100ffffffff0000000101",
        ((2, 1), (2, 1)),
        (True, False, None, True),
    ),
    (
        "date[]",
        b'{2024-02-29,"0001-12-31 BC"}',
        "00000001000000000000043a0000000200000001000000040000227900000004fff4dbf8",
        ((2, 1),),
        (8825, -730120),
    ),
    (
        "varchar[]",
        b"[0:1][-2:-2]={{x},{y}}",
        "000000020000000000000413000000020000000000000001fffffffe00000001780000000179",
        ((2, 0), (1, -2)),
        ("x", "y"),
    ),
    (
        "jsonb[]",
        rb'{"{\"a\": [1, 2]}"}',
        "000000010000000000000eda00000001000000010000000e017b2261223a205b312c20325d7d",
        ((1, 1),),
        ('{"a": [1, 2]}',),
    ),
]


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
DECIMALS = st.builds(
    lambda digits, scale: Decimal(f"{digits}E-{scale}"), st.integers(-(10**30), 10**30), st.integers(0, 30)
)
_jsons = st.sampled_from(["{}", "[1, null]", '"x"', '{"a": "\\u00e9"}'])
VALUES = {
    "bool": st.booleans(),
    "bytea": st.binary(max_size=10),
    "char": st.text(st.characters(max_codepoint=127, exclude_characters="\0"), max_size=1),
    "name": TEXTS,
    "text": TEXTS,
    "varchar": TEXTS,
    "bpchar": TEXTS.map(lambda text: text.rstrip(" ")),
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "json": _jsons,
    "jsonb": _jsons,
    "float4": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float8": st.floats(allow_nan=False, allow_infinity=False),
    "numeric": DECIMALS,
    "uuid": st.binary(min_size=16, max_size=16),
    "date": st.integers(-2451545, 2145031948),
    "timestamp": st.integers(FIRST, LAST),
    "timestamptz": st.integers(FIRST, LAST),
}
_lengths = st.lists(st.integers(1, 3), min_size=1, max_size=3)


@st.composite
def arrays(draw, elements):
    dimensions = tuple((length, draw(st.integers(-2, 2))) for length in draw(st.just([]) | _lengths))
    count = 0 if not dimensions else 1
    for length, _ in dimensions:
        count *= length
    return Array(dimensions, tuple(draw(st.none() | elements) for _ in range(count)))


def values(type: PgType) -> st.SearchStrategy[object]:
    return VALUES[type.name] if type.element is None else arrays(VALUES[type.element.name])
