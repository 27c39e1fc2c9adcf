"""One worker process: it listens, holds its clients' sessions, and keeps in memory what decisions need.

Workers share nothing but the address (SO_REUSEPORT), the store and the recorder; each can die without the others
noticing. A client knows its session by the process id of its backend, so that drivers recognise themselves in
notifications and in pg_backend_pid(); a cancel request that came to another worker is therefore passed on to all.
"""

import asyncio
import contextlib
import hashlib
import hmac
import os
import signal
import socket
import time
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
import uvloop

from maskproxy.base import limits
from maskproxy.base.errors import ConfigurationError, SessionEnded
from maskproxy.base.heap import keep_objects
from maskproxy.core.settings import Settings
from maskproxy.proxy.admission import Admission
from maskproxy.proxy.analysis_pool import AnalysisPool
from maskproxy.proxy.connection import ClientConnection
from maskproxy.proxy.control import ask, control_path, recorder_path, serve_control
from maskproxy.proxy.journal import Journal, SessionJournal
from maskproxy.proxy.policies import DatabasePolicies, load_written
from maskproxy.proxy.pool import BackendPool
from maskproxy.proxy.recorder_client import RecorderClient
from maskproxy.proxy.tls import client_facing_context
from maskproxy.session.allowance import Meter
from maskproxy.store.configuration import load_key, load_settings
from maskproxy.store.snapshot import Snapshot
from maskproxy.store.store import watch

_SWEEP_SECONDS = 0.25
_PATIENCE_SECONDS = 2.0  # for databases and the recorder before clients are let in
_QUIET_SECONDS = 1.0  # between two log lines of one kind

log = structlog.get_logger()


