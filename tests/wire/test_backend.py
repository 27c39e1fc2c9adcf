"""The login to a database: every method of authentication, and what a hostile or unwilling server gets."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import BackendUnavailable, ProtocolError
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.backend import BackendReady, TlsAccepted, TlsRefused
from maskproxy.wire.postgres.scram import ScramServer
from maskproxy.wire.postgres.startup import SSLRequest, StartupMessage, take_startup

from .logins import VERIFIER, database

STARTUP = StartupMessage(3, 0, {"user": "ann", "database": "shop", "application_name": "tests"})
OK = m.AuthenticationOk().encode()
SASL = m.AuthenticationSASL(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")).encode()
READY = m.ReadyForQuery(m.IDLE).encode()
GREETING = m.ParameterStatus("a", "b").encode() + m.BackendKeyData(7, b"\1\2\3\4").encode() + READY


def started(password: str | None = "new"):
    login = database(password)
    assert take_startup(login.start())[0] == STARTUP
    assert login.data_to_send() == b""
    return login


def test_trust_and_the_greeting():
    login = started(None)
    notice = m.NoticeResponse((("M", "hello"),)).encode()
    (ready,) = login.receive(notice + OK + notice + GREETING + b"beyond")
    assert ready == BackendReady({"a": "b"}, 7, b"\1\2\3\4", m.IDLE)
    assert "\\x01" not in repr(ready)
    assert login.data_to_send() == b""
    assert login.receive(b" more") == []
    assert login.rest() == b"beyond more"


def test_a_server_without_cancel_keys():
    assert started().receive(OK + READY) == [BackendReady({}, 0, b"", m.IDLE)]


def scram(login) -> ScramServer:
    server = ScramServer(VERIFIER, "server")
    login.receive(SASL)
    first = m.SASLInitialResponse.decode(login.data_to_send()[5:])
    assert first.mechanism == "SCRAM-SHA-256"
    login.receive(m.AuthenticationSASLContinue(server.first(first.data)).encode())
    return server


def test_scram():
    login = started()
    server = scram(login)
    final = server.final(m.SASLResponse.decode(login.data_to_send()[5:]).data)
    (ready,) = login.receive(m.AuthenticationSASLFinal(final).encode() + OK + GREETING)
    assert ready.process_id == 7
    assert server.matched == 1


def test_a_server_that_does_not_prove_itself_is_not_believed():
    login = started()
    scram(login)
    with pytest.raises(ProtocolError, match="AuthenticationOk at a wrong time"):
        login.receive(OK + GREETING)
    login = started()
    scram(login)
    with pytest.raises(ProtocolError, match="signature"):
        login.receive(m.AuthenticationSASLFinal(b"v=AAAA").encode() + OK)
    login = started()
    login.receive(SASL)
    with pytest.raises(ProtocolError):
        login.receive(OK)
    assert login.receive(GREETING) == []


def test_md5():
    login = started("secret")
    assert login.receive(m.AuthenticationMD5Password(b"\1\2\3\4").encode()) == []
    # select 'md5' || md5(md5('secret' || 'ann')::bytea || '\x01020304'::bytea)
    assert login.data_to_send() == m.PasswordMessage("md59009ce60b9ca97f1e752376843d1309e").encode()
    assert len(login.receive(OK + GREETING)) == 1


def test_cleartext_needs_tls():
    with pytest.raises(BackendUnavailable, match="needs TLS"):
        started().receive(m.AuthenticationCleartextPassword().encode())
    login = database(tls=True)
    login.start()
    login.receive(b"S")
    login.tls_started()
    login.data_to_send()
    login.receive(m.AuthenticationCleartextPassword().encode())
    assert login.data_to_send() == m.PasswordMessage("new").encode()
    assert len(login.receive(OK + GREETING)) == 1


@pytest.mark.parametrize("request_", [m.AuthenticationMD5Password(b"salt").encode(), SASL])
def test_a_password_that_is_not_configured(request_):
    with pytest.raises(BackendUnavailable, match="none is configured"):
        started(None).receive(request_)


def test_a_mechanism_we_do_not_speak():
    with pytest.raises(BackendUnavailable, match="SCRAM-SHA-256"):
        started().receive(m.AuthenticationSASL(("OAUTHBEARER",)).encode())
    with pytest.raises(ProtocolError, match="authentication method 7"):
        started().receive(b"R\0\0\0\x08\0\0\0\x07")


@pytest.mark.parametrize("before", [b"", OK])
def test_the_server_refuses(before):
    error = m.ErrorResponse((("C", "53300"), ("M", "too many clients"))).encode()
    login = started()
    with pytest.raises(BackendUnavailable) as caught:
        login.receive(before + error)
    assert caught.value.message == "the database refused the login: too many clients (SQLSTATE 53300)"
    assert login.receive(OK) == []


def test_tls_accepted():
    login = database(tls=True)
    assert login.start() == SSLRequest().encode()
    assert login.receive(b"S") == [TlsAccepted()]
    assert login.data_to_send() == b""
    login.tls_started()
    assert login.data_to_send() == STARTUP.encode()


def test_tls_refused():
    login = database(tls=True)
    login.start()
    assert login.receive(b"N") == [TlsRefused()]
    assert login.data_to_send() == b""
    login.tls_declined()
    assert login.data_to_send() == STARTUP.encode()
    with pytest.raises(BackendUnavailable):
        login.receive(m.AuthenticationCleartextPassword().encode())


@pytest.mark.parametrize("answer", [b"E", b"SS", b"S" + OK, b"N" + OK, b"\x16", OK])
def test_answers_to_the_request_for_tls(answer):
    login = database(tls=True)
    login.start()
    with pytest.raises(ProtocolError, match="invalid answer"):
        login.receive(answer)


@pytest.mark.parametrize("answer", [b"S", b"N"])
def test_nothing_is_read_between_the_answer_and_the_decision(answer):
    login = database(tls=True)
    login.start()
    login.receive(answer)
    with pytest.raises(ProtocolError, match="before the startup message"):
        login.receive(OK)


def test_steps_have_their_order():
    login = database()
    with pytest.raises(ProtocolError):
        login.receive(OK)
    for step in (login.start, login.tls_started, login.tls_declined):
        with pytest.raises(RuntimeError):
            step()


@pytest.mark.parametrize(
    "message",
    [
        m.ParameterStatus("a", "b"),
        m.ReadyForQuery(m.IDLE),
        m.BackendKeyData(7, b"\1\2\3\4"),
        m.AuthenticationSASLContinue(b""),
        m.AuthenticationSASLFinal(b""),
        m.DataRow((b"x",)),
        m.NegotiateProtocolVersion(0, ()),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_at_a_wrong_time(message):
    login = started()
    with pytest.raises(ProtocolError, match="at a wrong time"):
        login.receive(message.encode())
    assert login.receive(OK + GREETING) == []


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_any_bytes_are_events_or_refused(garbage, tls):
    login = database(tls=tls)
    login.start()
    with suppress(ProtocolError, BackendUnavailable):
        for piece in garbage:
            for event in login.receive(piece):
                match event:
                    case TlsAccepted():
                        login.tls_started()
                    case TlsRefused():
                        login.tls_declined()
