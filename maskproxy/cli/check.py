"""``maskproxy check``: settings, keys, rules and catalogs, before anyone connects."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer

from maskproxy.base.errors import BackendUnavailable, ConfigurationError, Problem
from maskproxy.base.refs import Location
from maskproxy.cli.common import ConfigOption, JsonOption, console, print_json
from maskproxy.cli.rulesets import read_ruleset
from maskproxy.core.policy.compile import RuleSet
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.settings import Settings
from maskproxy.store.configuration import load_key, load_rules, load_settings

P = ParamSpec("P")
T = TypeVar("T")


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(slots=True)
class Report:
    """What was found so far; a check goes on after a problem as far as it can."""

    problems: list[tuple[Severity, Problem]] = field(default_factory=list)
    databases: dict[str, RuleSet] = field(default_factory=dict)

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


def check(config: ConfigOption, json: JsonOption = False) -> None:
    """Check settings, keys, rules and the databases' catalogs. Exit 1 when the proxy would not run as written."""
    report = Report()
    settings = report.attempt(load_settings, config)
    if settings is not None:
        _check_files(settings, report)
        for name in settings.databases:
            _check_database(settings, name, report)
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


def _check_database(settings: Settings, name: str, report: Report) -> None:
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
    if not report.problems:
        console.print("no problems found", style="green")


def _scope_lines(ruleset: RuleSet) -> Iterator[str]:
    for name, scope in ruleset.scopes.items():
        tables = len(scope.catalog.visible_tables())
        yield f"  {name}: " + (
            "everything, in clear" if scope.unrestricted else f"{tables} tables, {len(scope.masks)} masked columns"
        )
