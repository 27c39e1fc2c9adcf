"""Whatever a client pipelines: what it gets through a session is what it would have got from the server.

A model of the server's extended protocol answers both a direct client and one behind a session, for random sequences of
requests that are all permitted. Both transcripts must be the same bytes.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from maskproxy.session import actions as a
from maskproxy.session.enforce import Policy
from maskproxy.session.postgres import PostgresSession
from maskproxy.wire.postgres import messages as m
from tests.support.model_server import Server
from tests.support.plays import frames

DESCRIPTION = m.RowDescription((m.FieldDescription("id", 1000, 1, 23, 4, -1, 0),)).encode()
TEXTS = {
    "SELECT id FROM customers": [DESCRIPTION, m.DataRow((b"1",)).encode(), m.CommandComplete("SELECT 1").encode()],
    "SELECT id FROM orders": [
        m.RowDescription((m.FieldDescription("id", 1001, 1, 23, 4, -1, 0),)).encode(),
        m.CommandComplete("SELECT 0").encode(),
    ],
    "BEGIN": [m.CommandComplete("BEGIN").encode()],
    "COMMIT": [m.CommandComplete("COMMIT").encode()],
}


names = st.sampled_from(["", "a", "b"])
texts = st.sampled_from(sorted(TEXTS))
kinds = st.sampled_from([b"S", b"P"])
requests = st.one_of(
    st.builds(lambda t: m.Query(t).encode(), texts),
    st.builds(lambda n, t: m.Parse(n, t, ()).encode(), names, texts),
    st.builds(lambda p, n: m.Bind(p, n, (), (), ()).encode(), names, names),
    st.builds(lambda k, n: m.Describe(k, n).encode(), kinds, names),
    st.builds(lambda n: m.Execute(n, 0).encode(), names),
    st.builds(lambda k, n: m.Close(k, n).encode(), kinds, names),
)
pipelines = st.lists(st.lists(requests, max_size=8), min_size=1, max_size=5)


def codes(data: bytes) -> list[bytes]:
    """The messages; of an error only its SQLSTATE, since the session words its own.

    A transaction that the server would call failed (E) may still be usable (T): an unknown name is refused by the
    session, and a refusal does not cost the transaction.
    """
    out = []
    for kind, frame in frames(data):
        match kind:
            case m.BackendType.ERROR_RESPONSE:
                out.append(b"error " + dict(m.ErrorResponse.decode(frame[5:]).fields)["C"].encode())
            case m.BackendType.READY_FOR_QUERY:
                out.append(b"ready, idle" if frame.endswith(b"I") else b"ready, in transaction")
            case _:
                out.append(frame)
    return out


def through(policy: Policy, pipelines: list[list[bytes]], *, at_once: bool) -> bytes:
    """What the client gets; ``at_once``: everything is sent before the first answer and the first durable record."""
    session, server, out, waiting = PostgresSession(policy), Server(TEXTS), bytearray(), list[int]()

    def settle() -> None:
        while True:
            out.extend(b"".join(session.take_to_client()))
            actions = session.take_actions()
            for action in actions:
                match action:
                    case a.Analyse(number, text):
                        session.analysed(number, session.policy.decide(text))
                    case a.RecordIntent(number):
                        waiting.append(number)
                    case a.CloseSession(error):
                        raise AssertionError(f"the session ended: {error}")
            if not actions:
                return

    def answer() -> None:
        settle()
        while (to_server := b"".join(session.take_to_backend())) or waiting:
            session.backend_data(server.answer(to_server))
            settle()
            while waiting:
                session.recorded(waiting.pop(0), durable=True)
                settle()

    for pipeline in pipelines:
        session.client_data(b"".join(pipeline) + m.Sync().encode())
        if at_once:
            settle()
        else:
            answer()
    answer()
    return bytes(out)


@settings(max_examples=300, deadline=None)
@given(pipelines)
def test_the_client_gets_what_the_server_said(policies: dict[str, Policy], pipelines: list[list[bytes]]) -> None:
    server = Server(TEXTS)
    direct = b"".join(server.answer(b"".join(pipeline) + m.Sync().encode()) for pipeline in pipelines)
    assert codes(through(policies["support"], pipelines, at_once=False)) == codes(direct)


@settings(max_examples=300, deadline=None)
@given(pipelines)
def test_everything_sent_at_once_gets_an_answer_to_every_sync(
    policies: dict[str, Policy], pipelines: list[list[bytes]]
) -> None:
    """Names set behind a failure that is not known yet are refused here and not by the server; the order stays."""
    got = codes(through(policies["support"], pipelines, at_once=True))
    queries = sum(message.startswith(b"ready") for message in got)
    assert queries >= len(pipelines)
    assert got[-1].startswith(b"ready")
