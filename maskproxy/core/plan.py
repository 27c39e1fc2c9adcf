"""What will be done for one statement: the SQL to send, one mask per output column, and what to check."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from maskproxy.base.refs import Generation
from maskproxy.core.policy.decide import decide
from maskproxy.core.policy.decision import ColumnMask, Deny, Permit
from maskproxy.core.policy.ruleset import Scope
from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.statement import Analysis, SessionCommand, StatementKind
from maskproxy.core.sql.substitute import apply_splices


@dataclass(frozen=True, slots=True)
class Stamp:
    """The generations a plan was made with. A plan whose stamp is not the session's is decided again before it runs."""

    rules: Generation
    catalog: Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementPlan:
    """One statement of the text. ``outputs`` is None for session statements: nothing in their rows is ours to mask.

    ``session``: what it changes in the session; a SELECT of set_config has both.
    """

    analysis: Analysis | None
    outputs: tuple[ColumnMask | None, ...] | None
    session: SessionCommand | None = None

    @property
    def masked(self) -> bool:
        return self.outputs is not None and any(mask is not None for mask in self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The whole text of one Query or Parse message. ``transparent``: an unrestricted scope; nothing is looked at,
    and ``statements`` is empty.

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


def plan_text(text: str, scope: Scope, search_path: Sequence[str], stamp: Stamp) -> Plan:
    """Analysis, decision and plan of one text. Raises the StatementError that refuses it.

    An unrestricted scope's text is not even parsed: what the server accepts, it accepts.
    """
    if scope.unrestricted:
        return Plan(text=text, sql=text, statements=(), stamp=stamp, transparent=True)
    analyses = analyse(text, scope.catalog, tuple(search_path))
    permits = []
    for analysis in analyses:
        match decide(analysis, scope):
            case Deny(error):
                raise error
            case Permit() as permit:
                permits.append(permit)
            case unreachable:
                assert_never(unreachable)
    return make_plan(text, analyses, permits, scope, stamp)


_READS = frozenset({StatementKind.SELECT, StatementKind.SESSION})


def make_plan(text: str, analyses: Sequence[Analysis], permits: Sequence[Permit], scope: Scope, stamp: Stamp) -> Plan:
    """The plan of statements that are all permitted."""
    return Plan(
        text=text,
        sql=apply_splices(text, (splice for analysis in analyses for splice in analysis.splices)),
        statements=tuple(map(_statement, analyses, permits)),
        stamp=stamp,
        reads_only=all(analysis.kind in _READS for analysis in analyses),
        touches_masked=any(scope.masks_table(table) for analysis in analyses for table in analysis.tables),
    )


def _statement(analysis: Analysis, permit: Permit) -> StatementPlan:
    outputs = None if analysis.kind is StatementKind.SESSION else permit.outputs
    return StatementPlan(analysis=analysis, outputs=outputs, session=analysis.session)
