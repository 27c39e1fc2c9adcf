"""Both login machines against each other in memory: whole, byte by byte and randomly split, always the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import BackendUnavailable
from maskproxy.wire.postgres.backend import BackendLogin, BackendReady, TlsAccepted, TlsRefused
from maskproxy.wire.postgres.frontend import Authenticated, FrontendLogin, StartupReceived, TlsRequested

from .logins import KEY, PARAMETERS, PROCESS_ID, database, pieces, serve

RECEIVED = StartupReceived(3, 0, {"user": "ann", "database": "shop", "application_name": "tests"})


def converse(client: BackendLogin, server: FrontendLogin, cuts: list[int] | None) -> tuple[list[object], list[object]]:
    """Carry bytes to and fro until both are silent; return the events of the client and of the server."""
    client_events, server_events = [], []
    to_server = client.start()
    while to_server:
        server_events += serve(server, pieces(to_server, cuts))
        for piece in pieces(server.data_to_send(), cuts):
            events = client.receive(piece)
            client_events += events
            if TlsAccepted() in events:
                client.tls_started()
            if TlsRefused() in events:
                client.tls_declined()
        to_server = client.data_to_send()
    return client_events, server_events


splits = st.none() | st.lists(st.integers(0, 500), max_size=8)


@given(splits, st.sampled_from(["old", "new"]))
def test_in_clear(cuts, password):
    client, server = database(password), FrontendLogin(tls_available=False)
    assert converse(client, server, cuts) == (
        [BackendReady(PARAMETERS, PROCESS_ID, KEY, b"I")],
        [RECEIVED, Authenticated(["old", "new"].index(password))],
    )
    assert (client.rest(), server.rest()) == (b"", b"")


@given(splits, st.booleans())
def test_with_a_request_for_tls(cuts, available):
    client, server = database(tls=True), FrontendLogin(tls_available=available)
    client_events, server_events = converse(client, server, cuts)
    assert client_events == [
        TlsAccepted() if available else TlsRefused(),
        BackendReady(PARAMETERS, PROCESS_ID, KEY, b"I"),
    ]
    assert server_events == [*([TlsRequested()] if available else []), RECEIVED, Authenticated(1)]


@given(splits)
def test_a_wrong_password(cuts):
    with pytest.raises(BackendUnavailable, match=r'password authentication failed for user "ann" \(SQLSTATE 28P01\)'):
        converse(database("wrong"), FrontendLogin(tls_available=False), cuts)
