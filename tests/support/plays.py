"""Plays: bytes through a session, no sockets. One file is one play; the format is told in tests/plays/README.md."""

import random
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from maskproxy.session import actions as a
from maskproxy.session.allowance import Meter
from maskproxy.session.enforce import MAX_CACHED, Policy
from maskproxy.session.plans import PlanCache
from maskproxy.session.postgres import PostgresSession
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.framing import next_frame

TYPES = {"int4": 23, "text": 25, "date": 1082, "numeric": 1700, "int8": 20, "bool": 16, "void": 2278}
TYPE_NAMES = {oid: name for name, oid in TYPES.items()}


@dataclass(frozen=True)
class Step:
    line: int
    words: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Play:
    path: Path
    headers: dict[str, str]
    steps: tuple[Step, ...]


def load_play(path: Path) -> Play:
    headers: dict[str, str] = {}
    steps: list[Step] = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, value = line.partition(": ")
        if colon and not steps and name.isidentifier():
            headers[name] = value
        else:
            words = line.split() if line.startswith("->") else shlex.split(line)
            steps.append(Step(number, tuple(words), line))
    return Play(path, headers, tuple(steps))


# text -> bytes


def _value(word: str) -> bytes | None:
    if word == "NULL":
        return None
    if word.startswith("0x"):
        return bytes.fromhex(word[2:])
    return word.encode()


def _field(word: str) -> m.FieldDescription:
    """``name:type`` with ``@oid.attnum`` and ``/b`` (binary) behind it."""
    word, _, binary = word.partition("/")
    word, _, origin = word.partition("@")
    name, _, kind = word.partition(":")
    oid, _, attnum = origin.partition(".")
    return m.FieldDescription(name, int(oid or 0), int(attnum or 0), TYPES[kind], -1, -1, int(binary == "b"))


def _codes(word: str) -> tuple[int, ...]:
    return tuple(int(code) for code in word.split(",") if code)


def _bind(words: list[str]) -> bytes:
    """``portal statement [params ...] [formats=0,1]``"""
    formats = _codes(words.pop().removeprefix("formats=")) if words[-1].startswith("formats=") else ()
    return m.Bind(words[0], words[1], (), tuple(map(_value, words[2:])), formats).encode()


ENCODERS: dict[str, Callable[[list[str]], bytes]] = {
    "Query": lambda w: m.Query(w[0]).encode(),
    "Parse": lambda w: m.Parse(w[0], w[1], ()).encode(),
    "Bind": _bind,
    "Describe": lambda w: m.Describe(w[0].encode(), w[1]).encode(),
    "Execute": lambda w: m.Execute(w[0], int(w[1]) if len(w) > 1 else 0).encode(),
    "Close": lambda w: m.Close(w[0].encode(), w[1]).encode(),
    "Sync": lambda w: m.Sync().encode(),
    "Flush": lambda w: m.Flush().encode(),
    "Terminate": lambda w: m.Terminate().encode(),
    "CopyData": lambda w: m.CopyData(_value(w[0]) or b"").encode(),
    "CopyDone": lambda w: m.CopyDone().encode(),
    "RowDescription": lambda w: m.RowDescription(tuple(map(_field, w))).encode(),
    "DataRow": lambda w: m.DataRow(tuple(map(_value, w))).encode(),
    "CommandComplete": lambda w: m.CommandComplete(w[0]).encode(),
    "ReadyForQuery": lambda w: m.ReadyForQuery(w[0].encode()).encode(),
    "ParameterDescription": lambda w: m.ParameterDescription(tuple(TYPES[name] for name in w)).encode(),
    "ParameterStatus": lambda w: m.ParameterStatus(w[0], w[1]).encode(),
    "ErrorResponse": lambda w: m.ErrorResponse(_fields(w)).encode(),
    "NoticeResponse": lambda w: m.NoticeResponse(_fields(w)).encode(),
    "NotificationResponse": lambda w: m.NotificationResponse(1, w[0], w[1]).encode(),
    "CopyOutResponse": lambda w: m.CopyOutResponse(0, (0,) * int(w[0] if w else 1)).encode(),
    "CopyInResponse": lambda w: m.CopyInResponse(0, (0,)).encode(),
    "bytes": lambda w: bytes.fromhex("".join(w)),
    **{
        name: (lambda kind: lambda w: kind().encode())(getattr(m, name))
        for name in (
            "ParseComplete",
            "BindComplete",
            "CloseComplete",
            "NoData",
            "EmptyQueryResponse",
            "PortalSuspended",
        )
    },
}


