"""The records of statements, many a second: what stays the same is rendered once, and the rest is put in between.

The pieces are what the ordinary encoder (``records``) gives, cut at the blanks, so a filled-in record has the same
bytes as an ordinary one. What is not usual is not made here: an outcome with an error, a long text, many parameters, a
record over the limit, text that is not UTF-8. Then the answer is None, and the caller asks the ordinary encoder.

Pieces of a session are small and its own; those of a statement are shared by all sessions. Compiled by Cython when a C
compiler is there (``setup.py``); interpreted it gives the same bytes.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import cython
import orjson

from maskproxy.audit import records
from maskproxy.audit.digests import Digests
from maskproxy.audit.framing import MAX_RECORD
from maskproxy.audit.moment import Stamp
from maskproxy.audit.values import DecisionInfo, End, Out, StatementInfo
from maskproxy.base.refs import ColumnRef

LONGEST_TEXT = 4096  # characters; what is longer is not worth the memory
_MAX_RECORD: int = MAX_RECORD
_OK = Out.OK.encode()
_MODIFY = Out.MODIFY.encode()
_COMPLETE = str(End.COMPLETE)
_THOUSANDTHS = tuple(f"{number / 1000}"[1:] for number in range(1000))  # ".0", ".001", ".002"
_LONGEST_MS = 10**15  # microseconds; JSON has exponents beyond
_INTENT = ("dec", "id", "mono", "out", "stmt", "ts")
_OUTCOME = ("id", "mono", "out", "ref", "res", "ts")


@cython.cclass
class StatementTemplate:
    """Of one plan, and of those for texts that differ from its ``text`` in literals only. ``columns`` are those that
    may be masked in its rows."""

    _text: str
    _sha: bytes
    _decision: bytes
    _out: bytes
    _plain: tuple  # type: ignore[type-arg]
    _one: tuple  # type: ignore[type-arg]
    _many: tuple  # type: ignore[type-arg]
    _columns: tuple  # type: ignore[type-arg]
    _names: dict  # type: ignore[type-arg]

    def __init__(
        self,
        text: str,
        statement: StatementInfo,
        decision: DecisionInfo,
        *,
        modified: bool,
        columns: Iterable[ColumnRef],
    ) -> None:
        self._text = text
        self._sha = (statement.sha or "").encode()
        self._decision = records.decision_part(decision)
        self._out = _MODIFY if modified else _OK
        before, behind = _cut(records.statement_form(statement, parameters=False), ("sha",))
        self._plain = (before, behind)
        before, between, behind = _cut(records.statement_form(statement, parameters=True), ("params", "sha"))
        self._one = (before + b'["', b'"]' + between, behind)
        self._many = (before, between, behind)
        self._columns = tuple(columns)
        # By identity, which is sure as long as ``_columns`` holds them: hashing one takes longer than naming it.
        # Each with the name to sort by and the name in JSON; none of those that are not UTF-8.
        self._names = {id(column): (name, _string(name)) for column in self._columns if _is_utf_8(name := str(column))}


@cython.cclass
class SessionTemplates:
    """Of one session, as long as its context stays the same."""

    _intent: tuple  # type: ignore[type-arg]
    _outcome: tuple  # type: ignore[type-arg]

    def __init__(self, context: records.Context) -> None:
        self._intent = _cut(records.intent_form(context), _INTENT)
        self._outcome = _cut(records.outcome_form(context), _OUTCOME)

    def intent(
        self,
        at: Stamp,
        statement: StatementTemplate,
        text: str,
        parameters: Sequence[bytes | None],
        digests: Digests,
    ) -> bytes | None:
        count: cython.Py_ssize_t = len(parameters)
        if count > records.MAX_PARAMETERS:
            return None
        identity, ts, mono = at
        listed = b""
        between = b""
        if count == 0:
            before_sha, behind_sha = statement._plain
        elif count == 1 and parameters[0] is not None:
            before_sha, between, behind_sha = statement._one
            listed = digests.parameter(parameters[0]).encode("ascii")
        else:
            before_sha, between, behind_sha = statement._many
            listed = orjson.dumps([None if value is None else digests.parameter(value) for value in parameters])
        sha = statement._sha if text is statement._text else digests.text(text).encode("ascii")
        before_decision, before_id, before_mono, before_out, before_statement, before_ts, end = self._intent
        record = b"".join(
            (
                before_decision,
                statement._decision,
                before_id,
                identity,
                before_mono,
                _number(mono),
                before_out,
                statement._out,
                before_statement,
                before_sha,
                listed,
                between,
                sha,
                behind_sha,
                before_ts,
                ts,
                end,
            )
        )
        return None if len(record) > _MAX_RECORD else record

    def outcome(
        self,
        at: Stamp,
        statement: StatementTemplate,
        ref: bytes,
        began: cython.longlong,
        rows: cython.longlong,
        size: cython.longlong,
        tag: str | None,
        masked: Sequence[tuple[ColumnRef, int]],
    ) -> bytes | None:
        """Of a statement that was completed."""
        identity, ts, mono = at
        spent: cython.longlong = microseconds(began, mono)
        names = _masked(statement, masked) if masked else ""
        end = "" if tag is None else _tag(tag)
        if names is None or end is None or not 0 <= spent < _LONGEST_MS:
            return None
        whole: cython.longlong = spent // 1000
        result = (
            f'{{"bytes":{size},"end":"{_COMPLETE}"{names},"ms":{whole}{_THOUSANDTHS[spent - whole * 1000]},'
            f'"rows":{rows}{end}}}'
        )
        before_id, before_mono, before_out, before_ref, before_result, before_ts, behind_ts = self._outcome
        record = b"".join(
            (
                before_id,
                identity,
                before_mono,
                _number(mono),
                before_out,
                _MODIFY if masked else _OK,
                before_ref,
                ref,
                before_result,
                result.encode(),
                before_ts,
                ts,
                behind_ts,
            )
        )
        return None if len(record) > _MAX_RECORD else record


def microseconds(began: cython.longlong, ended: cython.longlong) -> int:
    """Of monotonic clocks in nanoseconds."""
    return int((ended - began + 500) // 1000)


@cython.cfunc
def _masked(statement: StatementTemplate, masked: Sequence[tuple[ColumnRef, int]]) -> str | None:
    """None when there is a column that is not known to be masked."""
    number: cython.longlong
    if len(masked) == 1:
        column, number = masked[0]
        entry = statement._names.get(id(column))
        return None if entry is None else f',"masked":{{{entry[1]}:{number}}}'
    entries = []
    for column, number in masked:
        entry = statement._names.get(id(column))
        if entry is None:
            return None
        entries.append((entry[0], f"{entry[1]}:{number}"))
    entries.sort()
    return f',"masked":{{{",".join([entry for _, entry in entries])}}}'


@lru_cache(512)
def _tag(tag: str) -> str | None:
    """None of one that is not UTF-8."""
    return f',"tag":{_string(tag[: records.MAX_WORDS])}' if _is_utf_8(tag) else None


def _string(text: str) -> str:
    return orjson.dumps(text).decode()


def _is_utf_8(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


@cython.cfunc
def _number(number: cython.longlong) -> bytes:
    return f"{number}".encode("ascii")


def _cut(form: bytes, blanks: tuple[str, ...]) -> tuple[bytes, ...]:
    """The pieces between the blanks."""
    pieces = form.split(records.BLANK)
    if tuple(name.decode() for name in pieces[1::2]) != blanks:
        raise ValueError("a record does not have the blanks that are filled in")
    return tuple(pieces[::2])
