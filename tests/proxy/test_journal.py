"""The records of statements have the bytes of the ordinary encoder, and are made from templates."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskproxy.audit import records
from maskproxy.audit.digests import parameter_digest, text_digest
from maskproxy.audit.framing import MAX_RECORD
from maskproxy.audit.moment import Moments
from maskproxy.audit.template import LONGEST_TEXT
from maskproxy.audit.values import Actor, GrantInfo, Origin, Source
from maskproxy.base.errors import SessionEnded
from maskproxy.base.refs import ColumnRef, Generation, Location
from maskproxy.base.secret import Secret
from maskproxy.core.plan import Plan, Stamp, StatementPlan
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.proxy.journal import Journal, SessionJournal
from maskproxy.proxy.recorder_client import Done, RecorderClient
from maskproxy.session.enforce import Policy
from tests.session.conftest import policies  # noqa: F401

MASKED = "SELECT name, ssn, email FROM customers WHERE id = $1"


class Kept(RecorderClient):
    """Keeps what is submitted."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.records: list[bytes] = []

    def submit(self, record: bytes, done: Done | None = None) -> None:
        self.records.append(record)


class Twin:
    """The same records twice: from templates where there are some, and from the ordinary encoder."""

    def __init__(self, context: records.Context | None = None) -> None:
        self.kept = Kept()
        self.sessions = [self._session(context), self._session(context)]
        self.sessions[1].journal.template = lambda plan: None  # type: ignore[method-assign]

    def _session(self, context: records.Context | None) -> SessionJournal:
        journal = Journal(self.kept, Secret(b"k" * 32), "c" * 64)
        ticks = itertools.count(1_800_000_000_123_456_789, 777_777)
        journal.moments = Moments(lambda: next(ticks), lambda: next(ticks), lambda size: b"\x5a" * size)
        journal.origin = Origin(node="px1", boot="b", build="maskproxy 0.1.0", cfg="c")
        session = SessionJournal.connected(journal, "127.0.0.1", "127.0.0.1:6543")
        if context is not None:
            session.context = context
        return session

    def both(self, act: Callable[[SessionJournal], None]) -> list[dict[str, Any]]:
        """The records of one, which are those of the other."""
        made = []
        for session in self.sessions:
            self.kept.records.clear()
            act(session)
            made.append(list(self.kept.records))
        assert made[0] == made[1]
        assert all(b"\0" not in record and len(record) <= MAX_RECORD for record in made[0])
        return [orjson.loads(record) for record in made[0]]


def ignore(durable: bool) -> None:
    pass


def found(decided: object) -> Plan:
    assert isinstance(decided, Plan)
    return decided


