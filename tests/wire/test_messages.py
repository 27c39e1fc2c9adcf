"""Every message survives encoding; any other bytes are a ProtocolError; nothing secret shows in a ``repr``."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.framing import next_frame

from .strategies import BY_CLASS

SECRET = "hunter2"
ALL = {
    *m.FRONTEND_MESSAGES.values(),
    *m.BACKEND_MESSAGES.values(),
    *(m.PasswordMessage, m.SASLInitialResponse, m.SASLResponse),
    *(m.AuthenticationOk, m.AuthenticationCleartextPassword, m.AuthenticationMD5Password),
    *(m.AuthenticationSASL, m.AuthenticationSASLContinue, m.AuthenticationSASLFinal),
}


def payload(frame: bytes) -> bytes:
    assert next_frame(frame, 0, 2**28) == len(frame)
    return frame[5:]


def test_no_message_is_left_out_of_these_tests():
    assert set(BY_CLASS) == ALL


@pytest.mark.parametrize("kind", BY_CLASS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_encoding_is_undone_by_decoding(kind, data):
    message = data.draw(BY_CLASS[kind])
    frame = message.encode()
    assert frame[0] == kind.TYPE
    assert kind.decode(payload(frame)) == message


@pytest.mark.parametrize("kind", BY_CLASS, ids=lambda kind: kind.__name__)
@given(data=st.binary(max_size=40))
def test_any_bytes_are_a_message_or_a_protocol_error(kind, data):
    try:
        message = kind.decode(data)
    except ProtocolError:
        return
    assert payload(message.encode()) == data


@pytest.mark.parametrize("kind", BY_CLASS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_message_cut_short_or_lengthened_is_never_the_same(kind, data):
    message = data.draw(BY_CLASS[kind])
    whole = payload(message.encode())
    for other in (whole[:-1], whole + b"\0"):
        with suppress(ProtocolError):
            assert other == whole or kind.decode(other) != message


@given(st.integers(0, 255), st.binary(max_size=40))
def test_tables_decode_or_refuse(kind, data):
    for decode, known in ((m.decode_frontend, m.FRONTEND_MESSAGES), (m.decode_backend, m.BACKEND_MESSAGES)):
        try:
            message = decode(kind, data)
        except ProtocolError:
            continue
        assert kind in known or isinstance(message, m.Authentication)


def test_tables_know_their_messages():
    assert m.decode_frontend(m.FrontendType.QUERY, b"select 1\0") == m.Query("select 1")
    assert m.decode_backend(m.BackendType.READY_FOR_QUERY, b"I") == m.ReadyForQuery(b"I")
    assert m.decode_backend(m.BackendType.AUTHENTICATION, bytes(4)) == m.AuthenticationOk()
    with pytest.raises(ProtocolError, match="invalid frontend message type 112"):
        m.decode_frontend(m.FrontendType.PASSWORD, b"secret\0")
    with pytest.raises(ProtocolError, match="invalid backend message type 81"):
        m.decode_backend(m.FrontendType.QUERY, b"select 1\0")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (m.Query, b"select 1"),  # no terminator
        (m.Query, b"select 1\0x"),  # trailing bytes
        (m.Parse, b"\0select 1\0\xff\xff"),  # 65535 types in no bytes
        (m.Parse, b"\0select 1\0\0\2\0\0\0\1"),  # two announced, one there
        (m.Bind, b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"),  # a length of -2
        (m.Bind, b"\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"),  # a length of 2 GiB
        (m.Bind, b"\0\0\0\0\xff\xff\xff\xff\xff\xff\0\0"),  # 65535 parameters
        (m.Describe, b"X\0"),
        (m.Close, b""),
        (m.Execute, b"\0\0\0"),
        (m.Sync, b"\0"),
        (m.ReadyForQuery, b"X"),
        (m.BackendKeyData, b"\0\0\0\1abc"),
        (m.BackendKeyData, b"\0\0\0\1" + bytes(257)),
        (m.RowDescription, b"\0\2" + bytes(19)),
        (m.DataRow, b"\xff\xff"),
        (m.ErrorResponse, b"SERROR\0"),  # no terminator of the list
        (m.NegotiateProtocolVersion, b"\0\3\0\2\xff\xff\xff\xff"),
        (m.NegotiateProtocolVersion, b"\0\2\0\0\0\0\0\0"),
        (m.AuthenticationSASL, b"\0\0\0\x0aSCRAM-SHA-256\0"),  # no terminator of the list
        (m.AuthenticationMD5Password, b"\0\0\0\x05abc"),
        (m.AuthenticationOk, b"\0\0\0\x05"),
        (m.CopyInResponse, b"\0\xff\xff"),
    ],
)
def test_malformed(kind, data):
    with pytest.raises(ProtocolError):
        kind.decode(data)


def test_a_method_nobody_speaks():
    with pytest.raises(ProtocolError, match="authentication method 7 is not supported"):
        m.decode_authentication(b"\0\0\0\x07")


def test_counts_are_unsigned_as_the_server_reads_them():
    message = m.Bind("", "", (), (None,) * 65535)
    assert m.Bind.decode(payload(message.encode())) == message


def test_bytes_that_are_not_utf8_survive():
    assert m.Query.decode(b"select '\xe9\xff'\0").encode() == b"Q\0\0\0\x10select '\xe9\xff'\0"


def test_text_cannot_smuggle_a_second_field():
    with pytest.raises(ValueError, match="NUL"):
        m.ParameterStatus("a", "b\0c").encode()


def test_known_bytes():
    assert m.Sync().encode() == b"S\0\0\0\4"
    assert m.Parse("s", "x", (23,)).encode() == b"P\0\0\0\x0es\0x\0\0\1\0\0\0\x17"
    assert m.Bind("p", "s", (1,), (b"ab", None), (0,)).encode() == (
        b"B\0\0\0\x1cp\0s\0\0\1\0\1\0\2\0\0\0\2ab\xff\xff\xff\xff\0\1\0\0"
    )
    assert m.AuthenticationSASL(("SCRAM-SHA-256",)).encode() == b"R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0"
    assert m.NegotiateProtocolVersion(2, ("_pq_.a",)).encode() == b"v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.a\0"
    assert m.ErrorResponse((("S", "ERROR"), ("C", "42501"))).encode() == b"E\0\0\0\x13SERROR\0C42501\0\0"


def test_fields_of_a_report():
    report = m.ErrorResponse((("C", "42501"), ("M", "no"), ("M", "other")))
    assert (report.sqlstate, report.message, report.get("D")) == ("42501", "no", None)
    assert (m.NoticeResponse(()).sqlstate, m.NoticeResponse(()).message) == ("", "")


@pytest.mark.parametrize(
    "message",
    [
        m.Query(SECRET),
        m.Parse("s", SECRET),
        m.Bind("p", "s", (), (SECRET.encode(), None)),
        m.FunctionCall(SECRET.encode()),
        m.CopyData(SECRET.encode()),
        m.CopyFail(SECRET),
        m.PasswordMessage(SECRET),
        m.SASLInitialResponse("SCRAM-SHA-256", SECRET.encode()),
        m.SASLResponse(SECRET.encode()),
        m.AuthenticationSASLContinue(SECRET.encode()),
        m.AuthenticationSASLFinal(SECRET.encode()),
        m.BackendKeyData(1, SECRET.encode()),
        m.DataRow((SECRET.encode(), None)),
        m.ErrorResponse((("C", "23505"), ("D", SECRET))),
        m.NoticeResponse((("M", SECRET),)),
        m.NotificationResponse(1, "channel", SECRET),
        m.FunctionCallResponse(SECRET.encode()),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_a_message_does_not_show(message):
    assert SECRET not in repr(message)
    assert type(message).__name__ in repr(message)


def test_what_a_message_shows():
    assert repr(m.DataRow((b"abc", None))) == "DataRow(2 values, 3 bytes)"
    assert repr(m.Bind("p", "s", (), (b"abc", None))) == "Bind('p', 's', 2 parameters, 3 bytes)"
    assert repr(m.ErrorResponse((("C", "42501"), ("M", "no")))) == "ErrorResponse('42501', fields 'CM')"
