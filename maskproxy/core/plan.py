"""What will be done for one statement: the SQL to send, one mask per output column, and what to check."""

from dataclasses import dataclass

from maskproxy.base.refs import Generation
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.sql.statement import Analysis, SessionCommand


@dataclass(frozen=True, slots=True)
class Stamp:
    """The generations a plan was made with. A plan whose stamp is not the session's is decided again before it runs."""

    rules: Generation
    catalog: Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementPlan:
    """One statement of the text. ``outputs`` is None when it returns no rows we look at (session statements, transparent)."""

    analysis: Analysis | None
    outputs: tuple[ColumnMask | None, ...] | None
    session: SessionCommand | None = None

    @property
    def masked(self) -> bool:
        return self.outputs is not None and any(mask is not None for mask in self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole text of one Query or Parse message. ``transparent``: an unrestricted scope, nothing is looked at.

    ``reads_only``: nothing can be written, so the statement may run while its record becomes durable.
    ``touches_masked``: some masked column's table is read, so server messages are scrubbed.
    """

    text: str
    sql: str
    statements: tuple[StatementPlan, ...]
    stamp: Stamp
    transparent: bool = False
    reads_only: bool = False
    touches_masked: bool = False
