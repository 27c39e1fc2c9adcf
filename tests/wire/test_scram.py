"""SCRAM-SHA-256 against the vectors of RFC 7677, both sides against each other, and what a cheat sends."""

from base64 import b64decode, b64encode
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres import scram
from maskproxy.wire.postgres.scram import (
    ITERATIONS,
    MAX_ITERATIONS,
    SALT_SIZE,
    ScramClient,
    ScramServer,
    ScramVerifier,
    derive_keys,
    mock_verifier,
    salted_password,
    saslprep,
)

# RFC 7677, section 3: user "user", password "pencil"
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
BARE_FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FINAL = BARE_FINAL + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

FAST = 2  # iterations where their number is not what is tested
KEYS = derive_keys("pencil", SALT)
VERIFIER = ScramVerifier(SALT, ITERATIONS, (KEYS,))


def server() -> ScramServer:
    return ScramServer(VERIFIER, SERVER_NONCE)


def exchange(client: ScramClient, server: ScramServer) -> bytes | None:
    final = server.final(client.continue_(server.first(client.first())))
    if final is not None:
        client.finish(final)
    return final


def test_the_server_of_the_rfc():
    scram = server()
    assert scram.first(CLIENT_FIRST) == SERVER_FIRST
    assert scram.final(CLIENT_FINAL) == SERVER_FINAL
    assert scram.matched == 0


def test_our_client_sends_no_name():
    assert ScramClient("pencil", "abc").first() == b"n,,n=,r=abc"
    assert exchange(ScramClient("pencil", "abc"), server()) is not None


def test_random_bytes_become_printable_nonces():
    assert ScramClient("pencil", b"\xff\0,").first() == b"n,,n=,r=" + b64encode(b"\xff\0,")
    assert ScramServer(VERIFIER, b"\0").first(b"n,,n=,r=abc").startswith(b"r=abcAA==,s=")


def test_a_client_that_could_bind_the_channel():
    first = b"y,,n=,r=abc"
    scram = server()
    scram.first(first)
    with pytest.raises(ProtocolError, match="channel binding"):
        scram.final(b"c=biws,r=abc%b,p=AAAA" % SERVER_NONCE.encode())
    scram = server()
    scram.first(first)
    assert scram.final(b"c=eSws,r=abc%b,p=%b" % (SERVER_NONCE.encode(), b64encode(bytes(32)))) is None


@pytest.mark.parametrize("index", [0, 1, 2])
def test_any_of_several_credentials_matches(index):
    passwords = ["old", "new", "newest"]
    verifier = ScramVerifier(SALT, FAST, tuple(derive_keys(word, SALT, FAST) for word in passwords))
    scram = ScramServer(verifier, "s")
    assert exchange(ScramClient(passwords[index], "c"), scram) is not None
    assert scram.matched == index


@pytest.mark.parametrize("verifier", [VERIFIER, ScramVerifier(SALT, FAST, ()), mock_verifier("eve", b"key")])
def test_a_wrong_password(verifier):
    scram = ScramServer(verifier, "s")
    assert exchange(ScramClient("wrong", "c"), scram) is None
    assert scram.matched is None


def test_every_key_is_tried_even_after_a_match(monkeypatch):
    tried = []
    fits = ScramServer._fits
    monkeypatch.setattr(ScramServer, "_fits", staticmethod(lambda *args: tried.append(args[0]) or fits(*args)))
    other = derive_keys("other", SALT, FAST)
    keys = (derive_keys("pencil", SALT, FAST), other, other)
    exchange(ScramClient("pencil", "c"), ScramServer(ScramVerifier(SALT, FAST, keys), "s"))
    assert tried == list(keys)
    tried.clear()
    exchange(ScramClient("pencil", "c"), ScramServer(ScramVerifier(SALT, FAST, ()), "s"))
    assert len(tried) == 1  # the same work for nobody's key


def test_an_unknown_principal_looks_like_a_known_one():
    mock = mock_verifier("eve", b"key")
    assert mock == mock_verifier("eve", b"key")
    assert mock.salt not in (mock_verifier("bob", b"key").salt, mock_verifier("eve", b"other").salt)
    assert (len(mock.salt), mock.iterations) == (SALT_SIZE, ITERATIONS)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"p=tls-unique,,n=,r=abc",  # we do not offer PLUS
        b"n,a=admin,n=,r=abc",  # an authorisation identity
        b"n,,m=x,n=,r=abc",  # a mandatory extension
        b"n,,n=",
        b"n,,n=,r=",
        b"n,,n=,r=a\x7fb",
        b"n,,n=\0,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,,n=,r=abc,",
    ],
)
def test_first_messages_that_are_malformed(message):
    with pytest.raises(ProtocolError):
        server().first(message)


