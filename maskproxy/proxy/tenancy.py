"""Transaction pooling: a client has a connection to the database while it needs one, and none in between.

    AWAY --bytes of the client--> (warm one at once, or WAITING in the pool's queue) --> HOME --session portable--> AWAY

``PostgresSession.portable`` says when it may move out, and why nothing has to be reset then: every statement since the
connection was as new was one that leaves nothing (``core/sql/traces``), and by the server's own word no transaction is
open. Prepared statements stay, under names that mean the same to everyone (``session/holdings``). What may have left
something pins: the connection stays the client's until its end, and is reset as in session pooling. Whatever else is
odd (a cancel request that may come late, something that came while nobody had it, an age) closes it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from maskproxy.base import limits
from maskproxy.base.errors import BackendUnavailable, MaskproxyError, SessionEnded, SessionError
from maskproxy.proxy.admission import Admission, backend_parameters
from maskproxy.proxy.pool import BackendPool, Lease

if TYPE_CHECKING:
    from maskproxy.proxy.worker import Worker

_GOODBYE = b"X\0\0\0\4"


class Tenancy:
    """What one client needs between two transactions. ``move_in`` is called with a connection for which it waited,
    ``fail`` when there is none."""

    def __init__(
        self,
        worker: "Worker",
        pool: BackendPool,
        admission: Admission,
        move_in: Callable[[Lease], None],
        fail: Callable[[MaskproxyError], None],
    ) -> None:
        self._worker = worker
        self._pool = pool
        self._admission = admission
        self._move_in = move_in
        self._fail = fail
        self._waiting: asyncio.Task[None] | None = None
        self._kept = b""
        self.cancelled = False  # what it waits with is to be cancelled

    @property
    def waiting(self) -> bool:
        return self._waiting is not None

    @property
    def full(self) -> bool:
        """Stop reading from the client, which is not heard when it goes then: as late as possible."""
        return len(self._kept) > limits.HIGH_WATER

    def needs(self, data: bytes) -> bool:
        """Whether these bytes of a client without a connection ask for one."""
        return self.waiting or data != _GOODBYE

    def seek(self, data: bytes) -> Lease | None:
        """A connection for these bytes, which ``take_kept`` gives back; None: it is waited for."""
        self._kept += data
        if self._waiting is not None:
            return None
        lease = self._pool.take(self._admission)
        if lease is None:
            self._waiting = self._worker.spawn(self._wait())
            if self._waiting is None:
                self._fail(SessionEnded("maskproxy is shutting down", hint="Connect again."))
        return lease

    def take_kept(self) -> bytes:
        kept, self._kept = self._kept, b""
        return kept

    def take_cancelled(self) -> bool:
        cancelled, self.cancelled = self.cancelled, False
        return cancelled

    async def _wait(self) -> None:
        try:
            lease = await self._pool.wait(self._admission)
        except SessionError as error:
            self._waiting = None
            self._fail(error)
        except MaskproxyError:
            self._waiting = None
            self._fail(BackendUnavailable("the database is not available"))
        else:
            self._waiting = None
            self._move_in(lease)

    def renew(self) -> None:
        """Rules were replaced: ask for what a login would ask for now. Raises MaskproxyError."""
        admission = self._admission
        policy = admission.policies.policy(admission.grant.scopes)
        self._admission = replace(admission, policy=policy, parameters=backend_parameters(admission.startup, policy))

    def stop(self) -> None:
        """The client has gone."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
