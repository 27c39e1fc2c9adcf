"""The command line: one place that names every command. Each lives in a file of its own.

A command's module is imported when the command runs, and no other: some need SQL parsers, a store and a server, and
``status`` in a shell prompt must not wait for them. So what ``--help`` says of each stands here (a test compares).
"""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from maskproxy import __version__

COMMANDS = {
    "demo": ("demo", "An embedded PostgreSQL with sample data, the proxy before it, and a tour raw beside masked."),
    "serve": ("serve", "Run everything: recorder and workers, until SIGTERM or Ctrl-C. SIGHUP reloads the rules."),
    "status": (
        "status",
        "Ask every worker for its state. Exit 1 when the proxy does not run or a part of it is missing.",
    ),
    "reload": (
        "serve",
        "Put edited rules in force in the running proxy. A bad file changes nothing and is reported.",
    ),
    "drain": ("serve", "Accept no new sessions, let the present ones finish what they do, then stop."),
    "init": ("init", "Write maskproxy.yaml, keys and proposed rules for one database."),
    "check": (
        "check",
        "Check settings, keys, rules and the databases' catalogs. Exit 1 when the proxy would not run as written, or a "
        "column is not in the lock.",
    ),
    "explain": (
        "explain",
        "Show the decision on a statement: the lineage, mask and rule of each output column, what becomes of each use"
        " of a column, and the SQL that would be sent; or what is refused, where, by which rule, and what would be"
        " allowed.",
    ),
    "test": (
        "testing",
        "Try the rules on two generated databases with the tables of yours, which differ in protected values only.",
    ),
    "dsn": ("dsn", "Print a DSN for an agent, with a token issued for it (good for 30 days, see --expires)."),
    "principal": ("principal", "Agents, services and people that may connect."),
    "token": ("token", "Tokens with which principals log in."),
    "grant": ("grant", "Time-bounded rights: who holds which scope of which database."),
}
"""By name: the module in this package, and the first paragraph of its help."""


def load_command(name: str) -> Any:
    """The command or group of commands itself. A module of a group has an ``app``, others a function of that name."""
    module = import_module(f"maskproxy.cli.{COMMANDS[name][0]}")
    if group := getattr(module, "app", None):
        return typer.main.get_command(group)
    single = typer.Typer(add_completion=False)
    single.command(name)(getattr(module, name))
    return typer.main.get_command(single)


class _OnDemand(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load_command(str(command.name)), rest


app = typer.Typer(
    name="maskproxy",
    cls=_OnDemand,
    help="A database proxy that lets AI agents query real data without seeing the sensitive values.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold secrets and rows
)


def _stands_for_the_command() -> None:
    """What ``--help`` lists; never called, for ``resolve_command`` puts the command itself in its place."""


for _name, (_, _help) in COMMANDS.items():
    app.command(_name, help=_help)(_stands_for_the_command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"maskproxy {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A database proxy that lets AI agents query real data without seeing the sensitive values."""
