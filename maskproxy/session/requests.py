"""From the client to the server: each message is planned, recorded and forwarded, or refused.

Messages are taken one by one in the order of their arrival. One that needs an analysis, or a durable record before it may
be sent, stops the taking until the answer is there (``analysed``, ``recorded``); what arrives meanwhile waits in the buffer.

Reads are forwarded at once and their results held until the record is durable (``replies``). Everything else waits here.
"""

from collections.abc import Callable

from maskproxy.base import limits
from maskproxy.base.errors import (
    AuditUnavailable,
    LimitExceeded,
    MaskproxyError,
    ProtocolError,
    Refused,
    StatementError,
    Unparsable,
    UnknownPortal,
    UnknownStatement,
    UnsupportedFeature,
)
from maskproxy.core.plan import Plan
from maskproxy.core.sql.statement import Verb
from maskproxy.session.actions import Analyse, RecordDenial, RecordIntent
from maskproxy.session.masking import row_masks
from maskproxy.session.pipeline import Durability, Kind, Request
from maskproxy.session.state import SessionState
from maskproxy.session.statements import Portal, PreparedStatement
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.framing import next_frame
from maskproxy.wire.postgres.messages import FrontendType as F

_SMALL = 64 * limits.KiB  # messages that carry names at most
_HEADER = 5

AUDIT_HINT = "The audit log cannot be written right now; try again, and tell the operator of maskproxy."


