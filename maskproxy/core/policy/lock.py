"""The file that says which columns were reviewed (``drift``): one a line, ``schema.table.column type``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from maskproxy.base.errors import ConfigurationError, Problem
from maskproxy.base.refs import ColumnRef, Location

_PLAIN: Final = re.compile(r"[^\".*\s#]+")
_NAME: Final = r'(?:"(?:[^"]|"")+"|[^".*\s#]+)'
_LINE: Final = re.compile(rf"({_NAME})\.({_NAME})\.({_NAME}) (\S.*)")


@dataclass(frozen=True, slots=True)
class Lock:
    """Types by column, as reviewed, and the file that says so."""

    columns: Mapping[ColumnRef, str]
    file: str


def parse_lock(text: str, file: str) -> Lock:
    """Raises ConfigurationError with the lines that are none of a lock."""
    columns: dict[ColumnRef, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            problems.append(Problem(Location(file, number), "this is not a line of a lock: schema.table.column type"))
            continue
        ref = ColumnRef(*(_read(name) for name in match.groups()[:3]))
        if ref in columns:
            problems.append(Problem(Location(file, number), f"{ref} stands in this lock already"))
        columns[ref] = match[4]
    if problems:
        raise ConfigurationError(problems)
    return Lock(columns, file)


def written_name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _read(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
