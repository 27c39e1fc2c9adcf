"""What dies comes back, what is reloaded is whole, what is told to stop finishes its work."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import psutil
import psycopg
import pytest

from tests.integration.test_conversation import MASKED_SSN, READ
from tests.support.proxies import DEMO_RULES, Proxy, run_proxy
from tests.support.servers import Server

pytestmark = pytest.mark.server

BACK_SECONDS = 2.0


@pytest.fixture
def own(postgres18: Server, shop18: str) -> Iterator[Proxy]:
    """A proxy to be hurt."""
    with run_proxy(postgres18, shop18, workers=2) as proxy:
        yield proxy


def processes(proxy: Proxy, role: str) -> list[psutil.Process]:
    children = psutil.Process(proxy.process.pid).children(recursive=True)
    return [child for child in children if role in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE]


def connect(proxy: Proxy) -> psycopg.Connection:
    return psycopg.connect(proxy.dsn(recorded=False), autocommit=True)


def owner(connection: psycopg.Connection, workers: list[psutil.Process]) -> psutil.Process:
    """The worker that holds the other end."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as ours:
        port = ours.getsockname()[1]
    return next(w for w in workers if any(c.raddr and c.raddr.port == port for c in w.net_connections("tcp")))


def test_recorder_killed(own: Proxy) -> None:
    with connect(own) as session:
        assert session.execute(READ).fetchone() == (MASKED_SSN,)
        (recorder,) = processes(own, "recorder")
        recorder.kill()
        deadline = time.monotonic() + 10
        while True:
            try:
                assert session.execute(READ).fetchone() == (MASKED_SSN,)
            except psycopg.errors.IoError:  # 58030
                assert time.monotonic() < deadline
            else:
                break
        assert [process.pid for process in processes(own, "recorder")] != [recorder.pid]


def test_no_record_no_result(own: Proxy) -> None:
    """A recorder that hangs: statements are refused until it goes on."""
    with connect(own) as session:
        assert session.execute(READ).fetchone() == (MASKED_SSN,)
        (recorder,) = processes(own, "recorder")
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
    workers = processes(own, "worker")
    assert len(workers) == 2
    sessions = [connect(own) for _ in range(16)]
    owners = [owner(session, workers) for session in sessions]
    victim = owners[0]
    others = [session for session, worker in zip(sessions, owners, strict=True) if worker != victim]
    assert others, "the kernel gave every session to one worker"
    killed = time.monotonic()
    victim.kill()
    while len(processes(own, "worker")) < 2 or not accepts(own, 16):
        for session in others:
            assert session.execute(READ).fetchone() == (MASKED_SSN,)
        assert time.monotonic() - killed < BACK_SECONDS
    for session in others:
        assert session.execute(READ).fetchone() == (MASKED_SSN,)
    with pytest.raises(psycopg.OperationalError):
        sessions[0].execute(READ)
    for session in sessions:
        session.close()


def accepts(proxy: Proxy, times: int) -> bool:
    """Whether so many logins in a row succeed: some of them come to the new worker."""
    try:
        for _ in range(times):
            connect(proxy).close()
    except psycopg.OperationalError:
        return False
    return True


def test_sigterm_drains(own: Proxy) -> None:
    """A running statement ends as it would, an idle session is told, nobody new comes in."""
    slow = f"SELECT count(*) FROM {', '.join(f'orders AS o{n}' for n in range(6))}"
    answers: list[object] = []
    with connect(own) as busy, connect(own) as idle:
        thread = threading.Thread(target=lambda: answers.append(busy.execute(slow).fetchone()))
        thread.start()
        time.sleep(0.3)
        own.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(psycopg.OperationalError):
            connect(own)
        with pytest.raises(psycopg.errors.AdminShutdown):
            idle.execute("SELECT 1")
        thread.join(30)
        assert answers == [(20**6,)]
    assert own.process.wait(10) == 0


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


def test_no_process_outlives_the_supervisor(own: Proxy) -> None:
    children = psutil.Process(own.process.pid).children(recursive=True)
    os.kill(own.process.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(children, timeout=40)
    assert not alive
    assert len(gone) == len(children)
