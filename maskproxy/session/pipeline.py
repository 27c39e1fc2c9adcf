"""The queue of requests whose replies are still to come, in the order the server will answer them.

Every message we forward has one entry here (Flush has no reply of its own). Entries that the server never sees
(``REFUSAL``) wait for their turn like the others, so that the client gets its errors in the order of its requests.

After an ErrorResponse in the extended protocol the server skips everything up to Sync: those entries leave the queue
without a reply and what they do to the names is struck out ("Extended Query", protocol-flow chapter).
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from maskproxy.base.errors import MaskproxyError, ProtocolError
from maskproxy.base.refs import ColumnRef
from maskproxy.core.plan import Plan
from maskproxy.core.sql.statement import StatementKind
from maskproxy.session.enforce import Policy
from maskproxy.session.holdings import Asked
from maskproxy.session.masking import RowMasks
from maskproxy.session.statements import Operation, Portal, PreparedStatement, Source


class Kind(Enum):
    QUERY = auto()
    PARSE = auto()
    BIND = auto()
    DESCRIBE_STATEMENT = auto()
    DESCRIBE_PORTAL = auto()
    EXECUTE = auto()
    CLOSE = auto()
    SYNC = auto()
    FUNCTION_CALL = auto()
    REFUSAL = auto()  # ours alone: an ErrorResponse when its turn comes
    REFUSAL_READY = auto()  # ours alone: ErrorResponse and ReadyForQuery, for a simple Query that was never sent
    ABORT = auto()  # a deliberate failure that rolls an implicit transaction back; its error is not shown


class Durability(Enum):
    NOT_NEEDED = auto()
    PENDING = auto()
    DURABLE = auto()
    FAILED = auto()  # the record was lost: what the server answers is dropped, the client gets 58030


AnyOperation = Operation[PreparedStatement] | Operation[Portal] | Asked
OURS = frozenset({Kind.REFUSAL, Kind.REFUSAL_READY})
RUN = frozenset({Kind.QUERY, Kind.EXECUTE, Kind.FUNCTION_CALL})
ENDS_WITH_READY = frozenset({Kind.QUERY, Kind.SYNC, Kind.FUNCTION_CALL})


@dataclass(slots=True, eq=False)
class Request:
    """One entry. ``absorb``: the client did not ask for it and must not see its reply (an error it does see)."""

    kind: Kind
    plan: Plan | None = None
    policy: Policy | None = None  # under which it was sent; by now there may be another
    number: int = 0  # of its intent record, 0 when none
    durability: Durability = Durability.NOT_NEEDED
    error: MaskproxyError | None = None
    statement: PreparedStatement | None = None
    portal: Portal | None = None
    absorb: bool = False
    before_copy: bool = False  # a Sync with copy data behind it: ignored by the server if it is in COPY IN by then
    swallowed: bool = False  # follows a failed request in its pipeline: the client must not hear of it
    failure: MaskproxyError | None = None  # the answer, instead of what the server says
    sources: list[Source] = field(default_factory=list)  # what SQL in it returns rows of
    cursors: dict[int, Portal] = field(default_factory=dict)  # by statement of the text, what FETCH reads
    _operations: list[tuple[int, AnyOperation]] = field(default_factory=list)  # by statement of the text
    # progress of the reply
    index: int = 0  # statement of a Query's text now being answered
    masks: RowMasks | None = None  # of the result now being received; None: forwarded as it is
    described: bool = False  # the RowDescription of the result now being received has come
    copying: bool = False  # the server takes copy data
    copying_out: bool = False  # the server sends copy data
    rows: int = 0
    result_rows: int = 0  # of the result now being received
    copied: int = 0  # messages of COPY data
    copy_frame: int = 0  # of these, how many are no rows
    masked: dict[ColumnRef, int] = field(default_factory=dict)  # released rows per masked column
    bytes: int = 0
    tag: str | None = None
    sqlstate: str | None = None

    @property
    def hidden(self) -> bool:
        """Whether what the server answers is kept from the client."""
        return self.absorb or self.swallowed or self.failure is not None

    @property
    def waits(self) -> bool:
        """Nothing of its answer may be released yet."""
        return self.durability is Durability.PENDING and self.failure is None

    @property
    def void(self) -> bool:
        """It relies on a statement or portal that the server has turned out never to have made."""
        portal = self.portal
        return (
            (self.statement is not None and self.statement.void)
            or (portal is not None and (portal.void or portal.statement.void))
            or any(source.void or (isinstance(source, Portal) and source.statement.void) for source in self.sources)
        )

    def count(self, rows: int) -> None:
        """These rows of the current result are released."""
        self.rows += rows
        self.result_rows += rows
        if (cursor := self._cursor) is not None:
            cursor.rows += rows
        if self.plan is None or not self.plan.statements:
            return
        for column in self.plan.statements[self.index].shown:
            self.masked[column] = self.masked.get(column, 0) + rows

    @property
    def released(self) -> int:
        """Rows of the statement now being answered: by way of a cursor or portal, all that came of it so far."""
        return self.result_rows if self._cursor is None else self._cursor.rows

    @property
    def _cursor(self) -> Portal | None:
        return self.cursors.get(self.index, self.portal)

    def next_statement(self) -> None:
        """The next replies are those to the next statement of the text."""
        self.index += 1
        self.described = False
        self.result_rows = self.copied = 0

    def settle(self, *, done: bool) -> None:
        """The server did it, or skipped it: what it does to the names is confirmed or struck out."""
        operations, self._operations = self._operations, []
        for _, operation in operations:
            if done:
                operation.confirm()
            else:
                operation.undo()

    def end(self) -> None:
        """The server is ready for what comes next. Raises ProtocolError when it has not answered this: then its replies
        and our requests do not belong together any more, and rows could be masked by another statement's plan."""
        if self.kind is Kind.QUERY and self.sqlstate is None and self.index == 0:
            raise ProtocolError("the server is ready without an answer to a query")
        self.settle(done=self.sqlstate is None)

    def will(self, operation: AnyOperation, index: int = 0) -> None:
        """Statement ``index`` of its text does this to the names."""
        self._operations.append((index, operation))

    def settle_statement(self) -> None:
        """The server has done the statement now being answered, whatever becomes of those behind it."""
        done = [operation for index, operation in self._operations if index == self.index]
        self._operations = [each for each in self._operations if each[0] != self.index]
        for operation in done:
            operation.confirm()


