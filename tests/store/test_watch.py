"""What a worker hears of the store, and how soon."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maskproxy.store import store as store_module
from maskproxy.store.engine import StoreError
from maskproxy.store.snapshot import Snapshot
from maskproxy.store.store import open_store, watch

HOUR = timedelta(hours=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


class Watcher:
    """Follows ``watch`` in a task; ``until`` waits for a snapshot that satisfies a condition."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self._new = asyncio.Event()

    async def follow(self, url: str) -> None:
        async with contextlib.aclosing(watch(url, interval=0.05)) as snapshots:
            async for snapshot in snapshots:
                self.snapshots.append(snapshot)
                self._new.set()

    async def next(self, count: int, seconds: float = 5.0) -> Snapshot:
        async with asyncio.timeout(seconds):
            while len(self.snapshots) < count:
                self._new.clear()
                await self._new.wait()
        return self.snapshots[count - 1]


@contextlib.asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watcher.follow(url_of(path)))
        yield watcher
        task.cancel()


async def test_without_a_store_it_says_how_to_make_one(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        await anext(watch(url_of(path)))
    assert caught.value.hint is not None
    assert "maskproxy principal add" in caught.value.hint
    assert os.listdir(tmp_path) == []


async def test_the_first_snapshot_comes_at_once_and_the_next_after_a_change_only(path: Path) -> None:
    async with open_store(url_of(path)) as store:
        await store.add_principal("agent")
        async with watching(path) as watcher:
            assert set((await watcher.next(1)).principals) == {"agent"}
            await store.principals()
            await asyncio.sleep(0.3)
            assert len(watcher.snapshots) == 1
            grant = await store.create_grant("agent", "shop", ["a"], until=datetime.now(UTC) + HOUR)
            assert (await watcher.next(2)).grants == (grant,)
            await store.revoke_grant(grant.id)
            began = time.monotonic()
            assert (await watcher.next(3)).grants[0].revoked_at is not None
            assert time.monotonic() - began < 1.0


async def test_a_change_by_another_process_is_seen(path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from maskproxy.store.store import open_store\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1]) as store:\n"
        "        await store.add_principal('other')\n"
        "asyncio.run(main())\n"
    )
    async with open_store(url_of(path)):
        pass
    async with watching(path) as watcher:
        await watcher.next(1)
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script, url_of(path)], check=True)
        assert "other" in (await watcher.next(2)).principals


async def test_a_replaced_file_is_read_instead_of_the_old_one(path: Path, tmp_path: Path) -> None:
    """As after restoring a backup: the open file would never change again, and a revocation would never arrive."""
    restored = tmp_path / "restored.db"
    async with open_store(url_of(path)) as store:
        await store.add_principal("agent")
    async with open_store(url_of(restored)) as store:
        await store.add_principal("restored")
    async with watching(path) as watcher:
        await watcher.next(1)
        restored.rename(path)
        assert set((await watcher.next(2)).principals) == {"restored"}


async def test_a_locked_store_is_waited_for(path: Path) -> None:
    async with open_store(url_of(path)) as store:
        await store.add_principal("agent")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("PRAGMA locking_mode = EXCLUSIVE")
    blocker.execute("BEGIN EXCLUSIVE")
    async with watching(path) as watcher:
        await asyncio.sleep(0.3)
        blocker.execute("COMMIT")
        blocker.close()
        assert "agent" in (await watcher.next(1, seconds=15.0)).principals


async def test_a_lost_store_is_not_believed_in_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "STALE_SECONDS", 0.5)
    async with open_store(url_of(path)) as store:
        await store.add_principal("agent")
    changes = watch(url_of(path), interval=0.05)
    await anext(changes)
    os.unlink(path)
    with pytest.raises(StoreError, match="cannot be read"):
        async with asyncio.timeout(10):
            await anext(changes)


async def test_two_administrators_at_once_lose_nothing(path: Path) -> None:
    async def work(number: int) -> None:
        async with open_store(url_of(path)) as store:
            for count in range(5):
                await store.add_principal(f"p{number}-{count}")

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(work(number))
    async with open_store(url_of(path)) as store:
        snapshot = await store.snapshot()
    assert len(snapshot.principals) == 20
    assert snapshot.generation == 21