def _fields(words: list[str]) -> tuple[tuple[str, str], ...]:
    """``SEVERITY SQLSTATE message [D=detail ...]``"""
    fields = [("S", words[0]), ("V", words[0]), ("C", words[1]), ("M", words[2])]
    return tuple(fields + [(word[0], word[2:]) for word in words[3:]])


# bytes -> text

_FROM_CLIENT = {
    m.FrontendType.QUERY: m.Query,
    m.FrontendType.PARSE: m.Parse,
    m.FrontendType.BIND: m.Bind,
    m.FrontendType.DESCRIBE: m.Describe,
    m.FrontendType.EXECUTE: m.Execute,
    m.FrontendType.CLOSE: m.Close,
    m.FrontendType.SYNC: m.Sync,
    m.FrontendType.FLUSH: m.Flush,
    m.FrontendType.TERMINATE: m.Terminate,
    m.FrontendType.COPY_DATA: m.CopyData,
    m.FrontendType.COPY_DONE: m.CopyDone,
}


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(data):
        end = next_frame(data, offset, 1 << 30)
        assert end, f"an unfinished message went out: {data[offset : offset + 40]!r}"
        yield data[offset], data[offset:end]
        offset = end


def quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def show(frame: bytes, *, to_client: bool) -> str:
    """One message as a play writes it."""
    if to_client:
        return _show_backend(frame)
    for name, kind in ((kind.__name__, kind) for code, kind in _FROM_CLIENT.items() if code == frame[0]):
        message = kind.decode(frame[5:])
        match message:
            case m.Query(sql):
                return f"Query {quoted(sql)}"
            case m.Parse(prepared, sql, _):
                return f"Parse {quoted(prepared)} {quoted(sql)}"
            case m.Bind():
                return f"Bind {quoted(message.portal)} {quoted(message.statement)}"
            case m.Describe(which, prepared) | m.Close(which, prepared):
                return f"{name} {which.decode()} {quoted(prepared)}"
            case m.Execute(portal, rows):
                return f"Execute {quoted(portal)} {rows}"
        return name
    raise AssertionError(f"unknown message to the server: {frame[:1]!r}")


def _show_value(value: bytes | None) -> str:
    if value is None:
        return "NULL"
    return quoted(value.decode()) if value.isascii() and value.decode().isprintable() else "0x" + value.hex()


def _show_backend(frame: bytes) -> str:
    by_type = {vars(m.BackendType)[name]: name for name in vars(m.BackendType) if name.isupper()}
    name = "".join(part.capitalize() for part in by_type[frame[0]].split("_"))
    payload = frame[5:]
    match name:
        case "RowDescription":
            columns = m.RowDescription.decode(payload).columns
            return " ".join(["RowDescription", *(f"{c.name}:{TYPE_NAMES[c.type_oid]}" for c in columns)])
        case "DataRow":
            return " ".join(["DataRow", *map(_show_value, m.DataRow.decode(payload).values)])
        case "CommandComplete":
            return f"CommandComplete {quoted(m.CommandComplete.decode(payload).tag)}"
        case "ReadyForQuery":
            return f"ReadyForQuery {m.ReadyForQuery.decode(payload).status.decode()}"
        case "ErrorResponse" | "NoticeResponse":
            fields = dict(m.ErrorResponse.decode(payload).fields)
            rest = "".join(f" {code}={quoted(fields[code])}" for code in sorted(fields) if code not in "SVCM")
            return f"{name} {fields['S']} {fields['C']} {quoted(fields['M'])}{rest}"
        case "ParameterStatus":
            status = m.ParameterStatus.decode(payload)
            return f"ParameterStatus {status.name} {quoted(status.value)}"
        case "CopyData":
            return f"CopyData {_show_value(payload)}"
    return name


# running


