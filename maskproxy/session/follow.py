"""What statements in SQL do to the names that they share with the protocol, and whose rows they return.

On the server a cursor is a portal and ``PREPARE`` makes the same thing as a Parse message ("DECLARE", "PREPARE"). So
there is one namespace of each here too: what DECLARE and PREPARE make carries the plan of its query, and FETCH and
EXECUTE return rows under the plan of what they name, whichever way that was made.

A name here is what the server confirmed last for it. The server may have forgotten it since (a transaction ended, a
savepoint was rolled back to); it then answers with an error of its own. It never holds another thing under the name:
neither closing a cursor nor preparing a statement is undone by ROLLBACK.
"""

from dataclasses import replace

from maskproxy.base import limits
from maskproxy.base.errors import LimitExceeded, Refused, StatementError, UnknownPortal, UnknownStatement
from maskproxy.core.plan import Plan, StatementPlan
from maskproxy.core.sql.statement import StatementKind, Verb
from maskproxy.session.holdings import PREFIX
from maskproxy.session.masking import row_masks
from maskproxy.session.pipeline import Kind, Request
from maskproxy.session.state import SessionState
from maskproxy.session.statements import Portal, PreparedStatement, Source

_FETCHES = frozenset({Verb.FETCH, Verb.MOVE})
_OUT_OF_DATE = "Rules or schema have changed since it was made: close it and make it again."


def follow(state: SessionState, request: Request) -> None:
    """Take over what this request, about to be sent, does to the names; put the plans of what it names into its plan.

    Raises StatementError when it names something unknown or out of date."""
    plan = request.plan
    if plan is None:
        return
    statements = tuple(_statement(state, request, plan, index) for index in range(len(plan.statements)))
    if statements != plan.statements:
        touches = plan.touches_masked or any(_plan(source).touches_masked for source in request.sources)
        request.plan = replace(plan, statements=statements, touches_masked=touches)
    if request.kind is Kind.EXECUTE and request.portal is not None and request.portal.target is not None:
        outputs = statements[0].outputs
        request.masks = None if outputs is None else row_masks(outputs, request.portal.formats)


def source_of(state: SessionState, statement: StatementPlan) -> Source | None:
    """What a FETCH, MOVE or EXECUTE returns rows of; None for other statements. Raises StatementError."""
    command = statement.session
    if command is None or command.name is None:
        return None
    found: Source | None
    if command.verb in _FETCHES:
        what, found = "cursor", state.portals.get(command.name)
        if found is None:
            raise UnknownPortal(f'cursor "{command.name}" does not exist')
    elif command.verb is Verb.EXECUTE:
        what, found = "prepared statement", state.statements.get(command.name)
        if found is None:
            raise UnknownStatement(f'prepared statement "{command.name}" does not exist')
    else:
        return None
    if state.holdings is not None and isinstance(found, PreparedStatement) and not found.made_in_sql:
        raise Refused(
            f'prepared statement "{command.name}" was not made by PREPARE',
            hint="Under transaction pooling SQL can only EXECUTE what SQL has prepared.",
        )
    if _plan(found).stamp != state.policy.stamp:
        raise Refused(f'{what} "{command.name}" is out of date', hint=_OUT_OF_DATE)
    if not (found.statement if isinstance(found, Portal) else found).reads_rows:
        raise Refused(f'{what} "{command.name}" is not one of a query', hint="Run its statement by itself.")
    return found


def _plan(source: Source) -> Plan:
    return source.statement.plan if isinstance(source, Portal) else source.plan


def _statement(state: SessionState, request: Request, plan: Plan, index: int) -> StatementPlan:
    statement = plan.statements[index]
    source = source_of(state, statement)
    if source is not None:
        if request.portal is not None and source is not request.portal.target:
            raise Refused("what this statement names has been made anew since it was bound", hint="Bind it again.")
        request.sources.append(source)
        if isinstance(source, Portal):
            request.cursors[index] = source
        if statement.session is not None and statement.session.verb is Verb.MOVE:
            return statement
        return replace(_plan(source).statements[0], session=statement.session)
    _take_over(state, request, plan, index)
    return statement


def _take_over(state: SessionState, request: Request, plan: Plan, index: int) -> None:
    statement = plan.statements[index]
    if statement.carried is not None:
        _make(state, request, plan, index)
    command = statement.session
    if command is None:
        return
    if command.verb in (Verb.DEALLOCATE, Verb.DISCARD_ALL):
        if state.holdings is not None and command.name is None:
            state.holdings.forget()
        request.will(state.statements.remove(command.name), index)
    if command.verb in (Verb.CLOSE, Verb.DISCARD_ALL):
        request.will(state.portals.remove(command.name), index)


def _make(state: SessionState, request: Request, plan: Plan, index: int) -> None:
    """The cursor or prepared statement that this statement makes."""
    statement = plan.statements[index]
    carrier = statement.analysis.carrier if statement.analysis is not None else None
    if statement.carried is None or carrier is None or carrier.name is None:
        raise Refused("this statement makes something without a name")
    if carrier.kind is StatementKind.PREPARE and carrier.name.startswith(PREFIX):
        raise Refused(f'names of prepared statements that begin with "{PREFIX}" are reserved')
    made = PreparedStatement(replace(plan, statements=(statement.carried,), reads_only=True), made_in_sql=True)
    if carrier.kind is StatementKind.PREPARE:
        _check_number(len(state.statements), "prepared statements")
        request.will(state.statements.set(carrier.name, made), index)
    else:
        _check_number(len(state.portals), "portals")
        cursor = Portal(made, (), (), hold=carrier.option("hold") is not None)
        request.will(state.portals.set(carrier.name, cursor), index)


def _check_number(number: int, what: str) -> None:
    if number >= limits.MAX_STATEMENTS_PER_SESSION:
        raise LimitExceeded(f"too many {what}")


def out_of_date() -> StatementError:
    """For what the protocol names but only SQL can make again."""
    return Refused("this cursor or prepared statement is out of date", hint=_OUT_OF_DATE)
