"""What every command shares: the option for the settings, how errors end a command, how data is printed.

Data goes to standard output, errors to standard error. Exit codes: 0 fine, 1 a problem was found, 2 wrong usage.
"""

from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from rich.console import Console

from maskproxy.base.errors import ConfigurationError, MaskproxyError
from maskproxy.core.settings import Settings
from maskproxy.store.configuration import load_settings

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

DEFAULT_CONFIG = Path("maskproxy.yaml")

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        envvar="MASKPROXY_CONFIG",
        default_factory=lambda: DEFAULT_CONFIG,
        show_default=str(DEFAULT_CONFIG),
        help="The settings file.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def load(config: Path) -> Settings:
    """The settings, or the end of the command with what is wrong in them."""
    if not config.exists():
        hint = "name it with -c FILE or MASKPROXY_CONFIG, or make one: maskproxy init"
        stop(f"there is no settings file {config}", hint=hint)
    try:
        return load_settings(config)
    except ConfigurationError as error:
        fail(error)


def fail(error: MaskproxyError) -> NoReturn:
    """Prints the error and what to do about it, and ends the command with exit code 1."""
    if isinstance(error, ConfigurationError):
        for problem in error.problems:
            print_error(str(problem))
        raise typer.Exit(1)
    print_error(error.message)
    if error.detail:
        print_error(error.detail, word="detail")
    if error.hint:
        print_error(error.hint, word="hint")
    raise typer.Exit(1)


def stop(message: str, *, hint: str | None = None) -> NoReturn:
    """As ``fail``, for what is no error of ours: a process that does not run, a name that is taken."""
    print_error(message)
    if hint:
        print_error(hint, word="try")
    raise typer.Exit(1)


def print_error(text: str, *, word: str = "error") -> None:
    errors.print(f"{word}: {text}", style="red" if word == "error" else None, markup=False, soft_wrap=True)


def print_json(data: object) -> None:
    """One JSON document. Written as bytes: a terminal's width and colours are nothing to a program."""
    typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2))
