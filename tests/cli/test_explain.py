"""``explain`` before a real catalog."""

from pathlib import Path

import pytest

from tests.cli.shop import data, make_config, run
from tests.support.servers import Server


@pytest.fixture
def config(tmp_path: Path, postgres18: Server, shop18: str) -> Path:
    return make_config(tmp_path, postgres18, shop18)


def test_a_permitted_statement(config: Path) -> None:
    found = data(config, "explain", "--scope", "support", "SELECT id, ssn AS number FROM customers WHERE id = 7")
    assert (found["decision"], found["database"], found["scope"]) == ("permit", "shop", "support")
    (statement,) = found["statements"]
    assert statement["columns"] == [
        {
            "name": "id",
            "lineage": ["public.customers.id"],
            "mask": "clear",
            "label": None,
            "rule": None,
            "location": None,
        },
        {
            "name": "number",
            "lineage": ["public.customers.ssn"],
            "mask": "partial",
            "label": "pii.ssn",
            "rule": "masks.pii.ssn",
            "location": "rules/shop.yaml:16",
        },
    ]
    assert "notes" not in found["sql"]
    assert statement["uses"] == ["public.customers.id (filter)"]


def test_the_same_for_people(config: Path) -> None:
    result = run(config, "explain", "--scope", "support", 'SELECT ssn AS "[red]x" FROM customers WHERE id = 7')
    assert result.exit_code == 0, result.output
    for word in (
        "permitted",
        "[red]x",
        "public.customers.ssn",
        "partial",
        "masks.pii.ssn",
        "rules/shop.yaml:16",
        "sent to",
    ):
        assert word in result.stdout


def test_a_refused_statement(config: Path) -> None:
    sql = "SELECT id\nFROM customers WHERE ssn = '1'"
    found = data(config, "explain", "--scope", "support", sql)
    assert found["decision"] == "deny"
    error = found["error"]
    assert (error["sqlstate"], error["column"], error["rule"]) == ("42501", "public.customers.ssn", "masks.pii.ssn")
    assert error["location"] == "rules/shop.yaml:16"
    assert sql[error["position"] - 1 :].startswith("ssn =")
    shown = run(config, "explain", "--scope", "support", sql).stdout
    assert "denied with SQLSTATE 42501" in shown
    assert f"  FROM customers WHERE ssn = '1'\n  {' ' * 21}^\n" in shown
    assert "hint: Select the column as it is" in shown


def test_what_cannot_be_parsed_is_refused(config: Path) -> None:
    assert data(config, "explain", "--scope", "support", "SELEC 1")["error"]["sqlstate"] == "42601"


def test_scopes_are_combined(config: Path) -> None:
    found = data(config, "explain", "-s", "support", "-s", "analyst", "SELECT balance FROM customers")
    assert (found["scope"], found["statements"][0]["columns"][0]["mask"]) == ("analyst+support", "round")


def test_session_statements_and_unrestricted_scopes(config: Path) -> None:
    assert data(config, "explain", "-s", "support", "BEGIN")["statements"][0]["kind"] == "session"
    assert "about the session" in run(config, "explain", "-s", "support", "BEGIN").stdout
    found = data(config, "explain", "-s", "break-glass", "DROP TABLE customers")
    assert (found["decision"], found["transparent"], found["sql"]) == ("permit", True, "DROP TABLE customers")
    assert "sent as it is" in run(config, "explain", "-s", "break-glass", "DROP TABLE customers").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-s", "suport"], "unknown scope suport: did you mean `support`?"),
        (["-s", "support", "-d", "shopp"], "unknown database shopp: did you mean `shop`?"),
    ],
)
def test_unknown_names(config: Path, arguments: list[str], expected: str) -> None:
    result = run(config, "explain", *arguments, "SELECT 1")
    assert result.exit_code == 1
    assert expected in result.stderr


def test_which_database(config: Path) -> None:
    config.write_text(config.read_text() + "  other: {dsn: postgresql://u@h/d}\n")
    result = run(config, "explain", "-s", "support", "SELECT 1")
    assert result.exit_code == 1
    assert "--database with one of shop, other" in result.stderr
    assert data(config, "explain", "-s", "support", "-d", "shop", "SELECT 1")["decision"] == "permit"


def test_usage(config: Path) -> None:
    assert run(config, "explain", "SELECT 1").exit_code == 2
