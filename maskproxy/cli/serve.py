"""``maskproxy serve``, ``reload`` and ``drain``: the life of the processes."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from maskproxy.base import limits
from maskproxy.base.errors import ConfigurationError
from maskproxy.cli.common import ConfigOption, console, fail, load, stop
from maskproxy.cli.logs import configure_logs
from maskproxy.cli.running import running_pid
from maskproxy.cli.supervisor import AlreadyRunning, Supervisor
from maskproxy.proxy.policies import load_written


def serve(config: ConfigOption) -> None:
    """Run everything: recorder and workers, until SIGTERM or Ctrl-C. SIGHUP reloads the rules."""
    configure_logs("supervisor")
    settings = load(config)
    try:
        asyncio.run(Supervisor(settings).run())
    except AlreadyRunning:
        stop(f"maskproxy is already running here ({settings.run})", hint=f"maskproxy status -c {settings.file}")
    except ConfigurationError as error:
        fail(error)


def reload(config: ConfigOption) -> None:
    """Put edited rules in force in the running proxy. A bad file changes nothing and is reported."""
    settings = load(config)
    try:
        for name in settings.databases:
            load_written(settings, name)
    except ConfigurationError as error:
        fail(error)
    os.kill(_supervisor(settings.run, settings.file), signal.SIGHUP)
    console.print("asked the workers to reload; what does not fit the catalog is in their log and in `maskproxy check`")


def drain(
    config: ConfigOption,
    wait: Annotated[bool, typer.Option(help="Return when everything has ended.")] = True,
) -> None:
    """Accept no new sessions, let the present ones finish what they do, then stop."""
    settings = load(config)
    os.kill(_supervisor(settings.run, settings.file), signal.SIGTERM)
    ends = time.monotonic() + limits.DRAIN_SECONDS + 15.0
    while wait and running_pid(settings.run) is not None:
        if time.monotonic() > ends:
            stop("still draining", hint="maskproxy status tells what is left")
        time.sleep(0.1)


def _supervisor(run: Path, file: Path) -> int:
    pid = running_pid(run)
    if pid is None:
        stop("maskproxy is not running", hint=f"maskproxy serve -c {file}")
    return pid
