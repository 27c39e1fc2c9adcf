"""Records: their fields, that they are canonical and bounded, and that no value is in them."""

import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskproxy.audit import records
from maskproxy.audit.digests import parameter_digest, text_digest
from maskproxy.audit.framing import MAX_LINE, MAX_RECORD
from maskproxy.audit.moment import Moment
from maskproxy.audit.template import SessionTemplates
from maskproxy.audit.values import (
    Actor,
    DecisionInfo,
    Destination,
    End,
    GrantInfo,
    Origin,
    Out,
    RecordType,
    Result,
    Source,
    StatementInfo,
)
from maskproxy.base import limits
from maskproxy.base.secret import Secret

KEY = Secret(b"k" * 32)
AT = Moment("01ARYZ6S410000000000000000", "2026-01-02T03:04:05.000006Z", 42)
ORIGIN = Origin(node="px1", boot="b", build="maskproxy 0.1.0", cfg="c", pol="p")


def one_context(session: str) -> records.Context:
    return records.make_context(
        ORIGIN,
        session=session,
        actor=Actor(agent="agent", kind="agent", authn="scram-sha-256", cred="t-1"),
        source=Source(addr="127.0.0.1:5000", listener="127.0.0.1:6543", tls="TLSv1.3"),
        destination=Destination(db="shop", host="db:5432", role="app", pid=7),
        grant=GrantInfo(id="g-1", scope="support", expires="2026-01-03T00:00:00Z", purpose="why"),
        claimed={"application_name": "psql"},
    )


SESSION = one_context("s")
STATEMENT = records.describe_text("select ssn from c where id = 42", KEY, kind="select", tables=("public.c",))
PERMIT = DecisionInfo(act="mask", rules=("masks.pii.ssn",))


def one_of_each(context: records.Context) -> dict[RecordType, bytes]:
    result = Result(end=End.COMPLETE, rows=2, bytes=40, tag="SELECT 2", masked={"public.c.ssn": 2}, ms=1.5)
    return {
        RecordType.AUTH_OK: records.auth_ok(context, AT),
        RecordType.AUTH_FAIL: records.auth_fail(context, AT, why="wrong proof"),
        RecordType.SESSION_START: records.session_start(context, AT),
        RecordType.SESSION_END: records.session_end(context, AT, why="client said goodbye"),
        RecordType.SESSION_DENY: records.session_deny(context, AT, why="no grant", sqlstate="28000"),
        RecordType.STMT_INTENT: records.intent(context, AT, statement=STATEMENT, decision=PERMIT, modified=True),
        RecordType.STMT_OUTCOME: records.outcome(context, AT, ref="01A", result=result, out=Out.MODIFY),
        RecordType.STMT_DENY: records.denied(
            context, AT, statement=STATEMENT, decision=DecisionInfo(act="deny"), sqlstate="42501", why="no"
        ),
        RecordType.CANCEL: records.cancel(context, AT, out=Out.DENY, why="unknown key"),
        RecordType.PROTO_REJECT: records.proto_reject(context, AT, why="not a message"),
        RecordType.CONFIG_RELOAD: records.config_reload(context, AT, out=Out.OK),
        RecordType.AUDIT_START: records.log_event(context, AT, RecordType.AUDIT_START, prev=None),
    }


