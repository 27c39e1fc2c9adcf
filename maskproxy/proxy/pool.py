"""Connections to one database, kept warm between their users.

    take, wait --> in use --give_back--> being reset --clean--> warm --> in use by the next ...
                     \\------discard-------+--> closed <--any byte, too long, too many--+

A connection serves one session at a time, and after it only sessions of the same key: the same scopes, and the very
same startup parameters (clients' settings, our pins, keys of masks), which are what DISCARD ALL sets back to. Nothing
of one session may reach the next, so a connection comes back only when

1. its session was at rest by its own account and by the server's last word, under a masking scope (what was done under
   an unrestricted one is not known), and no cancel request was sent meanwhile, which could come late and hit the next;
2. the server has answered a reset with exactly what it should (``wire.postgres.reset``), within a deadline;
3. a login today would still ask for the same parameters;
4. the server has said nothing since.

A database has at most ``size`` connections of a worker, warm ones included: one that rests is closed when another key
needs its place. Who finds no place waits, principals in turn, up to a deadline.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial

from maskproxy.base import limits
from maskproxy.base.errors import ProtocolError, TooManySessions
from maskproxy.core.settings import Database, PoolMode
from maskproxy.proxy.admission import Admission
from maskproxy.proxy.backends import BackendConnection, connect_backend
from maskproxy.proxy.fair_queue import FairQueue
from maskproxy.session.holdings import Holdings
from maskproxy.store.configuration import read_password
from maskproxy.wire.postgres.backend import BackendReady
from maskproxy.wire.postgres.reset import REQUEST, BackendReset
from maskproxy.wire.postgres.scram import salted_password

_SALTS = 4  # of one password; a server that names another each time gets no more of our memory


@dataclass(frozen=True, slots=True)
class _Key:
    """Sessions of equal keys cannot tell each other's connections from new ones."""

    scopes: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def of(cls, admission: Admission) -> "_Key":
        return cls(admission.grant.scopes, tuple(sorted(admission.parameters.items())))


@dataclass(slots=True, eq=False)
class Lease:
    """A connection that somebody has: end it with ``give_back`` or ``discard``. ``admission`` is its last user's."""

    admission: Admission
    key: _Key
    connection: BackendConnection
    ready: BackendReady
    opened: float
    holdings: Holdings
    timer: asyncio.TimerHandle | None = None  # of its reset or its rest

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@dataclass(slots=True, eq=False)
class _Waiter:
    """``granted`` is a warm connection, or None: a place for a new one."""

    admission: Admission
    granted: asyncio.Future[Lease | None]

    @property
    def client(self) -> str:
        return self.admission.grant.principal


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    """``in_use`` counts what is being opened or reset, too; ``hits`` are sessions (or transactions, by ``mode``) that
    found a warm connection, ``opened`` those that did not; ``dirty`` are connections that a reset did not clean."""

    mode: str
    size: int
    in_use: int
    idle: int
    waiting: int
    hits: int
    opened: int
    dirty: int


