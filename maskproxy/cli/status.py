"""``maskproxy status``: which processes run, what they hold, and whether statements can be recorded."""

import asyncio
from typing import Any

import typer
from rich.table import Table

from maskproxy.cli.common import ConfigOption, JsonOption, console, load, print_json, stop
from maskproxy.cli.running import running_pid
from maskproxy.core.settings import Settings
from maskproxy.proxy.control import ask, control_path


def status(config: ConfigOption, json: JsonOption = False) -> None:
    """Ask every worker for its state. Exit 1 when the proxy does not run or a part of it is missing."""
    settings = load(config)
    pid = running_pid(settings.run)
    if pid is None:
        if json:
            print_json({"running": False, "workers": []})
            raise typer.Exit(1)
        stop("maskproxy is not running", hint=f"maskproxy serve -c {settings.file}")
    answers = asyncio.run(_ask_all(settings))
    healthy = all(answer is not None and answer["recorder"] for answer in answers)
    if json:
        print_json({"running": True, "pid": pid, "healthy": healthy, "workers": answers})
    else:
        _show(settings, pid, answers)
    if not healthy:
        raise typer.Exit(1)


async def _ask_all(settings: Settings) -> list[dict[str, Any] | None]:
    numbers = range(settings.workers)
    return list(await asyncio.gather(*(ask(control_path(settings.run, n), {"op": "status"}) for n in numbers)))


def _show(settings: Settings, pid: int, answers: list[dict[str, Any] | None]) -> None:
    table = Table(title=f"maskproxy on {settings.listen.postgres}, supervisor {pid}")
    headings = ("worker", "pid", "up", "sessions", "grants", "recorder", "databases", "connections to them")
    for heading in headings:
        table.add_column(heading)
    for number, answer in enumerate(answers):
        if answer is None:
            table.add_row(str(number), "-", "[red]no answer[/red]", *"-" * (len(headings) - 3))
            continue
        databases = ", ".join(
            name if state["available"] else f"[red]{name} not available[/red]"
            for name, state in answer["databases"].items()
        )
        recorder = "connected" if answer["recorder"] else "[red]gone: statements are refused[/red]"
        up = f"{answer['uptime_seconds']:.0f} s"
        pools = "\n".join(f"{name}: {_pool(state['pool'])}" for name, state in answer["databases"].items())
        cells = (number, answer["pid"], up, answer["sessions"], answer["grants"], recorder, databases, pools)
        table.add_row(*map(str, cells))
    console.print(table)


def _pool(pool: dict[str, Any]) -> str:
    waiting = f", [red]{pool['waiting']} waiting[/red]" if pool["waiting"] else ""
    found = f"{pool['hits']} of {pool['hits'] + pool['opened']} {pool['mode']}s found one"
    return f"{pool['in_use']} of {pool['size']} in use, {pool['idle']} warm{waiting}; {found}"