@pytest.mark.parametrize("kind", list(one_of_each(SESSION)))
def test_every_record_says_what_when_where_who_and_how_it_ended(kind: RecordType) -> None:
    data = one_of_each(SESSION)[kind]
    record = orjson.loads(data)
    assert record["type"] == kind
    assert (record["id"], record["ts"], record["mono"]) == (AT.id, AT.ts, AT.mono)
    assert (record["node"], record["boot"], record["build"]) == ("px1", "b", "maskproxy 0.1.0")
    assert (record["cfg"], record["pol"], record["sess"]) == ("c", "p", "s")
    assert record["out"] in set(Out)
    assert record["actor"] == {"agent": "agent", "kind": "agent", "authn": "scram-sha-256", "cred": "t-1"}
    assert record["src"]["tls"] == "TLSv1.3"
    assert record["dst"] == {"db": "shop", "host": "db:5432", "role": "app", "pid": 7}
    assert record["grant"]["purpose"] == "why"
    assert record["claimed"] == {"application_name": "psql"}
    assert "i" not in record
    assert data == json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_an_intent_shows_the_shape_of_the_statement_and_hides_its_values() -> None:
    params = [parameter_digest(KEY, b"123-45-6789"), None]
    data = records.intent(SESSION, AT, statement=STATEMENT, decision=PERMIT, params=params)
    record = orjson.loads(data)
    assert record["stmt"] == {
        "sha": text_digest(KEY, "select ssn from c where id = 42"),
        "fp": STATEMENT.fp,
        "text": "select ssn from c where id = ?",
        "kind": "select",
        "tables": ["public.c"],
        "params": params,
    }
    assert record["dec"] == {"act": "mask", "rules": ["masks.pii.ssn"]}
    assert (record["phase"], record["out"]) == ("intent", "ok")
    assert b"42 " not in data
    assert b"6789" not in data


def test_an_outcome_counts_and_points_to_its_intent() -> None:
    record = orjson.loads(one_of_each(SESSION)[RecordType.STMT_OUTCOME])
    assert record["ref"] == "01A"
    assert record["res"] == {
        "end": "complete",
        "rows": 2,
        "bytes": 40,
        "tag": "SELECT 2",
        "masked": {"public.c.ssn": 2},
        "ms": 1.5,
    }


def test_text_that_cannot_be_lexed_or_is_long_is_a_digest_only() -> None:
    for text in ("select 'open", "select " + "x" * limits.SQL_TEXT_IN_RECORD):
        info = records.describe_text(text, KEY)
        assert (info.text, info.fp) == (None, None)
        assert info.sha == text_digest(KEY, text)
    assert records.describe_text(None, KEY) == StatementInfo(sha=None, text=None)


def test_a_text_that_differs_in_literals_is_described_by_the_other() -> None:
    one, two = "select a from c where id = 42 and b = 'x'", "select a from c where id = 7 and b = ''"
    known = records.describe_text(one, KEY, tables=("public.c",))
    assert records.describe_alike(known, two, KEY) == records.describe_text(two, KEY, tables=("public.c",))


def test_digests_match_equal_values_and_need_the_key() -> None:
    assert parameter_digest(KEY, b"x") == parameter_digest(Secret(b"k" * 32), b"x")
    different = {
        parameter_digest(KEY, b"x"),
        parameter_digest(KEY, b"y"),
        parameter_digest(Secret(b"j" * 32), b"x"),
        parameter_digest(KEY, b""),
        text_digest(KEY, "x"),
    }
    assert len(different) == 5
    assert parameter_digest(KEY, None) is None


def test_statements_of_one_shape_have_one_fingerprint() -> None:
    infos = [records.describe_text(f"select {n}", KEY) for n in (1, 2)]
    assert infos[0].fp == infos[1].fp
    assert infos[0].sha != infos[1].sha


def test_many_parameters_are_cut_and_counted() -> None:
    digests = [parameter_digest(KEY, str(n).encode()) for n in range(65535)]
    data = records.intent(SESSION, AT, statement=STATEMENT, decision=PERMIT, params=digests)
    record = orjson.loads(data)
    assert len(data) <= MAX_RECORD
    assert record["stmt"]["params"] == digests[: records.MAX_PARAMETERS]
    assert record["stmt"]["params_all"]["count"] == 65535


