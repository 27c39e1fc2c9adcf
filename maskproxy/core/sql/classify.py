"""Which statements there are in a text, and the small grammar for those that steer the session.

Only listed roots pass. Session statements are read here token by token and never given to sqlglot, which turns
``SAVEPOINT a`` or ``DISCARD ALL`` into harmless-looking expressions. What the grammar does not cover is refused,
whatever the server would say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.core.sql import settings
from maskproxy.core.sql.lex import Token, TokenKind
from maskproxy.core.sql.statement import SessionCommand, Verb

QUERY_ROOTS: Final = frozenset({"select", "values", "table", "with", "("})


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement's tokens; never empty."""

    tokens: tuple[Token, ...]

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end

    @property
    def root(self) -> str:
        first = self.tokens[0]
        return first.value if first.kind in (TokenKind.WORD, TokenKind.PUNCTUATION) else ""


def split(tokens: tuple[Token, ...]) -> tuple[Piece, ...]:
    """Statements as the server splits them: at each semicolon. Semicolons inside parentheses occur only in statements
    that are refused anyway (CREATE RULE, BEGIN ATOMIC), and the split must agree with the server's grammar, see
    ``oracle``."""
    pieces: list[Piece] = []
    begin = 0
    for index, token in enumerate(tokens):
        if token.is_punctuation(";"):
            pieces.append(Piece(tokens[begin:index]))
            begin = index + 1
    pieces.append(Piece(tokens[begin:]))
    return tuple(piece for piece in pieces if piece.tokens)


def session_command(piece: Piece, search_path: tuple[str, ...]) -> SessionCommand | None:
    """The session statement this is, None when it is a query; raises Refused for everything else."""
    if piece.root in QUERY_ROOTS:
        return None
    reader = _GRAMMAR.get(piece.root)
    if reader is None:
        raise Refused(
            f"{piece.root.upper() or 'this statement'} is not allowed under a masking scope",
            hint="Statements that read (SELECT, VALUES, TABLE, WITH) and transaction control are allowed.",
            position=piece.start + 1,
        )
    cursor = _Cursor(piece, search_path)
    command = reader(cursor)
    cursor.expect_end()
    return command


class _Cursor:
    """Reads one piece's tokens from left to right; ``take`` and friends move only when they match."""

    def __init__(self, piece: Piece, search_path: tuple[str, ...]) -> None:
        self._tokens = piece.tokens
        self._index = 1
        self.root = piece.root
        self.search_path = search_path

    def take(self, *words: str) -> bool:
        """All these words in this order."""
        ahead = self._tokens[self._index : self._index + len(words)]
        found = len(ahead) == len(words) and all(token.is_word(word) for token, word in zip(ahead, words, strict=True))
        self._index += len(words) if found else 0
        return found

    def take_any(self, *words: str) -> str | None:
        return next((word for word in words if self.take(word)), None)

    def take_symbol(self, *symbols: str) -> bool:
        token = self._peek()
        found = (
            token is not None and token.value in symbols and token.kind in (TokenKind.OPERATOR, TokenKind.PUNCTUATION)
        )
        self._index += found
        return found

    def name(self) -> str:
        token = self._peek()
        if token is None or token.kind not in (TokenKind.WORD, TokenKind.QUOTED):
            raise self.refusal()
        self._index += 1
        return token.value

    def value(self) -> str:
        """One word, string or number, as the server would store it in a setting."""
        sign = "-" if self.take_symbol("-") else ""
        token = self._peek()
        if token is None or token.kind not in (TokenKind.WORD, TokenKind.QUOTED, TokenKind.NUMBER, TokenKind.STRING):
            raise self.refusal()
        self._index += 1
        if token.kind is TokenKind.STRING and token.end - token.start != len(token.value.replace("'", "''")) + 2:
            raise self.refusal()  # an escape string, dollar quotes ... whose value the lexer does not compute
        return sign + token.value

    def expect_end(self) -> None:
        if self._peek() is not None:
            raise self.refusal()

    def refusal(self) -> Refused:
        token = self._peek() or self._tokens[-1]
        return Refused(
            f"this form of {self.root.upper()} is not allowed under a masking scope", position=token.start + 1
        )

    def _peek(self) -> Token | None:
        return self._tokens[self._index] if self._index < len(self._tokens) else None


_ISOLATION: Final = (("serializable",), ("repeatable", "read"), ("read", "committed"), ("read", "uncommitted"))


def _transaction_modes(cursor: _Cursor) -> None:
    """Zero or more of ISOLATION LEVEL, READ ONLY, READ WRITE, [NOT] DEFERRABLE; commas are optional."""
    comma = False
    while _transaction_mode(cursor):
        comma = cursor.take_symbol(",")
    if comma:
        raise cursor.refusal()


