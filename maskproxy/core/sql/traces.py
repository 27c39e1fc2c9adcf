"""What a statement leaves in the server's session when its transaction is over: under transaction pooling such a one
keeps its connection for its client ("pinning").

What is not known to leave nothing leaves something. The server's session is as it was at login as long as nobody has
left anything, so what only takes away (RESET, CLOSE, DEALLOCATE, UNLISTEN, DISCARD) leaves nothing either. What a
definition of the database's own does unseen (the default of a column, a view that calls a function) is not looked at.
"""

from typing import Final

from maskproxy.core.catalog import Catalog
from maskproxy.core.sql.statement import Analysis, SessionCommand, StatementKind, Verb

_NOTHING: Final = frozenset(
    {
        Verb.BEGIN,
        Verb.COMMIT,
        Verb.ROLLBACK,
        Verb.SAVEPOINT,
        Verb.RELEASE,
        Verb.ROLLBACK_TO,
        Verb.SHOW,
        Verb.LOCK,
        Verb.FETCH,  # cursors end with their transaction, unless DECLARE has pinned
        Verb.MOVE,
        Verb.CLOSE,
        Verb.RESET,
        Verb.DEALLOCATE,
        Verb.DISCARD_PLANS,
        Verb.DISCARD_ALL,
        Verb.UNLISTEN,
    }
)
_IF_LOCAL: Final = frozenset({Verb.SET, Verb.SET_TRANSACTION})
_PLAIN: Final = frozenset(
    {
        StatementKind.SELECT,
        StatementKind.INSERT,
        StatementKind.UPDATE,
        StatementKind.DELETE,
        StatementKind.SESSION,
        StatementKind.EXPLAIN,
        StatementKind.COPY_OUT,
        StatementKind.COPY_IN,
    }
)

KEEP_STATE: Final = frozenset(
    {
        "nextval",
        "currval",
        "lastval",
        "setval",
        "setseed",
        "pg_advisory_lock",
        "pg_advisory_lock_shared",
        "pg_try_advisory_lock",
        "pg_try_advisory_lock_shared",
        "pg_advisory_unlock",
        "pg_advisory_unlock_shared",
        "pg_listening_channels",
        "lo_open",
        "lo_creat",
        "lo_create",
        "pg_my_temp_schema",
    }
)
"""Built-ins that keep something in the session, or tell of it. Hardly one of them is allowed under a masking scope:
they are here for the day when another list grows."""


def leaves_traces(analysis: Analysis, catalog: Catalog) -> bool:
    if analysis.trusted or not analysis.functions.isdisjoint(KEEP_STATE):
        return True
    if analysis.session is not None and not _is_local(analysis.session):
        return True
    if any(catalog.tables[write.table].has_triggers for write in analysis.writes):
        return True  # they may do anything
    if analysis.kind is StatementKind.DECLARE:
        return analysis.carrier is None or analysis.carrier.option("hold") is not None
    return analysis.kind not in _PLAIN


def _is_local(command: SessionCommand) -> bool:
    return command.verb in _NOTHING or (command.verb in _IF_LOCAL and command.local)
