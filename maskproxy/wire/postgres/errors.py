"""The one translation of the error tree to ErrorResponse, and the words a scrubbed server error is left with."""

from maskproxy.base.errors import MaskproxyError
from maskproxy.wire.postgres.backend_messages import ErrorResponse
from maskproxy.wire.postgres.sqlstates import CONDITIONS


def error_fields(error: MaskproxyError, severity: str = "ERROR") -> ErrorResponse:
    """Return the ErrorResponse for ``error``; ``severity`` is FATAL where the session ends.

    Fields: "Error and Notice Message Fields" chapter. V is S without translation; ours is never translated.
    """
    position = None if error.position is None else str(error.position)
    fields = (
        ("S", severity),
        ("V", severity),
        ("C", error.sqlstate),
        ("M", error.message),
        ("D", error.detail),
        ("H", error.hint),
        ("P", position),
    )
    return ErrorResponse(tuple((code, _clean(value)) for code, value in fields if value is not None))


def _clean(value: str) -> str:
    """Names in our texts are the client's and may hold bytes that are not UTF-8; clients must be able to read us."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def canonical_text(sqlstate: str) -> str:
    """Return PostgreSQL's name of the condition in words ("division by zero"), of its class when it is not known.

    It stands in for a server's message that may quote values.
    """
    name = CONDITIONS.get(sqlstate) or CONDITIONS.get(f"{sqlstate[:2]}000") or "error"
    return name.replace("_", " ")
