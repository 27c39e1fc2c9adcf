"""The limits of a scope: of several, the strictest of each."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.core.sql.statement import SessionCommand, Verb

TIMEOUT: Final = "statement_timeout"
_DURATION: Final = re.compile(r"([0-9]{1,10}) ?(us|ms|s|min|h|d)?")
_MILLISECONDS: Final = {"us": 0.001, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLimits:
    """``rows`` a statement may return, ``seconds`` it may take, ``statements_per_minute`` of a principal, and
    ``equalities``: values of each column that a principal may compare with it as it is, in an hour. None: no limit."""

    rows: int | None = None
    statements_per_minute: int | None = None
    seconds: int | None = None
    equalities: int | None = None

    def __and__(self, other: "ScopeLimits") -> "ScopeLimits":
        return ScopeLimits(
            rows=_least(self.rows, other.rows),
            statements_per_minute=_least(self.statements_per_minute, other.statements_per_minute),
            seconds=_least(self.seconds, other.seconds),
            equalities=_least(self.equalities, other.equalities),
        )

    def timeout(self, asked: str | None) -> str | None:
        """``statement_timeout`` of a session that asks for this value; None where it is left to the server."""
        if self.seconds is None:
            return asked
        milliseconds = None if asked is None else _milliseconds(asked)
        return asked if milliseconds is not None and 1 <= milliseconds <= self.seconds * 1_000 else f"{self.seconds}s"

    def check(self, command: SessionCommand | None) -> None:
        """Raises Refused for a SET that gives a statement more time than there is."""
        if command is None or command.verb is not Verb.SET or command.name != TIMEOUT or self.seconds is None:
            return
        if self.timeout(command.value or "") != command.value:
            raise Refused(
                f"{TIMEOUT} may be at most {self.seconds}s in this scope",
                hint=f"Set it to 1ms up to {self.seconds}s; 0 would be no limit.",
            )


NO_LIMITS: Final = ScopeLimits()


def strictest_limits(some: Iterable[ScopeLimits]) -> ScopeLimits:
    return reduce(lambda one, other: one & other, some, NO_LIMITS)


def _least(one: int | None, other: int | None) -> int | None:
    known = [each for each in (one, other) if each is not None]
    return min(known, default=None)


def _milliseconds(value: str) -> float | None:
    """As the server reads it, rounding aside, by which less than one can be 0; None for what is no plain duration."""
    match = _DURATION.fullmatch(value.strip().lower())
    return None if match is None else int(match[1]) * _MILLISECONDS[match[2] or "ms"]
