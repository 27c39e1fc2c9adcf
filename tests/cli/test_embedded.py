"""The private server: made once, reused, gone with its parent, and able to live where root's files are."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from maskproxy.cli.embedded import EmbeddedPostgres, embedded_installation, free_port, write_private
from maskproxy.cli.unprivileged import reachable_installation, unprivileged_account
from tests.support.servers import server_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    with server_directory() as path:
        yield path / "postgres"


def test_a_second_start_finds_the_data_of_the_first(directory: Path) -> None:
    with EmbeddedPostgres(directory) as first, psycopg.connect(first.dsn()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedPostgres(directory) as second, psycopg.connect(second.dsn()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]


def test_only_the_right_password_opens_it_and_only_on_loopback(directory: Path) -> None:
    with EmbeddedPostgres(directory) as server:
        right = server.dsn()
        wrong = right.replace(server.password.reveal(), "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        with psycopg.connect(right) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
            assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)


def test_it_does_not_outlive_a_killed_parent(directory: Path) -> None:
    parent = _start_in_a_process(directory)
    postmaster = psutil.Process(int((directory / "data" / "postmaster.pid").read_text().split()[0]))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    postmaster.wait(10)
    with EmbeddedPostgres(directory) as again, psycopg.connect(again.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pid_file_that_names_another_process_does_not_hurt_it(directory: Path) -> None:
    with EmbeddedPostgres(directory):
        pass
    (directory / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    with EmbeddedPostgres(directory) as server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_half_made_cluster_is_made_again(directory: Path) -> None:
    (directory / "data.new").mkdir(parents=True)
    (directory / "data.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(directory) as server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_can_be_kept_in_a_closed_directory_with_closed_programs(tmp_path: Path) -> None:
    """Root's server runs as somebody else, who cannot reach them: it is elsewhere then."""
    root = os.geteuid() == 0
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installation = embedded_installation()
    programs = closed / "programs"
    for tree in installation.trees:
        shutil.copytree(installation.root / tree, programs / tree)
    try:
        unreachable = replace(installation, name="postgres-test", root=programs)
        with (
            EmbeddedPostgres(closed / "postgres", installation=unreachable) as server,
            psycopg.connect(server.dsn()) as connection,
        ):
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert (closed / "postgres").is_symlink() == root
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree((closed / "postgres").resolve())
        if root:
            shutil.rmtree(reachable_installation(unreachable, unprivileged_account()).root)


def test_a_secret_file_is_never_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_port_that_is_taken_is_replaced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        assert free_port(taken) != taken
    assert free_port(taken) == taken


def _start_in_a_process(directory: Path) -> subprocess.Popen[str]:
    script = (
        "import pathlib, sys, time\n"
        "from maskproxy.cli.embedded import EmbeddedPostgres\n"
        "EmbeddedPostgres(pathlib.Path(sys.argv[1])).start()\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "started\n"
    return process
