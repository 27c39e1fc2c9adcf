"""Commands are found, listed and run, and one that runs loads no other's modules."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maskproxy import __version__
from maskproxy.cli.main import COMMANDS, app, load_command


def maskproxy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", "maskproxy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def imported(result: subprocess.CompletedProcess[str]) -> set[str]:
    lines = (line for line in result.stderr.splitlines() if line.startswith("import time:"))
    return {line.rsplit("|", 1)[1].strip() for line in lines}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_it_says_of_itself(name: str) -> None:
    assert load_command(name).help.split("\n\n")[0].replace("\n", " ") == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_listed_and_has_help(name: str) -> None:
    runner = CliRunner()
    assert f" {name} " in runner.invoke(app, ["--help"]).output
    result = runner.invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"maskproxy {name}" in result.output
    assert COMMANDS[name][1].split(".")[0][:60] in result.output


def test_exit_codes() -> None:
    runner = CliRunner()
    for wrong in ([], ["stauts"], ["status", "--nothing"], ["grant"], ["grant", "nothing"], ["dsn"]):
        assert runner.invoke(app, wrong).exit_code == 2, wrong
    assert "Did you mean 'status'" in runner.invoke(app, ["stauts"]).output
    version = runner.invoke(app, ["--version"])
    assert (version.exit_code, version.output) == (0, f"maskproxy {__version__}\n")


HEAVY = {"sqlglot", "postgast", "sqlalchemy", "asyncpg", "alembic", "pydantic"}


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["status"], {"pydantic"}),
        (["dsn", "agent", "shop"], {"pydantic", "sqlalchemy"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_not_needed_is_not_imported(arguments: list[str], needed: set[str], tmp_path: Path) -> None:
    config = ["-c", str(tmp_path / "none.yaml")] if needed else []
    result = maskproxy(*arguments, *config)
    assert result.returncode == (1 if needed else 0)
    assert imported(result) & HEAVY == needed
