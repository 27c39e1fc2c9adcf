"""When the supervisor says that clients can come."""

from typing import Any

import pytest

from maskproxy.cli.supervisor import takes_clients

THERE, AWAY = {"available": True, "rules": 1}, {"available": False, "rules": 0}


@pytest.mark.parametrize(
    ("answer", "at_first", "later"),
    [
        (None, False, False),
        ({"listening": True, "warm": True, "databases": {"shop": THERE}}, True, True),
        ({"listening": True, "warm": False, "databases": {"shop": THERE}}, False, True),
        ({"listening": False, "warm": True, "databases": {"shop": THERE}}, False, False),
        ({"listening": True, "warm": True, "databases": {"shop": THERE, "old": AWAY}}, False, False),
    ],
)
def test_a_worker_takes_clients(answer: dict[str, Any] | None, at_first: bool, later: bool) -> None:
    """At first it also has its analysts: a first statement should not wait for them."""
    assert takes_clients(answer, warm=True) is at_first
    assert takes_clients(answer, warm=False) is later
