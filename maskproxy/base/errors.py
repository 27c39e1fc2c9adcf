"""One error tree. Each class knows its SQLSTATE (PostgreSQL) and errno (MySQL); ``wire`` makes the bytes in one place.

    MaskproxyError
      ProtocolError            the peer broke the protocol; the session closes
      StatementError           one statement is refused; connection and transaction live on
        Unparsable             42601   LimitExceeded     54000   UnknownTable   42P01
        InvalidEncoding        22021
        UnknownColumn          42703   AmbiguousColumn   42702   Refused        42501
        ColumnRefused          42501   UnknownStatement  26000   UnknownPortal  34000
        AuditUnavailable       58030   UnsupportedFeature 0A000   QuotaExceeded  53400
      SessionError             the session ends with FATAL
        AuthenticationFailed   28P01   NoGrant           28000   SessionEnded   57P01
        BackendUnavailable     08006   TooManySessions   53300   StartupRefused 08004
        UnknownDatabase        3D000
      ConfigurationError       rules or settings are wrong; carries file:line of each problem

Text follows PostgreSQL: lower case, no full stop, names quoted; explanation goes to DETAIL, advice to HINT.
Row values, parameters and literals never enter an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from maskproxy.base.refs import ColumnRef, Location


class MaskproxyError(Exception):
    """Root of the tree. ``position`` is a 1-based character offset into the client's text, as ErrorResponse field P."""

    sqlstate: ClassVar[str] = "XX000"
    errno: ClassVar[int] = 1105

    def __init__(
        self,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position

    def __reduce__(self) -> tuple[Any, ...]:
        """Keyword arguments keep an exception from being pickled the usual way."""
        return restore_error, (type(self), self.__dict__)


def restore_error(kind: type[MaskproxyError], state: dict[str, Any]) -> MaskproxyError:
    """What another process of ours raised."""
    error = kind.__new__(kind, state["message"])
    error.__dict__.update(state)
    return error


class ProtocolError(MaskproxyError):
    sqlstate = "08P01"
    errno = 1835


class StatementError(MaskproxyError):
    """Refuses one statement. The connection and the client's transaction live on."""


class Unparsable(StatementError):
    sqlstate = "42601"
    errno = 1064


class InvalidEncoding(StatementError):
    """The text is not UTF-8."""

    sqlstate = "22021"
    errno = 1300


class LimitExceeded(StatementError):
    sqlstate = "54000"
    errno = 1153


class UnknownTable(StatementError):
    sqlstate = "42P01"
    errno = 1146


class UnknownColumn(StatementError):
    sqlstate = "42703"
    errno = 1054


class AmbiguousColumn(StatementError):
    sqlstate = "42702"
    errno = 1052


class Refused(StatementError):
    """A construct, function, relation or setting that the scope may not use or that analysis cannot prove."""

    sqlstate = "42501"
    errno = 1142


class ColumnRefused(Refused):
    """A masked or denied column is used in a way that would disclose it."""

    errno = 1143

    def __init__(
        self,
        message: str,
        *,
        column: ColumnRef,
        rule: str,
        location: Location | None,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message, detail=detail, hint=hint, position=position)
        self.column = column
        self.rule = rule
        self.location = location


class UnsupportedFeature(StatementError):
    sqlstate = "0A000"
    errno = 1235


class UnknownStatement(StatementError):
    sqlstate = "26000"
    errno = 1243


class DuplicateStatement(StatementError):
    sqlstate = "42P05"
    errno = 1295


class UnknownPortal(StatementError):
    sqlstate = "34000"
    errno = 1243


class AuditUnavailable(StatementError):
    """The record could not be made durable, so the statement is refused (promise 3)."""

    sqlstate = "58030"
    errno = 1030


class StatementCancelled(StatementError):
    """The client asked for it before the server had the statement, or its result could be released."""

    sqlstate = "57014"
    errno = 1317


class QuotaExceeded(StatementError):
    """So much in so short a time is more than the scope's limits allow."""

    sqlstate = "53400"
    errno = 1226


class SessionError(MaskproxyError):
    """Ends the session with severity FATAL."""


class AuthenticationFailed(SessionError):
    sqlstate = "28P01"
    errno = 1045


class NoGrant(SessionError):
    sqlstate = "28000"
    errno = 1045


class SessionEnded(SessionError):
    sqlstate = "57P01"
    errno = 1053


class BackendUnavailable(SessionError):
    sqlstate = "08006"
    errno = 2013


class TooManySessions(SessionError):
    sqlstate = "53300"
    errno = 1040


class StartupRefused(SessionError):
    sqlstate = "08004"
    errno = 1045


class UnknownDatabase(SessionError):
    sqlstate = "3D000"
    errno = 1049


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file: where, and what to do about it."""

    location: Location
    text: str

    def __str__(self) -> str:
        return f"{self.location}: {self.text}"


class ConfigurationError(MaskproxyError):
    """Rules or settings are wrong. Nothing of them is used."""

    sqlstate = "F0000"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
