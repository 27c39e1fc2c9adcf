"""How a query fares through the proxy, against the same query on the twin."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import psycopg

from tests.usability.suites import Query
from tests.usability.twins import Result, Twins, run

_OURS = frozenset({"42501", "0A000"})  # what a masking scope does not allow; other codes are the server's or a limit


class Outcome(StrEnum):
    SERVED = "served"
    REFUSED = "refused"
    FAILED = "failed"  # with an error of the server that the query does not meet on the twin
    DIFFERS = "differs"
    INVALID = "invalid"  # fails on the twin as well: the query is wrong


@dataclass(frozen=True, slots=True)
class Measured:
    outcome: Outcome
    rows: int = 0
    told: str = ""


def measure(twins: Twins, query: Query) -> Measured:
    try:
        want = run(twins.twin, query.text)
    except psycopg.Error as error:
        return Measured(Outcome.INVALID, told=str(error))
    try:
        got = run(twins.masked, query.text)
    except psycopg.Error as error:
        outcome = Outcome.REFUSED if error.sqlstate in _OURS else Outcome.FAILED
        return Measured(outcome, told=f"{error.sqlstate} {error}")
    if query.same and not got.same(want):
        return Measured(Outcome.DIFFERS, len(got.rows), _difference(got, want))
    return Measured(Outcome.SERVED, len(got.rows))


def measure_all(twins: Twins, queries: Mapping[str, Query]) -> Mapping[str, Measured]:
    return {name: measure(twins, query) for name, query in queries.items()}


def _difference(got: Result, want: Result) -> str:
    if got.columns != want.columns:
        return f"columns {got.columns}, on the twin {want.columns}"
    more, less = Counter(got.rows) - Counter(want.rows), Counter(want.rows) - Counter(got.rows)
    return f"{len(got.rows)} rows, {len(want.rows)} on the twin: {[*more][:2]} instead of {[*less][:2]}"


def table(measured: Mapping[str, Measured]) -> str:
    """A line for each theme: how many queries, how they fared, how many gave rows."""
    lines = []
    for theme in dict.fromkeys(map(_theme, measured)):
        of_theme = [each for name, each in measured.items() if _theme(name) == theme]
        outcomes = Counter(each.outcome for each in of_theme)
        told = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        lines.append(
            f"{theme:12} {len(of_theme):4} queries: {told}; {sum(each.rows > 0 for each in of_theme)} give rows"
        )
    return "\n".join(lines)


def _theme(name: str) -> str:
    return name.split(":")[0] if ":" in name else name.split(" ")[0]
