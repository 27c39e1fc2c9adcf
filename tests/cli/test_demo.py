"""``maskproxy demo`` as a user starts it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from maskproxy.cli.embedded import free_port
from maskproxy.cli.sample import make_sample
from tests.support.servers import server_directory

ROOT = Path(__file__).parents[2]
SECONDS = 60

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]


@pytest.fixture
def directory() -> Iterator[Path]:
    with server_directory() as path:
        yield path


def _command(directory: Path, *arguments: str) -> list[str]:
    port = str(free_port())
    return [sys.executable, "-m", "maskproxy", "demo", "--dir", str(directory), "--port", port, *arguments]


def _once(directory: Path) -> subprocess.CompletedProcess[str]:
    command = _command(directory, "--once")
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_the_tour_shows_masks_and_ends_well_twice(directory: Path) -> None:
    for _ in range(2):
        done = _once(directory)
        assert done.returncode == 0, done.stderr
        assert "person-" in done.stdout
        assert "SQLSTATE 42501" in done.stdout
        assert "masks.pii.email" in done.stdout
    assert not _processes(directory)


def test_other_commands_work_on_what_it_left(directory: Path) -> None:
    """Its database is started for as long as they need it."""
    assert _once(directory).returncode == 0
    for command in (["check"], ["explain", "--scope", "support", "SELECT email FROM customers"], ["grant", "list"]):
        arguments = [sys.executable, "-m", "maskproxy", *command, "-c", str(directory / "maskproxy.yaml")]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr
    assert not _processes(directory)


def test_a_value_that_came_through_is_found(directory: Path) -> None:
    rules = directory / "rules" / "shop.yaml"
    rules.parent.mkdir()
    text = (ROOT / "rules" / "demo.yaml").read_text(encoding="utf-8")
    rules.write_text(text.replace("clear:  [finance]", "clear:  [finance, pii.phone]"), encoding="utf-8")
    done = _once(directory)
    assert done.returncode == 1
    assert "raw values of customers.phone came through" in done.stderr
    assert "customers.email" not in done.stderr


def test_it_stays_up_until_it_is_interrupted_and_leaves_nothing_behind(directory: Path) -> None:
    with _running(directory) as (process, dsn):
        with psycopg.connect(dsn) as connection:
            rows = connection.execute("SELECT email, ssn, dob FROM customers").fetchall()
        raw = {value for row in make_sample().customers for value in (row[2], row[3], row[5])}
        assert len(rows) == len(make_sample().customers)
        assert not raw & {value for row in rows for value in row}
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
    assert not _processes(directory)


def test_a_killed_demo_takes_everything_with_it(directory: Path) -> None:
    with _running(directory) as (process, _):
        process.kill()
    deadline = time.monotonic() + SECONDS
    while _processes(directory) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _processes(directory)


def test_two_demos_do_not_share_a_directory(directory: Path) -> None:
    with _running(directory):
        second = _once(directory)
    assert second.returncode == 1
    assert "runs in" in second.stderr


@contextmanager
def _running(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A demo after its tour, with the DSN it printed."""
    with subprocess.Popen(_command(directory), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            dsn = next(line for line in lines if line.startswith("DSN of agent: ")).split()[-1]
            assert any("The proxy runs until Ctrl-C" in line for line in lines)
            yield process, dsn
        finally:
            process.terminate()


def _processes(directory: Path) -> list[str]:
    """What still runs on behalf of the demo in ``directory``."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if any(str(directory) in argument for argument in arguments) and process.pid != os.getpid():
            found.append(" ".join(arguments))
    return found
