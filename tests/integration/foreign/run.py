"""Run a driver's own test suite against one address and say how each of its tests ended."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.integration.foreign.fetch import Sources

SUITE_SECONDS = 600
TEST_SECONDS = 60


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


Outcomes = Mapping[str, Outcome]
"""pytest's id of a test (``tests/test_copy.py::CopyTests::test_copy_to``) to how it ended."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int
    user: str
    password: str


Suite = Callable[[Sources, Endpoint, Path, Sequence[str]], Outcomes]
"""``suite(sources, endpoint, scratch, only)``: ``only`` names the tests to run, all when empty."""


def psycopg2(sources: Sources, endpoint: Endpoint, scratch: Path, only: Sequence[str] = ()) -> Outcomes:
    """Database ``psycopg2_test``. Its replication tests stay off, as they are unless a second DSN is given."""
    environment = {
        "PSYCOPG2_TESTDB_HOST": endpoint.host,
        "PSYCOPG2_TESTDB_PORT": str(endpoint.port),
        "PSYCOPG2_TESTDB_USER": endpoint.user,
        "PSYCOPG2_TESTDB_PASSWORD": endpoint.password,
    }
    tree = _copy(sources.psycopg2, scratch)
    # Its tests are methods. Each module also has a function `test_suite`, which pytest would take for a test.
    arguments = ["-o", "python_functions=none", *(only or ["tests"])]
    return _pytest(tree, sources, scratch, arguments, environment)


def pg8000(sources: Sources, endpoint: Endpoint, scratch: Path, only: Sequence[str] = ()) -> Outcomes:
    """Database ``postgres``. The README is a test as well; each of its chapters becomes one of its own."""
    environment = {
        "PGHOST": endpoint.host,
        "PGPORT": str(endpoint.port),
        "PGUSER": endpoint.user,
        "PGPASSWORD": endpoint.password,
        "LOGNAME": endpoint.user,  # one example logs in under the name of the system's user
    }
    tree = _copy(sources.pg8000, scratch)
    _split_readme(tree, endpoint)
    arguments = ["--deselect", "test/test_readme.py", "--doctest-glob=*.md", "-o", "doctest_optionflags=ELLIPSIS"]
    arguments += ["--benchmark-disable", *(only or ["test", "readme"])]
    return _pytest(tree, sources, scratch, arguments, environment)


def _copy(source: Path, scratch: Path) -> Path:
    tree = scratch / source.name
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source, tree)
    return tree


def _split_readme(tree: Path, endpoint: Endpoint) -> None:
    """Its examples connect to port 5432 of localhost with the password ``cpsnow``."""
    text = (tree / "README.md").read_text(encoding="utf-8")
    text = text.replace('password="cpsnow"', f"password={endpoint.password!r}, port={endpoint.port}")
    text = text.replace(">>> conn.autocommit", ">>> con.autocommit")  # a misprint that works after other chapters only
    (tree / "readme").mkdir()
    for number, chapter in enumerate(re.split(r"(?m)^(?=###? )", text)):
        if ">>>" in chapter:
            title = re.sub(r"\W+", "_", chapter.splitlines()[0].strip("# ").lower())
            (tree / "readme" / f"{number:03}_{title}.md").write_text(chapter, encoding="utf-8")


def _pytest(
    tree: Path,
    sources: Sources,
    scratch: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
) -> Outcomes:
    report = scratch / "report.xml"
    report.unlink(missing_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PYTEST", "COV"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        "--rootdir=.",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
    ]
    command += [f"--timeout={TEST_SECONDS}", f"--junitxml={report}", "-o", "junit_family=xunit1", *arguments]
    environment = {**inherited, **environment, "PYTHONPATH": str(sources.lib)}
    with (scratch / "output.txt").open("w", encoding="utf-8") as output:
        subprocess.run(command, cwd=tree, env=environment, stdout=output, stderr=output, timeout=SUITE_SECONDS)
    return _read(report)


def _read(report: Path) -> Outcomes:
    if not report.exists():
        raise AssertionError(f"the suite did not run: see {report.with_name('output.txt')}")
    return {_test_id(case): _outcome(case) for case in ElementTree.parse(report).iter("testcase")}


def _test_id(case: ElementTree.Element) -> str:
    file, dotted = case.attrib["file"], case.attrib["classname"]
    classes = dotted.removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
    return "::".join(filter(None, (file, classes if file.endswith(".py") else "", case.attrib["name"])))


def _outcome(case: ElementTree.Element) -> Outcome:
    ended = {child.tag for child in case}
    tags = (("error", Outcome.ERROR), ("failure", Outcome.FAILED), ("skipped", Outcome.SKIPPED))
    return next((outcome for tag, outcome in tags if tag in ended), Outcome.PASSED)
