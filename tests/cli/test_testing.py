"""``maskproxy test --noninterference`` as a user runs it: the demo's rules hold, and rules that tell are found out."""

from pathlib import Path

import pytest

from tests.cli.shop import data, make_config, run
from tests.support.proxies import DEMO_RULES
from tests.support.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

QUERIES = ("--queries", "70", "--seed", "1")
TEST = ("test", "--noninterference", "--scope", "support", *QUERIES)


def test_the_demo_does_not_tell(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    """Nor with a lock beside the rules, and a limit that the test would be over at once."""
    limited = "{pii.ssn: refuse}\n    limits: {statements_per_minute: 2, rows: 1000}"
    rules = DEMO_RULES.read_text(encoding="utf-8").replace("{pii.ssn: refuse}", limited)
    config = make_config(tmp_path, postgres18, shop18, rules)
    assert run(config, "check", "--write-lock").exit_code == 0
    found = data(config, *TEST, "--protect", "pii.ssn")
    assert (found["ok"], found["differences"], found["not_rebuilt"]) == (True, [], [])
    columns = {each["column"]: each for each in found["columns"]}
    assert {name: each["seen"] for name, each in columns.items()} == {
        "public.customers.name": "token",
        "public.customers.email": "email",
        "public.customers.ssn": "partial",
        "public.customers.phone": "partial",
        "public.customers.dob": "truncate",
        "public.customers.notes": "denied",
        "public.payroll.employee_id": "not selected",
    }
    assert all(each["tested"] for each in columns.values())
    assert all(columns[f"public.customers.{name}"]["served"] > 5 for name in ("name", "email", "phone", "dob"))
    assert columns["public.payroll.employee_id"]["served"] == 0
    assert found["unsteady"] == 0


def test_rules_that_tell_are_found_out(tmp_path: Path, postgres18: Server, shop18: str) -> None:
    """One column that may be compared as it is, and a label that is in clear though it must not be told."""
    rules = DEMO_RULES.read_text(encoding="utf-8").replace("{pii.ssn: refuse}", "{pii.ssn: any}")
    config = make_config(tmp_path, postgres18, shop18, rules)
    found = data(config, *TEST, "--protect", "finance", code=1)
    assert found["ok"] is False
    columns = {each["column"]: each for each in found["columns"]}
    told = {name for name, each in columns.items() if each["differs"]}  # a star about another column tells too
    assert told >= {"public.customers.ssn", "public.customers.balance"}
    assert columns["public.customers.balance"]["seen"] == "clear"
    assert columns["public.customers.balance"]["differs"] > 5
    assert all(each["left"] != each["right"] and each["statements"] for each in found["differences"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["test", "--scope", "support"], "nothing to test"),
        ([*TEST, "--protect", "no.such.column"], "no column and no label has this name"),
        (["test", "--noninterference", "--scope", "break-glass"], "sees everything"),
    ],
)
def test_what_cannot_be_tested_is_said(
    tmp_path: Path, postgres18: Server, shop18: str, arguments: list[str], words: str
) -> None:
    result = run(make_config(tmp_path, postgres18, shop18), *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