def test_a_record_that_is_too_long_loses_its_text_first_and_says_so() -> None:
    text = "\U0001f600" * 20_000  # a name, four bytes each
    statement = records.describe_text(text, KEY, tables=("public.c",))
    assert statement.text == text
    record = orjson.loads(records.intent(SESSION, AT, statement=statement, decision=PERMIT))
    assert "text" not in record["stmt"]
    assert record["cut"] == ["stmt.text"]
    assert record["stmt"]["tables"] == ["public.c"]
    assert record["stmt"]["sha"] == statement.sha


def test_endless_lists_are_cut_and_named() -> None:
    statement = records.describe_text("select 1", KEY, cols=tuple(f"public.t.c{n:060}" for n in range(1600)))
    record = orjson.loads(records.intent(SESSION, AT, statement=statement, decision=PERMIT))
    assert len(record["stmt"]["cols"]) == records.MAX_ITEMS
    assert record["cut"] == ["stmt.text", "stmt.cols"]


WORDS = st.text(max_size=400)
LONG = st.one_of(WORDS, st.integers(0, 70_000).map(lambda n: "\x01é" * (n // 2)))
NAMES = st.lists(LONG, max_size=3).map(lambda names: tuple(names * 100))


@settings(max_examples=150, deadline=None)
@given(WORDS, LONG, NAMES, NAMES, LONG)
def test_whatever_comes_a_record_fits_in_one_line(
    word: str, text: str, tables: tuple[str, ...], cols: tuple[str, ...], why: str
) -> None:
    context = records.make_context(
        Origin(node=word, boot=word, build=word, cfg=word, pol=word),
        session="s",
        actor=Actor(agent=word, kind=word, authn=word, cred=word),
        source=Source(addr=word, listener=word, tls=word),
        destination=Destination(db=word, host=word, role=word, cert=word),
        grant=GrantInfo(id=word, scope=word, expires=word, approver=word, purpose=word, ticket=word),
        claimed={"user": word, "application_name": why},
    )
    statement = StatementInfo(sha="0", text=text, tables=tables, cols=cols)
    decision = DecisionInfo(act="deny", rules=tables)
    masked = dict.fromkeys(cols, 1)
    for data in (
        records.denied(context, AT, statement=statement, decision=decision, sqlstate="42501", why=why),
        records.outcome(context, AT, ref="r", result=Result(end=End.ERROR, masked=masked), out=Out.ERROR, why=why),
    ):
        assert len(data) <= MAX_RECORD < MAX_LINE
        assert b"\n" not in data
        record: dict[str, Any] = orjson.loads(data)
        assert record["type"] in ("stmt.deny", "stmt.outcome")


def test_a_quoted_name_that_may_be_a_value_is_in_no_record() -> None:
    statement = records.describe_text('select "SECRET 4" from c where ssn = "123-45-6789"', KEY)
    why = 'column "123-45-6789" does not exist'
    for data in (
        records.denied(SESSION, AT, statement=statement, decision=PERMIT, sqlstate="42703", why=why),
        records.outcome(SESSION, AT, ref="r", result=Result(end=End.ERROR), out=Out.ERROR, why=why),
        records.auth_fail(SESSION, AT, why=why),
        records.session_deny(SESSION, AT, why=why, sqlstate="42703"),
        records.session_end(SESSION, AT, why=why),
        records.proto_reject(SESSION, AT, why=why),
    ):
        assert orjson.loads(data)["why"] == 'column "?" does not exist'
        assert b"6789" not in data
        assert b"SECRET 4" not in data


def test_text_of_another_encoding_is_recorded_as_far_as_it_can_be() -> None:
    context = records.make_context(ORIGIN, claimed={"user": "caf\udce9"})
    record = orjson.loads(records.auth_fail(context, AT, why="x\udc80"))
    assert record["claimed"] == {"user": "caf?"}
    assert record["why"] == "x?"
    assert records.describe_text("select '\udce9'", KEY).text == "select ?"


def test_what_a_session_keeps_is_small() -> None:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    kept = [(context := one_context(str(number)), SessionTemplates(context)) for number in range(100)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / len(kept) < 6 * limits.KiB
