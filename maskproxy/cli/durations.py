"""Lengths of time and points in time as people type them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(?:[0-9]{1,6}[smhdw])+")
_PART = re.compile(r"([0-9]+)([smhdw])")


def parse_duration(text: str | timedelta) -> timedelta:
    """``30m``, ``8h``, ``7d``, ``1h30m``. Raises typer.BadParameter."""
    if isinstance(text, timedelta):  # typer also parses defaults
        return text
    if not _DURATION.fullmatch(text):
        raise typer.BadParameter("write it like 30m, 8h, 7d or 1h30m")
    duration = sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in _PART.findall(text)), timedelta())
    if not duration:
        raise typer.BadParameter("must be longer than nothing")
    return duration


def parse_time(text: str | datetime) -> datetime:
    """ISO 8601; without a zone it is UTC. Raises typer.BadParameter."""
    if isinstance(text, datetime):
        return text
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write it like 2026-01-31T18:00 (UTC) or 2026-01-31T18:00+02:00") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def show_time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


ExpiresOption = Annotated[
    timedelta,
    typer.Option(
        "--expires", parser=parse_duration, metavar="DURATION", help="How long the token is good: 30m, 8h, 7d."
    ),
]
DEFAULT_EXPIRES = timedelta(days=30)
