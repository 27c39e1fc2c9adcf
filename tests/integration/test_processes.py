"""What dies comes back, what is reloaded is whole, what is told to stop finishes its work."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import psutil
import psycopg
import pytest

from maskproxy.base import limits
from maskproxy.proxy.control import ask, control_path
from tests.integration.test_conversation import MASKED_SSN, READ, SLOW
from tests.support.proxies import DEMO_RULES, Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

BACK_SECONDS = 2.0


@pytest.fixture(scope="module")
def own(postgres18: Server, shop18: str) -> Iterator[Proxy]:
    """A proxy to be hurt."""
    with run_proxy(postgres18, shop18, workers=2) as proxy:
        yield proxy


@pytest.fixture
def doomed(postgres18: Server, shop18: str) -> Iterator[Proxy]:
    """A proxy to be ended."""
    with run_proxy(postgres18, shop18) as proxy:
        yield proxy


def recorder_of(proxy: Proxy) -> psutil.Process:
    children = psutil.Process(proxy.process.pid).children(recursive=True)
    (recorder,) = [c for c in children if "recorder" in c.cmdline() and c.status() != psutil.STATUS_ZOMBIE]
    return recorder


def workers_of(proxy: Proxy) -> list[psutil.Process]:
    """The processes that listen; a spare one does not yet."""
    children = psutil.Process(proxy.process.pid).children(recursive=True)
    return [child for child in children if proxy.direct_port in _listening(child)]


def _listening(process: psutil.Process) -> set[int]:
    try:
        connections = process.net_connections("tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # gone, or just dying: then only root may look
        return set()
    return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}


def wait_for_spare(proxy: Proxy) -> None:
    """It has imported everything when it does nothing any more."""
    used, deadline = -1.0, time.monotonic() + 30
    while time.monotonic() < deadline:
        children = set(psutil.Process(proxy.process.pid).children()) - set(workers_of(proxy))
        before, used = used, sum(sum(child.cpu_times()[:2]) for child in children if "worker" in child.cmdline())
        if used > 0.2 and used == before:
            return
        time.sleep(0.5)
    raise TimeoutError("there is no spare worker")


def connect(proxy: Proxy) -> psycopg.Connection:
    return psycopg.connect(proxy.dsn(recorded=False), autocommit=True)


def owner(connection: psycopg.Connection, workers: list[psutil.Process]) -> psutil.Process:
    """The worker that holds the other end."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as ours:
        port = ours.getsockname()[1]
    return next(w for w in workers if any(c.raddr and c.raddr.port == port for c in w.net_connections("tcp")))


def test_a_cancel_request_finds_its_session_in_any_worker(own: Proxy) -> None:
    """Eight times: the kernel hands a request to either worker, whoever holds the session."""
    with connect(own) as session:
        for _ in range(8):  # at first the statement is still being analysed, perhaps
            timer = threading.Timer(0.1, session.cancel)
            timer.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                session.execute(SLOW)
            timer.join()


def test_recorder_killed(own: Proxy) -> None:
    with connect(own) as session:
        assert session.execute(READ).fetchone() == (MASKED_SSN,)
        recorder = recorder_of(own)
        recorder.kill()
        deadline = time.monotonic() + 10
        while True:
            try:
                assert session.execute(READ).fetchone() == (MASKED_SSN,)
            except psycopg.errors.IoError:  # 58030
                assert time.monotonic() < deadline
            else:
                break
        assert recorder_of(own).pid != recorder.pid


def test_no_record_no_result(own: Proxy) -> None:
    """A recorder that hangs: statements are refused until it goes on."""
    with connect(own) as session:
        assert session.execute(READ).fetchone() == (MASKED_SSN,)
        recorder = recorder_of(own)
        recorder.suspend()
        try:
            with pytest.raises(psycopg.errors.IoError):
                session.execute(READ)
        finally:
            recorder.resume()
        deadline = time.monotonic() + 10
        while True:
            try:
                assert session.execute(READ).fetchone() == (MASKED_SSN,)
            except psycopg.errors.IoError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                break


