"""Mask keys are settings of the backend session: tokens are computed with them, and no client reads or changes them."""

import psycopg
import pytest

from maskproxy.core.policy.labelling import key_setting
from tests.support.proxies import Proxy

pytestmark = pytest.mark.server

KEY = key_setting("pii.name") + "_inner"
TOKENS = "SELECT name FROM customers ORDER BY id"
EVALUATED = "SELECT max(name) FROM customers GROUP BY id ORDER BY id"


def rows(session: psycopg.Connection, statement: str) -> list[tuple[object, ...]]:
    return session.execute(statement.encode()).fetchall()


def test_rows_and_evaluation_have_the_same_tokens_also_after_a_reset(proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn(), autocommit=True) as session:
        masked = rows(session, TOKENS)
        assert {str(name)[:7] for (name,) in masked} == {"person-", "None"}
        for statement in ("SELECT 1", "RESET ALL", "DISCARD ALL"):
            session.execute(statement.encode())
            assert rows(session, EVALUATED) == masked


@pytest.mark.parametrize(
    "statement",
    [
        "SHOW {name}",
        "SHOW ALL",
        'SHOW "maskproxy"."x"',
        "SET {name} = ''",
        "SET LOCAL {name} TO DEFAULT",
        "RESET {name}",
        "SELECT current_setting('{name}')",
        "SELECT pg_catalog.current_setting('{name}', true)",
        "SELECT current_setting(lower('{name}'))",
        "SELECT set_config('{name}', '', false)",
        "SELECT set_config('MASKPROXY.token_x', '', true)",
        "SELECT query_to_xml('SHOW {name}', true, true, '')",
        "DO $$ BEGIN RAISE NOTICE '%', current_setting('{name}'); END $$",
        "ALTER ROLE app SET {name} = ''",
    ],
)
def test_no_statement_reads_or_changes_a_key(statement: str, proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn(), autocommit=True) as session:
        masked = rows(session, TOKENS)
        with pytest.raises(psycopg.Error):
            session.execute(statement.replace("{name}", KEY).encode())
        assert rows(session, EVALUATED) == masked


def test_a_startup_option_changes_no_key(proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn(), autocommit=True) as session:
        masked = rows(session, TOKENS)
    with psycopg.connect(proxy.dsn(), autocommit=True, options=f"-c {KEY}={'00' * 32}") as session:
        assert rows(session, EVALUATED) == masked


def test_no_catalog_lists_a_key(proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn(), autocommit=True) as session:
        try:
            found = rows(session, "SELECT name FROM pg_catalog.pg_settings WHERE name LIKE 'maskproxy%'")
        except psycopg.errors.InsufficientPrivilege:
            found = []
        assert found == []
