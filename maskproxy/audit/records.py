"""Values -> one record: canonical JSON (keys sorted, no white space, UTF-8) in one line, without its index in the log.

Every record has ``id``, ``ts``, ``mono``, ``type``, ``phase``, ``out``, the speaker (``node``, ``boot``, ``build``,
``cfg``, ``pol``) and, inside a session, ``sess``, ``actor``, ``src``, ``dst``, ``grant``. Those that stay the same are
serialised once into a ``Context``. A record never exceeds ``MAX_RECORD``: what is too long is cut and named in ``cut``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from maskproxy.audit.digests import shape_digest, text_digest
from maskproxy.audit.framing import MAX_RECORD
from maskproxy.audit.literals import strip_literals, strip_names
from maskproxy.audit.moment import Moment
from maskproxy.audit.values import (
    Actor,
    DecisionInfo,
    Destination,
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

MAX_ITEMS = 64  # names in one list of a record
MAX_PARAMETERS = 256  # digests in one record; a digest over all stands for the rest
MAX_WORDS = 256  # characters of any text but the statement's; 25 such texts of control characters still fit
MAX_CLAIMS = 8
_WORDS = frozenset({"id", "ts", "out", "sha", "ref"})  # blanks that are strings
BLANK = b"\0"  # on both sides of a blank's name; in JSON text this byte is always escaped, whatever a client says


@dataclass(frozen=True, slots=True)
class Context:
    """What all records of one speaker, or of one session, have in common, ready to be put into them."""

    parts: Mapping[str, object]


def make_context(
    origin: Origin,
    *,
    session: str | None = None,
    actor: Actor | None = None,
    source: Source | None = None,
    destination: Destination | None = None,
    grant: GrantInfo | None = None,
    claimed: Mapping[str, str] | None = None,
) -> Context:
    """``claimed`` is what the client says of itself: its user name before it is proven, its application_name."""
    named = {"actor": actor, "src": source, "dst": destination, "grant": grant}
    parts: dict[str, object] = dict(_present(origin))
    parts.update((name, _fragment(_present(value))) for name, value in named.items() if value is not None)
    if claimed:
        parts["claimed"] = _fragment({name: value[:MAX_WORDS] for name, value in list(claimed.items())[:MAX_CLAIMS]})
    if session is not None:
        parts["sess"] = session
    return Context(parts)


def describe_text(text: str | None, key: Secret[bytes], **known: Any) -> StatementInfo:
    """What may be recorded of a text; ``known`` are further fields of StatementInfo. Worth caching by text."""
    if text is None:
        return StatementInfo(sha=None, text=None, **known)
    stripped = strip_literals(text) if len(text) <= limits.SQL_TEXT_IN_RECORD else None
    shape = None if stripped is None else shape_digest(stripped)
    return StatementInfo(sha=text_digest(key, text), text=stripped, fp=shape, **known)


def describe_alike(other: StatementInfo, text: str, key: Secret[bytes]) -> StatementInfo:
    """The same for a text that differs from the ``other`` one in literals only."""
    return replace(other, sha=text_digest(key, text))


def auth_ok(context: Context, at: Moment) -> bytes:
    return _record(context, at, RecordType.AUTH_OK, Out.OK)


def auth_fail(context: Context, at: Moment, *, why: str) -> bytes:
    return _record(context, at, RecordType.AUTH_FAIL, Out.DENY, why=why)


def session_start(context: Context, at: Moment) -> bytes:
    return _record(context, at, RecordType.SESSION_START, Out.OK)


def session_end(context: Context, at: Moment, *, why: str, out: Out = Out.OK) -> bytes:
    return _record(context, at, RecordType.SESSION_END, out, why=why)


def session_deny(context: Context, at: Moment, *, why: str, sqlstate: str) -> bytes:
    return _record(context, at, RecordType.SESSION_DENY, Out.DENY, why=why, res={"sqlstate": sqlstate})


def intent(
    context: Context,
    at: Moment,
    *,
    statement: StatementInfo,
    decision: DecisionInfo,
    params: Sequence[str | None] = (),
    modified: bool = False,
) -> bytes:
    """To be durable before anything of the result is released. ``params`` are digests (``parameter_digest``)."""
    out = Out.MODIFY if modified else Out.OK
    return _record(
        context, at, RecordType.STMT_INTENT, out, "intent", stmt=_statement(statement, params), dec=_present(decision)
    )


def outcome(context: Context, at: Moment, *, ref: str, result: Result, out: Out, why: str | None = None) -> bytes:
    """``ref`` is the id of the intent."""
    return _record(context, at, RecordType.STMT_OUTCOME, out, "outcome", ref=ref, res=_present(result), why=why)


def denied(
    context: Context, at: Moment, *, statement: StatementInfo, decision: DecisionInfo, sqlstate: str, why: str
) -> bytes:
    """A statement that never reached the database. ``why`` is the refusal's message; it must not quote values. As in
    every record, names in it that are not plain are left out."""
    return _record(
        context,
        at,
        RecordType.STMT_DENY,
        Out.DENY,
        stmt=_statement(statement, ()),
        dec=_present(decision),
        res={"sqlstate": sqlstate},
        why=why,
    )


def cancel(context: Context, at: Moment, *, out: Out, ref: str | None = None, why: str | None = None) -> bytes:
    """A CancelRequest. ``ref`` is the intent it was meant for, when one was running."""
    return _record(context, at, RecordType.CANCEL, out, ref=ref, why=why)


def proto_reject(context: Context, at: Moment, *, why: str) -> bytes:
    return _record(context, at, RecordType.PROTO_REJECT, Out.DENY, why=why)


def config_reload(context: Context, at: Moment, *, out: Out, why: str | None = None) -> bytes:
    """``context`` holds the digests now in force: the new ones when ``out`` is ok, else the old ones."""
    return _record(context, at, RecordType.CONFIG_RELOAD, out, why=why)


def log_event(
    context: Context, at: Moment, kind: RecordType, *, prev: Mapping[str, object] | None, why: str | None = None
) -> bytes:
    """The recorder's own records, the first of each file: ``prev`` says which bytes of which file come before."""
    return _record(context, at, kind, Out.OK, prev=prev, why=why)


