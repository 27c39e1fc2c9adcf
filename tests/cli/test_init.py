"""``init`` before a real server: what it writes passes ``check``, and it shows and overwrites nothing."""

import json
import sys
from pathlib import Path

import pytest
import typer
from click.testing import Result

from maskproxy.cli.init import _Files, _password
from tests.cli.shop import data, run
from tests.support.servers import APP, APP_PASSWORD, Server

ODD = """
CREATE SCHEMA "Odd.Schema";
CREATE TABLE "Odd.Schema"."t ""q"" #1: *" ("e.mail" text, "naïve: [name]" text, place point, "email" text[]);
CREATE TABLE plain (id int4, contact text);
INSERT INTO plain SELECT n, 'canary' || n || '@example.com' FROM generate_series(1, 10) AS n;
"""


def dsn(server: Server, database: str) -> str:
    return f"postgresql://{APP}@127.0.0.1:{server.port}/{database}"


def start(directory: Path, server: Server, database: str, *arguments: str, password: str | None = None) -> Result:
    environment: dict[str, str | None] = {"PGPASSWORD": password or APP_PASSWORD.reveal()}
    known = ("init", "--dsn", dsn(server, database), "--dir", str(directory))
    return run(directory / "maskproxy.yaml", *known, *arguments, environment=environment)


def test_what_it_writes_passes_check(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    result = start(tmp_path, postgres18, shop18)
    assert result.exit_code == 0, result.output
    assert "public.customers.ssn" in result.stdout
    environment: dict[str, str | None] = {"PGPASSWORD": APP_PASSWORD.reveal()}
    checked = run(tmp_path / "maskproxy.yaml", "check", environment=environment)
    assert checked.exit_code == 0, checked.output
    assert "no problems found" in checked.stdout
    written = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*.yaml"))
    assert APP_PASSWORD.reveal() not in written
    assert 'password: {"env": "PGPASSWORD"}' in written
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_odd_names_and_samples(tmp_path: Path, postgres18: Server) -> None:
    database = postgres18.create_database(ODD)
    result = start(tmp_path, postgres18, database, "--samples", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    proposals = {each["column"]: (each["label"], each["because"]) for each in found["proposals"]}
    assert proposals["public.plain.contact"] == ("pii.email", "values")
    assert proposals['Odd.Schema.t "q" #1: *.email'][0] == "pii.email"
    assert "canary" not in result.output
    assert not any("canary" in path.read_text() for path in tmp_path.rglob("*.yaml"))
    environment: dict[str, str | None] = {"PGPASSWORD": APP_PASSWORD.reveal()}
    assert run(tmp_path / "maskproxy.yaml", "check", environment=environment).exit_code == 0


def test_without_samples_no_value_is_read(tmp_path: Path, postgres18: Server) -> None:
    database = postgres18.create_database(ODD)
    found = json.loads(start(tmp_path, postgres18, database, "--json").stdout)
    assert "public.plain.contact" not in {each["column"] for each in found["proposals"]}


def test_a_table_that_may_not_be_read_is_left_to_its_names(tmp_path: Path, postgres18: Server) -> None:
    database = postgres18.create_database()
    with postgres18.admin(database) as admin:
        admin.execute("CREATE TABLE public.closed (email text)")
    result = start(tmp_path, postgres18, database, "--samples")
    assert result.exit_code == 0, result.output
    assert "public.closed could not be read" in result.stderr
    assert "public.closed.email" in result.stdout


def test_nothing_is_overwritten(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    (tmp_path / "maskproxy.yaml").write_text("mine")
    result = start(tmp_path, postgres18, shop18)
    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert (tmp_path / "maskproxy.yaml").read_text() == "mine"
    assert not (tmp_path / "rules").exists()


def test_a_password_in_the_dsn_is_refused_and_not_repeated(tmp_path: Path) -> None:
    result = run(tmp_path / "x", "init", "--dsn", "postgresql://u:hunter2@h/d", "--dir", str(tmp_path))
    assert result.exit_code == 1
    assert "PGPASSWORD" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize("given", ["shop", "postgresql://h/d", "postgresql://u@[::1/d", "mysql://u@h/d"])
def test_a_dsn_that_is_none(tmp_path: Path, given: str) -> None:
    result = run(tmp_path / "x", "init", "--dsn", given, "--dir", str(tmp_path))
    assert result.exit_code == 1
    assert "must look like" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_password_leaves_nothing_behind(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    result = start(tmp_path, postgres18, shop18, password="wrong-password")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "wrong-password" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_typed_password_is_kept_in_a_file_only_if_it_worked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: "typed")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    files = _Files(tmp_path, "shop")
    with _password("dsn", files) as source:
        assert source == {"file": "secrets/shop.password"}
    assert files.password.read_text() == "typed"
    assert files.password.stat().st_mode & 0o777 == 0o600
    with pytest.raises(RuntimeError), _password("dsn", files):
        raise RuntimeError
    assert not files.password.exists()


def test_data_of_the_command_is_json(
    tmp_path: Path, postgres18: Server, shop18: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", APP_PASSWORD.reveal())
    found = data(tmp_path / "x", "init", "--dsn", dsn(postgres18, shop18), "--dir", str(tmp_path))
    assert (found["settings"], found["warnings"]) == (str(tmp_path / "maskproxy.yaml"), [])
