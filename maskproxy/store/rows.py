"""Rows as values: for administration (``Principal``, ``Token``, ``Grant``) and for the data plane (``Snapshot``)."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maskproxy.base.refs import Generation
from maskproxy.base.secret import Secret
from maskproxy.store import tables
from maskproxy.store.snapshot import Grant, GrantId, PrincipalEntry, PrincipalKind, Snapshot, TokenEntry, TokenId
from maskproxy.wire.postgres.scram import ScramKeys, ScramVerifier

KEPT_AFTER_END = timedelta(days=7)  # a login with an ended token or grant is told so for this long


@dataclass(frozen=True, slots=True)
class Principal:
    name: str
    kind: PrincipalKind
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Token:
    id: TokenId
    principal: str
    label: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """The only time the secret is seen: the store keeps SCRAM keys, from which it can't be had back."""

    id: TokenId
    secret: Secret[str]
    expires_at: datetime


def principal_of(row: Row[Any]) -> Principal:
    return Principal(row.name, PrincipalKind(row.kind), row.created_at, row.disabled_at)


def token_of(row: Row[Any]) -> Token:
    return Token(TokenId(row.id), row.principal, row.label, row.created_at, row.expires_at, row.revoked_at)


def grant_of(row: Row[Any]) -> Grant:
    return Grant(
        id=GrantId(row.id),
        principal=row.principal,
        database=row.database,
        scopes=tuple(row.scopes),
        starts_at=row.starts_at,
        until=row.until,
        purpose=row.purpose,
        ticket=row.ticket,
        approved_by=row.approved_by,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


async def load_snapshot(connection: AsyncConnection, now: datetime) -> Snapshot:
    """Inside one transaction, so all parts are of one moment."""
    ended = now - KEPT_AFTER_END
    generation = (await connection.execute(select(tables.state.c.generation))).scalar_one()
    tokens: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    live = select(tables.tokens).where(tables.tokens.c.revoked_at.is_(None), tables.tokens.c.expires_at > ended)
    for row in await connection.execute(live.order_by(tables.tokens.c.created_at, tables.tokens.c.id)):
        tokens[row.principal].append(row)
    principals = {
        row.name: _entry(row, tokens[row.name]) for row in await connection.execute(select(tables.principals))
    }
    recent = select(tables.grants).where(tables.grants.c.until > ended).order_by(tables.grants.c.id)
    grants = tuple(grant_of(row) for row in await connection.execute(recent))
    return Snapshot(Generation(generation), MappingProxyType(principals), grants)


def _entry(principal: Row[Any], tokens: list[Row[Any]]) -> PrincipalEntry:
    keys = tuple(ScramKeys(row.stored_key, row.server_key) for row in tokens)
    return PrincipalEntry(
        name=principal.name,
        kind=PrincipalKind(principal.kind),
        disabled=principal.disabled_at is not None,
        verifier=ScramVerifier(principal.scram_salt, principal.scram_iterations, keys),
        tokens=tuple(TokenEntry(TokenId(row.id), row.expires_at, row.label) for row in tokens),
    )
