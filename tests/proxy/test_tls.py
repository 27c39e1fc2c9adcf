"""Two ends of TLS over bytes in memory."""

import contextlib
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from maskproxy.base.refs import Engine
from maskproxy.core.settings import Database, TlsFiles, TlsMode
from maskproxy.proxy.tls import ALPN, TlsPipe, client_facing_context, database_context


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA, tmp_path: Path) -> TlsPipe:
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    context = client_facing_context(TlsFiles(tmp_path / "cert", tmp_path / "key"))
    return TlsPipe(context, server_side=True)


def client(authority: trustme.CA, *, alpn: bool = True, maximum: ssl.TLSVersion | None = None) -> TlsPipe:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if alpn:
        context.set_alpn_protocols([ALPN])
    if maximum is not None:
        context.maximum_version = maximum
    pipe = TlsPipe(context, server_side=False, server_hostname="localhost")
    pipe.start()
    return pipe


def shake_hands(left: TlsPipe, right: TlsPipe) -> None:
    for _ in range(10):
        for one, other in ((left, right), (right, left)):
            for byte in one.outgoing():
                other.receive(bytes([byte]))
        if left.established and right.established:
            return
    raise AssertionError("no end of the handshake")


@pytest.mark.parametrize("size", [0, 1, 16_384, 1_000_000])
def test_bytes_arrive_as_they_were_sent(server: TlsPipe, authority: trustme.CA, size: int) -> None:
    pipe = client(authority)
    shake_hands(pipe, server)
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    pipe.send(data)
    assert server.receive(pipe.outgoing()) == data
    server.send(data)
    assert pipe.receive(server.outgoing()) == data
    assert server.alpn == ALPN


def test_a_client_without_alpn_is_seen(server: TlsPipe, authority: trustme.CA) -> None:
    shake_hands(client(authority, alpn=False), server)
    assert server.alpn is None


def test_garbage_is_an_error(server: TlsPipe) -> None:
    with pytest.raises(ssl.SSLError):
        server.receive(b"GET / HTTP/1.1\r\n\r\n")


def test_a_stranger_is_not_trusted(server: TlsPipe) -> None:
    pipe = client(trustme.CA())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(pipe, server)


def test_the_end_of_the_other_side_is_seen(server: TlsPipe, authority: trustme.CA) -> None:
    pipe = client(authority)
    shake_hands(pipe, server)
    assert not server.ended
    with contextlib.suppress(ssl.SSLWantReadError):
        pipe._tls.unwrap()
    assert server.receive(pipe.outgoing()) == b""
    assert server.ended


@pytest.fixture
def database(authority: trustme.CA, tmp_path: Path) -> Database:
    authority.cert_pem.write_to_path(tmp_path / "root")
    return Database(
        name="shop",
        engine=Engine.POSTGRES,
        host="localhost",
        port=5432,
        user="app",
        dbname="shop",
        password=None,
        tls=TlsMode.VERIFY_FULL,
        tls_root=tmp_path / "root",
        search_path=("public",),
    )


def test_authorities_are_read_once_as_long_as_their_file_stays(database: Database) -> None:
    assert database.tls_root is not None
    first = database_context(database)
    assert first is not None
    assert (first.verify_mode, first.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert database_context(replace(database, name="other")) is first
    trustme.CA().cert_pem.write_to_path(database.tls_root)
    second = database_context(database)
    assert second is not None
    assert second.get_ca_certs(True) != first.get_ca_certs(True)
    database.tls_root.unlink()
    with pytest.raises(FileNotFoundError):
        database_context(database)


@pytest.mark.parametrize(
    ("mode", "verified", "hostname"),
    [
        (TlsMode.VERIFY_FULL, ssl.CERT_REQUIRED, True),
        (TlsMode.VERIFY_CA, ssl.CERT_REQUIRED, False),
        (TlsMode.REQUIRE, ssl.CERT_NONE, False),
    ],
)
def test_what_is_verified(database: Database, mode: TlsMode, verified: ssl.VerifyMode, hostname: bool) -> None:
    database_context(database)  # another mode's context is not this one's
    context = database_context(replace(database, tls=mode))
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (verified, hostname)


def test_none_without_tls(database: Database) -> None:
    assert database_context(replace(database, tls=TlsMode.DISABLE)) is None