class BackendPool:
    """One worker's connections to one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bounds = database.pool
        self._alias_key = secrets.token_bytes(32)
        self._salting = lru_cache(maxsize=_SALTS)(salted_password)
        self._warm: dict[Lease, None] = {}  # came back clean and waits for a user; the longest at rest first
        self._taken: set[Lease] = set()  # has a user, or is being reset
        self._opening = 0  # places of connections that are not there yet
        self._queue: FairQueue[_Waiter] = FairQueue(database.pool.size + 1)  # only while no place is free, none warm
        self._closed = False
        self._hits = self._opened = self._dirty = 0

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(
            mode=self._bounds.mode.value,
            size=self._bounds.size,
            in_use=len(self._taken) + self._opening,
            idle=len(self._warm),
            waiting=len(self._queue),
            hits=self._hits,
            opened=self._opened,
            dirty=self._dirty,
        )

    # getting one

    def take(self, admission: Admission) -> Lease | None:
        """A warm connection, at once: the one used last."""
        if admission.policy.scope.unrestricted:
            return None
        key = _Key.of(admission)
        for lease in reversed(self._warm):
            if lease.key == key and lease.connection.open:
                del self._warm[lease]
                lease.stop_timer()
                lease.admission = admission
                self._taken.add(lease)
                self._hits += 1
                return lease
        return None

    async def wait(self, admission: Admission) -> Lease:
        """A connection, as soon as there is one. Raises TooManySessions, BackendUnavailable."""
        lease = self.take(admission) or await self._turn(admission)
        if lease is not None:
            return lease
        try:
            password = read_password(self._database)
            connection, ready = await connect_backend(self._database, password, admission.parameters, self._salting)
        except BaseException:
            self._opening -= 1
            self._serve()
            raise
        self._opening -= 1
        self._opened += 1
        now = asyncio.get_running_loop().time()
        lease = Lease(admission, _Key.of(admission), connection, ready, now, Holdings(self._alias_key))
        self._taken.add(lease)
        return lease

    async def _turn(self, admission: Admission) -> Lease | None:
        """Wait for a warm connection, or for a place to open one in: that is None. Raises TooManySessions."""
        if self._has_place():
            self._opening += 1
            return None
        waiter = _Waiter(admission, asyncio.get_running_loop().create_future())
        self._queue.put(waiter)
        try:
            async with asyncio.timeout(self._bounds.wait_seconds):
                return await waiter.granted
        except TimeoutError as error:
            self._leave(waiter)
            raise TooManySessions(
                f'too many sessions on database "{self._database.name}"',
                hint=f"Close sessions that are not needed, or try again later: {self._bounds.size} connections are all "
                f"that one worker may have (databases.{self._database.name}.pool.size).",
            ) from error
        except BaseException:  # the client has gone
            self._leave(waiter)
            raise

    def _leave(self, waiter: _Waiter) -> None:
        """Out of the queue; what was granted in the same moment is for the next."""
        if self._queue.drop(waiter) or waiter.granted.cancelled() or not waiter.granted.done():
            return
        lease = waiter.granted.result()
        if lease is not None:
            self._rest(lease)
        else:
            self._opening -= 1
            self._serve()

    def _has_place(self) -> bool:
        """Whether a connection may be opened; the one longest at rest is closed for it."""
        if len(self._taken) + self._opening + len(self._warm) < self._bounds.size:
            return True
        if self._warm:
            self._drop(next(iter(self._warm)))
            return True
        return False

    def _serve(self) -> None:
        """Places and warm connections are for those who wait."""
        while len(self._queue) and (self._warm or self._has_place()):
            waiter = self._queue.take()
            if waiter is None:
                return
            self._queue.finished(waiter)
            if waiter.granted.done():  # its client has gone a moment ago
                continue
            lease = self.take(waiter.admission)
            if lease is None and self._has_place():
                self._opening += 1
            waiter.granted.set_result(lease)

    # giving it back

    def give_back(self, lease: Lease, reported: Mapping[str, str]) -> None:
        """Its session was at rest; ``reported`` are the settings that the server spoke of meanwhile."""
        if lease not in self._taken:
            return
        if not self._is_reusable(lease):
            self.discard(lease)
            return
        lease.holdings = Holdings(self._alias_key)
        reset = BackendReset(lease.ready.parameters, reported)
        connection = lease.connection
        connection.hand_over(partial(self._on_reset, lease, reset), partial(self._spoil, lease))
        lease.timer = asyncio.get_running_loop().call_later(limits.RESET_SECONDS, self._spoil, lease)
        connection.set_reading(True)
        connection.write([REQUEST])

    def shares(self, admission: Admission) -> bool:
        """Whether such a session has a connection for a transaction at a time."""
        return self._bounds.mode is PoolMode.TRANSACTION and not admission.policy.scope.unrestricted

    def pass_on(self, lease: Lease) -> None:
        """Its session has done nothing that has to be undone: it is as it was."""
        if lease not in self._taken:
            return
        if self._is_reusable(lease):
            lease.connection.set_reading(True)
            self._rest(lease)
        else:
            self.discard(lease)

    def _is_reusable(self, lease: Lease) -> bool:
        age = asyncio.get_running_loop().time() - lease.opened
        return (
            not self._closed
            and self._bounds.kept > 0
            and age < limits.BACKEND_LIFETIME_SECONDS
            and not lease.admission.policy.scope.unrestricted
            and lease.connection.open
            and lease.connection.at_rest
            and not lease.admission.is_outdated()
        )

    def _on_reset(self, lease: Lease, reset: BackendReset, data: bytes) -> None:
        try:
            clean = reset.receive(data)
        except ProtocolError:
            self._spoil(lease)
        else:
            if clean:
                self._rest(lease)

    def _spoil(self, lease: Lease) -> None:
        self._dirty += 1
        self.discard(lease)

    def _rest(self, lease: Lease) -> None:
        """It is clean."""
        lease.stop_timer()
        if self._closed or lease.admission.is_outdated():
            self.discard(lease)
            return
        self._taken.discard(lease)
        discard = partial(self.discard, lease)
        lease.connection.hand_over(lambda _: discard(), discard)
        lease.timer = asyncio.get_running_loop().call_later(self._bounds.idle_seconds, discard)
        self._warm[lease] = None
        self._serve()
        while len(self._warm) > self._bounds.kept:
            self._drop(next(iter(self._warm)))

    def discard(self, lease: Lease) -> None:
        """Close it; its place is free."""
        if lease in self._taken or lease in self._warm:
            self._drop(lease)
            self._serve()

    def _drop(self, lease: Lease) -> None:
        self._taken.discard(lease)
        self._warm.pop(lease, None)
        lease.stop_timer()
        lease.connection.close()

    # the world changes

    def refresh(self) -> None:
        """Rules or catalog were replaced: close what no login would ask for any more."""
        for lease in list(self._warm):
            if lease.admission.is_outdated():
                self.discard(lease)

    def close(self) -> None:
        """Keep nothing from now on."""
        self._closed = True
        for lease in list(self._warm):
            self.discard(lease)
