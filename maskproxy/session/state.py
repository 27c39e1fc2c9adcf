"""What both directions of one session share. Compiled by Cython; the types of its attributes are in ``state.pxd``."""

from maskproxy.base.errors import MaskproxyError
from maskproxy.session.actions import Action, CloseSession
from maskproxy.session.allowance import Meter
from maskproxy.session.enforce import Policy
from maskproxy.session.holdings import Holdings
from maskproxy.session.pipeline import Pipeline
from maskproxy.session.statements import Names, Portal, PreparedStatement
from maskproxy.wire.postgres.errors import error_fields


class SessionState:
    """``status`` is the server's transaction status as last heard (I, T or E).

    ``skipping``: a request of the current pipeline failed, so the client's messages are discarded up to Sync.
    ``leaving``: the client has said goodbye; what it asked before is still answered.
    ``cancelling``: the server is asked to stop a statement.
    ``reported``: settings that the server has spoken of since login.
    ``schema_changed``: a statement of the transaction may have changed tables.
    ``holdings``: of the backend, under transaction pooling; ``pinned``: something of this session may be left in it.
    ``quiet``: nothing of the client waits here, and of the server neither, as long as nobody but the fast path acts.
    ``mid_frame``: part of a message is on its way to the client, so nothing of ours may be put in between.
    """

    def __init__(self, policy: Policy, meter: Meter) -> None:
        self.policy = policy
        self.meter = meter
        self.status = b"I"
        self.skipping = False
        self.mid_frame = False
        self.leaving = False
        self.closed = False
        self.quiet = False
        self.pipeline = Pipeline()
        self.statements: Names[PreparedStatement] = Names()
        self.portals: Names[Portal] = Names()
        self.to_client: list[bytes | memoryview] = []
        self.to_backend: list[bytes] = []
        self.actions: list[Action] = []
        self.intents = 0
        self.reported: dict[str, str] = {}
        self.schema_changed = False
        self.cancelling = False
        self.holdings: Holdings | None = None
        self.pinned = False

    @property
    def transparent(self) -> bool:
        return self.policy.scope.unrestricted

    @property
    def at_rest(self) -> bool:
        """By all we know the server is as idle as it was at login, and what was done to it can be undone."""
        return self.status == b"I" and not len(self.pipeline) and not self.skipping and not self.transparent

    def next_number(self) -> int:
        self.intents += 1
        return self.intents

    def end(self, error: MaskproxyError | None) -> None:
        """Close both sides; the client is told why unless a message to it is unfinished."""
        if self.closed:
            return
        self.closed = True
        if error is not None and not self.mid_frame:
            self.to_client.append(error_fields(error, "FATAL").encode())
        self.actions.append(CloseSession(error))
