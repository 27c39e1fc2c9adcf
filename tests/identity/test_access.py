"""Who may come in, under which grant."""

import itertools
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from maskproxy.base.errors import NoGrant
from maskproxy.base.refs import Generation
from maskproxy.identity.access import active_grants, choose_grant, token_valid, verifier_for
from maskproxy.store.snapshot import (
    Grant,
    GrantId,
    PrincipalEntry,
    PrincipalKind,
    Snapshot,
    TokenEntry,
    TokenId,
)
from maskproxy.wire.postgres.scram import ScramVerifier, derive_keys

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
SALT = bytes(range(16))
SECRET = b"k" * 32


def principal(name: str = "agent", *, disabled: bool = False) -> PrincipalEntry:
    keys = (derive_keys("mp_right", SALT),)
    return PrincipalEntry(
        name=name,
        kind=PrincipalKind.AGENT,
        disabled=disabled,
        verifier=ScramVerifier(SALT, 4096, keys),
        tokens=(TokenEntry(TokenId("t-1"), NOW + HOUR),),
    )


def grant(
    id: str = "g-1",
    *scopes: str,
    principal: str = "agent",
    database: str = "shop",
    starts_at: datetime = NOW - HOUR,
    until: datetime = NOW + HOUR,
    revoked_at: datetime | None = None,
) -> Grant:
    return Grant(
        id=GrantId(id),
        principal=principal,
        database=database,
        scopes=scopes or ("support",),
        starts_at=starts_at,
        until=until,
        purpose=None,
        ticket=None,
        approved_by=None,
        created_at=starts_at,
        revoked_at=revoked_at,
    )


def snapshot(*grants: Grant, disabled: bool = False) -> Snapshot:
    return Snapshot(Generation(1), MappingProxyType({"agent": principal(disabled=disabled)}), grants)


def restricted(scopes: tuple[str, ...]) -> bool:
    return "break-glass" in scopes


def choose(snapshot: Snapshot, wanted: str | None = None) -> Grant:
    return choose_grant(snapshot, "agent", "shop", NOW, wanted_scope=wanted, is_unrestricted=restricted)


def test_the_unknown_and_the_disabled_have_no_key_that_fits() -> None:
    known = verifier_for(snapshot(), "agent", SECRET)
    unknown = verifier_for(snapshot(), "nobody", SECRET)
    disabled = verifier_for(snapshot(disabled=True), "agent", SECRET)
    assert len(known.keys) == 1
    assert unknown.keys == disabled.keys == ()
    assert disabled.salt == known.salt
    assert {known.iterations, unknown.iterations, disabled.iterations} == {4096}
    assert len(unknown.salt) == len(known.salt)


def test_an_unknown_name_has_always_the_same_salt_but_not_that_of_others() -> None:
    salts = [verifier_for(snapshot(), name, SECRET).salt for name in ("a", "a", "b")]
    assert salts[0] == salts[1] != salts[2]
    assert verifier_for(snapshot(), "a", b"other" * 8).salt != salts[0]


def test_before_the_store_was_read_nobody_comes_in() -> None:
    assert verifier_for(Snapshot.empty(), "agent", SECRET).keys == ()
    with pytest.raises(NoGrant):
        choose(Snapshot.empty())


@pytest.mark.parametrize(("expires", "valid"), [(NOW + TICK, True), (NOW, False), (NOW - TICK, False)])
def test_a_token_ends_with_its_time(expires: datetime, valid: bool) -> None:
    assert token_valid(TokenEntry(TokenId("t-1"), expires), NOW) is valid


@pytest.mark.parametrize(
    ("held", "counts"),
    [
        (grant(), True),
        (grant(starts_at=NOW), True),
        (grant(starts_at=NOW + TICK), False),
        (grant(until=NOW + TICK), True),
        (grant(until=NOW), False),
        (grant(revoked_at=NOW - HOUR), False),
        (grant(revoked_at=NOW + HOUR), False),  # the clock that wrote it was ahead: a revocation counts
        (grant(database="Shop"), False),
        (grant(principal="Agent"), False),
    ],
)
def test_what_counts_as_an_active_grant(held: Grant, counts: bool) -> None:
    assert active_grants(snapshot(held), "agent", "shop", NOW) == ((held,) if counts else ())


def test_a_disabled_principal_has_no_active_grant() -> None:
    assert active_grants(snapshot(grant(), disabled=True), "agent", "shop", NOW) == ()


def test_the_choice_does_not_depend_on_the_order() -> None:
    """Restricted before unrestricted, then the longest, then the lowest id."""
    best = grant("g-2", "support", until=NOW + 2 * HOUR)
    others = [
        grant("g-1", "break-glass", until=NOW + 9 * HOUR),
        grant("g-3", "support", until=NOW + 2 * HOUR),
        grant("g-4", "analyst", until=NOW + HOUR),
    ]
    for order in itertools.permutations([best, *others]):
        assert choose(snapshot(*order)) is best


def test_unrestricted_is_taken_when_it_is_named_or_alone() -> None:
    glass, support = grant("g-1", "break-glass"), grant("g-2", "support")
    assert choose(snapshot(glass, support), "break-glass") is glass
    assert choose(snapshot(glass)) is glass
    assert choose(snapshot(glass, support), "support") is support


def test_a_wanted_scope_that_is_not_held_is_refused_even_when_others_are() -> None:
    with pytest.raises(NoGrant) as caught:
        choose(snapshot(grant()), "analyst; rm -rf ~")
    assert caught.value.sqlstate == "28000"
    assert caught.value.hint == ("Ask for one: maskproxy grant create agent shop --scope 'analyst; rm -rf ~' --for 8h")


@pytest.mark.parametrize(
    ("held", "detail"),
    [
        ((), None),
        ((grant(until=NOW - HOUR, starts_at=NOW - 2 * HOUR),), "Grant g-1 ended at 2026-03-01 11:00:00 UTC."),
        ((grant(starts_at=NOW + HOUR, until=NOW + 2 * HOUR),), "Grant g-1 starts at 2026-03-01 13:00:00 UTC."),
        ((grant(revoked_at=NOW),), "Grant g-1 was revoked at 2026-03-01 12:00:00 UTC."),
        ((grant(principal="other"),), None),
    ],
)
def test_without_a_grant_one_learns_why_and_how_to_ask(held: tuple[Grant, ...], detail: str | None) -> None:
    with pytest.raises(NoGrant) as caught:
        choose(snapshot(*held))
    assert caught.value.detail == detail
    assert caught.value.message == 'no active grant on database "shop" for "agent"'
    assert caught.value.hint == "Ask for one: maskproxy grant create agent shop --scope SCOPE --for 8h"
