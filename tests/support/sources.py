"""Source distributions, fetched by pip, pinned with hashes, unpacked in ``.cache``: wheels carry no tests.

pip builds the metadata of each source distribution it downloads, for which it needs build tools. They go into a
directory of their own (``lib``), so that our environment has only what we need ourselves.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.debian import unpack

CACHE = Path(__file__).parents[2] / ".cache"
PIP_SECONDS = 300


def fetch(name: str, tools: Path, sources: Path, environment: Mapping[str, str] | None = None) -> Path:
    """The directory with ``lib`` and the unpacked distributions; downloads what is not there yet.

    ``tools`` and ``sources`` are pip's files of requirements. Raises CalledProcessError with pip's words.
    """
    pins = tools.read_bytes() + sources.read_bytes()
    cache = CACHE / name
    root = cache / hashlib.sha256(pins).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            scratch = cache / "incomplete"
            shutil.rmtree(scratch, ignore_errors=True)
            _download(scratch, tools, sources, environment or {})
            scratch.rename(root)
    return root


def _download(into: Path, tools: Path, sources: Path, environment: Mapping[str, str]) -> None:
    lib = into / "lib"
    pinned = ["--disable-pip-version-check", "--no-deps", "--require-hashes"]
    _pip("install", *pinned, "--only-binary", ":all:", "--target", lib, "-r", tools)
    _pip(
        *("download", *pinned, "--no-binary", ":all:", "--no-build-isolation", "-d", into, "-r", sources),
        environment={"PYTHONPATH": str(lib), **environment},
    )
    for archive in into.glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2 has none
            tar.extractall(into)


def _pip(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> None:
    subprocess.run(
        [sys.executable, *_pip_program(), "-q", *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        check=True,
        timeout=PIP_SECONDS,
    )


def _pip_program() -> list[str]:
    """An environment made without pip (Debian without python3-venv) borrows the one in Debian's package of wheels."""
    if importlib.util.find_spec("pip") is not None:
        return ["-m", "pip"]
    wheels = unpack("python3-pip-whl") / "usr/share/python-wheels"
    return [str(next(wheels.glob("pip-*.whl")) / "pip")]