class Worker:
    """Use: ``await Worker(settings, number).run()``; ends when SIGTERM has drained it."""

    def __init__(self, settings: Settings, number: int) -> None:
        self.settings = settings
        self.number = number
        self.snapshot = Snapshot.empty()
        self.identity_key = load_key(settings.keys.identity)
        self.tls_context = None if settings.tls is None else client_facing_context(settings.tls)
        address = settings.listen.postgres
        self.listener_name = str(address)
        self.tls_required = self.tls_context is not None and address is not None and not address.loopback
        self._recorder = RecorderClient(recorder_path(settings.run))
        self.journal = Journal(
            self._recorder, load_key(settings.keys.audit), hashlib.sha256(settings.file.read_bytes()).hexdigest()
        )
        token_key = load_key(settings.keys.token)
        self.databases = {
            name: DatabasePolicies(database, load_written(settings, name), token_key)
            for name, database in settings.databases.items()
        }
        self.pools = {name: BackendPool(database) for name, database in settings.databases.items()}
        self.analysts = AnalysisPool()
        self._meters: dict[tuple[str, str], Meter] = {}
        self._connections: set[ClientConnection] = set()
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._store_read = asyncio.Event()
        self._started = time.monotonic()
        self._quiet_until: dict[str, float] = {}
        self._accepted = 0
        self._listening = False

    # for connections

    def now(self) -> datetime:
        return datetime.now(UTC)

    def register(self, connection: ClientConnection) -> bool:
        """False when this worker holds as many sessions as it may."""
        self._connections.add(connection)
        self._accepted += 1
        return len(self._connections) <= self.settings.limits.sessions

    def meter(self, admission: Admission) -> Meter:
        """What the principal has used up of its limits in this database."""
        key = (admission.grant.principal, admission.policies.database.name)
        return self._meters.setdefault(key, Meter(time.monotonic, self.settings.workers))

    def forget(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run something that belongs to this worker; it ends with it. None when that is over."""
        if self._group is None:
            work.close()
            return None
        return self._group.create_task(work)

    def warn(self, event: str, **words: str) -> None:
        """A log line that peers can cause: at most one of its kind a second."""
        now = time.monotonic()
        if now >= self._quiet_until.get(event, 0.0):
            self._quiet_until[event] = now + _QUIET_SECONDS
            log.warning(event, worker=self.number, **words)

    def cancel(self, process_id: int, key: bytes, journal: SessionJournal) -> None:
        """A CancelRequest came in: for a session of ours, or of another worker."""
        if self._cancel_own(process_id, key):
            journal.cancelled(known=True)
        else:
            self.spawn(self._pass_on(process_id, key, journal))

    def _cancel_own(self, process_id: int, key: bytes) -> bool:
        """Different servers may number two backends alike: the key, which is ours, tells them apart."""
        for connection in self._connections:
            if connection.process_id == process_id and hmac.compare_digest(connection.cancel_key, key):
                connection.cancel()
                return True
        return False

    async def _pass_on(self, process_id: int, key: bytes, journal: SessionJournal) -> None:
        request = {"op": "cancel", "process_id": process_id, "key": key.hex()}
        for other in set(range(self.settings.workers)) - {self.number}:
            answer = await ask(control_path(self.settings.run, other), request)
            if answer and answer.get("known"):
                journal.cancelled(known=True)
                return
        journal.cancelled(known=False)

    # life

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_defect)
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        control = await serve_control(control_path(self.settings.run, self.number), self._on_control)
        async with asyncio.TaskGroup() as group:
            self._group = group
            tasks = [
                group.create_task(each) for each in (self._recorder.run(), self.analysts.run(), self._watch_store())
            ]
            for policies in self.databases.values():
                policies.on_change = self._apply_policies
                tasks.append(group.create_task(policies.run()))
            tasks.append(group.create_task(self._sweep()))
            await self._wait_until_useful()
            keep_objects()
            server = await self._listen()
            self._listening = True
            await self._stopping.wait()
            self._listening = False
            server.close()
            control.close()
            await self._drain()
            for pool in self.pools.values():
                pool.close()
            self._group = None
            for task in tasks:
                task.cancel()

    def _on_defect(self, _: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """What nobody caught. Its own words and its traceback may quote a value."""
        self.warn("unexpected error", why=type(context.get("exception")).__name__)

    async def _wait_until_useful(self) -> None:
        """Clients come when their grants are known; a database or recorder that is away does not hold up the others."""
        await self._store_read.wait()
        ends = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < ends and not self._stopping.is_set():
            if self._recorder.connected and all(policies.available for policies in self.databases.values()):
                return
            await asyncio.sleep(0.02)

    async def _listen(self) -> asyncio.Server:
        address = self.settings.listen.postgres
        if address is None:
            raise RuntimeError("the settings name no address to listen on")
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((address.host, address.port))
        return await asyncio.get_running_loop().create_server(self._accept, sock=listener, backlog=1024)

    def _accept(self) -> ClientConnection:
        return ClientConnection(self)

    async def _watch_store(self) -> None:
        async with contextlib.aclosing(watch(self.settings.store)) as snapshots:
            async for snapshot in snapshots:
                self.snapshot = snapshot
                self._store_read.set()
                self._end_lost_grants()

    async def _sweep(self) -> None:
        """End sessions whose grant has run out."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._end_lost_grants()

    def _end_lost_grants(self) -> None:
        now = self.now()
        active = {grant.id for grant in self.snapshot.grants if grant.active(now)}
        for connection in list(self._connections):
            admission = connection.admission
            if admission is None:
                continue
            principal = self.snapshot.principals.get(admission.grant.principal)
            if admission.grant.id not in active:
                reason = "the grant has expired" if admission.grant.until <= now else "the grant was revoked"
                connection.end(SessionEnded(reason, hint="Ask for a new grant."))
            elif principal is None or principal.disabled:
                connection.end(SessionEnded("the principal was disabled"))
            elif all(token.id != admission.credential for token in principal.tokens):
                connection.end(SessionEnded("the token was revoked"))

    async def _drain(self) -> None:
        """Let sessions finish what they are doing, then end them."""
        ends = asyncio.get_running_loop().time() + limits.DRAIN_SECONDS
        error = SessionEnded("maskproxy is shutting down", hint="Connect again.")
        while self._connections and asyncio.get_running_loop().time() < ends:
            for connection in list(self._connections):
                if connection.idle:
                    connection.end(error)
            await asyncio.sleep(0.05)
        for connection in list(self._connections):
            connection.end(error)
        await asyncio.sleep(0.1)  # the last bytes and records leave

    # reload

    def reload(self) -> None:
        """Read the rules again; all of them are put in force, or none."""
        try:
            fresh = load_settings(self.settings.file)
            written = {name: load_written(fresh, name) for name in self.databases}
            compiled = {name: self.databases[name].compiled(rules) for name, rules in written.items()}
        except ConfigurationError as error:
            log.error("reload refused, the old rules stay in force", worker=self.number, problems=str(error))
            self.journal.reloaded(why=str(error))
            return
        for name, rules in compiled.items():
            self.databases[name].replace(written[name], rules)
        self.journal.reloaded(why=None)
        log.info("reloaded", worker=self.number)

    def _apply_policies(self) -> None:
        for connection in list(self._connections):
            connection.apply_policy()
        for pool in self.pools.values():
            pool.refresh()

    # control socket

    async def _on_control(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("op") == "cancel":
            return {"known": self._cancel_own(int(request["process_id"]), bytes.fromhex(request["key"]))}
        return self.statistics()

    def statistics(self) -> dict[str, Any]:
        return {
            "worker": self.number,
            "pid": os.getpid(),
            "listening": self._listening,
            "warm": self.analysts.warm,
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "sessions": len(self._connections),
            "accepted": self._accepted,
            "recorder": self._recorder.connected,
            "analysts": asdict(self.analysts.statistics()),
            "grants": sum(grant.active(self.now()) for grant in self.snapshot.grants),
            "databases": {
                name: {
                    "available": policies.available,
                    "rules": policies.generation,
                    "pool": asdict(self.pools[name].statistics()),
                }
                for name, policies in self.databases.items()
            },
        }


def run_worker(config: Path, number: int) -> None:
    """Entry point of the process. Raises ConfigurationError when the settings cannot be used."""
    settings = load_settings(config)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, number))


async def _run(settings: Settings, number: int) -> None:
    await Worker(settings, number).run()
