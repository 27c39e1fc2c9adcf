"""Fixtures that own real processes, and the rule that a server test must not be skipped where servers are required."""

import os
from collections.abc import Generator, Iterator

import pytest

from tests.noninterference.report import PROPERTY
from tests.support import canaries, servers
from tests.support.debian import Unavailable
from tests.support.proxies import Proxy, run_proxy
from tests.support.servers import Server

REQUIRE_SERVERS = bool(os.environ.get("MASKPROXY_REQUIRE_SERVERS"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-corpus", action="store_true", help="rewrite what the cases of tests/corpus want")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under ``make test`` a test that needs a server and was skipped has failed."""
    report = yield
    if REQUIRE_SERVERS and report.skipped and item.get_closest_marker("server") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} needs a server and was skipped: {report.longrepr}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses a server's fixture is a server test, marked or not."""
    for item in items:
        if {"postgres18", "postgres15", "shop18", "shop15"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tables that tests of non-interference made."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    tables = [str(value) for report in reports for name, value in report.user_properties if name == PROPERTY]
    if tables:
        terminalreporter.section("non-interference")
        terminalreporter.write_line("\n\n".join(tables))


@pytest.fixture(scope="session")
def postgres18() -> Iterator[Server]:
    """PostgreSQL 18, without TLS."""
    with servers.postgres18() as server:
        yield server


@pytest.fixture(scope="session")
def postgres15() -> Iterator[Server]:
    """PostgreSQL 15 of Debian, with TLS."""
    try:
        with servers.postgres15() as server:
            yield server
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shop18(postgres18: Server) -> str:
    """The name of a database with the demo's schema and a marker in every sensitive value. Not to be changed."""
    return postgres18.create_database(canaries.script(), "shop")


@pytest.fixture(scope="session")
def shop15(postgres15: Server) -> str:
    return postgres15.create_database(canaries.script(), "shop")


@pytest.fixture(scope="session")
def _proxy18(postgres18: Server, shop18: str) -> Iterator[Proxy]:
    with run_proxy(postgres18, shop18) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def _proxy15(postgres15: Server, shop15: str) -> Iterator[Proxy]:
    with run_proxy(postgres15, shop15) as proxy:
        yield proxy


@pytest.fixture
def proxy(_proxy18: Proxy) -> Iterator[Proxy]:
    """The proxy before PostgreSQL 18 with the demo's rules. After each test all that left is searched for canaries."""
    _proxy18.relay.forget()
    yield _proxy18
    _proxy18.check_canaries()


@pytest.fixture
def proxy15(_proxy15: Proxy) -> Iterator[Proxy]:
    """The same before PostgreSQL 15, over TLS."""
    _proxy15.relay.forget()
    yield _proxy15
    _proxy15.check_canaries()
