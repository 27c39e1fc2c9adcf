"""The short way for what clients do most: one query whose plan is known, alone in the pipeline. Compiled by Cython.

It takes a batch of messages that came together (a ``Query``, or what ``batch`` reads) for which nothing is to be
analysed, refused or followed, sends it, and releases what the server answers as long as that is what such a query is
answered with. It decides nothing otherwise than ``Requests`` and ``Replies``: whatever is not plain (an error, a
notice, a row too large, the client's next message, a cancel) makes it ``leave``. Then it puts into the pipeline what
they would have put there, with all that has happened since, and they go on.
"""

import cython

from maskproxy.base import limits
from maskproxy.base.refs import ColumnRef, Generation
from maskproxy.base.types import PARAMETER_TYPES
from maskproxy.core.plan import Plan, Stamp
from maskproxy.session.actions import RecordIntent, RecordOutcome
from maskproxy.session.batch import DESCRIBE_PORTAL, BindMessage, Parameters, ParseMessage, read_batch, rename
from maskproxy.session.pipeline import Durability, Kind, Request
from maskproxy.session.replies import Replies
from maskproxy.session.requests import Requests
from maskproxy.session.rows import RowMasks, mask_rows, row_run
from maskproxy.session.state import SessionState
from maskproxy.session.statements import Portal, PreparedStatement
from maskproxy.wire.postgres import messages as m

COMPILED: bool = cython.compiled

_LONGEST: cython.Py_ssize_t = 64 * limits.KiB  # of a batch, and of a message of the server that is no row

_NONE = Plan(text="", sql="", statements=(), stamp=Stamp(Generation(0), Generation(0)))

# What the server is to answer next.
_PARSED: cython.int = 0
_BOUND: cython.int = 1
_DESCRIBED: cython.int = 2
_RESULT: cython.int = 3
_READY: cython.int = 4


