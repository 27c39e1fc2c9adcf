"""From what happens in a session to its records: who, under which grant, what, decided how, ended how.

Compiled by Cython; the types of attributes are in ``journal.pxd``.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Self, TypeAlias

import cython

from maskproxy import __version__
from maskproxy.audit import records
from maskproxy.audit.digests import PARAMETER, TEXT, Digests, parameter_digest
from maskproxy.audit.moment import Moment, Moments, Stamp
from maskproxy.audit.template import LONGEST_TEXT, SessionTemplates, StatementTemplate, microseconds
from maskproxy.audit.values import Actor, DecisionInfo, Destination, End, GrantInfo, Origin, Out, Result, Source
from maskproxy.audit.values import StatementInfo as Statement
from maskproxy.base.errors import ColumnRefused, MaskproxyError
from maskproxy.base.refs import ColumnRef
from maskproxy.base.secret import Secret
from maskproxy.core.plan import Plan
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.proxy.admission import Admission
from maskproxy.proxy.recorder_client import RecorderClient
from maskproxy.session.actions import RecordDenial, RecordIntent, RecordOutcome
from maskproxy.session.allowance import compared
from maskproxy.session.kernel.digests import digest_of, keyed

_CANCELLED = "57014"
_DESCRIPTIONS = 256
_TEMPLATES = 1024  # of statements, each some kilobytes


class Journal:
    """One worker's way to the recorder."""

    def __init__(self, recorder: RecorderClient, key: Secret[bytes], settings_digest: str) -> None:
        self.key = key
        self.digests = Digests(partial(digest_of, keyed(key, TEXT)), partial(digest_of, keyed(key, PARAMETER)))
        self.moments = Moments(time.time_ns, time.monotonic_ns, os.urandom)
        self.origin = Origin(
            node=platform.node(), boot=self.moments.now().id, build=f"maskproxy {__version__}", cfg=settings_digest
        )
        self._described = lru_cache(_DESCRIPTIONS)(self._describe)
        self._template = lru_cache(_TEMPLATES)(self._make_template)
        self.write = recorder.submit  # one record; its ``done`` hears once whether it is durable

    def reloaded(self, *, why: str | None) -> None:
        """``why`` says what was wrong with the new files; None when they are in force."""
        context = records.make_context(self.origin)
        out = Out.OK if why is None else Out.ERROR
        self.write(records.config_reload(context, self.moments.now(), out=out, why=why))

    def describe(self, text: str | None, plan: Plan | None) -> Statement:
        """What may be recorded of a text. Of one that differs from another in literals only, the digest is its own."""
        if text is None or plan is None or plan.pattern is None:
            return self._described(text, plan)
        return records.describe_alike(self._described(plan.pattern.text, plan.pattern), text, self.key)

    def template(self, plan: Plan | None) -> StatementTemplate | None:
        """None where records are not made from one."""
        if plan is None or len(plan.text) > LONGEST_TEXT:
            return None
        pattern = plan.pattern
        return self._template(plan if pattern is None or pattern.statements is not plan.statements else pattern)

    def _make_template(self, plan: Plan) -> StatementTemplate:
        statement, masks = self.describe(plan.text, plan), _masks(plan)
        columns = [mask.column for mask in masks] + [column for each in plan.statements for column in each.shown]
        return StatementTemplate(plan.text, statement, _decision(plan), modified=bool(masks), columns=columns)

    def _describe(self, text: str | None, plan: Plan | None) -> Statement:
        analyses = [s.analysis for s in plan.statements if s.analysis is not None] if plan is not None else []
        tables = sorted({str(table) for analysis in analyses for table in analysis.tables})
        columns = sorted({str(source) for a in analyses for output in a.outputs for source in output.sources})
        classes = sorted({mask.label for mask in _masks(plan)})
        return records.describe_text(
            text,
            self.key,
            kind=",".join(sorted({str(analysis.kind) for analysis in analyses})) or None,
            parse="ok" if analyses else "none",
            tables=tuple(tables),
            cols=tuple(columns),
            classes=tuple(classes),
        )


_Open: TypeAlias = "tuple[bytes, int, StatementTemplate | None]"
"""A statement whose outcome is still to come: its intent's id, when it began, what its records are made from."""


