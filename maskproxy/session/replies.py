"""From the server to the client: replies are matched with the pipeline, checked, masked and released.

The head of the pipeline says what the server may answer next; anything else is a protocol error and ends the session.
While the head's record is not durable nothing is taken from the buffer, so no byte of its result is released.

A request whose ``failure`` is set is answered by that error: what the server says is dropped up to the end of its
reply, and so are the replies of what follows in the same pipeline, as if the server had refused it.
"""

from collections.abc import Callable

from maskproxy.base import limits
from maskproxy.base.errors import AuditUnavailable, ProtocolError, Refused, UnknownStatement
from maskproxy.core.sql.statement import StatementKind
from maskproxy.session.actions import CatalogDisagrees, RecordOutcome, SchemaChanged
from maskproxy.session.allowance import too_large
from maskproxy.session.gate import AUDIT_HINT
from maskproxy.session.pipeline import ENDS_WITH_READY, OURS, Durability, Kind, Request
from maskproxy.session.row_limit import allowed, copied, surplus
from maskproxy.session.rows import mask_rows, oversized, row_run
from maskproxy.session.scrub import FORWARDED_PARAMETERS, PINNED_PARAMETERS, scrub
from maskproxy.session.state import SessionState
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.errors import error_fields
from maskproxy.wire.postgres.framing import next_frame
from maskproxy.wire.postgres.messages import BackendType as B

_HEADER = 5
_MAX_REPLY = 16 * limits.MiB  # messages other than the streamed ones; a RowDescription of 1600 columns is 0.2 MiB
_STREAMED = frozenset({B.DATA_ROW, B.COPY_DATA, B.FUNCTION_CALL_RESPONSE})
_ANY_TIME = frozenset({B.PARAMETER_STATUS, B.NOTICE_RESPONSE, B.NOTIFICATION_RESPONSE, B.ERROR_RESPONSE})
_DESCRIBES = frozenset({Kind.DESCRIBE_STATEMENT, Kind.DESCRIBE_PORTAL})
_DDL = frozenset({"ALTER", "CREATE", "DROP", "IMPORT", "DO", "CALL"})  # first words of command tags
_RESULTS = frozenset({Kind.QUERY, Kind.EXECUTE})

Handler = Callable[[Request, bytes, bytes], None]


