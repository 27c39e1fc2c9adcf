"""A settings directory before the test database, and commands run on it."""

import json
from pathlib import Path
from typing import Any

import typer
from click.testing import Result
from typer.testing import CliRunner

from maskproxy.cli.check import check
from maskproxy.cli.explain import explain
from maskproxy.cli.init import init
from maskproxy.cli.testing import test
from maskproxy.store.configuration import create_key
from tests.support.rules import ROOT
from tests.support.servers import APP, APP_PASSWORD, Server

app = typer.Typer()
for command in (check, explain, init, test):
    app.command()(command)

PASSWORD = "SHOP_TEST_PASSWORD"


def make_config(directory: Path, server: Server, database: str, rules: str | None = None) -> Path:
    """The demo's rules, or ``rules``, before ``database``."""
    (directory / "rules").mkdir()
    text = rules if rules is not None else (ROOT / "rules/demo.yaml").read_text()
    (directory / "rules/shop.yaml").write_text(text)
    for name in ("token", "audit", "identity"):
        create_key(directory / f"keys/{name}.key")
    config = directory / "maskproxy.yaml"
    config.write_text(
        "databases:\n"
        f"  shop:\n    dsn: postgresql://{APP}@127.0.0.1:{server.port}/{database}\n"
        f"    password: {{env: {PASSWORD}}}\n    tls: disable\n"
    )
    return config


def run(
    config: Path, *arguments: str, environment: dict[str, str | None] | None = None, typed: str | None = None
) -> Result:
    known: dict[str, str | None] = {"COLUMNS": "200", "MASKPROXY_CONFIG": str(config), PASSWORD: APP_PASSWORD.reveal()}
    return CliRunner().invoke(app, arguments, input=typed, env=known | (environment or {}))


def data(config: Path, *arguments: str, code: int = 0) -> Any:
    result = run(config, *arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)
