"""Tests that end otherwise through us than directly, each with its reason. Empty would be best."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.integration.foreign.run import Outcome


@dataclass(frozen=True, slots=True)
class Difference:
    direct: Outcome
    proxied: Outcome


@dataclass(frozen=True, slots=True)
class Explained:
    difference: Difference
    why: str


def _fails(why: str) -> Explained:
    return Explained(Difference(Outcome.PASSED, Outcome.FAILED), why)


EXPLAINED: Mapping[str, Mapping[str, Explained]] = {
    "psycopg2": {},
    "pg8000": {},
}
"""Suite, then test id."""