class Pipeline:
    """Oldest request first. ``head`` is the one the server is answering."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def head(self) -> Request | None:
        return self._requests[0] if self._requests else None

    def add(self, request: Request) -> Request:
        self._requests.append(request)
        return request

    def pop(self) -> Request:
        return self._requests.popleft()

    @property
    def running(self) -> Request | None:
        """The statement that the server is at, or will be at next."""
        return next((request for request in self._requests if request.kind in RUN), None)

    def find(self, number: int) -> Request | None:
        """The request whose intent record has this number; None when it has left the queue."""
        return next((request for request in self._requests if request.number == number), None)

    @property
    def copies_in(self) -> bool:
        """A COPY FROM of an analysed text is among them, so copy data of the client are for the server."""
        statements = (
            each for request in self._requests if request.plan is not None for each in request.plan.statements
        )
        return any(each.analysis is not None and each.analysis.kind is StatementKind.COPY_IN for each in statements)

    def copy_data_came(self) -> None:
        for request in self._requests:
            request.before_copy = request.kind is Kind.SYNC

    def end_copy(self) -> None:
        """The head's COPY IN is over: forget the Syncs that the server ignored meanwhile ("COPY Operations",
        protocol-flow chapter); some drivers send one with each Execute."""
        head = self._requests.popleft()
        while self._requests and self._requests[0].before_copy:
            self._requests.popleft()
        self._requests.appendleft(head)
        head.copying = False

    def skip_to_sync(self) -> tuple[bool, list[Request]]:
        """Drop what the server skips after an error; True when a Sync is among what was already sent."""
        skipped: list[Request] = []
        while self._requests and self._requests[0].kind is not Kind.SYNC:
            skipped.append(self._requests.popleft())
        for request in skipped:
            request.settle(done=False)
        return bool(self._requests), skipped

    def swallow_to_sync(self) -> bool:
        """Keep the replies of what follows up to Sync from the client; True when there is a Sync."""
        for request in self._requests:
            if request.kind is Kind.SYNC:
                return True
            request.swallowed = True
        return False

    def unsynced(self) -> list[Request]:
        """Extended-protocol requests that no Sync follows yet."""
        batch: list[Request] = []
        for request in reversed(self._requests):
            if request.kind in ENDS_WITH_READY or request.kind is Kind.REFUSAL_READY:
                break
            batch.append(request)
        return batch
