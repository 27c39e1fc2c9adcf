"""What the runs found, for the end of the test output; tables travel from worker processes with the tests' reports."""

from collections.abc import Callable

PROPERTY = "noninterference"


class Report:
    def __init__(self, record: Callable[[str, object], None], name: str) -> None:
        self._record = record
        self._name = name

    def add(self, text: str) -> None:
        self._record(PROPERTY, f"{self._name}\n{text}")