def test_usual_statements_are_recorded_from_templates(
    policies: dict[str, Policy],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = found(policies["support"].decide(MASKED))
    columns = sorted({mask.column for mask in plan.statements[0].masks})
    assert len(columns) == 2
    counts = [(column, 7) for column in columns]

    def act(session: SessionJournal) -> None:
        for parameters in ((), (b"1", None), (b"2",), (None,)):
            session.intent_of(1, plan, parameters, ignore)
            session.outcome_of(1, 7, 300, "SELECT 7", None, counts)

    twin = Twin()
    intent, outcome, *_, last, _ = twin.both(act)
    assert (intent["type"], intent["out"], intent["dec"]["act"]) == ("stmt.intent", "modify", "mask")
    assert outcome["ref"] == intent["id"]
    assert outcome["res"]["masked"] == {str(column): 7 for column in columns}
    assert last["stmt"]["params"] == [None]
    monkeypatch.setattr(records, "_record", None)  # the ordinary encoder is not asked
    act(twin.sessions[0])


def test_a_text_with_other_literals_has_its_own_digest(policies: dict[str, Policy]) -> None:  # noqa: F811
    policy = policies["support"]
    one = found(policy.decide("SELECT id, ssn FROM customers WHERE id = 1"))
    other = found(policy.cached("SELECT id, ssn FROM customers WHERE id = 2"))
    assert other.pattern is not None

    def act(session: SessionJournal) -> None:
        for number, plan in enumerate((one, other, one), 1):
            session.intent_of(number, plan, (), ignore)

    first, second, third = (record["stmt"] for record in Twin().both(act))
    assert first == third
    assert first.pop("sha") != second.pop("sha")
    assert first == second


def test_a_plan_whose_statements_were_replaced_is_not_taken_for_its_pattern(
    policies: dict[str, Policy],  # noqa: F811
) -> None:
    policy = policies["support"]
    policy.decide("SELECT id, ssn FROM customers WHERE id = 1")
    plan = found(policy.cached("SELECT id, ssn FROM customers WHERE id = 2"))
    bare = Plan(text=plan.text, sql=plan.sql, statements=(), stamp=plan.stamp, pattern=plan.pattern)
    (record,) = Twin().both(lambda session: session.intent_of(1, bare, (), ignore))
    assert record["dec"]["act"] == "permit"


def test_what_is_known_of_a_session_is_in_its_next_record(policies: dict[str, Policy]) -> None:  # noqa: F811
    plan = found(policies["support"].decide(MASKED))

    def act(session: SessionJournal) -> None:
        session.intent_of(1, plan, (), ignore)
        session.claims("agent", "psql", "TLSv1.3")
        session.intent_of(2, plan, (), ignore)

    before, after = Twin().both(act)
    assert "claimed" not in before
    assert after["claimed"] == {"user": "agent", "application_name": "psql"}


def test_unusual_ends_are_recorded_ordinarily(policies: dict[str, Policy]) -> None:  # noqa: F811
    plan = found(policies["support"].decide(MASKED))

    def act(session: SessionJournal) -> None:
        for number in range(1, 6):
            session.intent_of(number, plan, (b"x",), ignore)
        session.outcome_of(1, 0, 0, None, "42501", ())
        session.outcome_of(2, 3, 20, None, "57014", ())
        session.outcome_of(3, 3, 20, "SELECT \udc80", None, ())
        session.outcome_of(9, 3, 20, "never begun", None, ())
        session.ended(SessionEnded("gone"))

    ends = [record for record in Twin().both(act) if record["type"] == "stmt.outcome"]
    assert [(end["out"], end["res"]["end"]) for end in ends] == [
        ("error", "error"),
        ("error", "cancelled"),
        ("ok", "complete"),
        ("unknown", "error"),
        ("unknown", "error"),
    ]


def test_without_a_text_there_is_no_template() -> None:
    (intent,) = Twin().both(lambda session: session.intent_of(1, None, (b"x",), ignore))
    assert "sha" not in intent["stmt"]


LOCATION = Location("rules.yaml", 1)
STAMP = Stamp(Generation(1), Generation(1))
WORDS = st.text(max_size=300)
TEXTS = st.one_of(
    WORDS,
    st.sampled_from(["select 1", "select '\0", 'select "\udce9"', 'select "dec":{}', "select $1 -- \\0id\\0"]),
    st.sampled_from([LONGEST_TEXT, LONGEST_TEXT + 1]).map("a".ljust),
)
COLUMNS = st.lists(st.builds(ColumnRef, WORDS, st.sampled_from(["t", "t-a", "é"]), WORDS), unique=True, max_size=4)
COUNTS = st.integers(0, 2**53)


@settings(max_examples=200, deadline=None)
@given(
    text=TEXTS,
    word=WORDS,
    columns=COLUMNS,
    parameters=st.one_of(
        st.lists(st.one_of(st.none(), st.binary(max_size=80)), max_size=4),
        st.sampled_from([256, 257]).map(lambda count: [b"x"] * count),
    ),
    rows=COUNTS,
    size=COUNTS,
    tag=st.one_of(st.none(), WORDS, st.just("SELECT 1")),
)
def test_whatever_comes_the_bytes_are_the_ordinary_encoders(
    text: str,
    word: str,
    columns: list[ColumnRef],
    parameters: list[bytes | None],
    rows: int,
    size: int,
    tag: str | None,
) -> None:
    context = records.make_context(
        Origin(node=word, boot="b", build="maskproxy"),
        session="s",
        actor=Actor(agent=word, kind="agent"),
        source=Source(addr=word),
        grant=GrantInfo(id="g", scope=word, expires="never", purpose=word),
        claimed={"application_name": word} if word else None,
    )
    masks = [
        ColumnMask(
            name="null", label=word, column=column, type=None, apply=None, rule=f"masks.{word}", location=LOCATION
        )
        for column in columns
    ]
    statement = StatementPlan(analysis=None, outputs=None, disclosed=dict.fromkeys(columns, 2), masks=frozenset(masks))
    plan = Plan(text=text, sql=text, statements=(statement,), stamp=STAMP)

    def act(session: SessionJournal) -> None:
        for _ in range(2):
            session.intent_of(1, plan, parameters, ignore)
            session.outcome_of(1, rows, size, tag, None, [(column, rows) for column in sorted(columns)])

    Twin(context).both(act)


@given(st.binary(max_size=150), st.binary(max_size=200), WORDS)
def test_digests_are_those_of_the_ordinary_encoder(key: bytes, value: bytes, text: str) -> None:
    journal = Journal(Kept(), Secret(key), "c")
    assert journal.digests.parameter(value) == parameter_digest(Secret(key), value)
    assert journal.digests.text(text) == text_digest(Secret(key), text)


@pytest.mark.parametrize(
    "nanoseconds", [0, 499, 500, 1_499, 10_000, 100_500, 1_000_000, 12_345_678_901, 10**17, 3 * 10**18]
)
def test_durations_are_written_as_the_ordinary_encoder_writes_them(nanoseconds: int) -> None:
    plan = Plan(text="select 1", sql="select 1", statements=(), stamp=STAMP)
    twin = Twin()
    for session in twin.sessions:
        ticks = iter([0, nanoseconds])
        session.journal.moments = Moments(lambda: 0, lambda ticks=ticks: next(ticks), lambda size: b"\x5a" * size)

    def act(session: SessionJournal) -> None:
        session.intent_of(1, plan, (), ignore)
        session.outcome_of(1, 1, 1, "SELECT 1", None, ())

    _, outcome = twin.both(act)
    assert outcome["res"]["ms"] == (nanoseconds + 500) // 1000 / 1000
