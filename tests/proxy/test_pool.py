"""Connections that serve one session after another: nothing of the former one is left, or they are closed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from maskproxy.base import limits
from maskproxy.core.settings import Database
from maskproxy.wire.postgres import messages as m
from tests.support.pools import User, stopped, world
from tests.support.servers import APP


async def test_the_next_session_of_the_same_kind_gets_it(database: Database) -> None:
    async with world(database) as w:
        first = await w.user()
        assert first.lease.ready.key
        first.leave()
        await w.wait_for(idle=1, in_use=0)
        second = await w.user()
        assert second.pid == first.pid
        assert await second.ask("SELECT pg_backend_pid()") == str(first.pid).encode()
        third = await w.user()
        assert third.pid != first.pid
        figures = w.pool.statistics()
        assert (figures.in_use, figures.idle, figures.hits, figures.opened) == (2, 0, 1, 2)


async def test_a_session_of_another_kind_does_not(database: Database) -> None:
    async with world(database) as w:
        first = await w.user()
        first.leave()
        await w.wait_for(idle=1)
        others = [
            await w.user("other"),
            await w.user("root"),
            await w.user(application_name="another"),
            await w.user(statement_timeout="1234"),
        ]
        assert first.pid not in {other.pid for other in others}
        assert w.pool.statistics().idle == 1


@dataclass(frozen=True, slots=True)
class Trace:
    """``leave`` leaves something in a session, which ``find`` finds: its answer differs from that of a new session."""

    leave: tuple[m.Message, ...]
    find: str

    @classmethod
    def of(cls, leave: str, find: str) -> "Trace":
        return cls((m.Query(leave),), find)


TRACES = {
    "a prepared statement": Trace.of("PREPARE p AS SELECT 1", "SELECT count(*) FROM pg_prepared_statements"),
    "a prepared statement of the protocol": Trace(
        (m.Parse("p", "SELECT 1", ()), m.Sync()), "SELECT count(*) FROM pg_prepared_statements"
    ),
    "a temporary table": Trace.of("CREATE TEMP TABLE mine AS SELECT 'CANARY' AS x", "SELECT x FROM mine"),
    "a temporary table in the place of a real one": Trace.of(
        "CREATE TEMP TABLE people AS SELECT 'CANARY' AS name", "SELECT count(*) FROM people"
    ),
    "a temporary view": Trace.of("CREATE TEMP VIEW mine AS SELECT 'CANARY' AS x", "SELECT x FROM mine"),
    "a temporary function": Trace.of(
        "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT count(*) FROM pg_proc WHERE proname = 'mine'",
    ),
    "a channel listened to": Trace.of("LISTEN mine", "SELECT count(*) FROM pg_listening_channels()"),
    "an advisory lock": Trace.of(
        "SELECT pg_advisory_lock(7)",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    ),
    "a setting": Trace.of("SET work_mem = '7MB'", "SHOW work_mem"),
    "a setting that we pin": Trace.of("SET search_path = pg_catalog", "SHOW search_path"),
    "a setting that is reported": Trace.of("SET application_name = 'CANARY'", "SHOW application_name"),
    "a setting of one's own": Trace.of("SET my.own = 'CANARY'", "SELECT coalesce(current_setting('my.own', true), '')"),
    "the key of a mask": Trace.of(
        "SELECT set_config(name, 'CANARY', false) FROM pg_settings WHERE name LIKE 'maskproxy.%'",
        "SELECT count(*) FROM pg_settings WHERE name LIKE 'maskproxy.%' AND setting LIKE '%CANARY%'",
    ),
    "characteristics of the session": Trace.of(
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SHOW default_transaction_read_only"
    ),
    "a cursor that is held": Trace.of(
        "DECLARE mine CURSOR WITH HOLD FOR SELECT 'CANARY'", "SELECT count(*) FROM pg_cursors WHERE name = 'mine'"
    ),
    "the value of a sequence": Trace.of("SELECT nextval('numbers')", "SELECT lastval() > 0"),
    "a role": Trace.of(f"SET ROLE {APP}", "SHOW role"),
}


@pytest.mark.parametrize("name", TRACES)
async def test_nothing_is_left_of_the_former_session(database: Database, name: str) -> None:
    trace = TRACES[name]
    async with world(database) as w:
        fresh = await w.user()
        nothing = await fresh.ask(trace.find)
        w.pool.discard(fresh.lease)
        former = await w.user()
        former.send(*trace.leave)
        await former.until(m.ReadyForQuery)
        if name != "the key of a mask":  # it has no name that pg_settings knows
            assert await former.ask(trace.find) != nothing
        former.leave()
        await w.wait_for(idle=1)
        latter = await w.user()
        assert latter.pid == former.pid
        assert await latter.ask(trace.find) == nothing


async def test_the_keys_of_masks_are_what_they_were(database: Database) -> None:
    async with world(database) as w:
        admission = w.admission()
        (name, key), *_ = [(n, k) for n, k in admission.parameters.items() if n.startswith("maskproxy.")]
        user = User(w.pool, await w.pool.wait(admission))
        assert await user.ask(f"SELECT current_setting('{name}')") == key.encode()
        await user.ask(f"SET {name} = 'CANARY'")
        user.leave()
        await w.wait_for(idle=1)
        assert await (await w.user()).ask(f"SELECT current_setting('{name}')") == key.encode()


async def test_settings_that_the_server_reported_go_back(database: Database) -> None:
    async with world(database) as w:
        user = await w.user(TimeZone="CET")
        assert await user.ask("SET TimeZone = 'EET'") is None
        user.leave(TimeZone="EET")
        await w.wait_for(idle=1)
        again = await w.user(TimeZone="CET")
        assert (again.pid, again.lease.ready.parameters["TimeZone"]) == (user.pid, "CET")
        assert await again.ask("SHOW TimeZone") == b"CET"


async def test_a_setting_that_would_be_told_wrongly_spoils_it(database: Database) -> None:
    async with world(database) as w:
        user = await w.user()
        user.leave(is_superuser="on")
        await w.wait_for(in_use=0, dirty=1, idle=0)
        assert not user.lease.connection.open


async def in_transaction(user: User) -> None:
    await user.ask("BEGIN")


async def in_failed_transaction(user: User) -> None:
    await user.ask("BEGIN")
    await user.ask("SELECT 1/0")


async def without_sync(user: User) -> None:
    """What it wrote is rolled back when the connection ends; a query in the same connection would commit it."""
    insert = m.Parse("", "INSERT INTO written VALUES (1)", ())
    user.send(insert, m.Bind("", "", (), (), ()), m.Execute("", 0), m.Flush())
    await user.until(m.CommandComplete)


async def failed_without_sync(user: User) -> None:
    """The server skips everything, also a reset, until Sync comes."""
    user.send(m.Parse("", "SELEC", ()), m.Flush())
    await user.until(m.ErrorResponse)


async def in_a_result(user: User) -> None:
    user.send(m.Query("SELECT n FROM generate_series(1, 1000000) AS g (n)"))
    await user.until(m.DataRow)


async def gone(user: User) -> None:
    user.send(m.Terminate())
    await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    "end", [in_transaction, in_failed_transaction, without_sync, failed_without_sync, in_a_result, gone]
)
async def test_what_is_not_at_rest_is_closed(database: Database, end: Callable[[User], Awaitable[None]]) -> None:
    async with world(database) as w:
        user = await w.user()
        await end(user)
        user.leave()
        assert not user.lease.connection.open
        figures = w.pool.statistics()
        assert (figures.in_use, figures.idle, figures.dirty) == (0, 0, 0)
        after = await w.user()
        assert after.pid != user.pid
        assert await after.ask("SELECT count(*) FROM written") == b"0"


async def test_what_was_told_something_at_rest_is_closed(database: Database) -> None:
    async with world(database) as w:
        user, other = await w.user(), await w.user("other")
        await user.ask("LISTEN mine")
        await other.ask("NOTIFY mine, 'CANARY'")
        await user.until(m.NotificationResponse)
        user.leave()
        assert not user.lease.connection.open


async def test_notifications_for_the_former_session_reach_nobody(database: Database) -> None:
    async with world(database) as w:
        user, other = await w.user(), await w.user("other")
        await user.ask("LISTEN mine")
        user.leave()
        await w.wait_for(idle=1)
        await other.ask("NOTIFY mine, 'CANARY'")
        latter = await w.user()
        assert latter.pid == user.pid
        latter.send(m.Query("SELECT 1"))
        answer = await latter.until(m.ReadyForQuery)
        assert not [message for message in answer if isinstance(message, m.NotificationResponse)]


async def test_what_served_an_unrestricted_scope_is_closed(database: Database) -> None:
    async with world(database) as w:
        user = await w.user("root")
        user.leave()
        assert not user.lease.connection.open
        assert w.pool.statistics().in_use == 0


async def test_a_late_word_of_the_server_spoils_it(database: Database) -> None:
    """What is at rest says nothing; whatever comes is not for the next session."""
    async with world(database) as w:
        user = await w.user()
        user.leave()
        await w.wait_for(idle=1)
        user.lease.connection.write([m.Query("SELECT 'CANARY'").encode()])
        await w.wait_for(idle=0)
        assert not user.lease.connection.open


async def test_a_connection_that_the_server_closed_is_not_offered(database: Database) -> None:
    async with world(database) as w:
        one, other = await w.user(), await w.user()
        one.leave()
        await w.wait_for(idle=1)
        await other.ask(f"SELECT pg_terminate_backend({one.pid})")
        await w.wait_for(idle=0)
        assert (await w.user()).pid != one.pid


async def test_a_reset_has_a_deadline(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESET_SECONDS", 0.3)
    async with world(database) as w:
        user = await w.user()
        with stopped(user.pid):
            user.leave()
            assert w.pool.statistics().in_use == 1
            await w.wait_for(in_use=0, idle=0, dirty=1)
            assert not user.lease.connection.open


async def test_an_old_connection_is_closed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKEND_LIFETIME_SECONDS", 0.1)
    async with world(database) as w:
        user = await w.user()
        await asyncio.sleep(0.2)
        user.leave()
        assert not user.lease.connection.open


async def test_giving_back_twice_is_giving_back_once(database: Database) -> None:
    async with world(database) as w:
        user = await w.user()
        user.leave()
        await w.wait_for(idle=1)
        user.leave()
        w.pool.give_back(user.lease, {})
        assert w.pool.statistics().in_use == 0
