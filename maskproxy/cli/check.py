"""``maskproxy check``: settings, keys, rules and catalogs, before anyone connects."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from maskproxy.base.errors import BackendUnavailable, ConfigurationError, Problem
from maskproxy.base.refs import Location
from maskproxy.cli.common import ConfigOption, JsonOption, console, print_json
from maskproxy.cli.rulesets import read_ruleset
from maskproxy.core.policy.compile import RuleSet
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.drift import render_lock
from maskproxy.core.settings import Settings
from maskproxy.store.configuration import display_name, load_key, load_rules, load_settings, lock_path

P = ParamSpec("P")
T = TypeVar("T")


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class LockChange:
    """Lines of a lock that came and went."""

    path: Path
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What was found so far; a check goes on after a problem as far as it can."""

    problems: list[tuple[Severity, Problem]] = field(default_factory=list)
    databases: dict[str, RuleSet] = field(default_factory=dict)
    locks: dict[str, LockChange] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return any(severity is Severity.ERROR for severity, _ in self.problems)

    def attempt(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """The result, or None after its problems were noted."""
        try:
            return action(*args, **kwargs)
        except ConfigurationError as error:
            self.problems += [(Severity.ERROR, problem) for problem in error.problems]
            return None


def check(
    config: ConfigOption,
    write_lock: Annotated[
        bool, typer.Option("--write-lock", help="Write down the columns there are as reviewed, beside the rules.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check settings, keys, rules and the databases' catalogs. Exit 1 when the proxy would not run as written, or a
    column is not in the lock."""
    report = Report()
    settings = report.attempt(load_settings, config)
    if settings is not None:
        _check_files(settings, report)
        for name in settings.databases:
            _check_database(settings, name, report, write_lock=write_lock)
    report.problems = list(dict.fromkeys(report.problems))
    if json:
        print_json(_as_data(report))
    else:
        _show(report)
    if report.failed:
        raise typer.Exit(1)


def _check_files(settings: Settings, report: Report) -> None:
    for key in (settings.keys.token, settings.keys.audit, settings.keys.identity):
        report.attempt(load_key, key)
    for path in (settings.tls.certificate, settings.tls.key) if settings.tls else ():
        _check_exists(path, report)
    for database in settings.databases.values():
        if database.tls_root is not None:
            _check_exists(database.tls_root, report)


def _check_exists(path: Path, report: Report) -> None:
    if not path.is_file():
        report.problems.append((Severity.ERROR, Problem(Location(str(path), 1), "there is no such file")))


def _check_database(settings: Settings, name: str, report: Report, *, write_lock: bool) -> None:
    location = settings.databases[name].location
    documents = report.attempt(load_rules, settings, name)
    if documents is None:
        return
    if not documents:
        text = f"database `{name}` has no rules: nobody can see anything in it"
        report.problems.append((Severity.WARNING, Problem(location, text)))
    try:
        ruleset = report.attempt(_read, settings, name, documents)
    except BackendUnavailable as error:
        report.problems.append((Severity.ERROR, Problem(location, f"{error.message}: {error.detail}")))
        return
    if ruleset is not None:
        report.databases[name] = ruleset
        report.problems += [(Severity.WARNING, problem) for problem in ruleset.warnings]
        if write_lock:
            report.locks[name] = _write_lock(lock_path(settings, name), ruleset)
        else:
            file = display_name(lock_path(settings, name), settings)
            report.problems += [(Severity.ERROR, problem) for problem in _drift(ruleset, Location(file, 1))]


def _drift(ruleset: RuleSet, location: Location) -> Iterator[Problem]:
    for column, why in sorted(ruleset.drifted.items()):
        text = f"{column} is NULL under masking scopes until it is reviewed: {why}; then maskproxy check --write-lock"
        yield Problem(location, text)


def _write_lock(path: Path, ruleset: RuleSet) -> LockChange:
    """Atomically: a worker may be reading it."""
    text = render_lock(ruleset.catalog, ruleset.governed)
    before = set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()
    after = set(text.splitlines())
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return LockChange(path, tuple(sorted(_columns(after - before))), tuple(sorted(_columns(before - after))))


def _columns(lines: set[str]) -> set[str]:
    return {line for line in lines if line and not line.startswith("#")}


def _read(settings: Settings, name: str, documents: Sequence[RulesDocument]) -> RuleSet:
    return asyncio.run(read_ruleset(settings, name, documents))


def _as_data(report: Report) -> dict[str, Any]:
    return {
        "ok": not report.failed,
        "problems": [
            {
                "severity": severity,
                "file": problem.location.file,
                "line": problem.location.line,
                "text": problem.text,
            }
            for severity, problem in report.problems
        ],
        "databases": {name: _summary(ruleset) for name, ruleset in report.databases.items()},
        "locks": {
            name: {"file": str(lock.path), "added": lock.added, "removed": lock.removed}
            for name, lock in report.locks.items()
        },
    }


def _summary(ruleset: RuleSet) -> dict[str, Any]:
    return {
        "rules": ruleset.digest,
        "labelled_columns": len(ruleset.labels),
        "scopes": {
            name: {
                "unrestricted": scope.unrestricted,
                "tables": len(scope.catalog.visible_tables()),
                "masked_columns": len(scope.masks),
            }
            for name, scope in ruleset.scopes.items()
        },
    }


def _show(report: Report) -> None:
    for severity, problem in report.problems:
        style = "red" if severity is Severity.ERROR else "yellow"
        console.print(f"{severity}: {problem}", style=style, markup=False, soft_wrap=True)
    for name, ruleset in report.databases.items():
        console.print(f"{name}: {len(ruleset.labels)} labelled columns, {len(ruleset.scopes)} scopes", markup=False)
        for line in _scope_lines(ruleset):
            console.print(line, markup=False, soft_wrap=True)
    for lock in report.locks.values():
        for sign, lines in (("+", lock.added), ("-", lock.removed)):
            for line in lines:
                console.print(f"{sign} {line}", markup=False, soft_wrap=True)
        console.print(f"wrote {lock.path}: maskproxy reload puts it in force", markup=False, soft_wrap=True)
    if not report.problems:
        console.print("no problems found", style="green")


def _scope_lines(ruleset: RuleSet) -> Iterator[str]:
    for name, scope in ruleset.scopes.items():
        tables = len(scope.catalog.visible_tables())
        yield f"  {name}: " + (
            "everything, in clear" if scope.unrestricted else f"{tables} tables, {len(scope.masks)} masked columns"
        )
