"""``maskproxy principal``: who may connect."""

from typing import Annotated

import typer

from maskproxy.cli.administration import print_table, with_store
from maskproxy.cli.common import ConfigOption, JsonOption, console, load, print_json
from maskproxy.cli.durations import show_time
from maskproxy.store.snapshot import PrincipalKind

app = typer.Typer(help="Agents, services and people that may connect.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The principal's name: the user in its DSN.")]


@app.command()
def add(
    name: NameArgument,
    config: ConfigOption,
    kind: Annotated[PrincipalKind, typer.Option(help="What it is.")] = PrincipalKind.AGENT,
    json: JsonOption = False,
) -> None:
    """Add a principal. Alone it opens nothing: it needs a token and a grant. Makes the store when there is none."""
    settings = load(config)
    principal = with_store(settings, lambda store: store.add_principal(name, kind), create=True)
    if json:
        print_json(principal)
    else:
        console.print(f"added {kind} {name}", markup=False)
        console.print(f"next: maskproxy grant create {name} DATABASE --scope SCOPE --for 8h", markup=False)


@app.command("list")
def list_(config: ConfigOption, json: JsonOption = False) -> None:
    """All principals, disabled ones included."""
    principals = with_store(load(config), lambda store: store.principals())
    if json:
        print_json(principals)
        return
    rows = [
        (p.name, p.kind, show_time(p.created_at), None if p.disabled_at is None else show_time(p.disabled_at))
        for p in principals
    ]
    print_table(("name", "kind", "created", "disabled"), rows, empty="no principals")


@app.command()
def disable(name: NameArgument, config: ConfigOption, json: JsonOption = False) -> None:
    """End a principal's sessions within a second and let it in no more. There is no way back: add another one."""
    with_store(load(config), lambda store: store.disable_principal(name))
    if json:
        print_json({"name": name, "disabled": True})
    else:
        console.print(f"disabled {name}", markup=False)
