"""``maskproxy.yaml``: the settings of the processes. What may be seen stands in the rules, never here.

    listen:    {postgres: 127.0.0.1:6543}        # beyond loopback only with tls
    tls:       {certificate: tls/server.crt, key: tls/server.key}
    databases:
      shop:
        dsn: postgresql://maskproxy@db.internal:5432/shop
        password: {env: SHOP_PASSWORD}           # or {file: secrets/shop}; never inside the dsn
        tls: verify-full                         # disable | require | verify-ca | verify-full
        tls_root: tls/ca.crt
        search_path: [public]
        pool: {size: 100, idle: 8}               # connections of a worker, and how many of them wait for a user
    rules:     [rules]                           # files, or directories of *.yaml
    store:     sqlite+aiosqlite:///store.db
    audit:     {directory: audit, durability: fsync}
    keys:      {token: keys/token.key, audit: keys/audit.key, identity: keys/identity.key}
    run:       run                               # sockets and the pid file
    workers:   auto                              # one per processor
    limits:    {sessions: 1000}

Every key but ``databases`` may be left out. Relative paths start at the directory of the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BeforeValidator, Field, model_validator

from maskproxy.base.errors import ConfigurationError, Problem
from maskproxy.base.refs import Engine, Location
from maskproxy.core.yaml import Document, Strict, parse_yaml, validate


class TlsMode(StrEnum):
    """How far a database's certificate is checked; the words are libpq's ``sslmode``."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class Durability(StrEnum):
    """When a record counts as written. Only one answer keeps promise 3, so only one is offered."""

    FSYNC = "fsync"


NOWHERE = Location("maskproxy.yaml", 1)


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listen:
    postgres: Address | None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class PasswordEnv:
    name: str


@dataclass(frozen=True, slots=True)
class PasswordFile:
    path: Path


PasswordSource = PasswordEnv | PasswordFile


class PoolMode(StrEnum):
    """How long a client has one and the same connection to the database: as long as it is there, or a transaction."""

    SESSION = "session"
    TRANSACTION = "transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolBounds:
    """Per worker: connections at most, how many are kept warm and how long, and how long a client waits for one.

    The defaults: as many as a server of PostgreSQL's own defaults lets in, and few enough at rest that several workers
    do not fill it with them."""

    mode: PoolMode = PoolMode.SESSION
    size: int = 100
    idle: int = 8  # 0: a session always has a new connection
    idle_seconds: int = 60
    wait_seconds: int = 10

    @property
    def kept(self) -> int:
        """Warm ones at most. Transactions come too fast after each other to close what the next one needs."""
        return self.size if self.mode is PoolMode.TRANSACTION else self.idle


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database behind the proxy and the role we use there. ``password`` None: the server asks for none."""

    name: str
    engine: Engine
    host: str
    port: int
    user: str
    dbname: str
    password: PasswordSource | None
    tls: TlsMode
    tls_root: Path | None
    search_path: tuple[str, ...]
    pool: PoolBounds = PoolBounds()
    location: Location = NOWHERE  # where it is configured, for messages


@dataclass(frozen=True, slots=True)
class AuditSettings:
    directory: Path
    durability: Durability


@dataclass(frozen=True, slots=True)
class KeySettings:
    """Files of 32 or more random bytes: mask tokens, parameters in records, verifiers of credentials."""

    token: Path
    audit: Path
    identity: Path


@dataclass(frozen=True, slots=True)
class SessionLimits:
    sessions: int  # per worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    file: Path
    listen: Listen
    tls: TlsFiles | None
    databases: Mapping[str, Database]
    rules: tuple[Path, ...]
    store: str
    audit: AuditSettings
    keys: KeySettings
    run: Path
    workers: int
    limits: SessionLimits


def parse_settings(text: str, file: str, directory: Path, *, processors: int) -> Settings:
    """The text of ``file`` as settings; ``processors`` is what ``workers: auto`` means.

    Raises ConfigurationError with file and line of everything that is wrong.
    """
    document = parse_yaml(text, file)
    model = validate(_SettingsModel, document)
    settings = model.build(document, directory, processors)
    if (address := settings.listen.postgres) and not address.loopback and settings.tls is None:
        raise ConfigurationError([Problem(document.locate("listen", "postgres"), _OPEN.format(address=address))])
    _check_names(settings, document)
    return settings


_OPEN = (
    "listening on {address} without tls would send passwords and rows in the clear: "
    "set `tls: {{certificate: ..., key: ...}}` or listen on 127.0.0.1"
)


def _check_names(settings: Settings, document: Document) -> None:
    """A database's name is part of file names and of DSNs handed to agents."""
    problems = [
        Problem(document.locate("databases", name), f"database name `{name}`: use letters, digits, `_`, `-` and `.`")
        for name in settings.databases
        if not name.replace("_", "").replace("-", "").replace(".", "").isalnum()
    ]
    if problems:
        raise ConfigurationError(problems)


def _parse_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("must look like `127.0.0.1:6543`")
    return Address(host, int(port))


class _ListenModel(Strict):
    postgres: Annotated[Address | None, BeforeValidator(_parse_address)] = Address("127.0.0.1", 6543)