class Replies:
    """The server's direction of one session."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._rest = b""
        self._stream = 0  # bytes still to come of a message that is passed on (or dropped) as it arrives
        self._stream_drop = False
        self._handlers: dict[int, tuple[frozenset[Kind], Handler]] = {
            B.PARSE_COMPLETE: (frozenset({Kind.PARSE}), self._on_complete),
            B.BIND_COMPLETE: (frozenset({Kind.BIND}), self._on_complete),
            B.CLOSE_COMPLETE: (frozenset({Kind.CLOSE}), self._on_complete),
            B.PARAMETER_DESCRIPTION: (frozenset({Kind.DESCRIBE_STATEMENT}), self._on_parameters),
            B.ROW_DESCRIPTION: (_DESCRIBES | {Kind.QUERY}, self._on_row_description),
            B.NO_DATA: (_DESCRIBES, self._on_no_data),
            B.COMMAND_COMPLETE: (_RESULTS, self._on_command_complete),
            B.EMPTY_QUERY_RESPONSE: (_RESULTS, self._on_end_of_result),
            B.PORTAL_SUSPENDED: (frozenset({Kind.EXECUTE}), self._on_end_of_result),
            B.READY_FOR_QUERY: (frozenset({Kind.QUERY, Kind.SYNC, Kind.FUNCTION_CALL}), self._on_ready),
            B.FUNCTION_CALL_RESPONSE: (frozenset({Kind.FUNCTION_CALL}), self._on_passed),
            B.COPY_IN_RESPONSE: (_RESULTS, self._on_copy),
            B.COPY_OUT_RESPONSE: (_RESULTS, self._on_copy),
            B.COPY_DATA: (_RESULTS, self._on_copy),
            B.COPY_DONE: (_RESULTS, self._on_copy),
        }

    @property
    def held(self) -> bool:
        """Something of the server waits for a durable record."""
        head = self._state.pipeline.head
        return head is not None and head.waits and bool(self._rest)

    @property
    def full(self) -> bool:
        """More waits so than should: stop reading from the server."""
        return len(self._rest) > limits.HIGH_WATER and self.held

    @property
    def empty(self) -> bool:
        """Nothing of the server waits here."""
        return not self._rest and not self._stream

    def feed(self, data: bytes) -> None:
        self._state.quiet = False
        self._rest = self._rest + data if self._rest else data
        self.pump()

    def pump(self) -> None:
        """Release what may be released. Raises ProtocolError."""
        data, offset = self._rest, 0
        state = self._state
        while not state.closed:
            self._answer_ours()
            head = state.pipeline.head
            if offset >= len(data) or (head is not None and head.waits):
                break
            if head is not None and head.failure is None and head.void:
                head.failure = UnknownStatement("the statement or portal was never made: an earlier request failed")
            end = self._take_stream(data, offset) if self._stream else self._take(data, offset, head)
            if end == offset:
                break
            offset = end
        self._rest = data[offset:] if offset else data

    def recorded(self, number: int, *, durable: bool) -> None:
        request = self._state.pipeline.find(number)
        if request is None:
            return
        request.durability = Durability.DURABLE if durable else Durability.FAILED
        if not durable:
            request.failure = AuditUnavailable("the record of the statement could not be written", hint=AUDIT_HINT)
        self.pump()

    def _take(self, data: bytes, offset: int, head: Request | None) -> int:
        """Handle one message, or a run of rows; the offset behind it, or ``offset`` when it is not complete yet."""
        if data[offset] == B.DATA_ROW:
            return self._rows(data, offset, head)
        if data[offset] in _STREAMED and (self._state.transparent or (head is not None and head.copying_out)):
            end = next_frame(data, offset, 0x7FFFFFFF)
            if end == 0 and len(data) >= offset + _HEADER:
                if head is not None and head.copying_out:
                    copied(self._state, head)
                    head.bytes += 1 + int.from_bytes(data[offset + 1 : offset + _HEADER], "big")
                return self._start_stream(data, offset, drop=head is not None and head.hidden)
        else:
            end = next_frame(data, offset, _MAX_REPLY)
        if end:
            self._dispatch(data[offset], data[offset + _HEADER : end], data[offset:end], head)
        return end or offset

    def _dispatch(self, kind: int, payload: bytes, frame: bytes, head: Request | None) -> None:
        if kind in _ANY_TIME:
            self._on_any_time(kind, payload, frame, head)
            return
        allowed, handler = self._handlers.get(kind, (frozenset(), self._on_passed))
        if head is None or head.kind not in allowed:
            raise ProtocolError(f"unexpected message 0x{kind:02x} from the server")
        handler(head, payload, frame)

    def _emit(self, head: Request | None, frame: bytes) -> None:
        if head is None or not head.hidden:
            self._state.to_client.append(frame)

    # rows

    def _rows(self, data: bytes, offset: int, head: Request | None) -> int:
        if head is None or head.kind not in _RESULTS or (head.kind is Kind.QUERY and not head.described):
            raise ProtocolError("rows from the server that nobody asked for")
        end, rows = row_run(data, offset)
        if rows:
            self._release_rows(head, data, offset, end, rows)
            return end
        if len(data) < offset + _HEADER:
            return offset
        size = 1 + int.from_bytes(data[offset + 1 : offset + _HEADER], "big")
        if head.masks is not None and not head.hidden:
            if size <= limits.MAX_MASKED_ROW or not oversized(data, offset, head.masks, limits.MAX_MASKED_ROW):
                return offset
            head.failure = too_large()
        head.bytes += size
        if allowed(self._state, head, 1):
            head.count(1)
        return self._start_stream(data, offset, drop=head.hidden)

    def _release_rows(self, head: Request, data: bytes, offset: int, end: int, rows: int) -> None:
        """Complete rows: masked, or as they are, or not at all."""
        head.bytes += end - offset
        if head.masks is not None and end - offset > limits.MAX_MASKED_ROW:
            start = offset
            while start < end and not head.hidden:
                if oversized(data[:end], start, head.masks, limits.MAX_MASKED_ROW):
                    head.failure = too_large()
                start = next_frame(data, start, end)
        count = allowed(self._state, head, rows)
        if not count:
            return
        if count < rows:
            end = offset
            for _ in range(count):
                end = next_frame(data, end, 0x7FFFFFFF)
        head.count(count)
        run = data[offset:end] if head.masks is None else mask_rows(data, offset, end, head.masks)
        self._state.to_client.append(run)

    def _start_stream(self, data: bytes, offset: int, *, drop: bool) -> int:
        if len(data) < offset + _HEADER:
            return offset
        self._stream = 1 + int.from_bytes(data[offset + 1 : offset + _HEADER], "big")
        self._stream_drop = drop
        return self._take_stream(data, offset)

    def _take_stream(self, data: bytes, offset: int) -> int:
        chunk = data[offset : offset + self._stream]
        self._stream -= len(chunk)
        if not self._stream_drop:
            self._state.to_client.append(chunk)
            self._state.mid_frame = self._stream > 0
        return offset + len(chunk)

    # what needs no reply of the server

    def _answer_ours(self) -> None:
        """Errors of ours whose turn has come."""
        state = self._state
        while (head := state.pipeline.head) is not None and head.kind in OURS:
            state.pipeline.pop()
            if head.swallowed or head.error is None:
                continue
            state.to_client.append(error_fields(head.error).encode())
            if head.kind is Kind.REFUSAL_READY:
                state.to_client.append(m.ReadyForQuery(state.status).encode())

    # messages legal at any time

    def _on_any_time(self, kind: int, payload: bytes, frame: bytes, head: Request | None) -> None:
        state = self._state
        if kind == B.ERROR_RESPONSE:
            self._on_error(payload, frame, head)
        elif state.transparent:
            state.to_client.append(frame)
        elif kind == B.PARAMETER_STATUS:
            status = m.ParameterStatus.decode(payload)
            state.reported[status.name] = status.value
            if PINNED_PARAMETERS.get(status.name, status.value) != status.value:
                raise ProtocolError(f'the server changed "{status.name}", on which masking relies')
            if status.name in FORWARDED_PARAMETERS:
                state.to_client.append(frame)
        elif kind == B.NOTICE_RESPONSE:
            notice = m.NoticeResponse.decode(payload)
            safe = scrub(m.ErrorResponse(notice.fields), touches_masked=self._touches_masked(head))
            state.to_client.append(m.NoticeResponse(safe.fields).encode())

    def _touches_masked(self, head: Request | None) -> bool:
        return head is None or head.plan is None or head.plan.touches_masked

    def _on_error(self, payload: bytes, frame: bytes, head: Request | None) -> None:
        state = self._state
        error = m.ErrorResponse.decode(payload)
        if not state.transparent:
            frame = scrub(error, touches_masked=self._touches_masked(head)).encode()
        if head is None:  # the server says goodbye
            state.to_client.append(frame)
            return
        head.sqlstate = dict(error.fields).get("C")
        if head.copying:
            state.pipeline.end_copy()
        if head.kind is Kind.ABORT:
            state.pipeline.pop()
        elif head.kind in ENDS_WITH_READY:  # ReadyForQuery is still to come, and with it a failure of ours
            head.settle(done=False)
            if not head.hidden:
                state.to_client.append(frame)
        else:
            if not head.swallowed:
                state.to_client.append(frame if head.failure is None else error_fields(head.failure).encode())
            self._skip()

    def _skip(self) -> None:
        """The server now skips everything up to Sync, and so do we."""
        state = self._state
        synced, skipped = state.pipeline.skip_to_sync()
        state.skipping = state.skipping or not synced  # the client may be skipping a later pipeline already
        for request in skipped:
            self._record_outcome(request)

    def _fail(self, head: Request) -> None:
        """The head's reply is over and was dropped: its failure is the answer; what follows up to Sync is not shown."""
        state = self._state
        state.pipeline.pop()
        head.settle(done=True)
        self._record_outcome(head)
        if head.failure is not None and not head.swallowed:
            state.to_client.append(error_fields(head.failure).encode())
        synced = state.pipeline.swallow_to_sync()
        state.skipping = state.skipping or not synced

    def _record_outcome(self, request: Request) -> None:
        if not request.number:
            return
        failure = request.failure
        self._state.actions.append(
            RecordOutcome(
                number=request.number,
                rows=request.rows,
                bytes=request.bytes,
                tag=request.tag,
                sqlstate=failure.sqlstate if failure is not None else request.sqlstate,
                masked=tuple(sorted(request.masked.items())),
            )
        )

    # replies in their turn

    def _finish(self, head: Request, frame: bytes) -> None:
        if head.failure is not None:
            self._fail(head)
            return
        self._emit(head, frame)
        head.settle(done=True)
        self._state.pipeline.pop()

    def _on_complete(self, head: Request, payload: bytes, frame: bytes) -> None:
        self._finish(head, frame)

    def _on_no_data(self, head: Request, payload: bytes, frame: bytes) -> None:
        self._finish(head, frame)

    def _on_parameters(self, head: Request, payload: bytes, frame: bytes) -> None:
        self._emit(head, frame)

    def _on_passed(self, head: Request, payload: bytes, frame: bytes) -> None:
        self._emit(head, frame)

    def _on_row_description(self, head: Request, payload: bytes, frame: bytes) -> None:
        state = self._state
        plan = head.plan
        head.described = True
        if plan is not None and not plan.transparent and head.failure is None:
            if head.index >= len(plan.statements):
                raise ProtocolError("the server answers more statements than were sent")
            described = (head.policy or state.policy).described(plan.statements[head.index], frame)
            if described is None:
                head.failure = Refused(
                    "the server describes this result otherwise than the analysis of the statement",
                    hint="The schema may have changed a moment ago: try again.",
                )
                if head.portal is not None:
                    head.portal.described = None
                state.actions.append(CatalogDisagrees())
            elif head.kind is Kind.QUERY:
                head.masks = described.masks
        if head.kind is Kind.QUERY:
            self._emit(head, frame)
        else:
            self._finish(head, frame)

    def _on_copy(self, head: Request, payload: bytes, frame: bytes) -> None:
        if not self._state.transparent or head.plan is None or not head.plan.transparent:
            self._check_copy(head, payload, frame[0])
        head.copying = head.copying or frame[0] == B.COPY_IN_RESPONSE
        self._emit(head, frame)

    def _check_copy(self, head: Request, payload: bytes, kind: int) -> None:
        """Under a masking scope: of a statement that asked for it, as wide as its plan says."""
        plan = head.plan
        statement = plan.statements[head.index] if plan is not None and head.index < len(plan.statements) else None
        analysis = None if statement is None else statement.analysis
        if kind == B.COPY_IN_RESPONSE and analysis is not None and analysis.kind is StatementKind.COPY_IN:
            return
        if analysis is None or analysis.kind is not StatementKind.COPY_OUT or kind == B.COPY_IN_RESPONSE:
            raise ProtocolError("the server started a COPY under a masking scope")
        if kind == B.COPY_OUT_RESPONSE:
            if len(m.CopyOutResponse.decode(payload).column_formats) != len(analysis.outputs):
                raise ProtocolError("the server copies other columns than were analysed")
            head.copying_out = True
            head.copy_frame = surplus(analysis.carrier)
        elif not head.copying_out:
            raise ProtocolError("copy data from the server that nobody asked for")
        elif kind == B.COPY_DATA:
            copied(self._state, head)
            head.bytes += _HEADER + len(payload)

    def _on_command_complete(self, head: Request, payload: bytes, frame: bytes) -> None:
        if head.copying:
            self._state.pipeline.end_copy()
        head.tag = payload[:-1].decode("utf-8", "replace")
        if self._state.transparent and head.tag.partition(" ")[0] in _DDL:
            self._state.schema_changed = True
        if head.copying_out:
            head.copying_out = False
            rows = head.tag.removeprefix("COPY ")
            if not head.hidden and rows.isdecimal():
                head.count(int(rows[:19]))
        head.settle_statement()
        self._on_end_of_result(head, payload, frame)

    def _on_end_of_result(self, head: Request, payload: bytes, frame: bytes) -> None:
        if head.kind is Kind.QUERY:
            self._emit(head, frame)
            head.next_statement()
        else:
            failed = head.failure is not None
            self._finish(head, frame)
            if not failed:
                self._record_outcome(head)

    def _on_ready(self, head: Request, payload: bytes, frame: bytes) -> None:
        state = self._state
        state.status = m.ReadyForQuery.decode(payload).status
        state.pipeline.pop()
        head.end()
        if head.failure is not None:
            state.to_client.append(error_fields(head.failure).encode())
        if not head.absorb:
            state.to_client.append(frame)
        self._record_outcome(head)
        if state.schema_changed and state.status == b"I":
            state.schema_changed = False
            state.actions.append(SchemaChanged())
        if state.status == b"I" and not len(state.pipeline):
            state.portals.keep(lambda portal: portal.hold)
