"""The administrator's commands against a real store: what they print and refuse, what the data plane then sees."""

import asyncio
import json
import os
import re
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from maskproxy.cli import grant, principal, token
from maskproxy.cli.dsn import dsn
from maskproxy.store.configuration import load_settings
from maskproxy.store.snapshot import Snapshot
from maskproxy.store.store import open_store
from maskproxy.wire.postgres.scram import derive_keys

app = typer.Typer()
app.command()(dsn)
for name, group in (("principal", principal.app), ("token", token.app), ("grant", grant.app)):
    app.add_typer(group, name=name)

RULES = """\
version: 1
database: shop
scopes:
  support: {select: [public.customers]}
  break-glass: {unrestricted: true}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.yaml").write_text(RULES)
    file = tmp_path / "maskproxy.yaml"
    file.write_text("databases:\n  shop: {dsn: 'postgresql://app@127.0.0.1:5432/shop', tls: disable}\n")
    return file


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "MASKPROXY_CONFIG": str(config)})


def ok(config: Path, *arguments: str) -> str:
    result = run(config, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def data(config: Path, *arguments: str) -> Any:
    return json.loads(ok(config, *arguments, "--json"))


def snapshot(config: Path) -> Snapshot:
    async def read() -> Snapshot:
        async with open_store(load_settings(config).store, create=False) as store:
            return await store.snapshot()

    return asyncio.run(read())


def test_commands_without_a_store_say_how_to_make_one(config: Path) -> None:
    result = run(config, "grant", "list")
    assert result.exit_code == 1
    assert "does not exist" in result.stderr
    assert "maskproxy principal add NAME" in result.stderr
    assert not (config.parent / "store.db").exists()


def test_settings_are_found_by_option_or_not_at_all(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.delenv("MASKPROXY_CONFIG", raising=False)
    assert CliRunner().invoke(app, ["principal", "add", "agent", "-c", str(config)]).exit_code == 0
    result = CliRunner().invoke(app, ["principal", "list"])
    assert result.exit_code == 1
    assert "no settings file" in result.stderr


def test_add_list_and_disable_a_principal(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    ok(config, "principal", "add", "nightly", "--kind", "service")
    assert stat.S_IMODE((config.parent / "store.db").stat().st_mode) == 0o600
    assert [(p["name"], p["kind"], p["disabled_at"]) for p in data(config, "principal", "list")] == [
        ("agent", "agent", None),
        ("nightly", "service", None),
    ]
    ok(config, "principal", "disable", "agent")
    assert snapshot(config).principals["agent"].disabled
    assert "agent" in ok(config, "principal", "list")


@pytest.mark.parametrize("bad", ["", "9lives", "a b", "a'b", "x" * 64, "ann\n"])
def test_names_that_are_no_names_are_refused(config: Path, bad: str) -> None:
    result = run(config, "principal", "add", bad)
    assert result.exit_code == 1
    assert "is no name for a principal" in result.stderr


def test_a_principal_is_added_once(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    result = run(config, "principal", "add", "agent")
    assert result.exit_code == 1
    assert "exists already" in result.stderr


def test_a_token_is_alone_on_standard_output_and_fits_the_verifier(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    secret = ok(config, "token", "issue", "agent", "--label", "ci").strip()
    assert re.fullmatch(r"mp_[A-Za-z0-9_-]{43}", secret)
    entry = snapshot(config).principals["agent"]
    assert entry.verifier.keys == (derive_keys(secret, entry.verifier.salt, entry.verifier.iterations),)
    listed = data(config, "token", "list")
    assert [(t["label"], t["state"]) for t in listed] == [("ci", "active")]
    assert secret not in json.dumps(listed)
    assert secret.encode() not in b"".join(p.read_bytes() for p in config.parent.glob("store.db*"))


def test_tokens_of_one_principal_share_its_salt_and_are_revoked_one_by_one(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    first, second = (data(config, "token", "issue", "agent") for _ in range(2))
    ok(config, "token", "revoke", first["id"])
    entry = snapshot(config).principals["agent"]
    assert [t.id for t in entry.tokens] == [second["id"]]
    assert entry.verifier.keys == (derive_keys(second["token"], entry.verifier.salt, entry.verifier.iterations),)
    assert [t["state"] for t in data(config, "token", "list", "agent")] == ["revoked", "active"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("token", "issue", "nobody"), 'principal "nobody" does not exist'),
        (("token", "revoke", "t-0"), 'token "t-0" does not exist'),
        (("grant", "revoke", "g-0"), 'grant "g-0" does not exist'),
        (("grant", "create", "nobody", "shop", "--scope", "support", "--for", "8h"), '"nobody" does not exist'),
        (("grant", "create", "agent", "shop", "--scope", "suport", "--for", "8h"), 'no scope "suport"'),
        (("grant", "create", "agent", "shp", "--scope", "support", "--for", "8h"), 'no database "shp"'),
        (("grant", "create", "agent", "shop", "--scope", "support", "--until", "2020-01-01"), "end in the future"),
        (("dsn", "nobody", "shop"), 'principal "nobody" does not exist'),
        (("dsn", "agent", "shp"), 'no database "shp"'),
    ],
)
def test_refusals_name_what_is_wrong(config: Path, arguments: tuple[str, ...], text: str) -> None:
    ok(config, "principal", "add", "agent")
    result = run(config, *arguments)
    assert result.exit_code == 1
    assert text in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--for", "8h", "--until", "2099-01-01"),
        ("--for", "8"),
        ("--for", "0h"),
        ("--until", "tomorrow"),
    ],
)
def test_a_grant_needs_exactly_one_understandable_end(config: Path, arguments: tuple[str, ...]) -> None:
    ok(config, "principal", "add", "agent")
    assert run(config, "grant", "create", "agent", "shop", "--scope", "support", *arguments).exit_code == 2
    assert snapshot(config).grants == ()


def test_a_grant_holds_what_it_was_given(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    before = datetime.now(UTC)
    made = data(
        config, "grant", "create", "agent", "shop", "--scope", "support", "--scope", "break-glass",
        "--for", "1h30m", "--purpose", "on call", "--ticket", "OPS-1", "--approved-by", "ann",
    )  # fmt: skip
    (held,) = snapshot(config).grants
    assert held.scopes == ("support", "break-glass")
    assert held.until - held.starts_at == timedelta(minutes=90)
    assert before <= held.starts_at <= datetime.now(UTC)
    assert (held.purpose, held.ticket, held.approved_by) == ("on call", "OPS-1", "ann")
    assert (made["id"], made["state"]) == (held.id, "active")


def test_times_are_utc_unless_they_say_otherwise(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    grant_of = ("grant", "create", "agent", "shop", "--scope", "support")
    data(config, *grant_of, "--from", "2098-01-01T00:00", "--until", "2099-01-01T00:00+02:00")
    (held,) = snapshot(config).grants
    assert held.starts_at == datetime(2098, 1, 1, tzinfo=UTC)
    assert held.until == datetime(2098, 12, 31, 22, tzinfo=UTC)
    assert data(config, "grant", "list")[0]["state"] == "not begun"


def test_revoked_grants_leave_the_list_and_stay_in_the_books(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    made = data(config, "grant", "create", "agent", "shop", "--scope", "support", "--for", "8h")
    ok(config, "grant", "revoke", made["id"])
    assert data(config, "grant", "list") == []
    assert [g["state"] for g in data(config, "grant", "list", "--all")] == ["revoked"]
    assert not snapshot(config).grants[0].active(datetime.now(UTC))
    assert "revoked" in ok(config, "grant", "list", "--all")


def test_scopes_are_not_checked_when_the_rules_cannot_be_read(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    (config.parent / "rules" / "shop.yaml").write_text("version: 2\n")
    result = run(config, "grant", "create", "agent", "shop", "--scope", "anything", "--for", "8h")
    assert result.exit_code == 0
    assert "were not checked" in result.stderr


def test_dsn_is_complete_and_each_call_issues_a_token(config: Path) -> None:
    ok(config, "principal", "add", "ann@corp")
    ok(config, "grant", "create", "ann@corp", "shop", "--scope", "support", "--for", "8h")
    first, second = (ok(config, "dsn", "ann@corp", "shop").strip() for _ in range(2))
    assert first != second
    parts = urlsplit(first)
    assert (parts.scheme, parts.hostname, parts.port, parts.path) == ("postgresql", "127.0.0.1", 6543, "/shop")
    assert unquote(parts.username or "") == "ann@corp"
    entry = snapshot(config).principals["ann@corp"]
    assert len(entry.tokens) == 2
    keys = derive_keys(parts.password or "", entry.verifier.salt, entry.verifier.iterations)
    assert keys == entry.verifier.keys[0]
    lasts = entry.tokens[0].expires_at - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < lasts <= timedelta(days=30)


def test_dsn_takes_a_token_from_a_file_and_issues_none(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    file = config.parent / "token"
    file.write_text("mp_abc\n")
    result = run(config, "dsn", "agent", "shop", "--token-file", str(file), "--scope", "support", "--host", "db.corp")
    assert result.stdout == "postgresql://agent:mp_abc@db.corp:6543/shop?options=-c%20maskproxy.scope%3Dsupport\n"
    assert "no grant is active" in result.stderr
    assert data(config, "token", "list") == []


def test_dsn_asks_for_tls_when_the_proxy_has_it(config: Path) -> None:
    config.write_text(
        config.read_text() + "tls: {certificate: a.crt, key: a.key}\nlisten: {postgres: '0.0.0.0:7000'}\n"
    )
    ok(config, "principal", "add", "agent")
    assert re.search(r"@127\.0\.0\.1:7000/shop\?sslmode=require$", ok(config, "dsn", "agent", "shop").strip())


def test_a_store_of_a_newer_version_is_left_alone(config: Path) -> None:
    ok(config, "principal", "add", "agent")
    with sqlite3.connect(config.parent / "store.db") as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    result = run(config, "principal", "list")
    assert result.exit_code == 1
    assert "another version of maskproxy" in result.stderr


def test_a_file_that_is_no_store_is_named(config: Path) -> None:
    (config.parent / "store.db").write_text("certainly not a database, but long enough to be looked at" * 50)
    result = run(config, "principal", "list")
    assert result.exit_code == 1
    assert f'the control store "{config.parent / "store.db"}" cannot be used' in result.stderr
    assert os.path.getsize(config.parent / "store.db") > 1000