class Stage:
    """Runs one play against one session; ``chunks`` says how fed bytes are cut."""

    def __init__(self, policy: Policy, chunks: Callable[[bytes], list[bytes]]) -> None:
        self.now = 0.0
        self.session = PostgresSession(policy, Meter(lambda: self.now))
        self._chunks = chunks
        self._out = {"client": bytearray(), "server": bytearray()}
        self._read = {"client": 0, "server": 0}
        self.audit: list[str] = []
        self.pending: list[int] = []
        self.holding = False
        self.analyses: list[tuple[int, str]] = []
        self.thinking = False
        self.transcript: list[str] = []

    def feed(self, side: str, data: bytes) -> None:
        give = self.session.client_data if side == "client" else self.session.backend_data
        for chunk in self._chunks(data):
            give(chunk)
            self.settle()

    def settle(self) -> None:
        while True:
            self._out["client"] += b"".join(self.session.take_to_client())
            self._out["server"] += b"".join(self.session.take_to_backend())
            actions = self.session.take_actions()
            if not actions:
                return
            for action in actions:
                self._act(action)

    def analyse(self) -> None:
        while self.analyses and not self.thinking:
            number, text = self.analyses.pop(0)
            self.session.analysed(number, self.session.policy.decide(text))

    def _act(self, action: a.Action) -> None:
        match action:
            case a.Analyse(number, text):
                self.analyses.append((number, text))
                self.analyse()
            case a.RecordIntent(number):
                self.audit.append("intent")
                if self.holding:
                    self.pending.append(number)
                else:
                    self.session.recorded(number, durable=True)
            case a.RecordOutcome():
                masked = ",".join(f"{column.column}:{rows}" for column, rows in action.masked)
                self.audit.append(
                    f"outcome rows={action.rows} masked={masked or '-'} sqlstate={action.sqlstate or '-'}"
                )
            case a.RecordDenial(_, error):
                self.audit.append(f"denial {error.sqlstate}")
            case a.CloseSession(error):
                self.audit.append("close" if error is None else f"close {error.sqlstate}")
            case a.CatalogDisagrees():
                self.audit.append("catalog disagrees")
            case a.SchemaChanged():
                self.audit.append("schema changed")
            case a.CancelStatement():
                self.audit.append("cancel")
                self.session.cancelled()

    def next_message(self, side: str) -> str | None:
        data = bytes(self._out[side][self._read[side] :])
        for _, frame in frames(data):
            self._read[side] += len(frame)
            return show(frame, to_client=side == "client")
        return None


def run_play(play: Play, policies: dict[str, Policy], mode: str, seed: int) -> None:
    """Raises AssertionError that shows the transcript so far."""
    chooser = random.Random(seed)

    def chunks(data: bytes) -> list[bytes]:
        if mode == "whole":
            return [data]
        if mode == "bytes":
            return [data[i : i + 1] for i in range(len(data))]
        cuts = sorted(chooser.randrange(len(data) + 1) for _ in range(3))
        return [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True) if i < j]

    policy = policies[play.headers["as"]]
    if any(step.words[0] == "analyses" for step in play.steps):
        policy = replace(policy, plans=PlanCache(MAX_CACHED))  # no other play has had its texts analysed
    stage = Stage(policy, chunks)
    for step in play.steps:
        _step(stage, step, policies)
        stage.transcript.append(step.text)
    for side in ("client", "server"):
        left = stage.next_message(side)
        assert left is None, _failure(play, stage, f"unread output to the {side}: {left}")
    if any(step.words[0] == "audit:" for step in play.steps):  # a play that speaks of records names them all
        assert not stage.audit, _failure(play, stage, f"unread audit: {stage.audit}")


def _step(stage: Stage, step: Step, policies: dict[str, Policy]) -> None:
    match step.words:
        case ("client", "cancels"):
            stage.session.cancel()
            stage.settle()
        case ("analyses", word) if word in ("hold", "done"):
            stage.thinking = word == "hold"
            stage.analyse()
            stage.settle()
        case (side, "->", name, *rest) if side in ("client", "server"):
            stage.feed(side, ENCODERS[name](rest))
        case ("->", side, *_):
            wanted = step.text.split(None, 2)[2]
            got = stage.next_message(side)
            assert got is not None, f"line {step.line}: expected to the {side}: {wanted}\ngot nothing"
            assert got == wanted or got.startswith(wanted), f"line {step.line}: expected {wanted}\n     got {got}"
        case ("records", "hold"):
            stage.holding = True
        case ("records", word) if word in ("durable", "lost"):
            stage.holding = False
            while stage.pending:
                stage.session.recorded(stage.pending.pop(0), durable=word == "durable")
                stage.settle()
        case ("tick", seconds):
            stage.now += float(seconds.removesuffix("s"))
        case ("rules->", name):
            stage.session.use(policies[name])
            stage.settle()
        case ("server", "lost"):
            stage.session.backend_lost()
            stage.settle()
        case ("audit:", *_):
            wanted = step.text.removeprefix("audit:").strip()
            assert stage.audit, f"line {step.line}: expected audit {wanted}, got none"
            got = stage.audit.pop(0)
            assert got == wanted, f"line {step.line}: expected audit {wanted}, got {got}"
        case _:
            raise AssertionError(f"line {step.line}: cannot read: {step.text}")


def _failure(play: Play, stage: Stage, why: str) -> str:
    return "\n".join([f"{play.path.name}: {why}", *stage.transcript])