def test_extensions_are_ignored():
    assert server().first(b"n,,n=,r=abc,x=1,y=").startswith(b"r=abc%")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        BARE_FINAL,  # no proof
        BARE_FINAL + b",p=AAAA",  # too short a proof
        BARE_FINAL + b",p=A",
        BARE_FINAL + b",p=" + b64encode(bytes(33)),
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",  # another nonce
        CLIENT_FINAL + b",x=1",
    ],
)
def test_final_messages_that_are_malformed(message):
    scram = server()
    scram.first(CLIENT_FIRST)
    with pytest.raises(ProtocolError):
        scram.final(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"r=abc,s=AAAA,i=4096",  # nothing of the server's in the nonce
        b"r=xyz123,s=AAAA,i=4096",  # not ours
        b"r=abc123,s=AAAA,i=0",
        b"r=abc123,s=AAAA,i=-1",
        b"r=abc123,s=AAAA,i=%d" % (MAX_ITERATIONS + 1),
        b"r=abc123,s=AAAA,i=99999999999",
        b"r=abc123,s=A,i=4096",
        b"r=abc123,i=4096",
        b"m=x,r=abc123,s=AAAA,i=4096",
        b"e=other-error",
    ],
)
def test_servers_that_cheat(message):
    with pytest.raises(ProtocolError):
        ScramClient("pencil", "abc").continue_(message)


@pytest.mark.parametrize("message", [b"v=AAAA", b"e=invalid-proof", b"", b"v="])
def test_servers_that_do_not_know_the_password(message):
    client = ScramClient("pencil", "abc")
    client.continue_(b"r=abc123,s=AAAA,i=2")
    with pytest.raises(ProtocolError):
        client.finish(message)


def test_a_signature_before_the_exchange_proves_nothing():
    with pytest.raises(ProtocolError):
        ScramClient("pencil", "abc").finish(SERVER_FINAL)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_are_answered_or_a_protocol_error(first, final):
    scram = ScramServer(ScramVerifier(SALT, FAST, (KEYS,)), "s")
    try:
        scram.first(first)
        assert scram.final(final) is None
    except ProtocolError:
        pass


@settings(max_examples=30)
@given(st.text(max_size=12), st.text(max_size=12))
def test_a_password_fits_itself_and_no_other(password, other):
    scram = ScramServer(ScramVerifier(SALT, FAST, (derive_keys(password, SALT, FAST),)), "s")
    matched = exchange(ScramClient(other, "c"), scram) is not None
    assert matched == (saslprep(password) == saslprep(other))


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("pencil", "pencil"),
        ("a\u00a0b", "a b"),  # RFC 4013: other spaces become spaces
        ("I\u00adX", "IX"),  # the examples of its section 3
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0627\u0031", "\u0627\u0031"),  # bidirectional check fails: as it is
        ("\u0627a\u0627", "\u0627a\u0627"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u00ad", "\u00ad"),  # nothing left
        ("\u2168\u0007", "\u2168\u0007"),  # prohibited: as it is, without normalisation
        ("\u0221", "\u0221"),  # unassigned in Unicode 3.2
    ],
)
def test_saslprep(password, prepared):
    assert saslprep(password) == prepared


def test_keys_are_not_shown():
    assert repr(KEYS) == "ScramKeys()"
    assert repr(SALT) not in repr(VERIFIER)


def test_a_client_that_knows_the_salted_password_does_not_salt_again():
    asked = []

    def salting(password: str, salt: bytes, iterations: int) -> bytes:
        asked.append((password, salt, iterations))
        return salted_password(password, salt, iterations)

    cached = lru_cache(salting)
    for nonce in ("first", "second"):
        assert exchange(ScramClient("pencil", nonce, cached), server()) is not None
    assert asked == [("pencil", SALT, ITERATIONS)]
    assert exchange(ScramClient("crayon", "third", cached), server()) is None
    assert asked[1:] == [("crayon", SALT, ITERATIONS)]


def test_a_login_costs_the_server_no_salting(monkeypatch: pytest.MonkeyPatch):
    """Neither of a name that exists nor of one that does not."""
    client = ScramClient("pencil", "abc")
    first = server()
    final = client.continue_(first.first(client.first()))
    monkeypatch.setattr(scram, "pbkdf2_hmac", None)
    assert first.final(final) is not None
    unknown = ScramServer(mock_verifier("nobody", b"secret"), SERVER_NONCE)
    assert unknown.first(CLIENT_FIRST).endswith(b",i=4096")
