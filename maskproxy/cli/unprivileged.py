"""Where a server can live that must not run as root: its account, a directory it can reach, programs it can reach.

Only what is made here changes its owner or permissions. ``nobody`` cannot reach a home directory like /root (0700);
what belongs there is kept in /var/lib/maskproxy, with a symbolic link at the place that was asked for.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskproxy.base.errors import MaskproxyError

HOMES = (Path("/var/lib/maskproxy"), Path(tempfile.gettempdir()) / "maskproxy-server")


class Unreachable(MaskproxyError):
    """No directory was found that both we and the unprivileged account can use."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a process runs as, in the words of ``subprocess``; None is ourselves."""

    uid: int | None = None
    gid: int | None = None
    groups: Sequence[int] | None = None

    def give(self, path: Path) -> None:
        """Make the account the owner of something we made for it."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Tried rather than computed from modes: access lists and namespaces count as well."""
        done = subprocess.run(
            ["test", "-r", str(path), "-a", "-x", str(path)],
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
            cwd="/",
            check=False,
        )
        return done.returncode == 0


def unprivileged_account() -> Account:
    """Ourselves, unless we are root. ``nobody`` because every system has it: initdb looks the name up."""
    if os.geteuid() != 0:
        return Account()
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Server programs. ``trees``, ``binaries`` and ``libraries`` are below ``root``; programs, libraries and data files
    find each other by relative paths, so the trees are only ever copied together."""

    name: str
    root: Path
    trees: tuple[str, ...]
    binaries: str
    libraries: tuple[str, ...] = ()

    def program(self, name: str) -> Path:
        return self.root / self.binaries / name

    def environment(self) -> dict[str, str]:
        """All that the server sees: PGDATA, PGPORT and the like of our environment are not meant for it."""
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        if self.libraries:
            environment["LD_LIBRARY_PATH"] = ":".join(str(self.root / part) for part in self.libraries)
        return environment


def reachable_directory(directory: Path, account: Account) -> Path:
    """``directory`` (made when missing), or what it links to when the account cannot reach it. Raises Unreachable."""
    if directory.is_symlink() and directory.is_dir():
        return directory.resolve()
    if not directory.is_symlink():
        directory.mkdir(parents=True, exist_ok=True)
        if account.reaches(directory):
            return directory
        if any(directory.iterdir()):
            raise Unreachable(f'the unprivileged account cannot reach "{directory}"')
        directory.rmdir()
    else:
        directory.unlink()
    # One place per directory: when the link is new, what is there is left from a directory that was deleted.
    place = _home(account) / hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o755)
    place.chmod(0o755)
    directory.symlink_to(place)
    return place


def reachable_installation(installation: Installation, account: Account) -> Installation:
    """The installation, or a copy of it (made once) where the account can reach it. Raises Unreachable."""
    if all(account.reaches(installation.root / tree) for tree in installation.trees):
        return installation
    home = _home(account)
    copy = home / installation.name
    if not copy.is_dir():
        fresh = Path(tempfile.mkdtemp(dir=home, prefix=f"{installation.name}-"))
        for tree in installation.trees:
            ignored = shutil.ignore_patterns("include", "pgxs", "*.a")
            shutil.copytree(installation.root / tree, fresh / tree, symlinks=True, ignore=ignored)
        _open_to_all(fresh)
        try:
            fresh.rename(copy)
        except OSError:  # another process was first; its copy is the same
            shutil.rmtree(fresh)
    return replace(installation, root=copy)


def _home(account: Account) -> Path:
    """A directory of ours that the account can reach. One that somebody else prepared is not used."""
    for home in HOMES:
        try:
            home.mkdir(mode=0o755, exist_ok=True)
        except OSError:
            continue
        status = home.lstat()
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
        if ours:
            home.chmod(0o755)
            if account.reaches(home):
                return home
    raise Unreachable("found no directory for the private server", detail=f"tried {', '.join(map(str, HOMES))}")


def _open_to_all(root: Path) -> None:
    """Everybody may read and run what we copied; the source may have been installed with a narrow umask."""
    for parent, _, files in os.walk(root):
        Path(parent).chmod(0o755)
        for path in (Path(parent, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
