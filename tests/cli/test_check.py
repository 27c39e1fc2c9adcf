"""``check`` before a real server: what it accepts, and that every mistake is told with its file and line."""

from pathlib import Path

from tests.cli.shop import PASSWORD, data, make_config, run
from tests.support.rules import ROOT
from tests.support.servers import Server

HEAD = "version: 1\ndatabase: shop\n"


def test_the_demo_is_fine(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    config = make_config(tmp_path, postgres18, shop18)
    result = run(config, "check")
    assert result.exit_code == 0, result.output
    assert "no problems found" in result.stdout
    assert "support: 2 tables, 5 masked columns" in result.stdout
    found = data(config, "check")
    assert (found["ok"], found["problems"]) == (True, [])
    assert found["databases"]["shop"]["scopes"]["break-glass"]["unrestricted"] is True


def test_unknown_key_column_and_mask_have_their_line(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    rules = HEAD + "labels:\n  a: [public.customers.emial]\nmasks:\n  a: {mask: redact}\n"
    config = make_config(tmp_path, postgres18, shop18, rules)
    result = run(config, "check")
    assert result.exit_code == 1
    assert "error: rules/shop.yaml:4: unknown column `public.customers.emial`: did you mean `email`?" in result.stdout
    (tmp_path / "rules/shop.yaml").write_text(HEAD + "lables: {}\nmasks:\n  a: {mask: redcat}\n")
    found = data(config, "check", code=1)
    assert [(problem["file"], problem["line"], problem["severity"]) for problem in found["problems"]] == [
        ("rules/shop.yaml", 3, "error"),
        ("rules/shop.yaml", 5, "error"),
    ]


def test_a_mask_that_cannot_represent_its_result_is_a_warning(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    rules = HEAD + "labels:\n  a: [public.customers.id]\nmasks:\n  a: {mask: email}\nscopes: {s: {select: ['*.*']}}\n"
    result = run(make_config(tmp_path, postgres18, shop18, rules), "check")
    assert result.exit_code == 0, result.output
    assert "warning: rules/shop.yaml:6: mask `email` of label `a` makes public.customers.id NULL" in result.stdout


def test_problems_of_settings(tmp_path: Path) -> None:
    config = tmp_path / "maskproxy.yaml"
    config.write_text("databses: {}\n")
    result = run(config, "check")
    assert result.exit_code == 1
    assert f"error: {config}:1: unknown key `databses`: did you mean `databases`?" in result.stdout
    assert data(config, "check", code=1)["ok"] is False
    config.unlink()
    assert "no such file" in run(config, "check").stdout


def test_keys_and_passwords(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    config = make_config(tmp_path, postgres18, shop18)
    key = tmp_path / "keys/token.key"
    key.chmod(0o644)
    result = run(config, "check", environment={PASSWORD: None})
    assert result.exit_code == 1
    assert f"chmod 600 {key}" in result.stdout
    key.chmod(0o600)
    assert f"{PASSWORD} is not set" in run(config, "check", environment={PASSWORD: None}).stdout


def test_a_database_that_cannot_be_reached(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    config = make_config(tmp_path, postgres18, shop18)
    result = run(config, "check", environment={PASSWORD: "wrong-password"})
    assert result.exit_code == 1
    assert f'{config}:2: database "shop" cannot be reached' in result.stdout
    assert "wrong-password" not in result.output


def test_tls_files(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    config = make_config(tmp_path, postgres18, shop18)
    config.write_text(config.read_text() + "tls: {certificate: none.crt, key: none.key}\n")
    assert f"{tmp_path / 'none.crt'}:1: there is no such file" in run(config, "check").stdout


def test_no_rules(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    config = make_config(tmp_path, postgres18, shop18)
    (tmp_path / "rules/shop.yaml").unlink()
    result = run(config, "check")
    assert result.exit_code == 0
    assert "database `shop` has no rules" in result.stdout


def test_the_lock(tmp_path: Path, postgres18: Server) -> None:
    shop = postgres18.create_database((ROOT / "tests/catalogs/shop.sql").read_text())
    config = make_config(tmp_path, postgres18, shop)
    lock = tmp_path / "rules/shop.lock"
    assert run(config, "check").exit_code == 0
    result = run(config, "check", "--write-lock")
    assert result.exit_code == 0, result.output
    assert "+ public.customers.ssn text" in result.stdout
    assert "public.orders.created_at timestamp with time zone" in lock.read_text().splitlines()
    with postgres18.admin(shop) as admin:
        admin.execute("ALTER TABLE public.customers ADD COLUMN passport text")
    result = run(config, "check")
    assert result.exit_code == 1
    assert "error: rules/shop.lock:1: public.customers.passport is NULL under masking scopes" in result.stdout
    found = data(config, "check", "--write-lock")
    assert found["locks"]["shop"]["added"] == ["public.customers.passport text"]
    assert run(config, "check").exit_code == 0
    lock.write_text("nonsense\n")
    assert "rules/shop.lock:1: this is not a line of a lock" in run(config, "check").stdout
