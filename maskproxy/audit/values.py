"""The parts of a record, as frozen values. Field names are those of the log; absent parts are left out of it.

What was proven (``Actor``) and what a client merely says of itself (``Context.claimed``) are never mixed. No part can
hold a row's value; parameters and literals come as digests only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RecordType(StrEnum):
    AUTH_OK = "auth.ok"
    AUTH_FAIL = "auth.fail"
    SESSION_START = "session.start"
    SESSION_END = "session.end"
    SESSION_DENY = "session.deny"
    STMT_INTENT = "stmt.intent"
    STMT_OUTCOME = "stmt.outcome"
    STMT_DENY = "stmt.deny"
    CANCEL = "cancel"
    PROTO_REJECT = "proto.reject"
    CONFIG_RELOAD = "config.reload"
    AUDIT_START = "audit.start"
    AUDIT_RESUME = "audit.resume"
    AUDIT_ROTATE = "audit.rotate"
    AUDIT_STOP = "audit.stop"


class Out(StrEnum):
    """How it came out. ``MODIFY``: permitted with masks. ``UNKNOWN``: the end was not seen."""

    OK = "ok"
    DENY = "deny"
    MODIFY = "modify"
    ERROR = "error"
    UNKNOWN = "unknown"


class End(StrEnum):
    """How a statement's result ended."""

    COMPLETE = "complete"
    ERROR = "error"
    CANCELLED = "cancelled"
    CLIENT_GONE = "client_gone"
    BACKEND_LOST = "backend_lost"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The process that speaks. ``cfg`` and ``pol`` are digests of the settings and of the rules in force."""

    node: str
    boot: str
    build: str
    cfg: str | None = None
    pol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is proven to ask. ``cred`` is the credential's id (a token's id), never the credential."""

    agent: str
    kind: str | None = None
    authn: str | None = None
    cred: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    addr: str
    listener: str | None = None
    tls: str | None = None  # protocol version, e.g. TLSv1.3; None without TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    db: str
    host: str | None = None
    role: str | None = None
    cert: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantInfo:
    id: str
    scope: str
    expires: str
    approver: str | None = None
    purpose: str | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementInfo:
    """``sha`` is the keyed digest of the client's text; ``text`` has no literals, None when that is not certain."""

    sha: str | None
    text: str | None
    fp: str | None = None
    kind: str | None = None
    parse: str | None = None
    tables: tuple[str, ...] = ()
    cols: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionInfo:
    """``act`` is permit, mask or deny; ``rules`` are the ids of the rules that decided. ``disclosed``: by masked
    column, with how many values it is compared as it is."""

    act: str
    rules: tuple[str, ...] = ()
    disclosed: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """``rows`` and ``bytes`` as sent to the client; ``masked``: rows in which a column was masked, by column."""

    end: End
    rows: int = 0
    bytes: int = 0
    tag: str | None = None
    sqlstate: str | None = None
    masked: Mapping[str, int] | None = None
    ms: float | None = None
