"""TPC-H's 22 and TPC-DS's 99 queries as PostgreSQL takes them, out of the tests of sqlglot's source distribution.

There each query is followed by what sqlglot's optimizer makes of it, in the dialect of another engine. What PostgreSQL
reads otherwise is replaced here, in the client's words and not in ours."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.support import sources

HERE = Path(__file__).parent

REPLACED: Mapping[str, tuple[str, str]] = {
    "tpc-h 3": ("AS STRING)", "AS TEXT)"),
    # An output's name stands for itself in ORDER BY only alone, not inside of an expression.
    "tpc-ds 36": ("lochierarchy = 0", "Grouping(i_category) + Grouping(i_class) = 0"),
    "tpc-ds 70": ("lochierarchy = 0", "Grouping(s_state) + Grouping(s_county) = 0"),
    "tpc-ds 86": ("lochierarchy = 0", "Grouping(i_category) + Grouping(i_class) = 0"),
}


@cache
def queries(benchmark: str) -> Mapping[str, str]:
    """By name, such as ``tpc-h 1``, of ``tpc-h`` or ``tpc-ds``."""
    root = sources.fetch("tpc", HERE / "tools.txt", HERE / "sources.txt")
    file = next(root.glob("sqlglot-*/")) / "tests/fixtures/optimizer" / benchmark / f"{benchmark}.sql"
    lines = file.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith(("--", "#")))
    texts = [each.strip() for each in text.split(";")][0:-1:2]  # none of them holds a semicolon
    return {f"{benchmark} {number}": _adapted(f"{benchmark} {number}", each) for number, each in enumerate(texts, 1)}


def _adapted(name: str, text: str) -> str:
    if name not in REPLACED:
        return text
    old, new = REPLACED[name]
    if old not in text:
        raise ValueError(f"{name} no longer holds {old!r}")
    return text.replace(old, new)
