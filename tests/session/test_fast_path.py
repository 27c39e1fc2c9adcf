"""The fast path is a short way, not another one: whatever comes between, a session has the same to say without it.

Both sessions get the same bytes in the same pieces, with records, cancels, new rules and odd messages of the server at
the same moments. What they send to either side and what they have recorded must be equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskproxy.session import actions as a
from maskproxy.session.enforce import Policy
from maskproxy.session.fast_path import FastPath
from maskproxy.session.postgres import PostgresSession
from maskproxy.wire.postgres import messages as m
from tests.support.model_server import Server


def field_of(name: str, number: int, table: int = 1000) -> m.FieldDescription:
    return m.FieldDescription(name, table, number, 25, -1, -1, 0)


def rows(*values: tuple[bytes | None, ...]) -> list[bytes]:
    return [*(m.DataRow(row).encode() for row in values), m.CommandComplete(f"SELECT {len(values)}").encode()]


LONG = b"x" * 70_000  # one read does not hold it
ID = m.FieldDescription("id", 1000, 1, 23, 4, -1, 0)
TEXTS = {
    "SELECT id FROM customers": [m.RowDescription((ID,)).encode(), *rows((b"1",), (None,))],
    "SELECT id, ssn FROM customers": [
        m.RowDescription((ID, field_of("ssn", 4))).encode(),
        *rows((b"1", b"123-45-6789"), (b"2", None), (b"3", LONG), (b"4", b"")),
    ],
    "SELECT name FROM customers": [m.RowDescription((field_of("name", 2),)).encode(), *rows()],
    # the server describes it otherwise than the analysis
    "SELECT phone FROM customers": [m.RowDescription((field_of("phone", 4),)).encode(), *rows((b"123-45-6789",))],
    "BEGIN": [m.CommandComplete("BEGIN").encode()],
    "COMMIT": [m.CommandComplete("COMMIT").encode()],
}
ODD = {
    "error": m.ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "22012"), ("M", "division by zero"))).encode(),
    "notice": m.NoticeResponse((("S", "NOTICE"), ("V", "NOTICE"), ("C", "00000"), ("M", "x"))).encode(),
    "status": m.ParameterStatus("TimeZone", "UTC").encode(),
    "notification": m.NotificationResponse(1, "c", "p").encode(),
}


@dataclass
class Side:
    """One session and what came out of it."""

    session: PostgresSession
    to_client: bytearray = field(default_factory=bytearray)
    recorded: list[object] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    cancelling: bool = False

    def settle(self) -> bytes:
        """Carries out what can be at once; what is for the server."""
        to_server = bytearray()
        while True:
            to_server += b"".join(self.session.take_to_backend())
            self.to_client += b"".join(self.session.take_to_client())
            actions = self.session.take_actions()
            for action in actions:
                match action:
                    case a.Analyse(number, text):
                        self.session.analysed(number, self.session.policy.decide(text))
                    case a.RecordIntent(number, plan, parameters):
                        self.waiting.append(number)
                        self.recorded.append(("intent", number, None if plan is None else plan.text, parameters))
                    case a.CancelStatement():
                        self.cancelling = True
                    case a.CloseSession(error):
                        self.recorded.append(("closed", None if error is None else error.sqlstate))
                    case a.RecordDenial(text, error):
                        self.recorded.append(("denied", text, error.sqlstate))
                    case _:
                        self.recorded.append(action)
            if not actions:
                return bytes(to_server)


class Pair:
    """A session with the fast path, one without, and a server."""

    def __init__(self, policy: Policy, random: Random) -> None:
        self.sides = [Side(PostgresSession(policy)), Side(PostgresSession(policy))]
        self.sides[1].session._fast = Absent()
        self.server = Server(TEXTS)
        self.random = random
        self.taken = 0
        self.from_server = bytearray()

    def each(self) -> Iterator[PostgresSession]:
        yield from (side.session for side in self.sides)

    def step(self) -> None:
        one, other = [side.settle() for side in self.sides]
        assert one == other
        self.taken += self.sides[0].session._fast.active
        self.from_server += self.server.answer(one)

    def client(self, data: bytes) -> None:
        for session in self.each():
            session.client_data(data)
        self.step()

    def reply(self, size: int) -> None:
        chunk, self.from_server = bytes(self.from_server[:size]), self.from_server[size:]
        for session in self.each():
            if chunk:
                session.backend_data(chunk)
        self.step()

    def record(self, *, durable: bool = True) -> None:
        numbers = [side.waiting.pop(0) for side in self.sides if side.waiting]
        assert len(set(numbers)) <= 1
        for session, number in zip(self.each(), numbers, strict=False):
            session.recorded(number, durable=durable)
        self.step()

    def odd(self, what: str) -> None:
        """Between two messages of the server, something it may say at any time, or an error instead of the rest."""
        ends = [0]
        while ends[-1] < len(self.from_server):
            ends.append(ends[-1] + 1 + int.from_bytes(self.from_server[ends[-1] + 1 : ends[-1] + 5], "big"))
        at = self.random.choice(ends)
        if what == "error":
            if at and self.from_server[ends[-2]] == m.BackendType.READY_FOR_QUERY and at < ends[-1]:
                self.from_server[at : ends[-2]] = ODD[what]
        else:
            self.from_server[at:at] = ODD[what]

    def finish(self) -> None:
        for _ in range(100):
            if not (self.from_server or self.sides[0].waiting or self.sides[0].cancelling):
                break
            self.reply(len(self.from_server))
            if self.sides[0].waiting:
                self.record()
            if self.sides[0].cancelling:
                for side in self.sides:
                    side.cancelling = False
                    side.session.cancelled()
                self.step()
        one, other = self.sides
        assert bytes(one.to_client) == bytes(other.to_client)
        assert one.recorded == other.recorded
        assert one.session.idle == other.session.idle


class Absent(FastPath):
    """No fast path."""

    active = False

    def __init__(self) -> None:
        pass

    def offer(self, data: bytes) -> bool:
        return False

    def recorded(self, number: int, durable: bool) -> bool:
        return False

    def leave(self) -> None:
        pass


def bound(text: str | None, name: str, *, describes: bool, sync: bool, result: tuple[int, ...] = ()) -> bytes:
    parts = [] if text is None else [m.Parse(name, text, ()).encode()]
    parts.append(m.Bind("", name, (0,), (b"7", None), result).encode())
    parts += [m.Describe(b"P", "").encode()] if describes else []
    parts.append(m.Execute("", 0).encode())
    return b"".join([*parts, m.Sync().encode()] if sync else parts)


names = st.sampled_from(["", "", "a"])
texts = st.sampled_from(sorted(TEXTS))
batches = st.one_of(
    st.builds(lambda t: m.Query(t).encode(), texts),
    st.builds(
        lambda t, n, d, s, r: bound(t, n, describes=d, sync=s, result=r),
        st.one_of(st.none(), texts),
        names,
        st.booleans(),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([(), (1,)]),
    ),
    st.builds(lambda n, t: m.Parse(n, t, ()).encode() + m.Sync().encode(), names, texts),
    st.builds(lambda n: m.Close(b"S", n).encode() + m.Sync().encode(), names),
    st.just(m.Sync().encode()),
)
steps = st.one_of(
    st.tuples(st.just("client"), batches),
    st.tuples(st.just("client"), batches),
    st.tuples(st.just("cut client"), batches),
    st.tuples(st.just("reply"), st.sampled_from([3, 40, 200, 100_000, 100_000])),
    st.tuples(st.just("record"), st.sampled_from([True, True, True, True, False])),
    st.tuples(st.just("finish"), st.none()),
    st.tuples(st.just("finish"), st.none()),
    st.tuples(st.just("odd"), st.sampled_from(sorted(ODD))),
    st.tuples(st.sampled_from(["cancel", "use"]), st.none()),
)


def play(pair: Pair, what: str, value: object) -> None:
    match what, value:
        case "client", bytes(data):
            pair.client(data)
        case "cut client", bytes(data):
            at = pair.random.randrange(len(data))
            pair.client(data[:at])
            pair.client(data[at:])
        case "reply", int(size):
            pair.reply(size)
        case "record", bool(durable):
            pair.record(durable=durable)
        case "odd", str(name):
            pair.odd(name)
        case "cancel", _:
            for session in pair.each():
                session.cancel()
            pair.step()
        case "use", _:
            for session in pair.each():
                session.use(session.policy)
            pair.step()
        case _:
            pair.finish()


@pytest.mark.parametrize("scope", ["support", "limited"])
def test_with_and_without(policies: dict[str, Policy], scope: str) -> None:
    @settings(max_examples=500, deadline=None)
    @given(st.lists(steps, min_size=2, max_size=16), st.integers(0, 1 << 32))
    def same(script: list[tuple[str, object]], seed: int) -> None:
        pair = Pair(policies[scope], Random(seed))
        for what, value in script:
            if any(side.session.closed for side in pair.sides):
                break
            play(pair, what, value)
        pair.finish()

    same()


@pytest.mark.parametrize("size", [66_000, 100_001, 150_000])
def test_much_that_is_not_masked(policies: dict[str, Policy], size: int) -> None:
    text = "SELECT id FROM customers"
    pair = Pair(policies["support"], Random(0))
    pair.server = Server(TEXTS | {text: [TEXTS[text][0], *rows(*((b"%d" % n * 9,) for n in range(9_000)))]})
    pair.client(m.Parse("a", text, ()).encode() + m.Sync().encode())
    pair.finish()
    pair.client(m.Query(text).encode())
    pair.record()
    while len(pair.from_server) > size:
        pair.reply(size)
        assert pair.sides[0].session._fast.active
    pair.finish()


@pytest.mark.parametrize("text", [text for text in TEXTS if text.startswith("SELECT")])
@pytest.mark.parametrize("kind", ["query", "bound", "bound, not described", "parsed"])
def test_it_is_taken(policies: dict[str, Policy], text: str, kind: str) -> None:
    """The comparison above would hold of a fast path that is never gone."""
    pair = Pair(policies["support"], Random(0))
    pair.client(m.Parse("a", text, ()).encode() + m.Sync().encode())
    pair.finish()
    assert not pair.taken
    match kind:
        case "query":
            pair.client(m.Query(text).encode())
        case "parsed":
            pair.client(bound(text, "", describes=True, sync=True))
        case _:
            pair.client(bound(None, "a", describes=kind == "bound", sync=True))
    assert pair.taken
    pair.finish()
    assert not pair.sides[0].session._fast.active
