"""Who may come in, under which grant: pure functions over a snapshot. The time is an argument."""

import shlex
from collections.abc import Callable
from datetime import datetime

from maskproxy.base.errors import NoGrant
from maskproxy.store.snapshot import Grant, Snapshot, TokenEntry
from maskproxy.wire.postgres.scram import ScramVerifier, mock_verifier


def verifier_for(snapshot: Snapshot, user: str, secret: bytes) -> ScramVerifier:
    """What a login is checked against. ``secret`` makes the salt of those who do not exist, so that nobody can tell.

    A disabled principal keeps its salt, as an attacker may know it from before, and has no key that fits.
    """
    entry = snapshot.principals.get(user)
    if entry is None:
        return mock_verifier(user, secret)
    if entry.disabled:
        return ScramVerifier(entry.verifier.salt, entry.verifier.iterations, ())
    return entry.verifier


def token_valid(token: TokenEntry, now: datetime) -> bool:
    """``expires_at`` itself is over. Revoked tokens are not in a snapshot at all."""
    return now < token.expires_at


def active_grants(snapshot: Snapshot, principal: str, database: str, now: datetime) -> tuple[Grant, ...]:
    """Those that are begun, not ended, not revoked, and for exactly this principal and database."""
    entry = snapshot.principals.get(principal)
    if entry is None or entry.disabled:
        return ()
    return tuple(
        grant
        for grant in snapshot.grants
        if grant.principal == principal and grant.database == database and grant.active(now)
    )


def choose_grant(
    snapshot: Snapshot,
    principal: str,
    database: str,
    now: datetime,
    *,
    wanted_scope: str | None = None,
    is_unrestricted: Callable[[tuple[str, ...]], bool],
) -> Grant:
    """The one grant a session runs under. Raises NoGrant, whose HINT says how to ask for one.

    The client may name a scope (``maskproxy.scope``): then only grants that hold it count. Among several, a restricted
    one goes before an unrestricted one, so that nobody works with everything visible without having asked for it; then
    the one that lasts longest; then the lowest id, so that the choice is always the same.
    """
    candidates = active_grants(snapshot, principal, database, now)
    if not candidates:
        raise _no_grant(snapshot, principal, database, now)
    if wanted_scope is not None:
        candidates = tuple(grant for grant in candidates if wanted_scope in grant.scopes)
        if not candidates:
            raise NoGrant(
                f'no active grant of scope "{wanted_scope}" on database "{database}" for "{principal}"',
                hint=_ask(principal, database, wanted_scope),
            )
    return min(candidates, key=lambda grant: (is_unrestricted(grant.scopes), -grant.until.timestamp(), grant.id))


def _no_grant(snapshot: Snapshot, principal: str, database: str, now: datetime) -> NoGrant:
    """Only the principal itself learns of its own grants: it has proven who it is."""
    own = [grant for grant in snapshot.grants if grant.principal == principal and grant.database == database]
    return NoGrant(
        f'no active grant on database "{database}" for "{principal}"',
        detail=_latest(own, now),
        hint=_ask(principal, database, "SCOPE"),
    )


def _latest(grants: list[Grant], now: datetime) -> str | None:
    if not grants:
        return None
    grant = max(grants, key=lambda grant: grant.until)
    if grant.revoked_at is not None:
        return f"Grant {grant.id} was revoked at {grant.revoked_at:%Y-%m-%d %H:%M:%S} UTC."
    if grant.starts_at > now:
        return f"Grant {grant.id} starts at {grant.starts_at:%Y-%m-%d %H:%M:%S} UTC."
    return f"Grant {grant.id} ended at {grant.until:%Y-%m-%d %H:%M:%S} UTC."


def _ask(principal: str, database: str, scope: str) -> str:
    words = " ".join(map(shlex.quote, (principal, database, "--scope", scope)))  # the client chose some of them
    return f"Ask for one: maskproxy grant create {words} --for 8h"
