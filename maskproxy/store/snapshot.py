"""What the data plane knows of principals and grants at one moment. Frozen; replaced as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

from maskproxy.base.refs import Generation
from maskproxy.wire.postgres.scram import ScramVerifier

TokenId = NewType("TokenId", str)
GrantId = NewType("GrantId", str)


class PrincipalKind(StrEnum):
    AGENT = "agent"
    SERVICE = "service"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class TokenEntry:
    id: TokenId
    expires_at: datetime
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalEntry:
    """``verifier.keys[i]`` belongs to ``tokens[i]``. Revoked tokens are left out; expired ones stay a while."""

    name: str
    kind: PrincipalKind
    disabled: bool
    verifier: ScramVerifier
    tokens: tuple[TokenEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Who holds which scopes of which database, from when until when, why, approved by whom. Times are UTC."""

    id: GrantId
    principal: str
    database: str
    scopes: tuple[str, ...]
    starts_at: datetime
    until: datetime
    purpose: str | None
    ticket: str | None
    approved_by: str | None
    created_at: datetime
    revoked_at: datetime | None

    def active(self, now: datetime) -> bool:
        """``until`` itself is over; a revocation counts at once, whatever its time says."""
        return self.revoked_at is None and self.starts_at <= now < self.until


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``grants`` holds all that may still be used, and those that ended lately."""

    generation: Generation
    principals: Mapping[str, PrincipalEntry] = field(default_factory=lambda: MappingProxyType({}))
    grants: tuple[Grant, ...] = ()

    @classmethod
    def empty(cls) -> "Snapshot":
        """Nobody may log in: what holds until the store was read for the first time."""
        return cls(Generation(0))
