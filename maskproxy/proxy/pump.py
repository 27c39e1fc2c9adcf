"""Moves bytes between a client, its session and its backend, and has recorded what the session asks for.

Runs for every message; what is rare is for ``ClientConnection``. Compiled by Cython; the types of its attributes are in
``pump.pxd``.
"""

from collections.abc import Callable
from functools import partial

import cython

from maskproxy.proxy.journal import SessionJournal
from maskproxy.proxy.link import Link
from maskproxy.proxy.statement_timer import StatementTimer
from maskproxy.session.actions import Action, RecordIntent, RecordOutcome
from maskproxy.session.postgres import PostgresSession


class Pump:
    """``rest`` carries out the other actions; ``failed`` hears of a defect of ours, after which this session must end:
    whoever called has others to answer, its client would wait for ever, and the event loop would log what it says."""

    def __init__(
        self,
        session: PostgresSession,
        client: Link,
        backend: Link | None,
        journal: SessionJournal,
        timer: StatementTimer,
        rest: Callable[[Action], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.session = session
        self._client = client
        self._backend = backend
        self._journal = journal
        self._timer = timer
        self._rest = rest
        self._failed = failed
        self.on_portable: Callable[[], None] | None = None  # under transaction pooling
        self._timed = False
        self._stopped = False

    def client_data(self, data: bytes) -> None:
        try:
            self.session.client_data(data)
            self.flush()
        except Exception as error:
            self._failed(error)

    def backend_data(self, data: bytes) -> None:
        try:
            self.session.backend_data(data)
            self.flush()
        except Exception as error:
            self._failed(error)

    def recorded(self, number: cython.Py_ssize_t, durable: cython.bint) -> None:
        if self._stopped:
            return
        try:
            self.session.recorded(number, durable)
            self.flush()
        except Exception as error:
            self._failed(error)

    def stop(self) -> None:
        """Nothing is moved from now on."""
        self._stopped = True
        self._timer.stop()

    def flush(self) -> None:
        """Carry out everything the session has for us, until it has nothing left."""
        state = self.session.state
        while not self._stopped:
            if state.to_backend:
                chunks, state.to_backend = state.to_backend, []
                if self._backend is None:
                    raise RuntimeError("there is no backend")
                self._backend.write(chunks)
            self.flush_to_client()
            if not state.actions:
                break
            actions, state.actions = state.actions, []
            for action in actions:
                self._act(action)
        if self.on_portable is not None and not self._stopped and self._backend is not None and self.session.portable:
            self.on_portable()
        self.pace()

    def serve_by(self, backend: Link | None) -> None:
        """Another backend, or none for the time being."""
        self._backend = backend

    def flush_to_client(self) -> None:
        state = self.session.state
        if state.to_client:
            chunks, state.to_client = state.to_client, []
            self._client.write(chunks)

    def pace(self) -> None:
        """Read from each side only while the other keeps up and nothing piles up in between."""
        if self._stopped:
            return
        if self._backend is None:
            self._client.set_reading(True)
            return
        session = self.session
        quiet = session.state.quiet
        self._backend.set_reading(not self._client.write_paused and (quiet or not session.backend_full))
        self._client.set_reading(not self._backend.write_paused and (quiet or not session.client_full))

    def _act(self, action: Action) -> None:
        if isinstance(action, RecordIntent):
            seconds = self.session.policy.scope.limits.seconds
            if seconds is not None:
                self._timed = True
                self._timer.started(action.number, seconds)
            done = partial(self.recorded, action.number)
            self._journal.intent_of(action.number, action.plan, action.parameters, done)
        elif isinstance(action, RecordOutcome):
            if self._timed:
                self._timer.ended(action.number, self.session.policy.scope.limits.seconds)
            self._journal.outcome(action)
        else:
            self._rest(action)
