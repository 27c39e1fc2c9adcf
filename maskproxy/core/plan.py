"""What will be done for one statement: the SQL to send, one mask per output column, and what to check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import ColumnRef, Generation
from maskproxy.core.catalog import SearchPath
from maskproxy.core.policy.decide_writes import decide_statement
from maskproxy.core.policy.decision import ColumnMask, Deny, MaskedValue, Permit
from maskproxy.core.policy.ruleset import Scope
from maskproxy.core.sql import carry
from maskproxy.core.sql.analysis import Statement, check_splices, interpret, read
from maskproxy.core.sql.copy_table import without_table_copies
from maskproxy.core.sql.statement import Analysis, Output, SessionCommand, Splice, StatementKind, Verb
from maskproxy.core.sql.substitute import apply_splices
from maskproxy.core.sql.traces import leaves_traces


@dataclass(frozen=True, slots=True)
class Stamp:
    """The generations a plan was made with. A plan whose stamp is not the session's is decided again before it runs."""

    rules: Generation
    catalog: Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementPlan:
    """One statement of the text. ``outputs``: by output column the mask for its values, None for session statements:
    nothing in their rows is ours to mask.

    ``governed``: by output column the masks that govern what it shows, whether the row's values are masked or the
    server evaluates them masked. ``evaluated``: masks of the columns of which the statement sees masked values only.
    ``masks``: those of columns that are shown or used. ``shown``: columns of which some output shows something masked.
    ``written``: values for masked columns, to be looked at before it runs.
    ``session``: what it changes in the session; a SELECT of set_config has both.
    ``carried``: the query of the cursor or prepared statement that it makes; that one's rows are masked as a bare
    query's are. EXPLAIN and COPY have neither: what they send back is not rows, so nothing of it is ours to mask.
    """

    analysis: Analysis | None
    outputs: tuple[ColumnMask | None, ...] | None
    governed: tuple[tuple[ColumnMask, ...], ...] = ()
    evaluated: Mapping[ColumnRef, ColumnMask] = field(default_factory=dict)
    masks: frozenset[ColumnMask] = frozenset()
    shown: frozenset[ColumnRef] = frozenset()
    disclosed: Mapping[ColumnRef, int] = field(default_factory=dict)
    written: tuple[MaskedValue, ...] = ()
    session: SessionCommand | None = None
    carried: "StatementPlan | None" = None

    @property
    def returns_rows(self) -> bool:
        """Rows that analysis has looked at. A write without RETURNING has none."""
        if self.outputs is None or self.analysis is None:
            return False
        return bool(self.outputs) or self.analysis.kind not in _WRITES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The whole text of one Query or Parse message. ``transparent``: an unrestricted scope; nothing is looked at,
    and ``statements`` is empty.

    ``reads_only``: nothing can be written, so the statement may run while its record becomes durable.
    ``touches_masked``: some masked column's table is read, so server messages are scrubbed.
    ``plain``: one query that changes nothing in the session, and of which nothing has to be looked at before it runs.
    ``pins``: something of it may be left in the server's session when its transaction is over (``traces``).
    ``pattern``: the plan of which this is another instance, made for a text that differs in literals only.
    """

    text: str = field(repr=False)
    sql: str = field(repr=False)
    statements: tuple[StatementPlan, ...]
    stamp: Stamp
    transparent: bool = False
    reads_only: bool = False
    touches_masked: bool = False
    plain: bool = False
    pins: bool = True
    pattern: "Plan | None" = field(default=None, repr=False)


def plan_text(text: str, scope: Scope, search_path: Sequence[str], stamp: Stamp) -> Plan:
    """Analysis, decision and plan of one text. Raises the StatementError that refuses it.

    An unrestricted scope's text is not even parsed: what the server accepts, it accepts.
    """
    if scope.unrestricted:
        return Plan(text=text, sql=text, statements=(), stamp=stamp, transparent=True)
    path = tuple(search_path)
    plain = without_table_copies(text, scope.catalog, path)
    try:
        decided = [_decided(statement, scope, path) for statement in read(plain, path)]
        check_splices([analysis for analysis, _ in decided])
        return replace(make_plan(plain, decided, scope, stamp), text=text)
    except StatementError as error:
        error.position = error.position if plain == text else None  # it would be one in another text
        raise


Decided = tuple[Analysis, Permit]


def _decided(statement: Statement, scope: Scope, search_path: SearchPath) -> Decided:
    """Raises the refusal. Under masked evaluation the statement is interpreted once more, with its edits."""
    analysis = interpret(statement, scope.catalog, search_path)
    scope.limits.check(analysis.session)
    copies_masked = analysis.kind is StatementKind.COPY_OUT and any(
        _governing(each, scope) for each in analysis.outputs
    )
    match decide_statement(analysis, scope, evaluate=copies_masked):
        case Deny(error):
            raise error
        case Permit() as permit:
            if permit.evaluated:
                expressions = {column: scope.expressions[column] for column in permit.evaluated}
                analysis = interpret(statement, scope.catalog, search_path, expressions)
            return analysis, permit
        case unreachable:
            assert_never(unreachable)


_WRITES = frozenset({StatementKind.INSERT, StatementKind.UPDATE, StatementKind.DELETE})
_READS = frozenset(
    {
        StatementKind.SELECT,
        StatementKind.SESSION,
        StatementKind.EXPLAIN,
        StatementKind.DECLARE,
        StatementKind.PREPARE,
        StatementKind.COPY_OUT,
    }
)


def _only_reads(analysis: Analysis) -> bool:
    """A trusted function may write."""
    return analysis.kind in _READS and not (analysis.writes or analysis.locks or analysis.trusted)


def _touches_masked(analysis: Analysis, scope: Scope) -> bool:
    """Whether what the server says of it could speak of masked or hidden values. Of writes it says more: triggers run,
    at COMMIT too, and other tables and columns are named by what they are checked against. A trusted function may say
    anything."""
    if analysis.session is not None and analysis.session.verb is Verb.COMMIT:
        return bool(scope.rights.tables)
    if analysis.trusted or any(scope.masks_table(table) for table in analysis.tables):
        return True
    written = (scope.catalog.tables[write.table] for write in analysis.writes)
    return any(
        table.has_triggers
        or table.is_partly_visible
        or any(map(scope.hides, (column for constraint in table.constraints for column in constraint.others)))
        for table in written
    )


def make_plan(text: str, decided: Sequence[Decided], scope: Scope, stamp: Stamp) -> Plan:
    """The plan of statements that are all permitted."""
    analyses = [analysis for analysis, _ in decided]
    statements = tuple(_statement(analysis, permit, scope) for analysis, permit in decided)
    pins = any(leaves_traces(analysis, scope.catalog) for analysis in analyses)
    return Plan(
        text=text,
        sql=apply_splices(text, (splice for analysis in analyses for splice in _splices(text, analysis, scope))),
        statements=statements,
        stamp=stamp,
        reads_only=all(_only_reads(analysis) for analysis in analyses),
        touches_masked=any(_touches_masked(analysis, scope) for analysis in analyses),
        plain=len(statements) == 1 and not pins and _is_plain(statements[0]),
        pins=pins,
    )


def _is_plain(statement: StatementPlan) -> bool:
    analysis = statement.analysis
    if analysis is None or analysis.kind is not StatementKind.SELECT or not _only_reads(analysis):
        return False
    return statement.returns_rows and not (statement.session or statement.carried or statement.written)


def _statement(analysis: Analysis, permit: Permit, scope: Scope) -> StatementPlan:
    if analysis.kind is StatementKind.SESSION:
        return StatementPlan(analysis=analysis, outputs=None, session=analysis.session)
    governed = tuple(_governing(output, scope) for output in analysis.outputs)
    evaluated = {column: scope.masks[column] for column in permit.evaluated}
    shown = frozenset(mask for masks in governed for mask in masks)
    query = StatementPlan(
        analysis=analysis,
        outputs=permit.outputs,
        governed=governed,
        evaluated=evaluated,
        masks=shown | {evaluated[use.column] for use in analysis.uses if use.column in evaluated},
        shown=frozenset(mask.column for mask in shown),
        disclosed=permit.disclosed,
        written=permit.written,
        session=analysis.session,
    )
    match analysis.kind:
        case StatementKind.DECLARE | StatementKind.PREPARE:
            return replace(query, outputs=None, governed=(), shown=frozenset(), carried=query)
        case StatementKind.EXPLAIN:
            return replace(query, outputs=None, governed=(), shown=frozenset())
        case StatementKind.COPY_OUT | StatementKind.COPY_IN:
            return replace(query, outputs=None)
        case _:
            return query


def _splices(text: str, analysis: Analysis, scope: Scope) -> tuple[Splice, ...]:
    """The edits of one statement, checked together where it carries a query."""
    carrier, splices = analysis.carrier, analysis.splices
    if carrier is None:
        return splices
    if carrier.kind is StatementKind.EXPLAIN and any(map(scope.guards_table, analysis.tables)):
        splices += (carry.explain_splice(carrier, analysis.start),)
    if splices:
        query = apply_splices(text[: carrier.query_end], analysis.splices)[carrier.query_start :]
        edited = apply_splices(text[: analysis.end], splices)[analysis.start :]
        carry.check_edited(edited, carrier, query)
    return splices


def _governing(output: Output, scope: Scope) -> tuple[ColumnMask, ...]:
    return tuple(scope.masks[column] for column in sorted(output.sources) if column in scope.masks)
