"""What stands between a client's message and the server: a plan, a durable record, or a refusal.

A message that needs an analysis, or a durable record before it may be sent, stops the taking of further messages until
the answer is there (``analysed``, ``recorded``), or the client cancels it. Reads are sent at once and their results
held until the record is durable (``replies``); everything else waits here.
"""

from collections.abc import Callable

from maskproxy.base import limits
from maskproxy.base.errors import (
    AuditUnavailable,
    LimitExceeded,
    MaskproxyError,
    Refused,
    StatementCancelled,
    StatementError,
    UnsupportedFeature,
)
from maskproxy.core.plan import Plan, StatementPlan
from maskproxy.core.sql.statement import Verb
from maskproxy.session.actions import Analyse, RecordDenial, RecordIntent, RecordOutcome
from maskproxy.session.follow import follow, out_of_date
from maskproxy.session.holdings import Holdings
from maskproxy.session.pipeline import Durability, Kind, Request
from maskproxy.session.state import SessionState
from maskproxy.session.statements import Portal, PreparedStatement
from maskproxy.session.writeback import literal_refusal, parameter_refusal
from maskproxy.wire.postgres import messages as m

_HEADER = 5

AUDIT_HINT = "The audit log cannot be written right now; try again, and tell the operator of maskproxy."


def cancelled() -> StatementCancelled:
    return StatementCancelled("canceling statement due to user request")


def _with_literals(result: Plan | StatementError) -> Plan | StatementError:
    """A plan whose literals may be written, or the refusal."""
    return result if isinstance(result, StatementError) else literal_refusal(result) or result


