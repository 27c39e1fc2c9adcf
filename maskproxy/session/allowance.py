"""What is left of a scope's limits: rows of one result, and what a principal does in a minute or an hour.

Pure: the time is asked of a function that the caller gives.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from maskproxy.base.errors import LimitExceeded, QuotaExceeded, StatementError
from maskproxy.base.limits import MAX_MASKED_ROW
from maskproxy.base.refs import ColumnRef
from maskproxy.core.plan import Plan, StatementPlan
from maskproxy.core.policy.scope_limits import ScopeLimits
from maskproxy.core.sql.statement import StatementKind, Verb

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_FETCHES: Final = frozenset({Verb.FETCH, Verb.MOVE})


def too_large() -> LimitExceeded:
    return LimitExceeded(
        f"a row with masked columns holds more than {MAX_MASKED_ROW} bytes", hint="Select fewer or smaller columns."
    )


def too_many_rows(limit: int, *, wrote: bool) -> LimitExceeded:
    """``wrote``: the server may have done with it before it is stopped."""
    hint = "Add LIMIT or a narrower condition, or aggregate; the rows so far have been sent."
    if wrote:
        hint = "Leave RETURNING out or write fewer rows. Outside of a transaction block the rows may have been written."
    return LimitExceeded(f"the statement returns more than the {limit} rows that this scope allows", hint=hint)


@dataclass(slots=True)
class _Bucket:
    """What was used, which is forgotten at the rate of the limit."""

    used: float = 0.0
    at: float = 0.0

    def wait(self, number: int, limit: int, period: float, now: float) -> float:
        """Seconds until ``number`` more are allowed; 0 when they are now."""
        self.used = max(0.0, self.used - (now - self.at) * limit / period)
        self.at = now
        return max(0.0, (self.used + number - limit) * period / limit)


@dataclass(slots=True, eq=False)
class Meter:
    """Of one principal and database, over all its sessions in one worker. ``share``: how many workers there are, of
    which each allows its part of the ``equalities``; the last of a division falls away, so that together they never
    allow more."""

    now: Callable[[], float]
    share: int = 1
    _statements: _Bucket = field(default_factory=_Bucket)
    _equalities: dict[ColumnRef, _Bucket] = field(default_factory=dict)

    def take(self, limits: ScopeLimits, plan: Plan) -> StatementError | None:
        """Uses up what the plan needs, or nothing: then the refusal."""
        now = self.now()
        number = sum(map(counts, plan.statements))
        if (most := limits.statements_per_minute) is not None and number:
            wait = self._statements.wait(number, most, _MINUTE, now)
            if wait > 0:
                return _too_often(f"more than {most} statements a minute", wait, possible=number <= most)
        used = compared(plan)
        most = limits.equalities
        if most is not None:
            most //= self.share
            for column, values in sorted(used.items()):
                bucket = self._equalities.setdefault(column, _Bucket(at=now))
                wait = bucket.wait(values, most, _HOUR, now) if most else _HOUR
                if wait > 0:
                    what = f'more than {most} comparisons of column "{column.column}" with given values an hour'
                    return _too_often(what, wait, possible=values <= most)
            for column, values in used.items():
                self._equalities[column].used += values
        self._statements.used += number if limits.statements_per_minute is not None else 0
        return None


def _too_often(what: str, wait: float, *, possible: bool) -> QuotaExceeded:
    hint = f"Try again in {ceil(wait)} seconds." if possible else "Ask for less at once."
    return QuotaExceeded(f"{what} are not allowed in this scope", hint=hint)


def counts(statement: StatementPlan) -> bool:
    """Whether it is one of those of a minute: not what only steers the session, such as COMMIT."""
    return statement.analysis is not None and statement.analysis.kind is not StatementKind.SESSION


def compared(plan: Plan) -> dict[ColumnRef, int]:
    """With how many values each masked column is compared as it is when the plan runs. What PREPARE makes is counted
    at EXECUTE, what DECLARE makes at DECLARE."""
    found: dict[ColumnRef, int] = {}
    for statement in plan.statements:
        analysis, command = statement.analysis, statement.session
        # what EXECUTE or Bind runs is of that kind too, and carries nothing
        prepares = analysis is not None and analysis.kind is StatementKind.PREPARE and statement.carried is not None
        if prepares or (command is not None and command.verb in _FETCHES):
            continue
        for column, values in statement.disclosed.items():
            found[column] = found.get(column, 0) + values
    return found
