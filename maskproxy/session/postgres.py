"""One client's life after login: both directions joined, and the answers of the world outside.

Use: feed ``client_data`` and ``backend_data``; after each call take ``to_client``, ``to_backend`` and the actions,
carry them out, and answer with ``analysed`` and ``recorded``. No call raises for what a peer sent: the session ends
itself. Compiled by Cython; the types of its attributes are in ``postgres.pxd``.
"""

from collections.abc import Mapping

import cython

from maskproxy.base.errors import BackendUnavailable, MaskproxyError, ProtocolError, SessionEnded, StatementError
from maskproxy.base.secret import Secret
from maskproxy.core.plan import Plan
from maskproxy.session.actions import Action, CancelStatement
from maskproxy.session.allowance import Meter
from maskproxy.session.enforce import Policy
from maskproxy.session.fast_path import FastPath
from maskproxy.session.gate import cancelled
from maskproxy.session.holdings import Holdings
from maskproxy.session.replies import Replies
from maskproxy.session.requests import Requests
from maskproxy.session.state import SessionState


class PostgresSession:
    """Starts where the backend's ReadyForQuery has been passed on: transaction status idle.

    ``policy`` is the one that the backend was opened with: its settings are those of that policy's scope. ``meter`` is
    shared with the principal's other sessions. ``state`` holds what is outgoing, for those who carry it away."""

    def __init__(self, policy: Policy, meter: Meter | None = None) -> None:
        self.state = SessionState(policy, meter or Meter(lambda: 0.0))
        self._settings = policy.scope.settings
        self._requests = Requests(self.state)
        self._replies = Replies(self.state)
        self._fast = FastPath(self.state, self._requests, self._replies)
        self._backend_gone = False

    @property
    def closed(self) -> bool:
        return self.state.closed

    @property
    def leaving(self) -> bool:
        """The client has said goodbye; the server answers what came before, then closes."""
        return self.state.leaving

    @property
    def policy(self) -> Policy:
        return self.state.policy

    @property
    def idle(self) -> bool:
        """No request is under way and no transaction is open."""
        busy = self._fast.active or len(self.state.pipeline) or self._requests.gate.blocked
        return not busy and self.state.status == b"I"

    @property
    def at_rest(self) -> bool:
        """Its backend may serve others, after a reset."""
        return self.idle and self.state.at_rest and not self._backend_gone

    @property
    def portable(self) -> bool:
        """Its backend may serve others as it is, and another one may serve this session: nothing is under way, and
        nothing that was done leaves anything in the server's session.

        The status I says that no transaction is open, so there are no cursors but held ones, no locks of a transaction
        and no SET LOCAL; ``Plan.pins`` that no statement did anything which outlives one."""
        state = self.state
        return (
            state.status == b"I"
            and not state.pinned
            and not (state.closed or state.leaving or state.cancelling or state.mid_frame or self._backend_gone)
            and self.at_rest
            and self._requests.empty
            and self._replies.empty
            and not len(state.portals)
        )

    def serve_by(self, holdings: Holdings) -> None:
        """From now on it is another backend, which holds these prepared statements."""
        self.state.holdings = holdings

    def pin(self) -> None:
        """It keeps its backend up to its end."""
        self.state.pinned = True

    @property
    def reported(self) -> Mapping[str, str]:
        """Settings that the server has spoken of since login."""
        return self.state.reported

    @property
    def client_full(self) -> bool:
        """The client is ahead of us: stop reading from it until this is False."""
        return self._requests.full

    @property
    def backend_full(self) -> bool:
        """The server is ahead of its records: stop reading from it until this is False."""
        return self._replies.full

    def client_data(self, data: bytes) -> None:
        try:
            if not self._fast.offer(data):
                self._requests.feed(data)
                self._replies.pump()
        except ProtocolError as error:
            self.state.end(error)

    def backend_data(self, data: bytes) -> None:
        try:
            if not self._fast.active:
                self._replies.feed(data)
            elif self._fast.feed(data):
                return
            self._requests.pump()
            self._replies.pump()
        except ProtocolError as error:
            self.state.end(error)

    def analysed(self, number: int, result: Plan | StatementError) -> None:
        """Answers ``Analyse``. A plan made for another policy than today's is asked for again when it is used."""
        try:
            self._requests.gate.analysed(number, result)
            self._requests.pump()
            self._replies.pump()
        except ProtocolError as error:
            self.state.end(error)

    def recorded(self, number: cython.Py_ssize_t, durable: cython.bint) -> None:
        """Answers ``RecordIntent``."""
        if self.state.closed:
            return
        try:
            if self._fast.recorded(number, durable):
                return
            if not self._requests.gate.recorded(number, durable=durable):
                self._replies.recorded(number, durable=durable)
            self._requests.pump()
            self._replies.pump()
            self._end_if_gone()
        except ProtocolError as error:
            self.state.end(error)

    def cancel(self) -> None:
        """The client asks that what runs be ended: a statement that waits here for its plan or its record, one whose
        result waits for its record, or else whatever the server is at."""
        self._leave_fast_path()
        state, running = self.state, self.state.pipeline.running
        busy = len(state.pipeline) > 0
        if self._requests.gate.cancel():
            busy = running is not None
        elif running is not None and running.waits:
            running.failure = cancelled()
        if busy and not state.cancelling:
            state.cancelling = True
            state.actions.append(CancelStatement())
        try:
            self._requests.pump()
            self._replies.pump()
        except ProtocolError as error:
            state.end(error)

    def cancelled(self) -> None:
        """Answers ``CancelStatement``."""
        self.state.cancelling = False
        try:
            self._requests.pump()
            self._replies.pump()
        except ProtocolError as error:
            self.state.end(error)

    def use(self, policy: Policy) -> None:
        """Go on under replaced rules or a new catalog; plans of the old one are decided again before they run."""
        if policy.scope.unrestricted != self.state.policy.scope.unrestricted:
            # what was prepared, created or set under an unrestricted scope must not serve a masking one
            self.end(SessionEnded("the rules of this session's scope have changed", hint="Connect again."))
            return
        if not all(self._has(name, value) for name, value in policy.scope.settings.items()):
            # a token without its key would be NULL, or that of another key; and rows could come in an index's order
            self.end(SessionEnded("the settings of this session's scope have changed", hint="Connect again."))
            return
        self._leave_fast_path()
        self.state.policy = policy

    def _has(self, name: str, value: Secret[str]) -> bool:
        known = self._settings.get(name)
        return known is not None and known.reveal() == value.reveal()

    def backend_lost(self) -> None:
        """What it sent before is still released, as soon as its record is durable."""
        self._leave_fast_path()
        self._backend_gone = True
        self._end_if_gone()

    def _end_if_gone(self) -> None:
        if self._backend_gone and not self._replies.held:
            lost = BackendUnavailable("the connection to the database was lost")
            self.state.end(None if self.state.leaving else lost)

    def end(self, error: MaskproxyError | None) -> None:
        self._leave_fast_path()
        self.state.end(error)

    def _leave_fast_path(self) -> None:
        try:
            self._fast.leave()
        except ProtocolError as error:
            self.state.end(error)

    def take_to_client(self) -> list[bytes | memoryview]:
        chunks, self.state.to_client = self.state.to_client, []
        return chunks

    def take_to_backend(self) -> list[bytes]:
        chunks, self.state.to_backend = self.state.to_backend, []
        return chunks

    def take_actions(self) -> list[Action]:
        actions, self.state.actions = self.state.actions, []
        return actions
