"""``maskproxy token``: credentials of principals. A secret is printed once; the store can't give it back."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from maskproxy.cli.administration import print_table, with_store
from maskproxy.cli.common import ConfigOption, JsonOption, console, errors, load, print_json
from maskproxy.cli.durations import DEFAULT_EXPIRES, ExpiresOption, show_time
from maskproxy.store.rows import Token

app = typer.Typer(help="Tokens with which principals log in.", no_args_is_help=True)


@app.command()
def issue(
    principal: Annotated[str, typer.Argument(help="Whose token it is.")],
    config: ConfigOption,
    expires: ExpiresOption = DEFAULT_EXPIRES,
    label: Annotated[str, typer.Option(help="What it is for, to know it again in lists.")] = "",
    json: JsonOption = False,
) -> None:
    """Issue a token and print it, once. Earlier tokens stay good until they expire or are revoked."""
    until = datetime.now(UTC) + expires
    token = with_store(load(config), lambda store: store.issue_token(principal, until, label))
    if json:
        print_json({"id": token.id, "token": token.secret.reveal(), "expires_at": token.expires_at})
        return
    errors.print(f"token {token.id}, good until {show_time(token.expires_at)}; it is not shown again", markup=False)
    typer.echo(token.secret.reveal())


@app.command("list")
def list_(
    config: ConfigOption,
    principal: Annotated[str | None, typer.Argument(help="Only its tokens.")] = None,
    json: JsonOption = False,
) -> None:
    """Tokens and what became of them. Never a secret."""
    tokens = with_store(load(config), lambda store: store.tokens(principal))
    now = datetime.now(UTC)
    if json:
        print_json([_as_data(token, now) for token in tokens])
        return
    rows = [
        (t.id, t.principal, t.label, _state(t, now), show_time(t.created_at), show_time(t.expires_at)) for t in tokens
    ]
    print_table(("id", "principal", "label", "state", "created", "expires"), rows, empty="no tokens")


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")],
    config: ConfigOption,
    json: JsonOption = False,
) -> None:
    """Let nobody in with this token any more. Sessions that began with it live on: revoke the grant to end them."""
    with_store(load(config), lambda store: store.revoke_token(id))
    if json:
        print_json({"id": id, "revoked": True})
    else:
        console.print(f"revoked {id}", markup=False)


def _state(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "active" if now < token.expires_at else "expired"


def _as_data(token: Token, now: datetime) -> dict[str, object]:
    return {
        "id": token.id,
        "principal": token.principal,
        "label": token.label,
        "state": _state(token, now),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }
