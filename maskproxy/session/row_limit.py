"""``limits.rows`` of a scope: so many rows of a statement are released, then it ends in an error.

A result that merely stopped would pass for a whole one.
"""

from maskproxy.core.sql.statement import Carrier
from maskproxy.session.actions import CancelStatement
from maskproxy.session.allowance import too_many_rows
from maskproxy.session.pipeline import Request
from maskproxy.session.state import SessionState


def allowed(state: SessionState, head: Request, rows: int) -> int:
    """How many of these rows may be released; where that is not all of them, the statement is stopped."""
    limit = state.policy.scope.limits.rows
    if head.hidden:
        return 0
    if limit is None or head.released + rows <= limit:
        return rows
    _stop(state, head, limit)
    return max(0, limit - head.released)


def copied(state: SessionState, head: Request) -> None:
    """A row of COPY is about to be released."""
    limit = state.policy.scope.limits.rows
    head.copied += 1
    if limit is not None and not head.hidden and head.copied > limit + head.copy_frame:
        head.count(limit)
        _stop(state, head, limit)


def surplus(carrier: Carrier | None) -> int:
    """Messages of COPY data that are no rows: the line of names, or what ends the binary format."""
    if carrier is None:
        return 0
    return 1 if carrier.option("header") is not None or carrier.option("format") == "binary" else 0


def _stop(state: SessionState, head: Request, limit: int) -> None:
    head.failure = too_many_rows(limit, wrote=head.plan is not None and not head.plan.reads_only)
    state.cancelling = True
    state.actions.append(CancelStatement())