class SessionJournal:
    """The records of one connection; the context grows as more of it is proven."""

    def __init__(self, journal: Journal, context: records.Context, session: str, source: Source) -> None:
        self.journal = journal
        self.context = context
        self.session = session
        self.source = source
        self._open: dict[int, _Open] = {}
        self._templates: SessionTemplates | None = None  # of the context

    @classmethod
    def connected(cls, journal: Journal, address: str, listener: str) -> Self:
        source = Source(addr=address, listener=listener)
        session = journal.moments.now().id
        return cls(journal, records.make_context(journal.origin, session=session, source=source), session, source)

    def _know(self, **known: Any) -> None:
        """Parts of the context of all records from now on."""
        self.context = records.make_context(self.journal.origin, session=self.session, source=self.source, **known)
        self._templates = None

    def claims(self, user: str, application_name: str | None, tls: str | None) -> None:
        claimed = {"user": user} | ({"application_name": application_name} if application_name else {})
        self.source = Source(addr=self.source.addr, listener=self.source.listener, tls=tls)
        self._know(claimed=claimed)

    def auth_fail(self, why: str) -> None:
        self.journal.write(records.auth_fail(self.context, self._now(), why=why))

    def denied_session(self, error: MaskproxyError) -> None:
        self.journal.write(records.session_deny(self.context, self._now(), why=error.message, sqlstate=error.sqlstate))

    def admitted(self, admission: Admission, application_name: str | None) -> None:
        grant, database = admission.grant, admission.policies.database
        self._know(
            actor=Actor(agent=grant.principal, kind=admission.kind, authn="scram-sha-256", cred=admission.credential),
            destination=Destination(db=database.name, host=f"{database.host}:{database.port}", role=database.user),
            grant=GrantInfo(
                id=grant.id,
                scope=",".join(grant.scopes),
                expires=grant.until.isoformat(),
                approver=grant.approved_by,
                purpose=grant.purpose,
                ticket=grant.ticket,
            ),
            claimed={"application_name": application_name} if application_name else None,
        )
        self.journal.write(records.auth_ok(self.context, self._now()))

    def started(self) -> None:
        self.journal.write(records.session_start(self.context, self._now()))

    def ended(self, error: MaskproxyError | None) -> None:
        why = "client said goodbye" if error is None else error.message
        for number in list(self._open):
            self.outcome(RecordOutcome(number, 0, 0, None, None if error is None else error.sqlstate, ()), lost=True)
        out = Out.OK if error is None else Out.ERROR
        self.journal.write(records.session_end(self.context, self._now(), why=why, out=out))

    def protocol_error(self, why: str) -> None:
        self.journal.write(records.proto_reject(self.context, self._now(), why=why))

    def cancelled(self, *, known: bool) -> None:
        out = Out.OK if known else Out.DENY
        self.journal.write(records.cancel(self.context, self._now(), out=out))

    def intent(self, action: RecordIntent, done: Callable[[bool], None]) -> None:
        self.intent_of(action.number, action.plan, action.parameters, done)

    def intent_of(
        self,
        number: cython.Py_ssize_t,
        plan: Plan | None,
        parameters: Sequence[bytes | None],
        done: Callable[[bool], None],
    ) -> None:
        """``done`` hears once whether it is durable, later than now."""
        journal = self.journal
        at = journal.moments.stamp()
        template = journal.template(plan)
        self._open[number] = (at[0], at[2], template)
        record = None
        if template is not None and plan is not None:
            record = (self._templates or self._begin()).intent(at, template, plan.text, parameters, journal.digests)
        journal.write(self._unusual_intent(at, plan, parameters) if record is None else record, done)

    def _unusual_intent(self, at: Stamp, plan: Plan | None, parameters: Sequence[bytes | None]) -> bytes:
        journal = self.journal
        return records.intent(
            self.context,
            Moment.of(at),
            statement=journal.describe(None if plan is None else plan.text, plan),
            decision=_decision(plan),
            params=[parameter_digest(journal.key, value) for value in parameters],
            modified=bool(_masks(plan)),
        )

    def outcome(self, action: RecordOutcome, lost: cython.bint = False) -> None:
        masked, sqlstate = action.masked, action.sqlstate
        self.outcome_of(action.number, action.rows, action.bytes, action.tag, sqlstate, masked, lost)

    def outcome_of(
        self,
        number: cython.Py_ssize_t,
        rows: cython.Py_ssize_t,
        size: cython.Py_ssize_t,
        tag: str | None,
        sqlstate: str | None,
        masked: Sequence[tuple[ColumnRef, int]],
        lost: cython.bint = False,
    ) -> None:
        """``size`` in bytes; ``masked``: in how many rows a column was masked, sorted by column."""
        opened = self._open.pop(number, None)
        if opened is None:
            return
        ref, began, template = opened
        at = self.journal.moments.stamp()
        record = None
        if template is not None and sqlstate is None and not lost:
            record = (self._templates or self._begin()).outcome(at, template, ref, began, rows, size, tag, masked)
        if record is None:
            cancelled = End.CANCELLED if sqlstate == _CANCELLED else End.ERROR if sqlstate else End.COMPLETE
            result = Result(
                end=End.CLIENT_GONE if lost and sqlstate is None else cancelled,
                rows=rows,
                bytes=size,
                tag=tag,
                sqlstate=sqlstate,
                masked={str(column): number for column, number in masked} or None,
                ms=microseconds(began, at[2]) / 1000,
            )
            out = Out.UNKNOWN if lost else Out.ERROR if sqlstate else Out.MODIFY if masked else Out.OK
            record = records.outcome(self.context, Moment.of(at), ref=ref.decode(), result=result, out=out)
        self.journal.write(record)

    def _begin(self) -> SessionTemplates:
        self._templates = SessionTemplates(self.context)
        return self._templates

    def denial(self, action: RecordDenial) -> None:
        error = action.error
        rules = (error.rule,) if isinstance(error, ColumnRefused) else ()
        record = records.denied(
            self.context,
            self._now(),
            statement=self.journal.describe(action.text, None),
            decision=DecisionInfo(act="deny", rules=rules),
            sqlstate=error.sqlstate,
            why=error.message,
        )
        self.journal.write(record)

    def _now(self) -> Moment:
        return self.journal.moments.now()


def _decision(plan: Plan | None) -> DecisionInfo:
    masks = _masks(plan)
    disclosed = {} if plan is None else {str(column): number for column, number in compared(plan).items()}
    rules = tuple(sorted({mask.rule for mask in masks}))
    return DecisionInfo(act="mask" if masks else "permit", rules=rules, disclosed=disclosed or None)


def _masks(plan: Plan | None) -> frozenset[ColumnMask]:
    return frozenset() if plan is None else frozenset().union(*(statement.masks for statement in plan.statements))