def _transaction_mode(cursor: _Cursor) -> bool:
    if cursor.take("isolation", "level"):
        if not any(cursor.take(*level) for level in _ISOLATION):
            raise cursor.refusal()
        return True
    modes = (("read", "only"), ("read", "write"), ("deferrable",), ("not", "deferrable"))
    return any(cursor.take(*mode) for mode in modes)


def _begin(cursor: _Cursor) -> SessionCommand:
    if cursor.root == "start":
        if not cursor.take("transaction"):
            raise cursor.refusal()
    else:
        cursor.take_any("work", "transaction")
    _transaction_modes(cursor)
    return SessionCommand(Verb.BEGIN)


def _chain(cursor: _Cursor) -> None:
    if not cursor.take("and", "no", "chain"):
        cursor.take("and", "chain")


def _commit(cursor: _Cursor) -> SessionCommand:
    cursor.take_any("work", "transaction")
    _chain(cursor)
    return SessionCommand(Verb.COMMIT)


def _rollback(cursor: _Cursor) -> SessionCommand:
    cursor.take_any("work", "transaction")
    if cursor.root == "rollback" and cursor.take("to"):
        cursor.take("savepoint")
        return SessionCommand(Verb.ROLLBACK_TO, cursor.name())
    _chain(cursor)
    return SessionCommand(Verb.ROLLBACK)


def _savepoint(cursor: _Cursor) -> SessionCommand:
    return SessionCommand(Verb.SAVEPOINT, cursor.name())


def _release(cursor: _Cursor) -> SessionCommand:
    cursor.take("savepoint")
    return SessionCommand(Verb.RELEASE, cursor.name())


def _set(cursor: _Cursor) -> SessionCommand:
    if cursor.take("session", "characteristics", "as", "transaction") or cursor.take("transaction"):
        _transaction_modes(cursor)
        return SessionCommand(Verb.SET_TRANSACTION)
    local = cursor.take_any("session", "local") == "local"
    if cursor.take("time", "zone"):
        return _assign(cursor, "timezone", local, is_default=bool(cursor.take_any("local", "default")))
    if cursor.take("names"):
        return _assign(cursor, "client_encoding", local, is_default=cursor.take("default"))
    name = cursor.name()
    if not (cursor.take("to") or cursor.take_symbol("=")):
        raise cursor.refusal()
    return _assign(cursor, name, local, is_default=cursor.take("default"))


def _assign(cursor: _Cursor, name: str, local: bool, *, is_default: bool) -> SessionCommand:
    if is_default:
        settings.check_reset(name)
        return SessionCommand(Verb.RESET, name.lower(), local=local)
    values = [cursor.value()]
    while cursor.take_symbol(","):
        values.append(cursor.value())
    if name.lower() == "search_path" and tuple(values) == cursor.search_path:
        return SessionCommand(
            Verb.SET, "search_path", None, local
        )  # what it is already; 'a, b' in quotes would be one name
    value = ", ".join(values) if name.lower() != "search_path" else ""
    settings.check_setting(name, value, search_path=cursor.search_path)
    return SessionCommand(Verb.SET, name.lower(), value, local)


def _setting_name(cursor: _Cursor) -> str:
    """After SHOW and RESET; the spellings with several words are those of gram.y's var_name."""
    if cursor.take("time", "zone"):
        return "timezone"
    if cursor.take("transaction", "isolation", "level"):
        return "transaction_isolation"
    return cursor.name()


def _reset(cursor: _Cursor) -> SessionCommand:
    if cursor.take("all"):
        return SessionCommand(Verb.RESET)
    name = _setting_name(cursor)
    settings.check_reset(name)
    return SessionCommand(Verb.RESET, name.lower())


def _show(cursor: _Cursor) -> SessionCommand:
    name = _setting_name(cursor)
    if not settings.is_readable(name):
        raise Refused(f'setting "{name.lower()}" may not be shown')
    return SessionCommand(Verb.SHOW, name.lower())


def _discard(cursor: _Cursor) -> SessionCommand:
    match cursor.take_any("all", "plans"):
        case "all":
            return SessionCommand(Verb.DISCARD_ALL)
        case "plans":
            return SessionCommand(Verb.DISCARD_PLANS)
        case _:
            raise cursor.refusal()


def _deallocate(cursor: _Cursor) -> SessionCommand:
    cursor.take("prepare")
    return SessionCommand(Verb.DEALLOCATE, None if cursor.take("all") else cursor.name())


def _close(cursor: _Cursor) -> SessionCommand:
    return SessionCommand(Verb.CLOSE, None if cursor.take("all") else cursor.name())


def _unlisten(cursor: _Cursor) -> SessionCommand:
    return SessionCommand(Verb.UNLISTEN, None if cursor.take_symbol("*") else cursor.name())


_GRAMMAR: Final[Mapping[str, Callable[[_Cursor], SessionCommand]]] = {
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
}