class Gate:
    """Plans, records, sends and refuses for one session."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._then: Callable[[Plan | StatementError], None] | None = None
        self._held: tuple[Request, bytes] | None = None
        self._analyses = 0

    @property
    def blocked(self) -> bool:
        waits = self._then is not None or self._held is not None or self._state.cancelling
        return waits or len(self._state.pipeline) >= limits.MAX_PIPELINE

    # answers from the world outside

    def analysed(self, number: int, result: Plan | StatementError) -> None:
        if number != self._analyses:  # of a statement that was cancelled
            return
        then, self._then = self._then, None
        if then is None or self._state.closed:
            return
        if isinstance(result, Plan) and result.stamp != self._state.policy.stamp:
            self.with_plan(result.text, then)  # rules or catalog were replaced while it was made
        else:
            then(_with_literals(result))

    def recorded(self, number: int, *, durable: bool) -> bool:
        """True when this number's message was waiting here."""
        if self._held is None or self._held[0].number != number:
            return False
        (request, frame), self._held = self._held, None
        if self._state.closed:
            return True
        extended = request.kind is Kind.EXECUTE
        if self._state.skipping:
            self._skip(request)
        elif durable and self._is_outdated(request):
            request.settle(done=False)
            self.refuse(Refused("rules or schema have just changed", hint="Try again."), extended=extended)
        elif durable:
            request.durability = Durability.DURABLE
            self.send(request, frame)
        else:
            request.settle(done=False)
            error = AuditUnavailable("the record of the statement could not be written", hint=AUDIT_HINT)
            self.refuse(error, extended=extended)
        return True

    def _is_outdated(self, request: Request) -> bool:
        plan = request.plan
        return plan is not None and not plan.transparent and plan.stamp != self._state.policy.stamp

    def cancel(self) -> bool:
        """End the message that waits here, unless the server is still at an earlier one; whether it was ended."""
        pipeline = self._state.pipeline
        if len(pipeline.unsynced()) < len(pipeline):
            return False
        if self._then is not None:
            then, self._then = self._then, None
            then(cancelled())
            return True
        if self._held is not None:
            (request, _), self._held = self._held, None
            request.settle(done=False)
            error = cancelled()
            self._state.actions.append(RecordOutcome.failed(request.number, error))
            self._answer(error, extended=request.kind is Kind.EXECUTE)
            return True
        return False

    # planning

    def with_plan(self, text: str, then: Callable[[Plan | StatementError], None]) -> None:
        policy = self._state.policy
        plan = policy.cached(text)
        if plan is not None:
            then(_with_literals(plan))
        elif policy.scope.unrestricted:
            then(policy.decide(text))
        elif len(text) > limits.MAX_STATEMENT:
            then(LimitExceeded(f"statement is longer than {limits.MAX_STATEMENT} characters"))
        else:
            self._then = then
            self._analyses += 1
            self._state.actions.append(Analyse(self._analyses, text))

    def with_fresh(self, bound: Portal, then: Callable[[], None]) -> None:
        """Run ``then`` once the plan is one of today's rules and catalog, and the parameters are found to be what may
        be written under it; refuse when there is no such plan."""
        statement = bound.statement

        def checked() -> None:
            error = parameter_refusal(statement.plan, bound.parameters, bound.parameter_formats, statement.types)
            if error is None:
                then()
            else:
                self.refuse(error, extended=True, text=statement.plan.text)

        if statement.plan.stamp == self._state.policy.stamp:
            checked()
            return
        if statement.made_in_sql:
            self.refuse(out_of_date(), extended=True)
            return

        def replanned(result: Plan | StatementError) -> None:
            if self._state.skipping:
                return
            if isinstance(result, StatementError):
                self.refuse(result, extended=True, text=statement.plan.text)
            elif result.sql != statement.plan.sql:
                # the words by which drivers know that they must prepare again
                self.refuse(UnsupportedFeature("cached plan must not change result type"), extended=True)
            else:
                statement.replan(result)
                checked()

        self.with_plan(statement.plan.text, replanned)

    # sending and refusing

    def send(self, request: Request, frame: bytes) -> None:
        state = self._state
        if state.skipping and request.kind is not Kind.SYNC:
            self._skip(request)
            return
        if request.kind is Kind.EXECUTE:
            self._describe_first(request, frame)
        elif request.kind is Kind.DESCRIBE_PORTAL and request.portal is not None and request.portal.target is None:
            request.portal.described = _first(request)
        request.policy = state.policy
        if request.plan is not None:
            state.pinned = state.pinned or request.plan.pins
            if state.holdings is not None and _sets(request.plan):
                state.holdings.stain()
        state.pipeline.add(request)
        state.to_backend.append(frame)

    def _skip(self, request: Request) -> None:
        """An earlier request failed meanwhile: the server would ignore this one, and never answer."""
        request.settle(done=False)
        if request.number:
            self._state.actions.append(RecordOutcome.failed(request.number, cancelled()))

    def make(self, request: Request, statement: PreparedStatement, holdings: Holdings) -> None:
        """Have a backend that serves many make the statement, anew where it holds it already: tables may be others now,
        and 'now' is another. Close first: that is no error where there is none, and Parse is one where there is."""
        alias = holdings.alias(statement)
        for gone in (*holdings.surplus(), alias):
            self.send(Request(Kind.CLOSE, absorb=True), m.Close(b"S", gone).encode())
        request.will(holdings.ask(alias))
        self.send(request, m.Parse(alias, statement.plan.sql, statement.types).encode())

    def name_of(self, statement: PreparedStatement, name: str) -> str:
        """By which the server knows what the client calls ``name``; it is made there if it is not yet."""
        holdings = self._state.holdings
        if holdings is None or statement.made_in_sql:
            return name
        alias = holdings.alias(statement)
        if not holdings.has(alias):
            self.make(Request(Kind.PARSE, plan=statement.plan, absorb=True), statement, holdings)
        return alias

    def _describe_first(self, request: Request, frame: bytes) -> None:
        """Have the server describe a result before its first row, unless it does so already for this portal."""
        portal, statement = request.portal, _first(request)
        if portal is None or statement is None or not statement.returns_rows:
            return
        if portal.described is not None and (portal.described is statement or portal.target is not None):
            return
        portal.described = statement
        name = m.Execute.decode(frame[_HEADER:]).portal
        describe = Request(
            Kind.DESCRIBE_PORTAL,
            plan=request.plan,
            policy=self._state.policy,
            statement=portal.statement,
            portal=portal,
            absorb=True,
        )
        self._state.pipeline.add(describe)
        self._state.to_backend.append(m.Describe(b"P", name).encode())

    def record_and_send(self, request: Request, frame: bytes, parameters: tuple[bytes | None, ...]) -> None:
        try:
            follow(self._state, request)
            self._meter(request)
        except StatementError as error:
            request.settle(done=False)
            text = None if request.plan is None else request.plan.text
            self.refuse(error, extended=request.kind is Kind.EXECUTE, text=text)
            return
        plan = request.plan
        if plan is not None and not plan.transparent and not plan.statements:  # an empty statement does nothing
            self.send(request, frame)
            return
        request.number = self._state.next_number()
        request.durability = Durability.PENDING
        self._state.actions.append(RecordIntent(request.number, plan, parameters))
        if plan is not None and plan.reads_only:
            self.send(request, frame)
        else:
            self._held = (request, frame)

    def _meter(self, request: Request) -> None:
        """Raises QuotaExceeded. To go on with a portal costs nothing."""
        plan, portal = request.plan, request.portal
        if plan is None or plan.transparent or (portal is not None and portal.started):
            return
        if (error := self._state.meter.take(self._state.policy.scope.limits, plan)) is not None:
            raise error
        if portal is not None:
            portal.started = True

    def refuse(self, error: MaskproxyError, *, extended: bool, text: str | None = None) -> None:
        """Answer with an error in this request's turn. The server sees nothing of it, and its transaction lives on."""
        self._state.actions.append(RecordDenial(text, error))
        self._answer(error, extended=extended)

    def _answer(self, error: MaskproxyError, *, extended: bool) -> None:
        state = self._state
        if self._fails_transaction(error):
            state.pipeline.add(Request(Kind.ABORT))
            state.to_backend.append(m.Parse("", "refused by maskproxy", ()).encode())
        if extended:
            state.pipeline.add(Request(Kind.REFUSAL, error=error))
            state.skipping = True
        elif state.pipeline.unsynced():
            state.pipeline.add(Request(Kind.REFUSAL, error=error))
            state.pipeline.add(Request(Kind.SYNC))
            state.to_backend.append(m.Sync().encode())
        else:
            state.pipeline.add(Request(Kind.REFUSAL_READY, error=error))

    def _fails_transaction(self, error: MaskproxyError) -> bool:
        """An implicit one, of a pipeline, would be rolled back by the server: it must fail there too. So must any when
        the statement was cancelled: who asked for that knows what becomes of a transaction."""
        batch = self._state.pipeline.unsynced()
        if isinstance(error, StatementCancelled):
            return self._state.status == b"T" or bool(batch)
        writes = any(each.kind is Kind.EXECUTE and not (each.plan and each.plan.reads_only) for each in batch)
        return self._state.status == b"I" and writes


def _sets(plan: Plan) -> bool:
    return any(each.session is not None and each.session.verb is Verb.SET for each in plan.statements)


def _first(request: Request) -> StatementPlan | None:
    return request.plan.statements[0] if request.plan is not None and request.plan.statements else None
