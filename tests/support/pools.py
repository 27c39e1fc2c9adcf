"""A pool of connections to a real server, and sessions by hand in them, without a proxy around."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from maskproxy.base import limits
from maskproxy.base.secret import Secret
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.settings import Database, PoolBounds
from maskproxy.proxy.admission import Admission, Startup, backend_parameters, read_startup
from maskproxy.proxy.policies import DatabasePolicies, WrittenRules
from maskproxy.proxy.pool import BackendPool, Lease
from maskproxy.store.snapshot import Grant, GrantId
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.framing import Frames

RULES = """
version: 1
database: shop
labels: {name: [public.people.name]}
masks: {name: {mask: token}}
scopes:
  reader: {select: [public.people]}
  other: {select: [public.people]}
  root: {unrestricted: true}
"""
SCHEMA = "CREATE TABLE people (id int, name text); CREATE SEQUENCE numbers; CREATE TABLE written (n int)"
SOON = 5.0


@dataclass(frozen=True, slots=True)
class World:
    pool: BackendPool
    policies: DatabasePolicies
    users: list["User"] = field(default_factory=list)

    def admission(self, scope: str = "reader", principal: str = "agent", **parameters: str) -> Admission:
        startup: Startup = read_startup({"user": principal, **parameters})
        policy = self.policies.policy((scope,))
        now = datetime.now(UTC)
        grant = Grant(
            id=GrantId("g"),
            principal=principal,
            database="shop",
            scopes=(scope,),
            starts_at=now,
            until=now + timedelta(hours=1),
            purpose=None,
            ticket=None,
            approved_by=None,
            created_at=now,
            revoked_at=None,
        )
        return Admission(grant, "agent", "t", self.policies, policy, startup, backend_parameters(startup, policy))

    async def user(self, scope: str = "reader", **parameters: str) -> "User":
        user = User(self.pool, await self.pool.wait(self.admission(scope, **parameters)))
        self.users.append(user)
        return user

    async def wait_for(self, **figures: int) -> None:
        async with asyncio.timeout(SOON):
            while any(getattr(self.pool.statistics(), name) != value for name, value in figures.items()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class User:
    """A session by hand: text in, decoded messages out, without a proxy's caution."""

    def __init__(self, pool: BackendPool, lease: Lease) -> None:
        self.lease = lease
        self.pid = lease.ready.process_id
        self._pool = pool
        self._frames = Frames(limits.MAX_MESSAGE)
        self._came = asyncio.Event()
        self._answer: list[m.Message] = []
        lease.connection.hand_over(self._take, self._came.set)

    def _take(self, data: bytes) -> None:
        self._frames.feed(data)
        while (frame := self._frames.take()) is not None:
            self._answer.append(m.decode_backend(*frame))
        self._came.set()

    def send(self, *messages: m.Message) -> None:
        self.lease.connection.write([message.encode() for message in messages])

    async def until(self, kind: type[m.Message]) -> list[m.Message]:
        async with asyncio.timeout(SOON):
            while not any(isinstance(message, kind) for message in self._answer):
                self._came.clear()
                await self._came.wait()
        answer, self._answer = self._answer, []
        return answer

    async def ask(self, sql: str) -> object:
        """The first value, or the SQLSTATE, or None."""
        self.send(m.Query(sql))
        for message in await self.until(m.ReadyForQuery):
            match message:
                case m.DataRow(values):
                    return values[0]
                case m.ErrorResponse():
                    return message.sqlstate
                case _:
                    pass
        return None

    def leave(self, **reported: str) -> None:
        self._pool.give_back(self.lease, reported)


@asynccontextmanager
async def world(database: Database, **bounds: int) -> AsyncIterator[World]:
    rules = WrittenRules((RulesDocument.parse(RULES, "r.yaml"),))
    database = replace(database, pool=PoolBounds(**bounds))
    policies = DatabasePolicies(database, rules, Secret(b"k" * 32))
    pool = BackendPool(database)
    policies.on_change = pool.refresh
    async with asyncio.TaskGroup() as group:
        task = group.create_task(policies.run())
        async with asyncio.timeout(2 * SOON):
            while not policies.available:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        here = World(pool, policies)
        try:
            yield here
        finally:
            pool.close()
            for user in here.users:
                pool.discard(user.lease)
            task.cancel()
    await asyncio.sleep(0)  # transports close


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
