"""Reads what the administrator wrote: settings, rules, keys, passwords. Everything else of the configuration is pure.

All functions raise ConfigurationError, whose text says what to do; none puts the content of a secret into it.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import NoReturn

from maskproxy.base.errors import ConfigurationError, Problem
from maskproxy.base.refs import Location
from maskproxy.base.secret import Secret
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.lock import Lock, parse_lock
from maskproxy.core.settings import Database, PasswordEnv, PasswordFile, Settings, parse_settings
from maskproxy.core.yaml import did_you_mean

KEY_BYTES = 32
_MAX_FILE = 16 * 1024 * 1024  # nobody writes such rules by hand; a device or a dump given by mistake is not read whole


def load_settings(path: Path) -> Settings:
    """``path`` as settings; relative paths in it start at its directory."""
    path = path.absolute()
    return parse_settings(_read_text(path), str(path), path.parent, processors=os.cpu_count() or 1)


def load_rules(settings: Settings, database: str) -> list[RulesDocument]:
    """The rules files of ``database``, by its name in the settings; several may share it.

    All files are read and checked: rules for a database nobody configured are an error, not a silence.
    """
    documents: list[RulesDocument] = []
    problems: list[Problem] = []
    for path in _rules_files(settings):
        name = display_name(path, settings)
        try:
            document = RulesDocument.parse(_read_text(path), name)
        except ConfigurationError as error:
            problems += error.problems
            continue
        if document.database not in settings.databases:
            guess = did_you_mean(document.database, settings.databases)
            text = f"unknown database `{document.database}`{guess}"
            problems.append(Problem(document.locate("database"), text))
        documents.append(document)
    if problems:
        raise ConfigurationError(problems)
    return [document for document in documents if document.database == database]


def lock_path(settings: Settings, database: str) -> Path:
    """The lock of a database's rules lies where the first of the rules lie."""
    first = settings.rules[0]
    return (first if first.is_dir() else first.parent) / f"{database}.lock"


def load_lock(settings: Settings, database: str) -> Lock | None:
    """What was reviewed of the database; None where there is no lock."""
    path = lock_path(settings, database)
    return parse_lock(_read_text(path), display_name(path, settings)) if path.exists() else None


def _rules_files(settings: Settings) -> list[Path]:
    """A directory stands for its *.yaml files."""
    files: list[Path] = []
    for path in settings.rules:
        files += sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return list(dict.fromkeys(files))


def display_name(path: Path, settings: Settings) -> str:
    """How messages, also those to clients, name a rules file: below the settings' directory when it lies there."""
    directory = settings.file.parent
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def load_key(path: Path) -> Secret[bytes]:
    """A key file of 32 or more bytes that only its owner may read."""
    mode = stat.S_IMODE(_stat(path).st_mode)
    if mode & 0o077:
        _fail(path, f"others than the owner may read this key (mode {mode:03o}): chmod 600 {path}")
    key = _read_bytes(path)
    if len(key) < KEY_BYTES:
        _fail(path, f"a key has {KEY_BYTES} or more bytes, this one has {len(key)}: `maskproxy init` makes keys")
    return Secret(key)


def create_key(path: Path) -> None:
    """Makes a random key with mode 600. An existing file is left as it is: tokens depend on it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))


def read_password(database: Database) -> Secret[str] | None:
    """The password of our role at the database, or None when the settings name no source of one."""
    match database.password:
        case None:
            return None
        case PasswordEnv(name):
            if value := os.environ.get(name):
                return Secret(value)
            text = f"the environment variable {name} is not set: it holds the password of database `{database.name}`"
            raise ConfigurationError([Problem(database.location, text)])
        case PasswordFile(path):
            return Secret(_read_text(path).rstrip("\r\n"))


def _fail(path: Path, text: str) -> NoReturn:
    raise ConfigurationError([Problem(Location(str(path), 1), text)]) from None


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        _fail(path, _reason(error))


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError as error:
        _fail(path, _reason(error))
    if len(data) > _MAX_FILE:
        _fail(path, f"larger than {_MAX_FILE} bytes")
    return data


def _read_text(path: Path) -> str:
    try:
        return _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        _fail(path, "not UTF-8 text")


def _reason(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or 'unknown error').lower()}"
