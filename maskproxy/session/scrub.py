"""What the server says besides rows, made safe for a masking scope: errors, notices and parameter status.

Under such a scope masked columns are never evaluated except as outputs, so most texts cannot hold a masked value. This
is the second line: when a table with masked columns is in play, texts of the classes that quote data are replaced by
the condition's name, and the fields that quote rows, queries or constraints (D, W, q, n and others) always go.
"""

from maskproxy.wire.postgres.errors import canonical_text
from maskproxy.wire.postgres.messages import ErrorResponse

_KEPT = frozenset("SVCMPH")

QUOTING_CLASSES = frozenset(
    {"00", "01", "02", "0A", "21", "22", "23", "2F", "38", "39", "44", "P0", "HV", "XX", "F0", "54"}
)
"""SQLSTATE classes whose message may quote a value: data exceptions, constraints, user code (RAISE NOTICE is 00000),
internal errors.

Class 42 and the like speak of the statement's own text and of the schema."""

FORWARDED_PARAMETERS = frozenset(
    {
        "server_version",
        "server_encoding",
        "client_encoding",
        "application_name",
        "DateStyle",
        "IntervalStyle",
        "TimeZone",
        "integer_datetimes",
        "standard_conforming_strings",
        "in_hot_standby",
        "default_transaction_read_only",
        "is_superuser",
        "session_authorization",
        "scram_iterations",
        "search_path",
    }
)
"""Reported settings (GUC_REPORT) that a client under a masking scope may hear of. Extensions can report settings of
their own; those could carry anything."""

PINNED_PARAMETERS = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""What analysis and masks rely on; a server that reports otherwise is not the one we analysed for."""


def scrub(message: ErrorResponse, *, touches_masked: bool) -> ErrorResponse:
    """The same error or notice (they share their layout) without what could carry a value."""
    fields = dict(message.fields)
    sqlstate = fields.get("C", "XX000")
    if touches_masked and sqlstate[:2] in QUOTING_CLASSES:
        fields["M"] = canonical_text(sqlstate)
        fields.pop("H", None)
    return ErrorResponse(tuple((code, value) for code, value in fields.items() if code in _KEPT))
