"""Programs from Debian packages, unpacked into ``.cache/`` without installing them and without being root.

The packages come through apt with the machine's own sources. When its package lists are missing or stale, a private
apt state next to the packages is updated instead. Needs the standard library only: the Makefile runs it before there
is a virtual environment (``python3 tests/support/debian.py PACKAGE`` prints the directory it was unpacked to).
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TRIPLET = f"{os.uname().machine}-linux-gnu"
APT_SECONDS = 300


class Unavailable(Exception):
    """The package cannot be had here: no apt, no network, or no such package."""


def cache_directory() -> Path:
    """The repository's ``.cache``: kept between runs, ignored by git."""
    return Path(__file__).resolve().parents[2] / ".cache" / "debian"


def unpack(package: str) -> Path:
    """Unpack ``package`` with those of its dependencies the machine lacks; the root of the tree. Raises Unavailable."""
    root = cache_directory() / package
    if not root.is_dir():
        with _locked(root.with_suffix(".lock")):
            if not root.is_dir():
                _download_and_unpack(package, root)
    return root


def debian_binary(package: str, path: str) -> Path:
    """The program at ``/path``, the machine's own if there is one, else from ``package``. Raises Unavailable."""
    installed = Path("/", path)
    if installed.exists():
        return installed
    root = unpack(package)
    launcher = root / f"run-{Path(path).name}"
    libraries = library_path(root)
    launcher.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{root / path}" "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    return launcher


def library_path(root: Path) -> str:
    """Where the dynamic linker finds the libraries of an unpacked tree."""
    return ":".join(str(root / part / TRIPLET) for part in ("usr/lib", "lib"))


def _download_and_unpack(package: str, root: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Unavailable(f"{package}: this machine has no apt")
    with tempfile.TemporaryDirectory(dir=root.parent) as scratch:
        debs = Path(scratch, "debs")
        debs.mkdir()
        tree = Path(scratch, "tree")
        try:
            _download(package, debs, ())
        except (subprocess.SubprocessError, Unavailable):
            state = _private_state(root.parent / "apt")
            try:
                _apt("update", options=state)
                _download(package, debs, state)
            except subprocess.SubprocessError as error:
                raise Unavailable(f"{package}: apt cannot download it") from error
        for deb in sorted(debs.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(deb), str(tree)], check=True)
        tree.rename(root)


def _download(package: str, into: Path, options: Sequence[str]) -> None:
    plan = _apt("install", "--simulate", "--no-install-recommends", package, options=options)
    names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    _apt("download", *(names or [package]), options=options, cwd=into)
    if not any(into.glob("*.deb")):
        raise Unavailable(f"{package}: apt downloaded nothing")


def _private_state(directory: Path) -> tuple[str, ...]:
    for part in ("lists/partial", "archives/partial"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    return (
        f"Dir::State::Lists={directory}/lists",
        f"Dir::Cache={directory}",
        f"Dir::Cache::Archives={directory}/archives",
        "Debug::NoLocking=1",
    )


def _apt(*arguments: str, options: Sequence[str], cwd: Path | None = None) -> str:
    # Without the sandbox user: it cannot write into a directory of ours, and it would need root to change to it.
    settings = [part for option in (*options, "APT::Sandbox::User=root") for part in ("-o", option)]
    command = ["apt-get", "-q", *settings, *arguments]
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, check=True, cwd=cwd, env=environment, capture_output=True, text=True, timeout=APT_SECONDS
    )
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        print(unpack(sys.argv[1]))
    except Unavailable as problem:
        sys.exit(str(problem))
