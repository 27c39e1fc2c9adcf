"""Arrays: what the server sends, what is malformed, and one bad element among good ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.wire.postgres.arrays import Array
from maskproxy.wire.postgres.values import BINARY, TEXT, decode, encode, masker

from .samples import FORMATS, SERVER_ARRAYS, TYPES


@pytest.mark.parametrize(("name", "text", "binary", "dimensions", "elements"), SERVER_ARRAYS)
def test_what_the_server_sends_of_arrays(name, text, binary, dimensions, elements):
    type, value = TYPES[name], Array(dimensions, elements)
    for format, data in ((TEXT, text), (BINARY, bytes.fromhex(binary))):
        assert decode(type, format, data) == value
        assert encode(type, format, value) == data
        renumbered = tuple((length, 1) for length, _ in dimensions)
        assert decode(type, format, masker(type, format, lambda element: element)(data)) == Array(renumbered, elements)
        assert decode(type, format, masker(type, format, lambda element: None)(data)) == Array(
            renumbered, (None,) * len(elements)
        )


@pytest.mark.parametrize("format", FORMATS)
@given(data=st.text(alphabet='{}[]:=,"\\ aN0123-', max_size=24).map(str.encode) | st.binary(max_size=60))
def test_any_bytes_are_an_array_or_null(format, data):
    for name in ("text[]", "int4[]"):
        masked = masker(TYPES[name], format, lambda value: value)(data)
        if masked is not None:
            array = decode(TYPES[name], format, data)
            renumbered = tuple((length, 1) for length, _ in array.dimensions)
            assert decode(TYPES[name], format, masked) == Array(renumbered, array.elements)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{}}",
        b"{1",
        b"{1,}",
        b"{,1}",
        b"{1}{2}",
        b"{{1},{2,3}}",
        b"{{1},2}",
        b"{1,{2}}",
        b"{{},{}}",
        b"[1:3]={1,2}",
        b"[1:2][1:1]={1,2}",
        b"[1:2]=",
        b"{1 ,2}",
        b'{"1}',
        b"{" * 7 + b"1" + b"}" * 7,
        b"{" * 100_000,
    ],
)
def test_malformed_arrays_in_text(text):
    assert masker(TYPES["int4[]"], TEXT, lambda value: value)(text) is None


@pytest.mark.parametrize(
    "digits",
    [
        "",
        "000000000000000000000019",  # elements of another type
        "00000007" + "0000000000000017" + "0000000100000001" * 7,
        "ffffffff0000000000000017",
        "000000010000000000000017",  # no dimension
        "0000000100000000000000177fffffff00000001",  # 2147483647 elements in no bytes
        "000000010000000000000017ffffffff00000001",
        "00000001000000000000001700000000" + "00000001",
        "00000001000000000000001700000001" + "00000001" + "fffffffe",
        "00000001000000000000001700000001" + "00000001" + "00000004" + "0000",
        "00000000000000000000001700",  # a byte too many
    ],
)
def test_malformed_arrays_in_binary(digits):
    assert masker(TYPES["int4[]"], BINARY, lambda value: value)(bytes.fromhex(digits)) is None


def test_a_bad_element_is_a_null_element():
    twice = masker(TYPES["int2[]"], TEXT, lambda value: value * 2)
    assert twice(b"{1,NULL,30000,x}") == b"{2,NULL,NULL,NULL}"


def test_elements_of_an_array_are_not_shown():
    assert "hunter2" not in repr(decode(TYPES["text[]"], TEXT, b"{hunter2}"))
