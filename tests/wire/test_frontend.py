"""The client's login: what each packet leads to, in which state, and what a hostile client gets."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import NoGrant, ProtocolError, StartupRefused
from maskproxy.base.limits import MAX_AUTH_MESSAGE
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.frontend import (
    MAX_UNREAD,
    Authenticated,
    CancelRequested,
    FrontendLogin,
    Rejected,
    StartupReceived,
    TlsRequested,
)
from maskproxy.wire.postgres.scram import ScramClient, mock_verifier
from maskproxy.wire.postgres.startup import CancelRequest, GSSENCRequest, SSLRequest, StartupMessage

from .logins import KEY, PARAMETERS, PROCESS_ID, VERIFIER, decoded, serve

STARTUP = StartupMessage(3, 0, {"user": "ann", "database": "shop"})
RECEIVED = StartupReceived(3, 0, {"user": "ann", "database": "shop"})


def plain(*, tls_available: bool = False) -> FrontendLogin:
    return FrontendLogin(tls_available=tls_available)


def log_in(login: FrontendLogin, password: str) -> list[object]:
    """Play a client that has sent its startup message and been asked for SCRAM."""
    client = ScramClient(password, "client")
    events = login.receive(m.SASLInitialResponse("SCRAM-SHA-256", client.first()).encode())
    (challenge,) = decoded(login.data_to_send())
    return events + login.receive(m.SASLResponse(client.continue_(challenge.data)).encode())


def named(startup: StartupMessage = STARTUP) -> FrontendLogin:
    login = plain()
    login.receive(startup.encode())
    login.data_to_send()
    return login


def asked() -> FrontendLogin:
    login = named()
    assert login.authenticate(VERIFIER, "server") == []
    assert decoded(login.data_to_send()) == [m.AuthenticationSASL(("SCRAM-SHA-256",))]
    return login


def test_a_whole_login():
    login = plain()
    assert login.receive(STARTUP.encode()) == [RECEIVED]
    assert login.data_to_send() == b""
    login.authenticate(VERIFIER, "server")
    login.data_to_send()
    assert log_in(login, "new") == [Authenticated(1)]
    final, ok = decoded(login.data_to_send())
    assert (type(final), ok) == (m.AuthenticationSASLFinal, m.AuthenticationOk())
    login.ready(PARAMETERS, PROCESS_ID, KEY)
    assert decoded(login.data_to_send()) == [
        m.ParameterStatus("server_version", "18.0"),
        m.ParameterStatus("client_encoding", "UTF8"),
        m.BackendKeyData(PROCESS_ID, KEY),
        m.ReadyForQuery(m.IDLE),
    ]
    assert login.receive(m.Query("select 1").encode()) == []
    assert login.rest() == m.Query("select 1").encode()
    assert login.rest() == b""


@pytest.mark.parametrize("verifier", [VERIFIER, mock_verifier("ann", b"key")], ids=["known", "unknown"])
def test_a_wrong_password_and_an_unknown_principal_get_one_answer(verifier):
    login = named()
    login.authenticate(verifier, "server")
    login.data_to_send()
    assert log_in(login, "wrong") == [Rejected()]
    (error,) = decoded(login.data_to_send())
    assert error == m.ErrorResponse(
        (
            ("S", "FATAL"),
            ("V", "FATAL"),
            ("C", "28P01"),
            ("M", 'password authentication failed for user "ann"'),
        )
    )
    assert login.receive(m.Query("select 1").encode()) == []  # nothing may come back
    assert login.data_to_send() == b""
    with pytest.raises(RuntimeError):
        login.ready({}, 1, KEY)


def test_tls():
    login = plain(tls_available=True)
    assert login.receive(SSLRequest().encode()) == [TlsRequested()]
    assert login.data_to_send() == b"S"
    login.tls_started()
    assert login.receive(STARTUP.encode()) == [RECEIVED]


@pytest.mark.parametrize("together", [True, False])
def test_nothing_sent_in_clear_is_used_after_tls(together):
    login, request, injected = plain(tls_available=True), SSLRequest().encode(), STARTUP.encode()
    with pytest.raises(ProtocolError, match="unencrypted data after SSL request"):
        login.receive(request + injected) if together else (login.receive(request), login.receive(injected[:1]))
    assert login.rest() == b""
    with pytest.raises(RuntimeError):
        login.tls_started()


def test_encryption_we_do_not_have_is_declined_once_each():
    login = plain()
    assert login.receive(SSLRequest().encode() + GSSENCRequest().encode()) == []
    assert login.data_to_send() == b"NN"
    assert login.receive(STARTUP.encode()) == [RECEIVED]


def test_gssenc_is_declined_even_where_tls_is_available():
    login = plain(tls_available=True)
    assert login.receive(GSSENCRequest().encode()) == []
    assert login.receive(SSLRequest().encode()) == [TlsRequested()]
    assert login.data_to_send() == b"NS"


@pytest.mark.parametrize("request_", [SSLRequest(), GSSENCRequest()])
def test_a_second_request_for_encryption_is_an_error(request_):
    login = plain()
    login.receive(request_.encode())
    with pytest.raises(ProtocolError, match="unexpected request for encryption"):
        login.receive(request_.encode())


@pytest.mark.parametrize("request_", [SSLRequest(), GSSENCRequest()])
def test_encryption_inside_tls_is_an_error(request_):
    login = FrontendLogin(tls_available=True, tls_active=True)
    with pytest.raises(ProtocolError, match="unexpected request for encryption"):
        login.receive(request_.encode())


def test_cancel():
    login = plain()
    assert login.receive(CancelRequest(7, b"secret").encode() + b"beyond") == [CancelRequested(7, b"secret")]
    assert login.receive(b"more") == []
    assert (login.data_to_send(), login.rest()) == (b"", b"")
    assert "secret" not in repr(CancelRequested(7, b"secret"))


@pytest.mark.parametrize(
    ("minor", "options", "agreed", "negotiation"),
    [
        (0, {}, 0, []),
        (2, {}, 2, []),
        (3, {}, 2, [m.NegotiateProtocolVersion(2, ())]),
        (9999, {"_pq_.grease": "1"}, 2, [m.NegotiateProtocolVersion(2, ("_pq_.grease",))]),
        (0, {"_pq_.a": "", "_pq_.b": "x"}, 0, [m.NegotiateProtocolVersion(0, ("_pq_.a", "_pq_.b"))]),
    ],
)
def test_versions_and_options(minor, options, agreed, negotiation):
    login = plain()
    events = login.receive(StartupMessage(3, minor, {"user": "ann", **options}).encode())
    assert events == [StartupReceived(3, agreed, {"user": "ann"})]
    assert decoded(login.data_to_send()) == negotiation


@pytest.mark.parametrize("parameters", [{}, {"database": "shop"}, {"user": ""}])
def test_somebody_must_be_named(parameters):
    with pytest.raises(StartupRefused):
        plain().receive(StartupMessage(3, 0, parameters).encode())


def test_refuse_says_why_and_ends_the_login():
    login = named()
    login.refuse(NoGrant("no active grant", hint="Ask for one."))
    (error,) = decoded(login.data_to_send())
    assert (error.get("S"), error.sqlstate, error.get("H")) == ("FATAL", "28000", "Ask for one.")
    assert login.receive(STARTUP.encode()) == []
    with pytest.raises(RuntimeError):
        login.authenticate(VERIFIER, "server")


def test_an_answer_before_the_question_waits_for_it():
    login = named()
    first = m.SASLInitialResponse("SCRAM-SHA-256", ScramClient("new", "client").first()).encode()
    assert login.receive(first) == []
    assert login.data_to_send() == b""
    login.authenticate(VERIFIER, "server")
    kinds = [type(message) for message in decoded(login.data_to_send())]
    assert kinds == [m.AuthenticationSASL, m.AuthenticationSASLContinue]


@pytest.mark.parametrize(
    "message",
    [
        m.Query("select 1"),
        m.Terminate(),
        m.SASLInitialResponse("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=abc"),
        m.SASLInitialResponse("SCRAM-SHA-256", None),
        m.SASLInitialResponse("SCRAM-SHA-256", b"garbage"),
        m.PasswordMessage("hunter2"),
    ],
    ids=repr,
)
def test_what_is_no_answer_to_the_question(message):
    login = asked()
    with pytest.raises(ProtocolError):
        login.receive(message.encode())
    assert login.data_to_send() == b""
    assert login.receive(STARTUP.encode()) == []


def test_a_message_of_the_login_is_bounded():
    login = asked()
    with pytest.raises(ProtocolError, match="message too long"):
        login.receive(b"p" + MAX_AUTH_MESSAGE.to_bytes(4, "big"))


def test_what_is_sent_ahead_is_bounded():
    login = named()
    assert login.receive(bytes(MAX_UNREAD)) == []
    with pytest.raises(ProtocolError, match="too much data"):
        login.receive(b"\0")
    assert login.rest() == b""


@given(st.lists(st.binary(max_size=80), max_size=6), st.booleans())
def test_any_bytes_are_events_or_refused(garbage, tls):
    with suppress(ProtocolError, StartupRefused):
        serve(plain(tls_available=tls), garbage)


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_bytes_after_the_question_never_log_in(garbage):
    login = asked()
    with suppress(ProtocolError):
        assert Authenticated not in map(type, serve(login, garbage))
