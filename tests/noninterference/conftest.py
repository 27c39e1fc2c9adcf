from collections.abc import Callable

import pytest

from tests.noninterference.report import Report


@pytest.fixture
def report(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Report:
    """Takes what a test counted, to be printed at the end of the run (tests/conftest.py)."""
    return Report(record_property, request.node.name)
