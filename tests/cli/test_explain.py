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
            "how": "as it is",
        },
        {
            "name": "number",
            "lineage": ["public.customers.ssn"],
            "mask": "partial",
            "label": "pii.ssn",
            "rule": "masks.pii.ssn",
            "location": "rules/shop.yaml:16",
            "how": "masked in the row",
        },
    ]
    assert "notes" not in found["sql"]
    assert statement["evaluation"] == "rows: values are masked on their way back"
    assert [(use["column"], use["use"], use["near"], use["happens"]) for use in statement["uses"]] == [
        ("public.customers.id", "filter", "id = 7", "used as it is")
    ]


def test_masked_evaluation(config: Path) -> None:
    sql = "SELECT id, upper(name) AS n, email FROM customers WHERE email LIKE 'm%' ORDER BY created_at"
    found = data(config, "explain", "--scope", "support", sql)
    assert found["edited"]
    (statement,) = found["statements"]
    assert statement["evaluation"] == "masked: the database computes with masked values"
    assert [(each["name"], each["mask"], each["rule"], each["how"]) for each in statement["columns"]] == [
        ("id", "clear", None, "as it is"),
        ("n", "of token", "masks.pii.name", "computed from masked values"),
        ("email", "email", "masks.pii.email", "the masked value"),
    ]
    assert [(each["column"], each["use"], each["mask"], each["happens"]) for each in statement["uses"]] == [
        ("public.customers.name", "expression", "token", "used by its masked value"),
        ("public.customers.email", "filter", "email", "used by its masked value"),
        ("public.customers.created_at", "order", "clear", "used as it is"),
    ]
    assert [sql[each["position"] - 1 :].startswith(each["near"]) for each in statement["uses"]] == [True] * 3
    shown = run(config, "explain", "--scope", "support", sql).stdout
    assert "masking: masked: the database computes with masked values" in shown
    assert (
        "filter at 57 (email LIKE 'm%' ORDER BY created_at): public.customers.email is used by its masked value"
        in shown
    )
    assert "rule masks.pii.email at rules/shop.yaml:" in shown


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
    assert error["near"] == "ssn = '1'"
    shown = run(config, "explain", "--scope", "support", sql).stdout
    assert "denied with SQLSTATE 42501" in shown
    assert f"  FROM customers WHERE ssn = '1'\n  {' ' * 21}^\n" in shown
    assert "hint: Select the column as it is" in shown


def test_a_refused_construct(config: Path) -> None:
    found = data(config, "explain", "--scope", "support", "SELECT 1 FROM xmltable('/a' PASSING '<a/>' COLUMNS x int)")
    assert found["error"]["message"] == "XMLTABLE is not supported under a masking scope"
    assert found["error"]["hint"] == "Use json functions, or xml outside of the database."


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
