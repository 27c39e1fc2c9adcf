"""Which statements there are in a text, and the small grammar for those that steer the session.

Only listed roots pass. Session statements are read here token by token and never given to sqlglot, which turns
``SAVEPOINT a`` or ``DISCARD ALL`` into harmless-looking expressions. What the grammar does not cover is refused,
whatever the server would say."""

from collections.abc import Callable, Mapping
from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.core.sql import settings
from maskproxy.core.sql.oracle import Message
from maskproxy.core.sql.statement import SessionCommand, Verb
from maskproxy.core.sql.tokens import Piece, TokenCursor

QUERY_ROOTS: Final = frozenset({"select", "values", "table", "with", "(", "insert", "update", "delete"})


def session_command(piece: Piece, search_path: tuple[str, ...]) -> SessionCommand | None:
    """The session statement this is, None when it is a query; raises Refused for everything else."""
    if piece.root in QUERY_ROOTS:
        return None
    reader = _GRAMMAR.get(piece.root)
    if reader is None:
        raise Refused(
            f"{piece.root.upper() or 'this statement'} is not allowed under a masking scope",
            hint="SELECT, VALUES, TABLE, WITH, INSERT, UPDATE, DELETE and transaction control are understood.",
            position=piece.start + 1,
        )
    cursor = TokenCursor(piece, search_path)
    command = reader(cursor)
    cursor.expect_end()
    return command


_ISOLATION: Final = (("serializable",), ("repeatable", "read"), ("read", "committed"), ("read", "uncommitted"))


def _transaction_modes(cursor: TokenCursor) -> None:
    """Zero or more of ISOLATION LEVEL, READ ONLY, READ WRITE, [NOT] DEFERRABLE; commas are optional."""
    comma = False
    while _transaction_mode(cursor):
        comma = cursor.take_symbol(",")
    if comma:
        raise cursor.refusal()


def _transaction_mode(cursor: TokenCursor) -> bool:
    if cursor.take("isolation", "level"):
        if not any(cursor.take(*level) for level in _ISOLATION):
            raise cursor.refusal()
        return True
    modes = (("read", "only"), ("read", "write"), ("deferrable",), ("not", "deferrable"))
    return any(cursor.take(*mode) for mode in modes)


def _begin(cursor: TokenCursor) -> SessionCommand:
    if cursor.root == "start":
        if not cursor.take("transaction"):
            raise cursor.refusal()
    else:
        cursor.take_any("work", "transaction")
    _transaction_modes(cursor)
    return SessionCommand(Verb.BEGIN)


def _chain(cursor: TokenCursor) -> None:
    if not cursor.take("and", "no", "chain"):
        cursor.take("and", "chain")


def _commit(cursor: TokenCursor) -> SessionCommand:
    cursor.take_any("work", "transaction")
    _chain(cursor)
    return SessionCommand(Verb.COMMIT)


def _rollback(cursor: TokenCursor) -> SessionCommand:
    cursor.take_any("work", "transaction")
    if cursor.root == "rollback" and cursor.take("to"):
        cursor.take("savepoint")
        return SessionCommand(Verb.ROLLBACK_TO, cursor.name())
    _chain(cursor)
    return SessionCommand(Verb.ROLLBACK)


def _savepoint(cursor: TokenCursor) -> SessionCommand:
    return SessionCommand(Verb.SAVEPOINT, cursor.name())


def _release(cursor: TokenCursor) -> SessionCommand:
    cursor.take("savepoint")
    return SessionCommand(Verb.RELEASE, cursor.name())


def _set(cursor: TokenCursor) -> SessionCommand:
    of_session = cursor.take("session", "characteristics", "as", "transaction")
    if of_session or cursor.take("transaction"):
        _transaction_modes(cursor)
        return SessionCommand(Verb.SET_TRANSACTION, local=not of_session)
    local = cursor.take_any("session", "local") == "local"
    if cursor.take("time", "zone"):
        return _assign(cursor, "timezone", local, is_default=bool(cursor.take_any("local", "default")))
    if cursor.take("names"):
        return _assign(cursor, "client_encoding", local, is_default=cursor.take("default"))
    name = cursor.name()
    if not (cursor.take("to") or cursor.take_symbol("=")):
        raise cursor.refusal()
    return _assign(cursor, name, local, is_default=cursor.take("default"))


def _assign(cursor: TokenCursor, name: str, local: bool, *, is_default: bool) -> SessionCommand:
    if is_default:
        settings.check_reset(name)
        return SessionCommand(Verb.RESET, name.lower(), local=local)
    values = [cursor.value()]
    while cursor.take_symbol(","):
        values.append(cursor.value())
    if name.lower() == "search_path" and (tuple(values) == cursor.search_path or values == [""]):
        return SessionCommand(
            Verb.SET, "search_path", None, local
        )  # what it is already, or nothing; 'a, b' in quotes would be one name
    value = ", ".join(values) if name.lower() != "search_path" else _ONE_NAME
    settings.check_setting(name, value, search_path=cursor.search_path)
    return SessionCommand(Verb.SET, name.lower(), value, local)


