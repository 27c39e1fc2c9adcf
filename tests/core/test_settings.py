from pathlib import Path

import pytest

from maskproxy.base.errors import ConfigurationError
from maskproxy.base.refs import Engine
from maskproxy.core.settings import (
    Address,
    Durability,
    PasswordEnv,
    PasswordFile,
    Settings,
    TlsFiles,
    TlsMode,
    parse_settings,
)

DIRECTORY = Path("/etc/maskproxy")
SHOP = "databases:\n  shop:\n    dsn: postgresql://agent@db.internal/shop\n"


def parse(text: str) -> Settings:
    return parse_settings(text, "maskproxy.yaml", DIRECTORY, processors=3)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    return str(caught.value).splitlines()


def test_defaults_are_safe() -> None:
    settings = parse(SHOP)
    assert settings.file == DIRECTORY / "maskproxy.yaml"
    assert settings.listen.postgres == Address("127.0.0.1", 6543)
    assert settings.tls is None
    assert settings.rules == (DIRECTORY / "rules",)
    assert settings.store == "sqlite+aiosqlite:////etc/maskproxy/store.db"
    assert (settings.audit.directory, settings.audit.durability) == (DIRECTORY / "audit", Durability.FSYNC)
    assert settings.keys.token == DIRECTORY / "keys/token.key"
    assert (settings.run, settings.workers, settings.limits.sessions) == (DIRECTORY / "run", 3, 1000)
    shop = settings.databases["shop"]
    assert (shop.engine, shop.host, shop.port, shop.user, shop.dbname) == (
        Engine.POSTGRES, "db.internal", 5432, "agent", "shop",
    )  # fmt: skip
    assert (shop.tls, shop.tls_root, shop.password, shop.search_path) == (TlsMode.VERIFY_FULL, None, None, ("public",))


def test_everything_can_be_set() -> None:
    settings = parse(
        """
listen: {postgres: "[::]:5432"}
tls: {certificate: server.crt, key: /keys/server.key}
databases:
  a: {dsn: "postgres://us%40er@[::1]:6432/d%20b", password: {env: A}, tls: verify-ca, tls_root: ca.crt}
  b: {dsn: "postgresql://u@h/d", password: {file: b.txt}, tls: disable, search_path: [app, public]}
rules: rules/a.yaml
store: sqlite+aiosqlite:///data/store.db
audit: {directory: /var/log/maskproxy, durability: fsync}
keys: {token: t, audit: a, identity: i}
run: /run/maskproxy
workers: 2
limits: {sessions: 5}
"""
    )
    assert settings.listen.postgres == Address("::", 5432)
    assert str(settings.listen.postgres) == "[::]:5432"
    assert settings.tls == TlsFiles(DIRECTORY / "server.crt", Path("/keys/server.key"))
    a, b = settings.databases["a"], settings.databases["b"]
    assert (a.user, a.host, a.port, a.dbname) == ("us@er", "::1", 6432, "d b")
    assert (a.password, a.tls, a.tls_root) == (PasswordEnv("A"), TlsMode.VERIFY_CA, DIRECTORY / "ca.crt")
    assert (b.password, b.search_path) == (PasswordFile(DIRECTORY / "b.txt"), ("app", "public"))
    assert str(b.location) == "maskproxy.yaml:6"
    assert settings.rules == (DIRECTORY / "rules/a.yaml",)
    assert settings.store == "sqlite+aiosqlite:////etc/maskproxy/data/store.db"
    assert settings.audit.directory == Path("/var/log/maskproxy")
    assert (settings.run, settings.workers, settings.limits.sessions) == (Path("/run/maskproxy"), 2, 5)


def test_another_store_is_taken_as_it_is() -> None:
    assert parse(SHOP + "store: postgresql+asyncpg://c@h/control\n").store == "postgresql+asyncpg://c@h/control"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert parse(SHOP + f"listen: {{postgres: '{host}:6543'}}\n").tls is None


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "[::]", "db.internal", "localhost.example.com"])
def test_anything_else_does(host: str) -> None:
    text = SHOP + f"listen: {{postgres: '{host}:6543'}}\n"
    assert problems(text)[0].startswith(f"maskproxy.yaml:4: listening on {host}:6543 without tls")
    assert parse(text + "tls: {certificate: c, key: k}\n").tls is not None


def test_a_password_in_the_dsn_is_refused_and_not_repeated() -> None:
    (problem,) = problems("databases:\n  shop:\n    dsn: postgresql://agent:hunter2@h/shop\n")
    assert problem.startswith("maskproxy.yaml:3: `databases.shop.dsn`: holds a password")
    assert "password: {env: NAME}" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "dsn",
    ["", "h", "mysql://u@h/d", "postgresql://h/d", "postgresql://u@h", "postgresql://u@h/", "postgresql://u@h:x/d",
     "postgresql://u@h:99999/d", "postgresql://u@a,b/d", "postgresql://u@/d", "postgresql://u@h/d/e", "postgresql://u@[::1/d"],
)  # fmt: skip
def test_a_dsn_that_is_none(dsn: str) -> None:
    (problem,) = problems(f"databases:\n  shop:\n    dsn: '{dsn}'\n")
    assert "must look like `postgresql://user@host:5432/dbname`" in problem


def test_dsn_parameters_have_keys_of_their_own() -> None:
    (problem,) = problems("databases:\n  shop:\n    dsn: postgresql://u@h/d?sslmode=disable\n")
    assert "use the keys `tls`" in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "maskproxy.yaml:1: `databases` is missing"),
        ("databases: {}\n", "maskproxy.yaml:1: `databases`"),
        (SHOP + "databse: 1\n", "maskproxy.yaml:4: unknown key `databse`: did you mean `databases`?"),
        (SHOP + "workers: 0\n", "maskproxy.yaml:4: `workers`: must be `auto` or a number from 1"),
        (SHOP + "workers: true\n", "maskproxy.yaml:4: `workers`: must be `auto`"),
        (SHOP + "limits: {sessions: 0}\n", "maskproxy.yaml:4: `limits.sessions`"),
        (SHOP + "audit: {durability: none}\n", "maskproxy.yaml:4: `audit.durability`: should be 'fsync'"),
        (SHOP + "    tls: prefer\n", "maskproxy.yaml:4: `databases.shop.tls`: should be 'disable'"),
        (SHOP + "    search_path: []\n", "maskproxy.yaml:4: `databases.shop.search_path`"),
        (SHOP + "    password: hunter2\n", "maskproxy.yaml:4: `databases.shop.password` must be a mapping"),
        (SHOP + "    password: {}\n", "maskproxy.yaml:4: `databases.shop.password`: give exactly one of"),
        (
            SHOP + "    password: {env: A, file: b}\n",
            "maskproxy.yaml:4: `databases.shop.password`: give exactly one of",
        ),
        (SHOP + "listen: {postgres: 6543}\n", "maskproxy.yaml:4: `listen.postgres`"),
        (SHOP + "listen: {postgres: 'h:0'}\n", "maskproxy.yaml:4: `listen.postgres`: must look like `127.0.0.1:6543`"),
        (SHOP.replace("shop:", "sh/op:"), "maskproxy.yaml:2: database name `sh/op`"),
    ],
)
def test_problems_have_their_line(text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected), problems(text)
