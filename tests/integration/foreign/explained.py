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


_ROLE = _fails(
    "makes a role with CREATE USER and logs in as it, to read that the database is unknown; who logs in to us is a "
    "principal of the control store, so the login itself fails"
)
_REPLICATION = _fails(
    "opens a replication connection, which is refused whatever the scope: it has no statements to record"
)

EXPLAINED: Mapping[str, Mapping[str, Explained]] = {
    "psycopg2": {},
    "pg8000": {
        "test/dbapi/test_connection.py::test_password_bytes": _ROLE,
        "test/legacy/test_connection.py::testBytesPassword": _ROLE,
        "test/native/test_connection.py::test_bytes_password": _ROLE,
        "readme/027_replication_protocol.md::027_replication_protocol.md": _REPLICATION,
    },
}
"""Suite, then test id."""
