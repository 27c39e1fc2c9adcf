"""Attacks: the corpus beside the repository where there is one, and the list of our own, which always runs.

An entry of ours is a statement, or a list of statements for one session, below a category and what is expected:
``mask`` (served masked), ``deny`` (refused), ``sanitise`` (may run or fail; no message carries a value). Those of
category ``write`` run under a scope that may write; behind the first line of a COPY stands what is copied. Whatever is
expected, the twins must answer alike: that is the test, and the rest is how useful the answer was.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
CORPUS = HERE.parents[2] / "shared" / "corpus" / "attacks.yaml"
OURS = HERE / "attacks.yaml"
MOVES = "protocol-postgres"
WRITE = "write"  # ours, under a scope that may write
_WRITES = re.compile(r"\b(insert|update|delete|merge|truncate|copy .* from)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """``setup`` runs as the owner and not through the proxy. An attack of category MOVES is not SQL (``moves``)."""

    id: str
    category: str
    expected: str
    statements: tuple[str, ...]
    setup: tuple[str, ...] = ()
    leak: re.Pattern[str] | None = None

    @property
    def writes(self) -> bool:
        return self.category != MOVES and any(map(_WRITES.search, self.statements))

    def told(self, transcript: str) -> str | None:
        """What the attack was after, if it is in the transcript and the client did not say it itself."""
        found = self.leak.search(transcript) if self.leak else None
        return None if found is None or self.says(found[0]) else found[0]

    def says(self, value: str) -> bool:
        return any(value in statement for statement in self.statements)


def corpus() -> list[Attack]:
    """The PostgreSQL entries of the corpus; none where it is not."""
    if not CORPUS.exists():
        return []
    return [_from_corpus(entry) for entry in _read(CORPUS) if entry["engine"] == "postgres"]


def ours() -> list[Attack]:
    return list(_ours(_read(OURS)))


def on_filters() -> list[Attack]:
    """What is tried on rows behind row filters."""
    return list(_ours(_read(HERE / "filters.yaml")))


def _read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _from_corpus(entry: dict[str, Any]) -> Attack:
    pattern = entry.get("leak_regex")
    return Attack(
        id=entry["id"],
        category=entry["category"],
        expected=entry["expected"],
        statements=(*entry["sql"], *entry.get("oracle_alternative", ())),
        setup=tuple(entry["setup"]),
        leak=re.compile(pattern) if pattern else None,
    )


def _ours(document: dict[str, dict[str, Sequence[str | list[str]]]]) -> Iterator[Attack]:
    for category, by_expected in document.items():
        number = 0
        for expected, entries in by_expected.items():
            for entry in entries:
                number += 1
                statements = (entry,) if isinstance(entry, str) else tuple(entry)
                yield Attack(id=f"{category}-{number}", category=category, expected=expected, statements=statements)