_ONE_NAME: Final = ","  # no path


def _setting_name(cursor: TokenCursor) -> str:
    """After SHOW and RESET; the spellings with several words are those of gram.y's var_name."""
    if cursor.take("time", "zone"):
        return "timezone"
    if cursor.take("transaction", "isolation", "level"):
        return "transaction_isolation"
    return cursor.name()


def _reset(cursor: TokenCursor) -> SessionCommand:
    if cursor.take("all"):
        return SessionCommand(Verb.RESET)
    name = _setting_name(cursor)
    settings.check_reset(name)
    return SessionCommand(Verb.RESET, name.lower())


def _show(cursor: TokenCursor) -> SessionCommand:
    name = _setting_name(cursor)
    if not settings.is_readable(name):
        raise Refused(f'setting "{name.lower()}" may not be shown')
    return SessionCommand(Verb.SHOW, name.lower())


def _discard(cursor: TokenCursor) -> SessionCommand:
    match cursor.take_any("all", "plans"):
        case "all":
            return SessionCommand(Verb.DISCARD_ALL)
        case "plans":
            return SessionCommand(Verb.DISCARD_PLANS)
        case _:
            raise cursor.refusal()


def _deallocate(cursor: TokenCursor) -> SessionCommand:
    cursor.take("prepare")
    return SessionCommand(Verb.DEALLOCATE, None if cursor.take("all") else cursor.name())


def _close(cursor: TokenCursor) -> SessionCommand:
    return SessionCommand(Verb.CLOSE, None if cursor.take("all") else cursor.name())


def _unlisten(cursor: TokenCursor) -> SessionCommand:
    return SessionCommand(Verb.UNLISTEN, None if cursor.take_symbol("*") else cursor.name())


_DIRECTIONS: Final = ("next", "prior", "first", "last", "all", "forward", "backward")


def _fetch(cursor: TokenCursor) -> SessionCommand:
    """Read from its end: the cursor's name may be the word for a direction."""
    verb = Verb.MOVE if cursor.root == "move" else Verb.FETCH
    ahead = cursor.rest()
    while len(cursor.rest()) > 1 and not (len(cursor.rest()) == 2 and cursor.take_any("from", "in")):
        _direction(cursor, first=cursor.rest() == ahead)
    return SessionCommand(verb, cursor.name())


def _direction(cursor: TokenCursor, *, first: bool) -> None:
    if not first:
        raise cursor.refusal()
    word = cursor.take_any(*_DIRECTIONS, "absolute", "relative")
    if word in ("forward", "backward") and len(cursor.rest()) > 1:
        if not cursor.take("all"):
            _count(cursor, optional=True)
    elif word in (None, "absolute", "relative"):
        _count(cursor)


def _count(cursor: TokenCursor, *, optional: bool = False) -> None:
    signed = cursor.take_symbol("-", "+")
    if not cursor.take_number() and (signed or not optional):
        raise cursor.refusal()


def _execute(cursor: TokenCursor) -> SessionCommand:
    """Arguments are constants and parameters: no expression, which would need an analysis."""
    name = cursor.name()
    if cursor.take_symbol("("):
        while True:
            signed = cursor.take_symbol("-", "+")
            if not (cursor.take_number() or (not signed and cursor.take_argument())):
                raise cursor.refusal()
            if cursor.take_symbol(")"):
                break
            if not cursor.take_symbol(","):
                raise cursor.refusal()
    return SessionCommand(Verb.EXECUTE, name)


def _lock(cursor: TokenCursor) -> SessionCommand:
    """``LOCK TABLE ... IN ACCESS SHARE MODE``, which SELECT takes as well. The other grammar says of which tables."""
    cursor.take("table")
    while True:
        cursor.take("only")
        cursor.name()
        if cursor.take_symbol("."):
            cursor.name()
        if not cursor.take_symbol(","):
            break
    if not cursor.take("in", "access", "share", "mode"):
        raise cursor.refusal()
    cursor.take("nowait")
    return SessionCommand(Verb.LOCK)


def same_name(command: SessionCommand, message: Message) -> bool:
    """The server's grammar reads the name, of what rows are fetched from, as ours does."""
    match command.verb:
        case Verb.FETCH | Verb.MOVE:
            return bool(message.portalname == command.name and message.ismove == (command.verb is Verb.MOVE))
        case Verb.EXECUTE | Verb.DEALLOCATE:
            return bool(message.name == (command.name or ""))
        case Verb.CLOSE:
            return bool(message.portalname == (command.name or ""))
        case _:
            return True


_GRAMMAR: Final[Mapping[str, Callable[[TokenCursor], SessionCommand]]] = {
    "begin": _begin,
    "start": _begin,
    "commit": _commit,
    "end": _commit,
    "rollback": _rollback,
    "abort": _rollback,
    "savepoint": _savepoint,
    "release": _release,
    "set": _set,
    "reset": _reset,
    "show": _show,
    "discard": _discard,
    "deallocate": _deallocate,
    "close": _close,
    "unlisten": _unlisten,
    "fetch": _fetch,
    "move": _fetch,
    "execute": _execute,
    "lock": _lock,
}
