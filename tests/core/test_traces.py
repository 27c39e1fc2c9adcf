"""What leaves something in the server's session. Functions are held against the server's own word."""

import pytest

from maskproxy.core.sql.functions import FUNCTIONS
from maskproxy.core.sql.traces import KEEP_STATE
from tests.support.servers import Server

HARMLESS = frozenset(
    {
        "clock_timestamp",
        "gen_random_uuid",
        "pg_advisory_unlock_all",
        "random",
        "random_normal",
        "timeofday",
        "uuidv4",
        "uuidv7",
        "array_sample",
        "array_shuffle",
        "pg_is_in_recovery",
        "pg_partition_ancestors",
    }
)
"""Volatile, looked at one by one: what they say depends on the clock, on chance or on nothing kept in the session.
pg_advisory_unlock_all ends what only pinned sessions can have."""


@pytest.mark.server
def test_volatile_functions_are_known_to_leave_nothing(postgres18: Server) -> None:
    with postgres18.admin() as admin:
        rows = admin.execute(
            "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v' AND pronamespace = 'pg_catalog'::regnamespace"
        ).fetchall()
    volatile = {name for (name,) in rows}
    assert volatile & FUNCTIONS.keys() - KEEP_STATE <= HARMLESS
    assert volatile >= KEEP_STATE - {"pg_my_temp_schema", "pg_listening_channels"}
