"""The records of statements, many a second: what stays the same is rendered once, and the rest is put in between.

The pieces are what the ordinary encoder (``records``) gives, cut at the blanks, so a filled-in record has the same
bytes as an ordinary one. What is not usual is not made here: an outcome with an error, a long text, many parameters, a
record over the limit, text that is not UTF-8. Then the answer is None, and the caller asks the ordinary encoder.

Pieces of a session are small and its own; those of a statement are shared by all sessions. Compiled by Cython when a C
compiler is there (``setup.py``); interpreted it gives the same bytes.
"""

from collections.abc import Iterable, Sequence

import orjson

from maskproxy.audit import records
from maskproxy.audit.digests import parameter_digest, text_digest
from maskproxy.audit.framing import MAX_RECORD
from maskproxy.audit.moment import Stamp
from maskproxy.audit.values import DecisionInfo, End, Out, StatementInfo
from maskproxy.base.refs import ColumnRef
from maskproxy.base.secret import Secret

LONGEST_TEXT = 4096  # characters; what is longer is not worth the memory
_MAX_RECORD: int = MAX_RECORD
_OK = Out.OK.encode()
_MODIFY = Out.MODIFY.encode()
_COMPLETE = str(End.COMPLETE)
_INTENT = ("dec", "id", "mono", "out", "stmt", "ts")
_OUTCOME = ("id", "mono", "out", "ref", "res", "ts")


class StatementTemplate:
    """Of one plan, and of those for texts that differ from its ``text`` in literals only. ``columns`` are those that
    may be masked in its rows."""

    __slots__ = ("columns", "decision", "names", "out", "plain", "sha", "text", "with_parameters")

    def __init__(
        self,
        text: str,
        statement: StatementInfo,
        decision: DecisionInfo,
        *,
        modified: bool,
        columns: Iterable[ColumnRef],
    ) -> None:
        self.text = text
        self.decision = records.decision_part(decision)
        self.out = _MODIFY if modified else _OK
        self.sha = (statement.sha or "").encode()
        self.plain = _cut(records.statement_form(statement, parameters=False), ("sha",))
        self.with_parameters = _cut(records.statement_form(statement, parameters=True), ("params", "sha"))
        self.columns = tuple(columns)
        # by identity, which is sure as long as ``columns`` holds them: hashing one takes longer than naming it
        self.names = {id(column): str(column) for column in self.columns}


class SessionTemplates:
    """Of one session, as long as its context stays the same."""

    __slots__ = ("_intent", "_outcome")

    def __init__(self, context: records.Context) -> None:
        self._intent = _cut(records.intent_form(context), _INTENT)
        self._outcome = _cut(records.outcome_form(context), _OUTCOME)

    def intent(
        self,
        at: Stamp,
        statement: StatementTemplate,
        text: str,
        parameters: Sequence[bytes | None],
        key: Secret[bytes],
    ) -> bytes | None:
        if len(parameters) > records.MAX_PARAMETERS:
            return None
        before_decision, before_id, before_mono, before_out, before_statement, before_ts, end = self._intent
        identity, ts, mono = at
        if parameters:
            before_parameters, before_sha, behind_sha = statement.with_parameters
            before_sha = b"%b%b%b" % (before_parameters, _digests(parameters, key), before_sha)
        else:
            before_sha, behind_sha = statement.plain
        record = b"".join(
            (
                before_decision,
                statement.decision,
                before_id,
                identity,
                before_mono,
                b"%d" % mono,
                before_out,
                statement.out,
                before_statement,
                before_sha,
                statement.sha if text is statement.text else text_digest(key, text).encode(),
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
        began: int,
        rows: int,
        size: int,
        tag: str | None,
        masked: Sequence[tuple[ColumnRef, int]],
    ) -> bytes | None:
        """Of a statement that was completed."""
        identity, ts, mono = at
        result: dict[str, object] = {"bytes": size, "end": _COMPLETE}
        if masked:
            names = statement.names
            result["masked"] = {names.get(id(column)) or str(column): number for column, number in masked}
        result["ms"] = round((mono - began) / 1e6, 3)
        result["rows"] = rows
        if tag is not None:
            result["tag"] = tag[: records.MAX_WORDS]
        try:
            encoded = orjson.dumps(result, option=orjson.OPT_SORT_KEYS) if len(masked) > 1 else orjson.dumps(result)
        except orjson.JSONEncodeError:
            return None
        before_id, before_mono, before_out, before_ref, before_result, before_ts, end = self._outcome
        record = b"".join(
            (
                before_id,
                identity,
                before_mono,
                b"%d" % mono,
                before_out,
                _MODIFY if masked else _OK,
                before_ref,
                ref,
                before_result,
                encoded,
                before_ts,
                ts,
                end,
            )
        )
        return None if len(record) > _MAX_RECORD else record


def _cut(form: bytes, blanks: tuple[str, ...]) -> tuple[bytes, ...]:
    """The pieces between the blanks."""
    pieces = form.split(records.BLANK)
    if tuple(name.decode() for name in pieces[1::2]) != blanks:
        raise ValueError("a record does not have the blanks that are filled in")
    return tuple(pieces[::2])


def _digests(parameters: Sequence[bytes | None], key: Secret[bytes]) -> bytes:
    """A JSON list."""
    if len(parameters) == 1 and parameters[0] is not None:
        return f'["{parameter_digest(key, parameters[0])}"]'.encode()
    digests = [parameter_digest(key, value) for value in parameters]
    return orjson.dumps(digests)
