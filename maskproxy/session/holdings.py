"""Prepared statements of a backend that serves many sessions in turn (transaction pooling).

Each session has names of its own (``statements``); the server knows none of them. What a session prepares is made there
under an *alias*, which stands for its SQL and the types of its parameters and for nothing else. So two clients whose
name is the same never meet; clients that prepare the same share it; and what we believe of a backend can be wrong in
one way only: an alias is not there, and the server says so. It can never run another statement than the plan is of.

The alias is a keyed hash, and SQL may not name one (``follow``): no client can put something else in its place.
"""

import hashlib

from maskproxy.base import limits
from maskproxy.session.statements import PreparedStatement

PREFIX = "maskproxy_"
_DIGEST_BYTES = 20


class Holdings:
    """What one backend holds, the longest made first. ``key`` is the same for all that may serve one session."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.made: dict[str, None] = {}  # and confirmed by the server
        self._asked: set[str] = set()  # since the last Sync: made, or what comes behind is skipped too
        self._stained = False  # a SET LOCAL is in force
        self._fleeting: set[str] = set()  # made under it

    def alias(self, statement: PreparedStatement) -> str:
        if statement.alias is None:
            made_of = f"{statement.types}\0{statement.plan.sql}".encode("utf-8", "surrogateescape")
            statement.alias = PREFIX + hashlib.blake2b(made_of, key=self._key, digest_size=_DIGEST_BYTES).hexdigest()
        return statement.alias

    def has(self, alias: str) -> bool:
        return alias in self.made or alias in self._asked

    def surplus(self) -> list[str]:
        """Of more than should be held, those to be closed for another."""
        gone = []
        while self.made and len(self.made) + len(self._asked) >= limits.MAX_STATEMENTS_PER_BACKEND:
            gone.append(next(iter(self.made)))
            del self.made[gone[-1]]
        return gone

    def ask(self, alias: str) -> "Asked":
        """Close and Parse of it are about to be sent."""
        self.made.pop(alias, None)
        self._asked.add(alias)
        if self._stained:
            self._fleeting.add(alias)
        return Asked(self.made, alias)

    def stain(self) -> None:
        """The server reads literals (a time without a zone, 'now') when it prepares a statement, by settings that a SET
        LOCAL changes: what is made from now on is not for others."""
        self._stained = True

    def pass_on(self) -> None:
        """No transaction is open, and another session comes next."""
        for alias in self._fleeting:
            self.made.pop(alias, None)
        self._fleeting.clear()
        self._stained = False

    def synced(self) -> None:
        """What was asked for and is not confirmed may turn out to have been skipped."""
        self._asked.clear()

    def forget(self) -> None:
        """The server is told to drop some or all; what it has not answered yet is not believed either."""
        self.made = {}
        self._asked.clear()


class Asked:
    """One Parse: ``confirm`` or ``undo`` it, as with an ``Operation``."""

    __slots__ = ("_alias", "_made")

    def __init__(self, made: dict[str, None], alias: str) -> None:
        self._made = made
        self._alias = alias

    def confirm(self) -> None:
        self._made[self._alias] = None

    def undo(self) -> None:
        self._made.pop(self._alias, None)