def test_worker_killed(own: Proxy) -> None:
    workers = workers_of(own)
    assert len(workers) == 2
    wait_for_spare(own)
    sessions = [connect(own) for _ in range(16)]
    owners = [owner(session, workers) for session in sessions]
    victim = owners[0]
    others = [session for session, worker in zip(sessions, owners, strict=True) if worker != victim]
    assert others, "the kernel gave every session to one worker"
    killed = time.monotonic()
    victim.kill()
    victim.wait(BACK_SECONDS)  # as long as it dies it still listens
    while len(workers_of(own)) < 2:
        for session in others:
            assert session.execute(READ).fetchone() == (MASKED_SSN,)
        assert time.monotonic() - killed < BACK_SECONDS
    fresh = [connect(own) for _ in range(16)]
    assert {owner(session, workers_of(own)) for session in fresh} == set(workers_of(own))
    for session in (*others, *fresh):
        assert session.execute(READ).fetchone() == (MASKED_SSN,)
    with pytest.raises(psycopg.OperationalError):
        sessions[0].execute(READ)
    for session in (*sessions, *fresh):
        session.close()


async def test_a_worker_knows_whether_its_analysts_are_there(own: Proxy) -> None:
    """They were when the supervisor said that clients can come. Statements that come while there are none wait."""
    path = control_path(own.directory / "run", 0)

    async def wait_for_analysts(number: int) -> None:
        async with asyncio.timeout(20):
            while (await ask(path, {"op": "status"}) or {})["analysts"]["ready"] != number:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    status = await ask(path, {"op": "status"})
    assert status is not None
    assert status["warm"]
    assert status["analysts"]["ready"] == limits.MAX_ANALYSTS
    (first,) = [
        each for each in psutil.Process(status["pid"]).children() if "maskproxy.proxy.analyst" in each.cmdline()
    ]
    first.kill()
    await wait_for_analysts(0)
    for text in ("SELECT count(*) AS again FROM orders", "SELECT count(*) AS and_again FROM orders"):
        with contextlib.ExitStack() as stack:
            for session in [stack.enter_context(connect(own)) for _ in range(4)]:
                session.execute(text)
    await wait_for_analysts(limits.MAX_ANALYSTS)


def test_sighup_with_bad_rules_changes_nothing(own: Proxy) -> None:
    rules = DEMO_RULES.read_text(encoding="utf-8")
    with connect(own) as session:
        with own.log_contains("rules.yaml:"):
            own.reload(rules.replace("mask: partial", "mask: partail"))
        assert session.execute(READ).fetchone() == (MASKED_SSN,)
        with connect(own) as another:
            assert another.execute(READ).fetchone() == (MASKED_SSN,)
        own.reload(rules.replace("pii.ssn:   {mask: partial, keep_last: 4}", 'pii.ssn:   {mask: "null"}'))
        deadline = time.monotonic() + 5
        while session.execute(READ).fetchone() != (None,):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_sigterm_drains(doomed: Proxy) -> None:
    """A running statement ends as it would, an idle session is told, nobody new comes in."""
    slow = f"SELECT count(*) FROM {', '.join(f'orders AS o{n}' for n in range(6))}"
    answers: list[object] = []
    with connect(doomed) as busy, connect(doomed) as idle:
        thread = threading.Thread(target=lambda: answers.append(busy.execute(slow).fetchone()))
        thread.start()
        time.sleep(0.3)
        doomed.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(psycopg.OperationalError):
            connect(doomed)
        with pytest.raises(psycopg.errors.AdminShutdown):
            idle.execute("SELECT 1")
        thread.join(30)
        assert answers == [(20**6,)]
    assert doomed.process.wait(10) == 0


def test_no_process_outlives_the_supervisor(doomed: Proxy) -> None:
    children = psutil.Process(doomed.process.pid).children(recursive=True)
    os.kill(doomed.process.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(children, timeout=40)
    assert not alive
    assert len(gone) == len(children)
