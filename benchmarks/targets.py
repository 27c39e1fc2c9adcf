"""What is compared: PostgreSQL itself, PgBouncer before it, maskproxy before it; all on loopback, without TLS.

PgBouncer is Debian's package, unpacked into ``.cache`` and not installed, in the same mode as maskproxy: in session
mode a client keeps its connection to the database. Every login on either side is SCRAM-SHA-256.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.debian import debian_binary

HOST = "127.0.0.1"
START_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One way to the database. ``pid`` is the root of the proxy's processes, None when there is no proxy."""

    name: str
    programs: Path
    port: int
    user: str
    password: str
    database: str
    pid: int | None

    def arguments(self) -> list[str]:
        """For psql and pgbench."""
        return ["-h", HOST, "-p", str(self.port), "-U", self.user, self.database]

    def environment(self) -> Mapping[str, str]:
        return os.environ | {"PGPASSWORD": self.password, "PGSSLMODE": "disable"}

    def libpq(self) -> Mapping[str, str]:
        """For a client of libpq's that is given no address."""
        where = {"PGHOST": HOST, "PGPORT": str(self.port), "PGUSER": self.user, "PGDATABASE": self.database}
        return {**self.environment(), **where}

    def sql(self, *statements: str) -> str:
        """What psql prints for them, unaligned, tuples only."""
        commands = [part for statement in statements for part in ("-c", statement)]
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *commands, *self.arguments())

    def run(self, program: str, *arguments: str, timeout: float | None = None) -> str:
        """What one of PostgreSQL's programs prints. Raises RuntimeError with what it complains of."""
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{program} through {self.name}: {done.stderr.strip()}")
        return done.stdout


@dataclass(frozen=True, slots=True)
class Pooling:
    """So many clients at a time; they share so many ``connections``, or each has its own."""

    sessions: int
    connections: int | None

    @property
    def mode(self) -> str:
        return "session" if self.connections is None else "transaction"

    @property
    def size(self) -> int:
        return self.sessions if self.connections is None else self.connections


PGBOUNCER_INI = """\
[databases]
{database} = host={host} port={port} dbname={database}

[pgbouncer]
listen_addr = {host}
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
default_pool_size = {connections}
max_client_conn = {sessions}
{user}
"""


@contextmanager
def pgbouncer(direct: Target, directory: Path, pooling: Pooling) -> Iterator[tuple[Target, str]]:
    """PgBouncer before ``direct``, and its version. Raises Unavailable where Debian's package can't be had."""
    program = str(debian_binary("pgbouncer", "usr/sbin/pgbouncer"))
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    users = directory / "users.txt"
    users.write_text(f'"{direct.user}" "{direct.password}"\n', encoding="utf-8")
    listen = free_port()
    settings = directory / "pgbouncer.ini"
    as_user = "user = nobody" if os.geteuid() == 0 else ""  # it refuses to run as root
    settings.write_text(
        PGBOUNCER_INI.format(
            database=direct.database,
            host=HOST,
            port=direct.port,
            listen=listen,
            users=users,
            user=as_user,
            mode=pooling.mode,
            connections=pooling.size,
            sessions=pooling.sessions,
        ),
        encoding="utf-8",
    )
    with (directory / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([program, "-q", str(settings)], stdout=log, stderr=log)
    try:
        wait_for_port(listen, process)
        yield replace(direct, name="PgBouncer", port=listen, pid=process.pid), version
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until something listens there. Raises RuntimeError when ``process`` ended or took too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")