class FastPath:
    """One query at a time; ``active`` from when it is sent until its ReadyForQuery is released.

    Types of the attributes are in ``fast_path.pxd``. ``_prepared`` and ``_bound`` are None for a Query, ``_name`` is
    None without Parse. ``_bound``: formats of the parameters, these, formats of the results. ``_shown``: columns that
    are masked in the rows. ``_waits``: for its record. ``_most``: rows it may return, -1 for any number."""

    def __init__(self, state: SessionState, requests: Requests, replies: Replies) -> None:
        self._state = state
        self._requests = requests
        self._replies = replies
        self.active = False
        self._policy = state.policy
        self._plan = _NONE
        self._prepared: PreparedStatement | None = None
        self._bound: tuple[tuple[int, ...], Parameters, tuple[int, ...]] | None = None
        self._name: str | None = None
        self._masks: RowMasks | None = None
        self._shown: tuple[ColumnRef, ...] = ()
        self._shows_description = False
        self._waits = False
        self._stage = _READY
        self._number = 0
        self._most = -1
        self._rows = self._bytes = 0
        self._tag: str | None = None
        self._rest = b""

    # from the client

    def offer(self, data: bytes) -> cython.bint:
        """Whether these messages of the client are taken; if not, nothing has happened."""
        state = self._state
        if self.active:
            self.leave()
            return False
        if state.closed or state.skipping or state.leaving or state.cancelling:
            return False
        if not state.quiet:
            if state.transparent or len(state.pipeline) or not self._requests.empty or not self._replies.empty:
                return False
            state.quiet = True
        if not data or len(data) > _LONGEST:
            return False
        if data[0] == 0x51:  # Q
            return self._offer_query(data)
        batch = read_batch(data)
        return batch is not None and self._offer_bound(data, batch[0], batch[1], batch[2], batch[3])

    def _offer_query(self, data: bytes) -> cython.bint:
        size: cython.Py_ssize_t = len(data)
        if size < 6 or int.from_bytes(data[1:5], "big") != size - 1 or data.find(0, 5) != size - 1:
            return False
        text: str = data[5 : size - 1].decode("utf-8", "surrogateescape")
        plan = self._state.policy.cached(text)
        if plan is None or not plan.plain or not self._may(plan):
            return False
        self._state.to_backend.append(data if plan.sql == text else m.Query(plan.sql).encode())
        self._prepared = self._bound = self._name = self._masks = None
        self._shows_description = True
        self._begin(plan, _DESCRIBED, ())
        return True

    def _offer_bound(
        self, data: bytes, parse: ParseMessage | None, bind: BindMessage, end: cython.Py_ssize_t, describes: cython.bint
    ) -> cython.bint:
        state = self._state
        name, formats, parameters, result_formats = bind
        prepared = state.statements.get(name) if parse is None else self._parsed(parse, name)
        if prepared is None or prepared.made_in_sql or prepared.void:
            return False
        plan = prepared.plan
        if not plan.plain or plan.stamp != state.policy.stamp:
            return False
        if len(state.portals) >= limits.MAX_STATEMENTS_PER_SESSION:
            return False
        if state.holdings is not None and parse is None:
            if (alias := state.holdings.alias(prepared)) not in state.holdings.made:
                return False
            data, end = rename(data, end, alias)
        masks = prepared.masks(result_formats)
        if not self._may(plan):
            return False
        out = state.to_backend
        if parse is not None and plan.sql != parse[1]:
            out.append(m.Parse(name, plan.sql, parse[2]).encode())
            out.append(data[1 + int.from_bytes(data[1:5], "big") : end])
        elif describes:
            end = 0
        else:
            out.append(data[:end])
        if not describes:
            out.append(DESCRIBE_PORTAL)
        out.append(data[end:] if end else data)
        self._prepared = prepared
        self._bound = (formats, parameters, result_formats)
        self._name = None if parse is None else name
        self._masks = masks
        self._shows_description = describes
        self._requests.synced = True
        self._begin(plan, _BOUND if parse is None else _PARSED, parameters)
        return True

    def _parsed(self, parse: ParseMessage, bound: str) -> PreparedStatement | None:
        """What this Parse makes, if that is what is ``bound``; None when something is to be said about it."""
        state = self._state
        known = parse[0] == bound and (state.holdings is None or not bound)  # a named one would need an alias
        plan = state.policy.cached(parse[1]) if known else None
        if plan is None or not plan.plain or len(state.statements) >= limits.MAX_STATEMENTS_PER_SESSION:
            return None
        if parse[2] and not PARAMETER_TYPES.issuperset(parse[2]):
            return None
        before = state.statements.get(parse[0])
        if before is not None and not parse[0] and before.plan is plan and before.types == parse[2]:
            return before  # the unnamed one, made once more
        return PreparedStatement(plan, parse[2])

    def _may(self, plan: Plan) -> cython.bint:
        """Whether the scope's limits allow it; then it is counted."""
        scope_limits = self._state.policy.scope.limits
        if scope_limits.statements_per_minute is None and scope_limits.equalities is None:
            return True
        return self._state.meter.take(scope_limits, plan) is None

    def _begin(self, plan: Plan, stage: cython.int, parameters: Parameters) -> None:
        state = self._state
        self._policy = state.policy
        self._plan = plan
        self._stage = stage
        self._number = state.next_number()
        limit = state.policy.scope.limits.rows
        self._most = -1 if limit is None else limit
        self._rows = self._bytes = 0
        self._tag = None
        self._waits = True
        self.active = True
        state.actions.append(RecordIntent(self._number, plan, parameters))

    # from the server

    def feed(self, data: bytes) -> cython.bint:
        """What the server sent while ``active``. False when it was not plain, and the others have it now."""
        start: cython.Py_ssize_t = self._complete(data) if self._rest else 0
        data = data if start else self._rest + data
        self._rest = data
        if not self._waits:
            return self._release(start)
        if len(data) > limits.HIGH_WATER:
            self.leave()
            return False
        return True

    def recorded(self, number: cython.Py_ssize_t, durable: cython.bint) -> cython.bint:
        """Whether this was the record that the query waits for, and it is durable."""
        if not self.active or number != self._number:
            return False
        if not durable:
            self.leave()
            return False
        self._waits = False
        return not self._rest or self._release(0)

    def _complete(self, data: bytes) -> cython.Py_ssize_t:
        """Release the row that is cut off in the buffer, so that the rest of ``data`` need not be copied behind it.
        Where that row ends in ``data``; 0 if nothing was done."""
        rest: bytes = self._rest
        size: cython.Py_ssize_t = len(rest)
        if self._waits or self._stage != _RESULT or self._most >= 0 or size < 5 or rest[0] != 0x44:  # D
            return 0
        length: cython.Py_ssize_t = int.from_bytes(rest[1:5], "big")
        missing: cython.Py_ssize_t = 1 + length - size
        if length > _LONGEST or missing <= 0 or missing > len(data):
            return 0
        row: bytes = rest + data[:missing]
        row_run(row, 0)  # raises for a length that is none
        self._state.to_client.append(row if self._masks is None else mask_rows(row, 0, len(row), self._masks))
        self._rows += 1
        self._bytes += len(row)
        return missing

    def _release(self, start: cython.Py_ssize_t) -> cython.bint:
        """Take what is whole of the buffer from ``start`` on; False when something in it is for ``Replies``."""
        data: bytes = self._rest
        size: cython.Py_ssize_t = len(data)
        offset: cython.Py_ssize_t = start
        sent: cython.Py_ssize_t = start  # all before it is on its way to the client, or not for it
        end: cython.Py_ssize_t
        length: cython.Py_ssize_t
        kind: cython.int
        out = self._state.to_client
        while offset + 5 <= size and self.active:
            kind = data[offset]
            if kind == 0x44 and self._stage == _RESULT:  # D
                end, rows = row_run(data, offset)
                if rows and self._allows(end - offset, rows):
                    if self._masks is not None:
                        if offset > sent:
                            out.append(data[sent:offset])
                        out.append(mask_rows(data, offset, end, self._masks))
                        sent = end
                    self._rows += rows
                    self._bytes += end - offset
                    offset = end
                    continue
                if rows == 0 and size - offset <= _LONGEST:
                    break
                return self._pass_on(data, sent, offset)
            length = data[offset + 1]
            length = (length << 24) | (data[offset + 2] << 16) | (data[offset + 3] << 8) | data[offset + 4]
            end = offset + 1 + length
            if length < 4 or length > _LONGEST:
                return self._pass_on(data, sent, offset)
            if end > size:
                break
            if not self._take(kind, data, offset, end):
                return self._pass_on(data, sent, offset)
            if kind == 0x54 and not self._shows_description:  # T
                if offset > sent:
                    out.append(data[sent:offset])
                sent = end
            offset = end
        if offset - sent > _LONGEST:
            out.append(memoryview(data)[sent:offset])  # a copy would cost as much as all else here
        elif offset > sent:
            out.append(data[sent:offset] if sent or offset < size else data)
        self._rest = data[offset:] if offset < size else b""
        return True if self.active else self._finish()

    def _pass_on(self, data: bytes, sent: cython.Py_ssize_t, offset: cython.Py_ssize_t) -> cython.bint:
        """What begins at ``offset`` is not plain."""
        if offset > sent:
            self._state.to_client.append(data[sent:offset])
        self._rest = data[offset:]
        self.leave()
        return False

    def _allows(self, size: cython.Py_ssize_t, rows: cython.Py_ssize_t) -> cython.bint:
        """Whether so many bytes of rows may be released here."""
        if self._most >= 0 and self._rows + rows > self._most:
            return False
        return self._masks is None or size <= limits.MAX_MASKED_ROW

    def _take(self, kind: cython.int, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """One message that is no row; False when it is not the one that comes now in the plain case."""
        stage: cython.int = self._stage
        if stage == _PARSED and kind == 0x31 and end - start == 5:  # 1
            if self._name is not None and self._prepared is not None:
                self._state.statements.put(self._name, self._prepared)
            self._stage = _BOUND
        elif stage == _BOUND and kind == 0x32 and end - start == 5:  # 2
            self._stage = _DESCRIBED
        elif stage == _DESCRIBED and kind == 0x54:  # T
            if not self._agrees(data[start:end]):
                return False
            self._stage = _RESULT
        elif stage == _RESULT and kind == 0x43:  # C
            self._tag = data[start + 5 : end - 1].decode("utf-8", "replace")
            self._stage = _READY
            if self._prepared is not None:
                self._record_outcome()
        elif stage == _READY and kind == 0x5A and end - start == 6 and data[start + 5] in b"ITE":  # Z
            self._state.status = data[start + 5 : end]
            self.active = False
        else:
            return False
        return True

    def _agrees(self, frame: bytes) -> cython.bint:
        """Whether the server describes the result as the plan does."""
        described = self._policy.described(self._plan.statements[0], frame)
        if described is None:
            return False
        self._shown = described.shown
        if self._prepared is None:
            self._masks = described.masks
        return True

    def _finish(self) -> cython.bint:
        """ReadyForQuery is released."""
        state = self._state
        if self._prepared is None:
            self._record_outcome()
        if state.status != b"I":
            self._keep_portal(self._portal())
        elif len(state.portals):
            state.portals.keep(lambda portal: portal.hold)
        rest, self._rest = self._rest, b""
        if rest:
            self._replies.feed(rest)
        return not rest

    def _portal(self) -> Portal | None:
        """The unnamed one that Bind made. None for a Query."""
        prepared, bound = self._prepared, self._bound
        if prepared is None or bound is None:
            return None
        portal = Portal(prepared, bound[2], bound[1], bound[0], started=True)
        portal.described = self._plan.statements[0]
        return portal

    def _keep_portal(self, portal: Portal | None) -> None:
        if portal is not None:
            portal.rows = self._rows
            self._state.portals.put("", portal)

    def _record_outcome(self) -> None:
        rows: int = self._rows
        masked = tuple([(column, rows) for column in self._shown]) if rows else ()
        self._state.actions.append(RecordOutcome(self._number, self._rows, self._bytes, self._tag, None, masked))

    # to those who take one message after the other

    def leave(self) -> None:
        """Hand the query over, as far as it is. Raises ProtocolError for what they find in what is left."""
        self._state.quiet = False
        if not self.active:
            return
        self.active = False
        rest, self._rest = self._rest, b""
        portal = self._portal()
        if portal is None:
            self._add(Kind.QUERY, None)
        else:
            self._hand_over_bound(portal)
        self._replies.feed(rest)

    def _hand_over_bound(self, portal: Portal) -> None:
        state = self._state
        if self._stage <= _PARSED and self._name is not None:
            self._add(Kind.PARSE, portal).will(state.statements.set(self._name, portal.statement))
        if self._stage <= _BOUND:
            self._add(Kind.BIND, portal).will(state.portals.set("", portal))
        else:
            self._keep_portal(portal)
        if self._stage <= _DESCRIBED:
            self._add(Kind.DESCRIBE_PORTAL, portal).absorb = not self._shows_description
        if self._stage <= _RESULT:
            self._add(Kind.EXECUTE, portal)
        self._add(Kind.SYNC, portal)

    def _add(self, kind: Kind, portal: Portal | None) -> Request:
        """The request that this stands for, with what has come of it so far."""
        request = Request(kind, policy=self._policy)
        if kind is not Kind.SYNC:
            request.plan = self._plan
            request.portal = None if kind is Kind.PARSE else portal
            request.statement = self._prepared if kind in (Kind.PARSE, Kind.DESCRIBE_PORTAL) else None
        if kind in (Kind.QUERY, Kind.EXECUTE):
            request.number = self._number
            request.durability = Durability.PENDING if self._waits else Durability.DURABLE
            request.described = self._stage == _RESULT
            request.masks = self._masks
            request.rows = request.result_rows = self._rows
            request.bytes = self._bytes
            request.masked = dict.fromkeys(self._shown, self._rows) if self._rows else {}
            request.tag = self._tag
            if self._stage == _READY:
                request.next_statement()
        self._state.pipeline.add(request)
        return request
