"""First packets: every one survives encoding, garbage is refused early, options are read as the server reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import ProtocolError, StartupRefused
from maskproxy.base.limits import MAX_STARTUP
from maskproxy.wire.postgres.startup import (
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    parse_options,
    take_startup,
)

from .strategies import keys, names, texts, uint32s

PACKETS = st.one_of(
    st.just(SSLRequest()),
    st.just(GSSENCRequest()),
    st.builds(CancelRequest, uint32s, keys),
    st.builds(StartupMessage, st.just(3), st.integers(0, 2**16 - 1), st.dictionaries(names, texts, max_size=5)),
)


@given(PACKETS, st.binary(max_size=5))
def test_packets(packet, beyond):
    data = packet.encode()
    assert take_startup(data + beyond) == (packet, len(data))
    assert all(take_startup(data[:size]) is None for size in range(len(data)))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_more_or_a_protocol_error(data):
    try:
        taken = take_startup(data)
    except ProtocolError:
        return
    assert taken is None or 8 <= taken[1] <= len(data)


@given(st.sampled_from([0x00030000, 0x00030002, 80877102, 80877103]), st.binary(max_size=60))
def test_any_body_is_a_packet_or_a_protocol_error(code, body):
    packet = (len(body) + 8).to_bytes(4, "big") + code.to_bytes(4, "big") + body
    try:
        taken = take_startup(packet)
    except ProtocolError:
        return
    assert taken is not None
    assert taken[1] == len(packet)


def test_known_bytes():
    assert SSLRequest().encode() == b"\0\0\0\x08\x04\xd2\x16\x2f"
    assert StartupMessage(3, 0, {"user": "ann"}).encode() == b"\0\0\0\x12\0\3\0\0user\0ann\0\0"


@pytest.mark.parametrize(
    "data",
    [
        b"GET ",  # the first bytes of HTTP
        b"\x16\x03\x01\x02",  # a TLS ClientHello
        b"\0\0\0\x07",
        (MAX_STARTUP + 1).to_bytes(4, "big"),
        b"\0\0\0\x08\0\2\0\0",  # protocol 2.0
        b"\0\0\x10\0\0\4\0\0",  # refused at the code, before the rest is there
        b"\0\0\0\x09\x04\xd2\x16\x2f\0",  # SSLRequest with something in it
        b"\0\0\0\x0f\x04\xd2\x16\x2e\0\0\0\1abc",  # a key that is too short
        b"\0\0\0\x0c\0\3\0\0user",  # no terminator
        b"\0\0\0\x0a\0\3\0\0\0x",  # bytes behind the list
        b"\0\0\0\x08\0\3\0\0",  # no list
    ],
)
def test_refused(data):
    with pytest.raises(ProtocolError):
        take_startup(data)


def test_a_cancel_key_is_not_shown():
    assert "hunter2" not in repr(CancelRequest(1, b"hunter2"))


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("", {}),
        ("  ", {}),
        ("-c work_mem=4MB", {"work_mem": "4MB"}),
        ("-cwork_mem=4MB", {"work_mem": "4MB"}),
        ("--work-mem=4MB", {"work_mem": "4MB"}),
        ("-c work-mem=4MB", {"work_mem": "4MB"}),
        ("  -c  a=1\t--b=2\n-cc=3 ", {"a": "1", "b": "2", "c": "3"}),
        (r"-c search_path=a,\ b", {"search_path": "a, b"}),
        (r"-c a=b\\c", {"a": r"b\c"}),
        ("-c a=b=c", {"a": "b=c"}),
        ("-c a=", {"a": ""}),
        ("-c a=1 -c a=2", {"a": "2"}),
        ("-c a=b\\", {"a": "b"}),
    ],
)
def test_options(options, settings):
    assert parse_options(options) == settings


@pytest.mark.parametrize(
    "options",
    ["-c", "-c a", "-c =1", "--", "--a", "-d 5", "-fn", "a=1", "-e -c a=1", "\\", "-c a=1 x", "-", "-C a=1"],
)
def test_options_that_are_refused(options):
    with pytest.raises(StartupRefused):
        parse_options(options)


@given(st.text(alphabet=" -c=a\\_\t", max_size=20))
def test_any_options_are_settings_or_refused(options):
    try:
        settings = parse_options(options)
    except StartupRefused:
        return
    assert all(name and "-" not in name for name in settings)
