"""The README names everything that a user can write, call or be told, and what it shows is valid."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.core import TyperGroup

from maskproxy.base.errors import MaskproxyError
from maskproxy.cli.main import COMMANDS, load_command
from maskproxy.core.masks.table import MASKS
from maskproxy.core.policy.document import LimitsModel, RulesDocument, RulesModel, ScopeModel, TrustModel
from maskproxy.core.settings import _SettingsModel, parse_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = set(re.findall(r"`([^`\n]+)`", README))
LOADED = {name: load_command(name) for name in COMMANDS}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of all leaves; the keys of ``databases`` are the user's, written NAME."""
    for name, field in model.model_fields.items():
        inner = _models(field.annotation)
        if not inner:
            yield prefix + name
        for each in inner:
            yield from _settings(each, f"{prefix}{name}." + ("NAME." if name == "databases" else ""))


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def _commands(commands: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, command in commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command.commands, f"{path} {name}")
        else:
            yield f"{path} {name}"


def _subclasses(kind: type[MaskproxyError]) -> Iterator[type[MaskproxyError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


def _shell_commands() -> Iterator[list[str]]:
    """Arguments of each ``maskproxy`` in a shell example, also inside ``$(...)``."""
    for line in "".join(_blocks("sh")).splitlines():
        for inner in re.findall(r"\$\((maskproxy[^)]*)\)", line):
            yield shlex.split(inner)[1:]
        if line.startswith("maskproxy"):
            yield shlex.split(line)[1:]


@pytest.mark.parametrize("setting", sorted(_settings(_SettingsModel)))
def test_every_setting_is_documented(setting: str) -> None:
    assert setting in CODE


@pytest.mark.parametrize(
    "key", sorted({name for model in (RulesModel, ScopeModel, LimitsModel, TrustModel) for name in model.model_fields})
)
def test_every_key_of_the_rules_is_documented(key: str) -> None:
    assert key in CODE


@pytest.mark.parametrize("name", MASKS)
def test_every_mask_is_documented_with_its_parameters_and_what_it_leaks(name: str) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` "))
    assert row.endswith(f"| {MASKS[name].leaks} |")
    assert set(MASKS[name].model_fields) - {"mask"} <= set(re.findall(r"`(\w+)`", row))


@pytest.mark.parametrize("command", sorted(_commands(LOADED, "maskproxy")))
def test_every_command_is_documented(command: str) -> None:
    assert command in CODE


@pytest.mark.parametrize("sqlstate", sorted({error.sqlstate for error in _subclasses(MaskproxyError)}))
def test_every_sqlstate_is_documented(sqlstate: str) -> None:
    assert re.search(rf"^\|[^|]*\b{sqlstate}\b", README, re.MULTILINE)


@pytest.mark.parametrize("arguments", list(_shell_commands()), ids=shlex.join)
def test_every_command_in_an_example_is_understood(arguments: list[str]) -> None:
    name, *arguments = arguments
    command = LOADED[name]
    while isinstance(command, TyperGroup):
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(name, arguments)  # raises for what the command does not take, or lacks


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make (\w+)|`make (\w+)`", README, re.MULTILINE))))
def test_every_make_target_exists(target: tuple[str, str]) -> None:
    assert re.search(rf"^{''.join(target)}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_examples_of_rules_and_settings_are_valid() -> None:
    rules, settings = _blocks("yaml")
    assert RulesDocument.parse(rules, "README.md").database == "shop"
    assert list(parse_settings(settings, "README.md", ROOT, processors=1).databases) == ["shop"]
