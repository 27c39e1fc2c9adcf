"""From the client to the server: messages are taken one by one, in the order of their arrival, and given to the gate.

What arrives while the gate is blocked waits in the buffer.
"""

from collections.abc import Callable
from dataclasses import replace

from maskproxy.base import limits
from maskproxy.base.errors import (
    DuplicateStatement,
    LimitExceeded,
    ProtocolError,
    Refused,
    StatementError,
    UnknownPortal,
    UnknownStatement,
    Unparsable,
)
from maskproxy.base.types import PARAMETER_TYPES
from maskproxy.core.plan import Plan
from maskproxy.session.follow import source_of
from maskproxy.session.gate import Gate
from maskproxy.session.pipeline import Kind, Request
from maskproxy.session.state import SessionState
from maskproxy.session.statements import Portal, PreparedStatement
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.framing import next_frame
from maskproxy.wire.postgres.messages import FrontendType as F

_SMALL = 64 * limits.KiB  # messages that carry names at most
_HEADER = 5


class Requests:
    """The client's direction of one session."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self.gate = Gate(state)
        self._buffer = bytearray()
        self.synced = False  # a Sync came since the last copy message
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
    def full(self) -> bool:
        """More of the client waits for an answer of the world outside than should: stop reading from it."""
        return len(self._buffer) > limits.HIGH_WATER and self.gate.blocked

    @property
    def empty(self) -> bool:
        """Nothing of the client waits here."""
        return not self._buffer and not self._stream and not self.gate.blocked

    def feed(self, data: bytes) -> None:
        self._state.quiet = False
        self._buffer += data
        self.pump()

    def pump(self) -> None:
        """Take messages while nothing stands in the way. Raises ProtocolError."""
        offset = 0
        while not self.gate.blocked and not self._state.closed and not self._state.leaving:
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
                self._note_copy()
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

    # one handler per message type

    def _on_query(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        text = m.Query.decode(payload).sql

        def planned(result: Plan | StatementError) -> None:
            if self._state.skipping:  # an earlier request failed meanwhile
                return
            if isinstance(result, StatementError):
                self.gate.refuse(result, extended=False, text=text)
            else:
                sent = frame if result.sql == text else m.Query(result.sql).encode()
                self.gate.record_and_send(Request(Kind.QUERY, plan=result), sent, ())

        self.gate.with_plan(text, planned)

    def _on_parse(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        message = m.Parse.decode(payload)
        if not self._state.transparent and (unknown := set(message.param_types) - PARAMETER_TYPES):
            error = Refused(
                f"a parameter may not have the type with OID {min(unknown)}",
                hint="Leave the type to the server (OID 0), or use a built-in type.",
            )
            self.gate.refuse(error, extended=True, text=message.sql)
            return

        def planned(result: Plan | StatementError) -> None:
            state = self._state
            if state.skipping:
                return
            if isinstance(result, StatementError):
                self.gate.refuse(result, extended=True, text=message.sql)
            elif len(result.statements) > 1:
                error = Unparsable("cannot insert multiple commands into a prepared statement")
                self.gate.refuse(error, extended=True, text=message.sql)
            elif len(state.statements) >= limits.MAX_STATEMENTS_PER_SESSION:
                self.gate.refuse(LimitExceeded("too many prepared statements"), extended=True, text=message.sql)
            else:
                statement = PreparedStatement(result, message.param_types)
                self._parse(message, statement, frame)

        self.gate.with_plan(message.sql, planned)

    def _parse(self, message: m.Parse, statement: PreparedStatement, frame: bytes) -> None:
        state, sql = self._state, statement.plan.sql
        if state.holdings is not None and message.name and state.statements.get(message.name) is not None:
            error = DuplicateStatement(f'prepared statement "{message.name}" already exists')
            self.gate.refuse(error, extended=True, text=message.sql)
            return
        request = Request(Kind.PARSE, plan=statement.plan, statement=statement)
        request.will(state.statements.set(message.name, statement))
        if state.holdings is not None:
            self.gate.make(request, statement, state.holdings)
        else:
            rewritten = m.Parse(message.name, sql, message.param_types)
            self.gate.send(request, frame if sql == message.sql else rewritten.encode())

    def _on_bind(self, payload: bytes, frame: bytes) -> None:
        state = self._state
        if state.skipping:
            return
        message = m.Bind.decode(payload)
        statement = state.statements.get(message.statement) or self._unseen_statement()
        if statement is None:
            error = UnknownStatement(f'prepared statement "{message.statement}" does not exist')
            self.gate.refuse(error, extended=True)
            return
        if len(state.portals) >= limits.MAX_STATEMENTS_PER_SESSION:
            self.gate.refuse(LimitExceeded("too many portals"), extended=True)
            return

        portal = Portal(statement, message.result_formats, message.params, message.param_formats)

        def fresh() -> None:
            try:
                portal.target = source_of(state, statement.plan.statements[0]) if statement.plan.statements else None
            except StatementError as error:
                self.gate.refuse(error, extended=True, text=statement.plan.text)
                return
            request = Request(Kind.BIND, plan=statement.plan, portal=portal)
            request.will(state.portals.set(message.portal, portal))
            name = self.gate.name_of(statement, message.statement)
            self.gate.send(request, frame if name == message.statement else replace(message, statement=name).encode())

        self.gate.with_fresh(portal, fresh)

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
                self.gate.refuse(error, extended=True)
                return
            name = self.gate.name_of(statement, message.name)
            described = frame if name == message.name else m.Describe(b"S", name).encode()
            self.gate.send(Request(Kind.DESCRIBE_STATEMENT, plan=statement.plan, statement=statement), described)
            return
        portal = state.portals.get(message.name) or self._unseen_portal()
        if portal is None:
            self.gate.refuse(UnknownPortal(f'portal "{message.name}" does not exist'), extended=True)
            return
        request = Request(Kind.DESCRIBE_PORTAL, plan=portal.statement.plan, statement=portal.statement, portal=portal)
        self.gate.send(request, frame)

    def _on_execute(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        name = m.Execute.decode(payload).portal
        found = self._state.portals.get(name) or self._unseen_portal()
        if found is None:
            self.gate.refuse(UnknownPortal(f'portal "{name}" does not exist'), extended=True)
            return
        portal: Portal = found

        def fresh() -> None:
            request = Request(Kind.EXECUTE, plan=portal.statement.plan, portal=portal)
            request.masks = portal.statement.masks(portal.formats)
            self.gate.record_and_send(request, frame, portal.parameters)

        self.gate.with_fresh(portal, fresh)

    def _on_close(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        message = m.Close.decode(payload)
        request = Request(Kind.CLOSE)
        if message.kind == b"S":
            statement = self._state.statements.get(message.name)
            if self._state.holdings is not None and not (statement is not None and statement.made_in_sql):
                frame = m.Close(b"S", "").encode()  # the name is one of ours alone; the server has something to answer
            request.will(self._state.statements.remove(message.name))
        else:
            request.will(self._state.portals.remove(message.name))
        self.gate.send(request, frame)

    def _on_sync(self, payload: bytes, frame: bytes) -> None:
        self._state.skipping = False
        self.synced = True
        if self._state.holdings is not None:
            self._state.holdings.synced()
        self.gate.send(Request(Kind.SYNC), frame)

    def _on_flush(self, payload: bytes, frame: bytes) -> None:
        if not self._state.skipping:
            self._state.to_backend.append(frame)

    def _on_terminate(self, payload: bytes, frame: bytes) -> None:
        """A server at rest need not hear of it, and serves others. Else it answers what came before, then closes; the
        end of its connection is the end of the session."""
        state = self._state
        state.leaving = True
        if state.at_rest:
            state.end(None)
        else:
            state.to_backend.append(frame)

    def _on_function_call(self, payload: bytes, frame: bytes) -> None:
        if self._state.skipping:
            return
        if self._state.transparent:
            self.gate.record_and_send(Request(Kind.FUNCTION_CALL), frame, ())
        else:
            error = Refused(
                "the FunctionCall message is not allowed under a masking scope",
                hint="Call the function in a SELECT statement.",
            )
            self.gate.refuse(error, extended=False)

    def _on_copy(self, payload: bytes, frame: bytes) -> None:
        """Outside COPY the server ignores these; under a masking scope they are for a COPY FROM that was permitted."""
        if self._state.transparent or self._state.pipeline.copies_in:
            self._note_copy()
            self._state.to_backend.append(frame)

    def _note_copy(self) -> None:
        if self.synced:
            self.synced = False
            self._state.pipeline.copy_data_came()
