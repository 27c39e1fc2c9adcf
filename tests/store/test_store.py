"""The store on real SQLite files: what is kept, what is refused, what a snapshot says of it."""

import sqlite3
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from maskproxy.store.engine import StoreError
from maskproxy.store.snapshot import PrincipalKind, Snapshot
from maskproxy.store.store import Store, open_store
from maskproxy.wire.postgres.scram import ScramClient, ScramServer

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/state/store.db"


@pytest.fixture
async def store(url: str, clock: Clock) -> AsyncIterator[Store]:
    async with open_store(url, clock=clock) as opened:
        yield opened


def login(snapshot: Snapshot, name: str, password: str) -> int | None:
    """The index of the token that a real SCRAM exchange matches."""
    server, client = ScramServer(snapshot.principals[name].verifier, "server"), ScramClient(password, "client")
    server.final(client.continue_(server.first(client.first())))
    return server.matched


async def test_files_are_the_owners_alone(store: Store, tmp_path: Path) -> None:
    await store.add_principal("agent")
    files = list((tmp_path / "state").iterdir())
    assert {file.name for file in files} >= {"store.db", "store.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


async def test_commits_are_durable(store: Store) -> None:
    async with store._engine.connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2  # FULL
        assert (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1


async def test_what_was_stored_is_there_after_opening_again(url: str, clock: Clock) -> None:
    async with open_store(url, clock=clock) as store:
        await store.add_principal("agent", PrincipalKind.SERVICE)
        token = await store.issue_token("agent", START + HOUR, "ci")
        grant = await store.create_grant("agent", "shop", ["a", "b", "a"], until=START + HOUR, purpose="why")
        before = await store.snapshot()
    async with open_store(url, create=False, clock=clock) as store:
        assert await store.snapshot() == before
        assert await store.grants() == [grant]
        assert [(t.id, t.expires_at, t.created_at) for t in await store.tokens("agent")] == [
            (token.id, START + HOUR, START)
        ]
    assert grant.scopes == ("a", "b")
    assert grant.starts_at == START


async def test_every_token_of_a_principal_logs_in_and_is_told_apart(store: Store) -> None:
    await store.add_principal("agent")
    tokens = [await store.issue_token("agent", START + HOUR) for _ in range(3)]
    snapshot = await store.snapshot()
    entry = snapshot.principals["agent"]
    for token in tokens:
        matched = login(snapshot, "agent", token.secret.reveal())
        assert matched is not None
        assert entry.tokens[matched].id == token.id
    assert login(snapshot, "agent", "mp_wrong") is None


async def test_a_revoked_token_is_out_of_the_snapshot(store: Store) -> None:
    await store.add_principal("agent")
    first, second = [await store.issue_token("agent", START + HOUR) for _ in range(2)]
    await store.revoke_token(first.id)
    snapshot = await store.snapshot()
    assert login(snapshot, "agent", first.secret.reveal()) is None
    assert login(snapshot, "agent", second.secret.reveal()) == 0
    assert len(snapshot.principals["agent"].verifier.keys) == 1


async def test_revoking_again_keeps_the_first_time(store: Store, clock: Clock) -> None:
    await store.add_principal("agent")
    grant = await store.create_grant("agent", "shop", ["a"], until=START + HOUR)
    await store.revoke_grant(grant.id)
    clock.now += timedelta(minutes=5)
    await store.revoke_grant(grant.id)
    assert [g.revoked_at for g in await store.grants()] == [START]


async def test_secrets_are_neither_stored_nor_shown(store: Store, tmp_path: Path) -> None:
    await store.add_principal("agent")
    token = await store.issue_token("agent", START + HOUR)
    files = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert token.secret.reveal().encode() not in files
    entry = (await store.snapshot()).principals["agent"]
    assert entry.verifier.keys[0].stored_key in files
    shown = f"{token!r} {entry!r}"
    assert token.secret.reveal() not in shown
    assert str(entry.verifier.keys[0].stored_key) not in shown


async def test_ended_tokens_and_grants_stay_in_the_snapshot_for_a_week(store: Store, clock: Clock) -> None:
    await store.add_principal("agent")
    await store.issue_token("agent", START + HOUR)
    await store.create_grant("agent", "shop", ["a"], until=START + HOUR)
    clock.now = START + timedelta(days=7)
    snapshot = await store.snapshot()
    assert (len(snapshot.grants), len(snapshot.principals["agent"].tokens)) == (1, 1)
    assert not snapshot.grants[0].active(clock.now)
    clock.now = START + timedelta(days=7, hours=1)
    snapshot = await store.snapshot()
    assert (len(snapshot.grants), len(snapshot.principals["agent"].tokens)) == (0, 0)
    assert len(await store.grants()) == 1


async def test_each_change_raises_the_generation_and_reading_does_not(store: Store) -> None:
    seen = [(await store.snapshot()).generation]
    await store.add_principal("agent")
    seen.append((await store.snapshot()).generation)
    await store.principals()
    seen.append((await store.snapshot()).generation)
    await store.create_grant("agent", "shop", ["a"], until=START + HOUR)
    seen.append((await store.snapshot()).generation)
    assert [b - a for a, b in pairwise(seen)] == [1, 0, 1]


async def test_what_is_refused_changes_nothing(store: Store) -> None:
    await store.add_principal("agent")
    await store.add_principal("gone")
    await store.disable_principal("gone")
    before = await store.snapshot()
    refused = [
        store.add_principal("agent"),
        store.add_principal("a b"),
        store.issue_token("nobody", START + HOUR),
        store.issue_token("gone", START + HOUR),
        store.issue_token("agent", START),
        store.issue_token("agent", START + HOUR, "x" * 201),
        store.create_grant("nobody", "shop", ["a"], until=START + HOUR),
        store.create_grant("gone", "shop", ["a"], until=START + HOUR),
        store.create_grant("agent", "shop", [], until=START + HOUR),
        store.create_grant("agent", "shop", [""], until=START + HOUR),
        store.create_grant("agent", "shop", ["a"], until=START),
        store.create_grant("agent", "shop", ["a"], starts_at=START + HOUR, until=START + HOUR),
        store.create_grant("agent", "shop", ["a"], until=START + HOUR, purpose="x" * 201),
        store.revoke_grant("g-0"),
        store.revoke_token("t-0"),
        store.disable_principal("nobody"),
    ]
    for attempt in refused:
        with pytest.raises(StoreError):
            await attempt
    assert await store.snapshot() == before


async def test_times_of_any_zone_are_one_instant_and_naive_ones_are_refused(store: Store, tmp_path: Path) -> None:
    await store.add_principal("agent")
    until = datetime(2026, 3, 1, 20, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    grant = await store.create_grant("agent", "shop", ["a"], until=until)
    assert grant.until == until
    assert grant.until.utcoffset() == timedelta(0)
    with sqlite3.connect(tmp_path / "state" / "store.db") as raw:
        assert raw.execute("SELECT until FROM grants").fetchall() == [("2026-03-01T14:30:00.000000Z",)]
    raw.close()
    with pytest.raises(TypeError):
        await store.create_grant("agent", "shop", ["a"], until=datetime(2026, 3, 2))


async def test_the_database_itself_refuses_a_grant_that_ends_before_it_starts(store: Store, tmp_path: Path) -> None:
    await store.add_principal("agent")
    await store.create_grant("agent", "shop", ["a"], until=START + HOUR)
    raw = sqlite3.connect(tmp_path / "state" / "store.db")
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute("UPDATE grants SET until = starts_at")
    raw.close()


async def test_only_sqlite_is_offered() -> None:
    for url in ("postgresql+asyncpg://h/d", "sqlite:///x.db", "nonsense", "sqlite+aiosqlite://"):
        with pytest.raises(StoreError, match="not one maskproxy can use"):
            async with open_store(url):
                pass
