"""What the recorder takes for a record, in any segmentation, and the lines it makes of it."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from maskproxy.audit.framing import LENGTH, MAX_RECORD, FramingError, encode_record
from maskproxy.recorder.lines import add_lines, check_record, is_plain, whole_records

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 2**60), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("ai\\\"'é", max_size=2), inner)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("abi", min_size=1, max_size=2), JSON, min_size=1, max_size=4)
RECORDS = OBJECTS.filter(lambda value: "i" not in value).map(orjson.dumps)
SHAPES = [
    b'{"a":1}',
    b'{"a":{"i":1}}',
    b'{"a":[1,null,"x"],"b":{"c":{"d":0.5}},"e":"\\"\\\\\\n"}',
    b'{"actor":{"agent":"a"},"mono":123456789012345,"stmt":{"params":["00ff",null]},"ms":1.5}',
]
OTHERS = [
    b"",
    b"{",
    b"{}",
    b"[1]",
    b"1",
    b"null",
    b'"a"',
    b'{"a"}',
    b'{"a":}',
    b'{"a":1',
    b'{"a":1}}',
    b'{"a":1}{"b":1}',
    b'{"a":1},',
    b'{"a":1,}',
    b'{,"a":1}',
    b'{"a":1 "b":2}',
    b'{"a":1"b":2}',
    b'{"a":[1}',
    b'{"a":[1]]',
    b'{"a":{1]}',
    b'{"a":[,1]}',
    b'{"a":["b":1]}',
    b'{"a":01}',
    b'{"a":1.}',
    b'{"a":.5}',
    b'{"a":-}',
    b'{"a":1.2.3}',
    b'{"a":nul}',
    b'{"a":nulll}',
    b'{"a":n',
    b'{"a":tru}',
    b'{"a":"\\x"}',
    b'{"a":"\\"}',
    b'{"a":"\n"}',
    b'{"a":"\x7f\xff"}',
    b'{"a":"\xc3"}',
    b'{"a:1}',
    b"{a:1}",
    b"{1:1}",
    b'{"a":1}\n',
    b'{"a":1}\n{"i":9}',
    b'{"a":\n1}',
    b' {"a":1}',
    b'{"i":7}',
    b'{"a":1,"i":7}',
    b'{"i":1,"i":7,"a":1}',
    b'{"\\u0069":7}',
    b'{"a":{"b":1},"i":{"c":1}}',
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
]


def accepted(record: bytes) -> bool:
    try:
        return whole_records(encode_record(record)) == (len(record) + 4, 1)
    except FramingError:
        return False


@pytest.mark.parametrize("record", SHAPES)
def test_what_workers_write_is_plain(record: bytes) -> None:
    assert is_plain(record)
    assert accepted(record)


@pytest.mark.parametrize("record", OTHERS)
def test_what_is_no_record_is_refused(record: bytes) -> None:
    assert not is_plain(record)
    assert not accepted(record)


def sound(record: bytes) -> bool:
    """What the file needs, said in another way."""
    try:
        value = orjson.loads(record)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and value != {} and "i" not in value and b"\n" not in record and record[:1] == b"{"


@given(st.one_of(RECORDS, OBJECTS.map(orjson.dumps), OBJECTS.map(lambda value: orjson.dumps(value, option=1))))
def test_every_record_is_judged_as_by_the_parser(record: bytes) -> None:
    assert accepted(record) == sound(record)
    assert sound(record) or not is_plain(record)


@given(
    st.sampled_from(SHAPES + OTHERS[:-1]),
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 2), st.sampled_from(b'{}[]":,\\i0.1-ntrue \n\x00\xc3')), max_size=3
    ),
)
@example(b'{"a":1}', [(1, 0, ord("i"))])
def test_changed_records_are_judged_as_by_the_parser(record: bytes, changes: list[tuple[int, int, int]]) -> None:
    for place, length, byte in changes:
        place %= len(record) + 1
        record = record[:place] + bytes([byte]) + record[place + length :]
    assert accepted(record) == sound(record)
    assert sound(record) or not is_plain(record)


def test_the_ordinary_check_alone_refuses_the_same() -> None:
    for record in SHAPES:
        check_record(record)
    for record in OTHERS:
        with pytest.raises(FramingError, match=r"^not a record$"):
            check_record(record)


@given(st.lists(RECORDS, max_size=20), st.integers(1, 60), st.integers(0, 2**62))
def test_records_come_out_as_lines_with_their_indexes(records: list[bytes], size: int, first: int) -> None:
    stream = b"".join(map(encode_record, records))
    buffer, lines, index = bytearray(), list[bytes](), first
    for start in range(0, len(stream), size):
        buffer += stream[start : start + size]
        end, count = whole_records(buffer)
        before, index = index, add_lines(lines, bytes(buffer[:end]), index)
        assert index == before + count
        del buffer[:end]
    assert not buffer
    expected: list[Any] = [{"i": number, **orjson.loads(record)} for number, record in enumerate(records, first)]
    assert [orjson.loads(line) for line in b"".join(lines).splitlines()] == expected


def test_a_length_over_the_limit_is_refused_before_its_bytes_come() -> None:
    assert whole_records(LENGTH.pack(MAX_RECORD)) == (0, 0)
    with pytest.raises(FramingError):
        whole_records(LENGTH.pack(MAX_RECORD + 1))
    with pytest.raises(FramingError):
        encode_record(bytes(MAX_RECORD + 1))
