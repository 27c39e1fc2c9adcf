"""The command line: one place that names every command. Each lives in a file of its own."""

from typing import Annotated

import typer

from maskproxy import __version__
from maskproxy.cli import grant, principal, token
from maskproxy.cli.check import check
from maskproxy.cli.demo import demo
from maskproxy.cli.dsn import dsn
from maskproxy.cli.explain import explain
from maskproxy.cli.init import init
from maskproxy.cli.serve import drain, reload, serve
from maskproxy.cli.status import status

app = typer.Typer(
    name="maskproxy",
    help="A database proxy that lets AI agents query real data without seeing the sensitive values.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold secrets and rows
)

for command in (demo, serve, status, reload, drain, init, check, explain, dsn):
    app.command()(command)
app.add_typer(principal.app, name="principal")
app.add_typer(token.app, name="token")
app.add_typer(grant.app, name="grant")


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