def intent_form(context: Context) -> bytes:
    """An intent with blanks (``BLANK``) for what the next one has otherwise."""
    return _form(context, RecordType.STMT_INTENT, "intent", "dec", "stmt")


def outcome_form(context: Context) -> bytes:
    return _form(context, RecordType.STMT_OUTCOME, "outcome", "ref", "res")


def statement_form(statement: StatementInfo, *, parameters: bool) -> bytes:
    """``stmt`` with blanks for the digest of the text and, if there are parameters, for the list of theirs."""
    value = _present(statement) | {"sha": _blank("sha")}
    return _dump(value | {"params": _blank("params")} if parameters else value)


def decision_part(decision: DecisionInfo) -> bytes:
    """``dec``"""
    return _kept(_dump(_present(decision)))


def _form(context: Context, kind: RecordType, phase: str, *parts: str) -> bytes:
    blanks = {name: _blank(name) for name in ("id", "mono", "out", "ts", *parts)}
    return _dump({**context.parts, "type": kind, "phase": phase, **blanks})


def _blank(name: str) -> orjson.Fragment:
    blank = BLANK + name.encode() + BLANK
    return orjson.Fragment(b'"%b"' % blank if name in _WORDS else blank)


def _record(
    context: Context,
    at: Moment,
    kind: RecordType,
    out: Out,
    phase: str = "event",
    *,
    why: str | None = None,
    **fields: object,
) -> bytes:
    record: dict[str, object] = {
        **context.parts,
        "id": at.id,
        "ts": at.ts,
        "mono": at.mono,
        "type": kind,
        "phase": phase,
        "out": out,
    }
    if why is not None:
        record["why"] = strip_names(why)[:MAX_WORDS]
    for name, value in fields.items():
        if value is not None:
            record[name] = value[:MAX_WORDS] if isinstance(value, str) else value
    return _encode(record)


def _statement(statement: StatementInfo, params: Sequence[str | None]) -> dict[str, object]:
    value = _present(statement)
    if len(params) > MAX_PARAMETERS:
        value["params"] = params[:MAX_PARAMETERS]
        value["params_all"] = {"count": len(params), "dig": shape_digest(",".join(map(str, params)))}
    elif params:
        value["params"] = params
    return value


def _present(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that say something, long words cut."""
    present: dict[str, Any] = {}
    for name in type(value).__slots__:
        field = getattr(value, name)
        if isinstance(field, str):
            present[name] = field if name == "text" else field[:MAX_WORDS]
        elif isinstance(field, Mapping):
            present[name] = dict(field)
        elif field is not None and field != ():
            present[name] = field
    return present


def _fragment(value: Mapping[str, object]) -> orjson.Fragment:
    return orjson.Fragment(_kept(_dump(value)))


def _kept(data: bytes) -> bytes:
    """A copy, which has the size of its bytes: what orjson gives occupies 4 KiB, and a session has five of them."""
    return bytes(memoryview(data))


def _encode(record: dict[str, Any]) -> bytes:
    data = _dump(record)
    for reduce in _REDUCTIONS:
        if len(data) <= MAX_RECORD:
            return data
        data = _dump(reduce(record))
    return data


def _without_text(record: dict[str, Any]) -> dict[str, Any]:
    statement = record.get("stmt")
    if statement is not None:
        statement.pop("text", None)
        record["cut"] = ["stmt.text"]
    return record


def _with_short_lists(record: dict[str, Any]) -> dict[str, Any]:
    for part in ("stmt", "dec", "res"):
        for name, value in record.get(part, {}).items():
            if isinstance(value, (tuple, list)) and len(value) > MAX_ITEMS:
                record[part][name] = value[:MAX_ITEMS]
                record.setdefault("cut", []).append(f"{part}.{name}")
            elif isinstance(value, dict) and len(value) > MAX_ITEMS:
                record[part][name] = dict(sorted(value.items())[:MAX_ITEMS])
                record.setdefault("cut", []).append(f"{part}.{name}")
    return record


def _bare(record: dict[str, Any]) -> dict[str, Any]:
    """The last resort: names longer than any server's. Digest, counts and decision remain."""
    kept = {"sha", "fp", "kind", "act", "end", "rows", "bytes", "sqlstate", "params_all"}
    for part in ("stmt", "dec", "res"):
        if part in record:
            record[part] = {name: value for name, value in record[part].items() if name in kept}
    record["cut"] = ["stmt", "dec", "res"]
    return record


_REDUCTIONS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_without_text, _with_short_lists, _bare)


def _dump(value: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # Lone surrogates: text that came in an encoding which is not UTF-8. They are recorded as ?.
        return orjson.dumps(_printable(value), option=orjson.OPT_SORT_KEYS)


def _printable(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_printable(name): _printable(item) for name, item in value.items()}
        case list() | tuple():
            return [_printable(item) for item in value]
        case _:
            return value
