"""A run that tried nothing has not passed, whatever was the same."""

from collections import Counter

import pytest

from maskproxy.base.refs import ColumnRef
from maskproxy.cli.twins.compare import Difference, Results
from maskproxy.cli.twins.run import Findings
from maskproxy.cli.twins.statements import Play, Target
from maskproxy.cli.twins.targets import Subject

COLUMN = ColumnRef("public", "t", "c")
TARGET = Target(column=COLUMN, type="text", by='o."id"', guesses=(), token=False)
TOLD = Difference(Play(TARGET, ("SELECT 1",)), "a", "b")


@pytest.mark.parametrize(
    ("alone", "endings", "differences", "passed"),
    [
        (False, {"served": 1, "refused": 9}, [], True),
        (False, {"served": 9, "differs": 1}, [TOLD], False),
        (False, {"refused": 9, "failed": 1}, [], False),
        (True, {"served": 10}, [], False),
    ],
)
def test_passed(alone: bool, endings: dict[str, int], differences: list[Difference], passed: bool) -> None:
    results = Results({COLUMN: Counter(endings)}, differences)
    assert Findings([Subject(TARGET, "partial", alone, masked=True)], results, []).passed is passed