class _TlsModel(Strict):
    certificate: str
    key: str

    def build(self, directory: Path) -> TlsFiles:
        return TlsFiles(directory / self.certificate, directory / self.key)


class _PasswordModel(Strict):
    env: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "_PasswordModel":
        if (self.env is None) == (self.file is None):
            raise ValueError("give exactly one of `env: NAME` and `file: path`")
        return self

    def build(self, directory: Path) -> PasswordSource:
        return PasswordEnv(self.env) if self.env is not None else PasswordFile(directory / str(self.file))


@dataclass(frozen=True, slots=True)
class _Dsn:
    host: str
    port: int
    user: str
    dbname: str


_DSN_SHAPE = "must look like `postgresql://user@host:5432/dbname`"


def _parse_dsn(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = _split(value)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError(_DSN_SHAPE)
    if parts.password is not None:
        raise ValueError(
            "holds a password: take it out and write `password: {env: NAME}` or `password: {file: path}` beside it"
        )
    if parts.query or parts.fragment:
        raise ValueError("takes no parameters after `?`: use the keys `tls`, `tls_root` and `search_path`")
    dbname = unquote(parts.path.removeprefix("/"))
    if not parts.hostname or not parts.username or not dbname or "/" in dbname or "," in parts.netloc:
        raise ValueError(_DSN_SHAPE)
    return _Dsn(unquote(parts.hostname), parts.port or 5432, unquote(parts.username), dbname)


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises for what is no port
    except ValueError:
        raise ValueError(_DSN_SHAPE) from None
    return parts


Count = Annotated[int, Field(strict=True, ge=1)]
_POOL = PoolBounds()


class _PoolModel(Strict):
    mode: PoolMode = _POOL.mode
    size: Count = _POOL.size
    idle: Annotated[int, Field(strict=True, ge=0)] = _POOL.idle
    idle_seconds: Count = _POOL.idle_seconds
    wait_seconds: Count = _POOL.wait_seconds

    def build(self) -> PoolBounds:
        return PoolBounds(**self.model_dump())


class _DatabaseModel(Strict):
    dsn: Annotated[_Dsn, BeforeValidator(_parse_dsn)]
    password: _PasswordModel | None = None
    tls: TlsMode = TlsMode.VERIFY_FULL
    tls_root: str | None = None
    search_path: tuple[str, ...] = Field(default=("public",), min_length=1)
    pool: _PoolModel = _PoolModel()

    def build(self, name: str, directory: Path, location: Location) -> Database:
        return Database(
            name=name,
            engine=Engine.POSTGRES,
            host=self.dsn.host,
            port=self.dsn.port,
            user=self.dsn.user,
            dbname=self.dsn.dbname,
            password=None if self.password is None else self.password.build(directory),
            tls=self.tls,
            tls_root=None if self.tls_root is None else directory / self.tls_root,
            search_path=self.search_path,
            pool=self.pool.build(),
            location=location,
        )


class _AuditModel(Strict):
    directory: str = "audit"
    durability: Durability = Durability.FSYNC


class _KeysModel(Strict):
    token: str = "keys/token.key"  # noqa: S105 (a path)
    audit: str = "keys/audit.key"
    identity: str = "keys/identity.key"


class _LimitsModel(Strict):
    sessions: Count = 1000


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _parse_workers(value: object) -> object:
    if value == "auto":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("must be `auto` or a number from 1")


class _SettingsModel(Strict):
    listen: _ListenModel = _ListenModel()
    tls: _TlsModel | None = None
    databases: dict[str, _DatabaseModel] = Field(min_length=1)
    rules: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ("rules",)
    store: str | None = None
    audit: _AuditModel = _AuditModel()
    keys: _KeysModel = _KeysModel()
    run: str = "run"
    workers: Annotated[int | None, BeforeValidator(_parse_workers)] = None
    limits: _LimitsModel = _LimitsModel()

    def build(self, document: Document, directory: Path, processors: int) -> Settings:
        return Settings(
            file=directory / Path(document.file).name,
            listen=Listen(self.listen.postgres),
            tls=None if self.tls is None else self.tls.build(directory),
            databases={
                name: database.build(name, directory, document.locate("databases", name))
                for name, database in self.databases.items()
            },
            rules=tuple(directory / path for path in self.rules),
            store=_store_url(self.store, directory),
            audit=AuditSettings(directory / self.audit.directory, self.audit.durability),
            keys=KeySettings(directory / self.keys.token, directory / self.keys.audit, directory / self.keys.identity),
            run=directory / self.run,
            workers=processors if self.workers is None else self.workers,
            limits=SessionLimits(self.limits.sessions),
        )


_SQLITE = "sqlite+aiosqlite:///"


def _store_url(url: str | None, directory: Path) -> str:
    """SQLAlchemy takes a relative SQLite path from the working directory; ours start at the settings' directory."""
    if url is None:
        return f"{_SQLITE}{directory / 'store.db'}"
    if url.startswith(_SQLITE):
        return f"{_SQLITE}{directory / url.removeprefix(_SQLITE)}"
    return url