class Requests:
    """The client's direction of one session."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._buffer = bytearray()
        self._then: Callable[[Plan | StatementError], None] | None = None
        self._held: tuple[Request, bytes] | None = None
        self._stream = 0  # bytes still to come of a CopyData message that is being passed on
        self._handlers: dict[int, tuple[Callable[[bytes, bytes], None], int]] = {
            F.QUERY: (self._on_query, limits.MAX_MESSAGE),
            F.PARSE: (self._on_parse, limits.MAX_MESSAGE),
            F.BIND: (self._on_bind, limits.MAX_MESSAGE),
            F.DESCRIBE: (self._on_describe, _SMALL),
            F.EXECUTE: (self._on_execute, _SMALL),
            F.CLOSE: (self._on_close, _SMALL),
            F.SYNC: (self._on_sync, _SMALL),
            F.FLUSH: (self._on_flush, _SMALL),
            F.TERMINATE: (self._on_terminate, _SMALL),
            F.FUNCTION_CALL: (self._on_function_call, limits.MAX_MESSAGE),
            F.COPY_DATA: (self._on_copy, limits.MAX_MESSAGE),
            F.COPY_DONE: (self._on_copy, _SMALL),
            F.COPY_FAIL: (self._on_copy, _SMALL),
        }

    @property
    def blocked(self) -> bool:
        return self._then is not None or self._held is not None or len(self._state.pipeline) >= limits.MAX_PIPELINE

    @property
    def full(self) -> bool:
        """More of the client waits for an answer of the world outside than should: stop reading from it."""
        return self.blocked and len(self._buffer) > limits.HIGH_WATER

    def feed(self, data: bytes) -> None:
        self._buffer += data
        self.pump()

    def pump(self) -> None:
        """Take messages while nothing stands in the way. Raises ProtocolError."""
        offset = 0
        while not self.blocked and not self._state.closed:
            end = self._take_stream(offset) if self._stream else self._take(offset)
            if end == offset:
                break
            offset = end
        del self._buffer[:offset]

    def _take(self, offset: int) -> int:
        """Handle one whole message; the offset behind it, or ``offset`` when it is not complete yet."""
        if offset >= len(self._buffer):
            return offset
        kind = self._buffer[offset]
        known = self._handlers.get(kind)
        if known is None:
            raise ProtocolError(f"unknown message type 0x{kind:02x}")
        handler, limit = known
        end = next_frame(self._buffer, offset, limit)
        if end == 0:
            if kind == F.COPY_DATA and self._state.transparent and len(self._buffer) >= offset + _HEADER:
                self._stream = 1 + int.from_bytes(self._buffer[offset + 1 : offset + _HEADER], "big")
                return self._take_stream(offset)
            return offset
        frame = bytes(self._buffer[offset:end])
        handler(frame[_HEADER:], frame)
        return end

    def _take_stream(self, offset: int) -> int:
        chunk = bytes(self._buffer[offset : offset + self._stream])
        self._stream -= len(chunk)
        if chunk:
            self._state.to_backend.append(chunk)
        return offset + len(chunk)

    # answers from the world outside

    def analysed(self, result: Plan | StatementError) -> None:
        then, self._then = self._then, None
        if then is None or self._state.closed:
            return
        if isinstance(result, Plan) and result.stamp != self._state.policy.stamp:
            self._with_plan(result.text, then)  # rules or catalog were replaced while it was made
        else:
            then(result)
        self.pump()

    def recorded(self, number: int, *, durable: bool) -> bool:
        """True when this number's message was waiting here."""
        if self._held is None or self._held[0].number != number:
            return False
        (request, frame), self._held = self._held, None
        if self._state.closed:
            return True
        extended = request.kind is Kind.EXECUTE
        if extended and self._state.skipping:
            pass  # an earlier request failed meanwhile: the server would skip this one too
        elif durable:
            request.durability = Durability.DURABLE
            self._send(request, frame)
        else:
            self._refuse(AuditUnavailable("the record of the statement could not be written", hint=AUDIT_HINT), extended)
        self.pump()
        return True

    # planning

    def _with_plan(self, text: str, then: Callable[[Plan | StatementError], None]) -> None:
        policy = self._state.policy
        plan = policy.cached(text)
        if plan is not None:
            then(plan)
        elif policy.scope.unrestricted:
            then(policy.decide(text))
        elif len(text) > limits.MAX_STATEMENT:
            then(LimitExceeded(f"statement is longer than {limits.MAX_STATEMENT} characters"))
        else:
            self._then = then
            self._state.actions.append(Analyse(text))

    def _with_fresh(self, statement: PreparedStatement, then: Callable[[], None]) -> None:
        """Run ``then`` once the statement's plan is one of today's rules and catalog; refuse when it would not be allowed."""
        if statement.plan.stamp == self._state.policy.stamp:
            then()
            return

        def replanned(result: Plan | StatementError) -> None:
            if self._state.skipping:
                return
            if isinstance(result, StatementError):
                self._refuse(result, extended=True, text=statement.plan.text)
            elif result.sql != statement.plan.sql:
                # the words by which drivers know that they must prepare again
                self._refuse(UnsupportedFeature("cached plan must not change result type"), extended=True)
            else:
                statement.plan = result
                statement.described = False
                then()

        self._with_plan(statement.plan.text, replanned)

    # sending and refusing

    def _send(self, request: Request, frame: bytes) -> None:
        state = self._state
        if request.kind is Kind.QUERY:  # a simple query destroys the unnamed statement and portal
            state.statements.remove("")
            state.portals.remove("")
        if request.kind in (Kind.QUERY, Kind.EXECUTE) and request.plan is not None:
            self._follow_session_commands(request, request.plan)
        if request.kind is Kind.EXECUTE:
            self._describe_first(request, frame)
        state.pipeline.add(request)
        state.to_backend.append(frame)

    def _describe_first(self, request: Request, frame: bytes) -> None:
        """Have the server describe a masked result before its first row, unless it has done so for this statement."""
        portal = request.portal
        if portal is None or request.masks is None or portal.statement.described:
            return
        name = m.Execute.decode(frame[_HEADER:]).portal
        describe = Request(Kind.DESCRIBE_PORTAL, plan=request.plan, statement=portal.statement, absorb=True)
        self._state.pipeline.add(describe)
        self._state.to_backend.append(m.Describe(b"P", name).encode())

    def _record_and_send(self, request: Request, frame: bytes, parameters: tuple[bytes | None, ...]) -> None:
        plan = request.plan
        if plan is not None and not plan.transparent and not plan.statements:  # an empty statement does nothing
            self._send(request, frame)
            return
        request.number = self._state.next_number()
        request.durability = Durability.PENDING
        self._state.actions.append(RecordIntent(request.number, plan, parameters))
        if plan is not None and plan.reads_only:
            self._send(request, frame)
        else:
            self._held = (request, frame)

    def _refuse(self, error: MaskproxyError, extended: bool, text: str | None = None) -> None:
        """Answer with an error in this request's turn. The server sees nothing of it, and its transaction lives on."""
        state = self._state
        state.actions.append(RecordDenial(text, error))
        batch = state.pipeline.unsynced()
        if state.status == b"I" and any(r.kind is Kind.EXECUTE and not (r.plan and r.plan.reads_only) for r in batch):
            # the server would roll back the implicit transaction of this pipeline: make it fail there too
            state.pipeline.add(Request(Kind.ABORT))
            state.to_backend.append(m.Parse("", "refused by maskproxy", ()).encode())
        if extended:
            state.pipeline.add(Request(Kind.REFUSAL, error=error))
            state.skipping = True
        elif batch:
            state.pipeline.add(Request(Kind.REFUSAL, error=error))
            state.pipeline.add(Request(Kind.SYNC))
            state.to_backend.append(m.Sync().encode())
        else:
            state.pipeline.add(Request(Kind.REFUSAL_READY, error=error))

    def _follow_session_commands(self, request: Request, plan: Plan) -> None:
        """Take over what a session statement does to the names."""
        state = self._state
        for statement in plan.statements:
            command = statement.session
            if command is None:
                continue
            if command.verb is Verb.DEALLOCATE and command.name is not None:
                request.changes.append(state.statements.remove(command.name))
            elif command.verb in (Verb.DEALLOCATE, Verb.DISCARD_ALL):
                request.changes.extend(state.statements.remove_all())
            if command.verb is Verb.CLOSE and command.name is not None:
                request.changes.append(state.portals.remove(command.name))
            elif command.verb in (Verb.CLOSE, Verb.DISCARD_ALL):
                request.changes.extend(state.portals.remove_all())

    # one handler per message type

    def _on_query(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        text = m.Query.decode(payload).sql

        def planned(result: Plan | StatementError) -> None:
            if isinstance(result, StatementError):
                self._refuse(result, extended=False, text=text)
            else:
                sent = frame if result.sql == text else m.Query(result.sql).encode()
                self._record_and_send(Request(Kind.QUERY, plan=result), sent, ())

        self._with_plan(text, planned)

    def _on_parse(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        message = m.Parse.decode(payload)

        def planned(result: Plan | StatementError) -> None:
            state = self._state
            if state.skipping:
                return
            if isinstance(result, StatementError):
                self._refuse(result, extended=True, text=message.sql)
            elif len(result.statements) > 1:
                error = Unparsable("cannot insert multiple commands into a prepared statement")
                self._refuse(error, extended=True, text=message.sql)
            elif len(state.statements) >= limits.MAX_STATEMENTS_PER_SESSION:
                self._refuse(LimitExceeded("too many prepared statements"), extended=True, text=message.sql)
            else:
                statement = PreparedStatement(result)
                request = Request(Kind.PARSE, plan=result, statement=statement)
                request.changes.append(state.statements.set(message.name, statement))
                rewritten = m.Parse(message.name, result.sql, message.param_types)
                self._send(request, frame if result.sql == message.sql else rewritten.encode())

        self._with_plan(message.sql, planned)

    def _on_bind(self, payload: bytes, frame: bytes) -> None:
        state = self._state
        if state.skipping:
            return
        message = m.Bind.decode(payload)
        statement = state.statements.get(message.statement) or self._unseen_statement()
        if statement is None:
            error = UnknownStatement(f'prepared statement "{message.statement}" does not exist')
            self._refuse(error, extended=True)
            return
        if len(state.portals) >= limits.MAX_STATEMENTS_PER_SESSION:
            self._refuse(LimitExceeded("too many portals"), extended=True)
            return

        def fresh() -> None:
            portal = Portal(statement, message.result_formats, message.params)
            request = Request(Kind.BIND, portal=portal)
            request.changes.append(state.portals.set(message.portal, portal))
            self._send(request, frame)

        self._with_fresh(statement, fresh)

    def _unseen_statement(self) -> PreparedStatement | None:
        """Under an unrestricted scope a statement may have been prepared in SQL, which we do not follow."""
        if not self._state.transparent:
            return None
        result = self._state.policy.decide("")
        return PreparedStatement(result) if isinstance(result, Plan) else None

    def _unseen_portal(self) -> Portal | None:
        statement = self._unseen_statement()
        return None if statement is None else Portal(statement, (), ())

    def _on_describe(self, payload: bytes, frame: bytes) -> None:
        state = self._state
        if state.skipping:
            return
        message = m.Describe.decode(payload)
        if message.kind == b"S":
            statement = state.statements.get(message.name) or self._unseen_statement()
            if statement is None:
                error: StatementError = UnknownStatement(f'prepared statement "{message.name}" does not exist')
                self._refuse(error, extended=True)
                return
            self._send(Request(Kind.DESCRIBE_STATEMENT, plan=statement.plan, statement=statement), frame)
            return
        portal = state.portals.get(message.name) or self._unseen_portal()
        if portal is None:
            self._refuse(UnknownPortal(f'portal "{message.name}" does not exist'), extended=True)
            return
        request = Request(Kind.DESCRIBE_PORTAL, plan=portal.statement.plan, statement=portal.statement, portal=portal)
        self._send(request, frame)

    def _on_execute(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        name = m.Execute.decode(payload).portal
        found = self._state.portals.get(name) or self._unseen_portal()
        if found is None:
            self._refuse(UnknownPortal(f'portal "{name}" does not exist'), extended=True)
            return
        portal: Portal = found

        def fresh() -> None:
            plan = portal.statement.plan
            request = Request(Kind.EXECUTE, plan=plan, portal=portal)
            outputs = plan.statements[0].outputs if plan.statements else None
            request.masks = None if outputs is None else row_masks(outputs, portal.formats)
            self._record_and_send(request, frame, portal.parameters)

        self._with_fresh(portal.statement, fresh)

    def _on_close(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        message = m.Close.decode(payload)
        request = Request(Kind.CLOSE)
        if message.kind == b"S":
            request.changes.append(self._state.statements.remove(message.name))
        else:
            request.changes.append(self._state.portals.remove(message.name))
        self._send(request, frame)

    def _on_sync(self, payload: bytes, frame: bytes) -> None:
        self._state.skipping = False
        self._send(Request(Kind.SYNC), frame)

    def _on_flush(self, payload: bytes, frame: bytes) -> None:
        if not self._state.skipping:
            self._state.to_backend.append(frame)

    def _on_terminate(self, payload: bytes, frame: bytes) -> None:
        self._state.to_backend.append(frame)
        self._state.end(None)

    def _on_function_call(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        if self._state.transparent:
            self._record_and_send(Request(Kind.FUNCTION_CALL), frame, ())
        else:
            error = Refused(
                "the FunctionCall message is not allowed under a masking scope",
                hint="Call the function in a SELECT statement.",
            )
            self._refuse(error, extended=False)

    def _on_copy(self, payload: bytes, frame: bytes) -> None:
        """Outside COPY the server ignores these; under a masking scope COPY never starts."""
        if self._state.transparent:
            self._state.to_backend.append(frame)
