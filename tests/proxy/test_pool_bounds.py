"""How many connections there are, who waits for one and how long, and which are closed when the world changes."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from maskproxy.base.errors import BackendUnavailable, TooManySessions
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.settings import Database, TlsMode
from maskproxy.proxy import pool as pools
from maskproxy.proxy.policies import WrittenRules
from tests.support.pools import RULES, stopped, world


async def test_so_many_are_kept_warm(database: Database) -> None:
    async with world(database, idle=1) as w:
        users = [await w.user() for _ in range(3)]
        for user in users:
            user.leave()
        await w.wait_for(in_use=0)
        assert w.pool.statistics().idle == 1
        assert sum(user.lease.connection.open for user in users) == 1


async def test_none_is_kept_warm(database: Database) -> None:
    async with world(database, idle=0) as w:
        user = await w.user()
        user.leave()
        assert not user.lease.connection.open
        assert w.pool.statistics().in_use == 0


async def test_they_rest_for_so_long(database: Database) -> None:
    async with world(database, idle_seconds=1) as w:
        user = await w.user()
        user.leave()
        await w.wait_for(idle=1)
        await w.wait_for(idle=0)
        assert not user.lease.connection.open


async def test_who_finds_no_place_waits_and_is_told(database: Database) -> None:
    async with world(database, size=1, wait_seconds=1) as w:
        user = await w.user()
        with pytest.raises(TooManySessions) as refused:
            await w.user()
        assert "databases.shop.pool.size" in str(refused.value.hint)
        assert w.pool.statistics().waiting == 0
        user.leave()
        await w.wait_for(idle=1)
        assert (await w.user()).pid == user.pid


async def test_who_waits_gets_the_next_one(database: Database) -> None:
    async with world(database, size=1) as w:
        user = await w.user()
        async with asyncio.TaskGroup() as group:
            same = group.create_task(w.user())
            await w.wait_for(waiting=1)
            user.leave()
            assert (await same).pid == user.pid
            another = group.create_task(w.user("other"))
            await w.wait_for(waiting=1)
            same.result().leave()
            assert (await another).pid != user.pid
        assert not user.lease.connection.open
        assert w.pool.statistics().in_use == 1


async def test_a_place_at_rest_is_given_up_for_another_kind(database: Database) -> None:
    async with world(database, size=2) as w:
        one, two = await w.user(), await w.user()
        one.leave()
        await w.wait_for(idle=1)
        two.leave()
        await w.wait_for(idle=2)
        await w.user("other")
        assert (one.lease.connection.open, two.lease.connection.open) == (False, True)
        assert w.pool.statistics().in_use == 1


async def test_principals_take_turns(database: Database) -> None:
    async with world(database, size=1) as w:
        user = await w.user()
        served: list[str] = []

        async def come(principal: str) -> None:
            mine = await w.pool.wait(w.admission(principal=principal))
            served.append(principal)
            w.pool.give_back(mine, {})

        async with asyncio.TaskGroup() as group:
            for waiting, principal in enumerate(["flood", "flood", "flood", "quiet"], 1):
                group.create_task(come(principal))
                await w.wait_for(waiting=waiting)
            user.leave()
        assert served == ["flood", "quiet", "flood", "flood"]


async def test_who_goes_while_waiting_keeps_no_place(database: Database) -> None:
    async with world(database, size=1) as w:
        user = await w.user()
        async with asyncio.TaskGroup() as group:
            gone, stays = group.create_task(w.user()), group.create_task(w.user())
            await w.wait_for(waiting=2)
            w.pool.discard(user.lease)  # grants the place to the one who goes in the same moment
            gone.cancel()
            assert (await stays).lease.connection.open
        assert w.pool.statistics().in_use == 1


async def test_a_place_is_free_again_when_the_server_cannot_be_reached(database: Database) -> None:
    async with world(database, size=1) as w:
        good, w.pool._database = w.pool._database, replace(database, port=1)
        with pytest.raises(BackendUnavailable):
            await w.user()
        w.pool._database = good
        assert (await w.user()).lease.connection.open


async def test_an_authority_that_cannot_be_read(database: Database, tmp_path: Path) -> None:
    async with world(database) as w:
        w.pool._database = replace(database, tls=TlsMode.VERIFY_FULL, tls_root=tmp_path / "missing")
        with pytest.raises(BackendUnavailable):
            await w.user()
        assert w.pool.statistics().in_use == 0


async def test_the_password_is_salted_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    salted = []

    def salting(password: str, salt: bytes, iterations: int) -> bytes:
        salted.append(iterations)
        return original(password, salt, iterations)

    original = pools.salted_password
    monkeypatch.setattr(pools, "salted_password", salting)
    async with world(database) as w:
        await w.user()
        await w.user()
    assert salted == [4096]


async def test_parameters_that_nobody_asks_for_any_more(database: Database) -> None:
    async with world(database) as w:
        user, busy = await w.user(), await w.user()
        user.leave()
        await w.wait_for(idle=1)

        def use(rules: str) -> None:
            written = WrittenRules((RulesDocument.parse(rules, "r.yaml"),))
            w.policies.replace(written, w.policies.compiled(written))

        use(RULES.replace("other:", "more:"))
        assert w.pool.statistics().idle == 1
        use(RULES.replace("mask: token", "mask: redact"))
        assert w.pool.statistics().idle == 0
        busy.leave()
        assert not busy.lease.connection.open
        use(RULES.replace("reader:", "writer:"))
        assert w.pool.statistics().in_use == 0


async def test_a_reset_that_ends_after_the_rules_have_changed(database: Database) -> None:
    async with world(database) as w:
        user = await w.user()
        with stopped(user.pid):
            user.leave()
            written = WrittenRules((RulesDocument.parse(RULES.replace("reader:", "writer:"), "r.yaml"),))
            w.policies.replace(written, w.policies.compiled(written))
        await w.wait_for(in_use=0, idle=0)
        assert not user.lease.connection.open


async def test_the_end(database: Database) -> None:
    async with world(database) as w:
        user, busy = await w.user(), await w.user()
        user.leave()
        await w.wait_for(idle=1)
        w.pool.close()
        assert not user.lease.connection.open
        busy.leave()
        assert not busy.lease.connection.open
