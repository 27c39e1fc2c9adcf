"""The composition: bounds, faults, order of checks, what a client can tell from a refusal."""

from contextlib import suppress
from time import process_time

import pytest

from maskproxy.base.errors import LimitExceeded, Refused, StatementError, UnknownColumn, UnknownTable
from maskproxy.core.sql import analysis
from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.statement import StatementKind
from tests.core.sql.catalogs import shop


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "NOT " * 3000 + "true",
        "SELECT " + "- " * 4000 + "1",
        "SELECT " + "CASE WHEN " * 1000 + "true" + " THEN 1 END" * 1000,
        "SELECT 1" + " + 1" * 4000,
        "SELECT 1" + " UNION ALL SELECT 1" * 2000,
        "SELECT * FROM customers" + " JOIN orders ON true" * 1000,
        "SELECT " + "(SELECT " * 60 + "1" + ")" * 60,
        "SELECT ((id))" + "::int" * 2000 + " FROM customers",
        "WITH a0 AS (SELECT 1 AS x, 2 AS y), "
        + ", ".join(f"a{n} AS (SELECT * FROM a{n - 1}, a{n - 1} b)" for n in range(1, 30))
        + " SELECT * FROM a29",
        "SELECT " + "c, " * 4000 + "1 FROM customers c",
        "SELECT 1 FROM " + "generate_series(1, (SELECT 1 FROM " * 20 + "orders" + "))" * 20,
        "SELECT " + "date(" * 30 + "1" + ")" * 30,
        "SELECT x" + "[1]" * 3000,
        "SELECT ('{1}'::int[])" + "[1]" * 900,
        "SELECT " + ", ".join(["tags[1]"] * 1600) + " FROM customers",
        "WITH RECURSIVE t("
        + ", ".join(f"a{n}" for n in range(600))
        + ") AS (SELECT id"
        + ", 1" * 599
        + " FROM orders UNION ALL SELECT "
        + ", ".join(f"a{(n + 1) % 600}" for n in range(600))
        + " FROM t) TABLE t",
        "SELECT * FROM pg_type;" * 1500,
        "SELECT * FROM pg_type;" * 99,
        "SELECT 1 WHERE 1 IN (" + ", ".join(["(SELECT oid FROM pg_type)"] * 900) + ")",
        "SELECT 1 FROM " + ", ".join(f"pg_type a{n}" for n in range(500)),
        "SELECT 1 FROM "
        + ", ".join(f"orders a{n}" for n in range(190))
        + " WHERE 1 IN (a9.id"
        + ", a9.id" * 2000
        + ")",
        "SELECT "
        + ", ".join(["a1599"] * 1600)
        + " FROM (SELECT "
        + ", ".join(f"id AS a{n}" for n in range(1600))
        + " FROM orders) q",
        "SELECT " + ", ".join(["||".join(["name"] * 45)] * 100) + " FROM customers",
        "SELECT id FROM orders WHERE " + " OR ".join(["id = 1"] * 2400),
        "SELECT id FROM orders WHERE id IN (id" + ", id" * 4800 + ")",
        "SELECT CASE " + "WHEN id = 1 THEN 2 " * 1200 + "END FROM orders",
        "WITH " + ", ".join(f"a{n} AS (SELECT 1)" for n in range(1400)) + " SELECT 1",
        "SELECT 1 " + "/*" * 15000 + "*/" * 15000,
        "SELECT 1 " + ("/*" * 8 + "*/" * 8) * 2000,
        "SELECT 1 " + "-- a\n" * 12000,
    ],
    ids=lambda sql: sql[:24],
)
@pytest.mark.timeout(10)
def test_no_statement_takes_long(sql: str) -> None:
    begin = process_time()
    with suppress(StatementError):
        analyse(sql, shop("no notes"))
    assert process_time() - begin < 2


def test_a_list_of_values_takes_time_by_its_length() -> None:
    def seconds(values: int) -> float:
        begin = process_time()
        analyse(f"SELECT id FROM orders WHERE id IN ({', '.join(map(str, range(values)))})", shop("no notes"))
        return process_time() - begin

    assert min(seconds(4_800) for _ in range(3)) < 9 * min(seconds(1_200) for _ in range(3))


@pytest.mark.parametrize(
    ("hidden", "missing"),
    [
        ("SELECT * FROM payroll", "SELECT * FROM pay_roll"),
        ("SELECT * FROM public.payroll", "SELECT * FROM public.pay_roll"),
        ("SELECT notes FROM customers", "SELECT nodes FROM customers"),
        ("SELECT c.notes FROM customers c", "SELECT c.nodes FROM customers c"),
        (
            "SELECT 1 FROM customers JOIN customers d USING (notes)",
            "SELECT 1 FROM customers JOIN customers d USING (nodes)",
        ),
        ("SELECT payroll.iban FROM orders", "SELECT pay_roll.iban FROM orders"),
        ("SELECT 'payroll'::regclass", "SELECT 'pay_roll'::regclass"),
        ("SELECT query FROM pg_stat_activity", "SELECT query FROM pg_stat_inactivity"),
        ("SELECT has_table_privilege('payroll', 'select')", "SELECT has_table_privilege('pay_roll', 'select')"),
        ("SELECT pg_get_serial_sequence('payroll', 'id')", "SELECT pg_get_serial_sequence('pay_roll', 'id')"),
        ("SELECT pg_get_serial_sequence('customers', 'notes')", "SELECT pg_get_serial_sequence('customers', 'nodes')"),
        ("SELECT NULL::payroll", "SELECT NULL::pay_roll"),
    ],
)
def test_what_is_hidden_looks_like_what_is_not_there(hidden: str, missing: str) -> None:
    one, other = refusal(hidden), refusal(missing)
    assert type(one) is type(other)
    for name, value in (("payroll", "pay_roll"), ("notes", "nodes"), ("activity", "inactivity")):
        one.message = one.message.replace(name, value)
    assert (one.message, one.detail, one.hint) == (other.message, other.detail, other.hint)


def refusal(sql: str) -> StatementError:
    with pytest.raises(StatementError) as caught:
        analyse(sql, shop("no notes"))
    return caught.value


def test_errors_point_into_the_whole_text() -> None:
    text = "SELECT 'ä€😀';\n SELECT nosuch FROM customers"
    with pytest.raises(UnknownColumn) as caught:
        analyse(text, shop("everything"))
    assert caught.value.position == text.index("nosuch") + 1
    with pytest.raises(UnknownTable) as missing:
        analyse("SELECT 'é' FROM nosuch", shop("everything"))
    assert missing.value.position == 17


def test_literals_are_in_no_error() -> None:
    for sql in (
        "SELECT 'secret' FROM WHERE",
        "SELECT 'secret",
        "SET application_name = 'secret' 'x'",
        "SET statement_timeout = 'secret'",
        "SELECT set_config('role', 'secret', false)",
        "SELECT current_setting('secret')",
        "SELECT 'secret'::nosuch",
        "SELECT nosuch('secret')",
    ):
        error = refusal(sql)
        assert "secret" not in f"{error.message} {error.detail} {error.hint}"
        assert error.__cause__ is None


def test_a_fault_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(analysis, "parse_statement", fail)
    error = refusal("SELECT id FROM orders")
    assert type(error) is Refused
    assert "secret" not in error.message


def test_recursion_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(analysis, "statement_facts", fail)
    assert type(refusal("SELECT id FROM orders")) is LimitExceeded


def test_pg_catalog_after_other_schemas_is_refused() -> None:
    with pytest.raises(Refused):
        analyse("SELECT 1", shop("everything"), ("public", "pg_catalog"))


def test_ranges_of_statements() -> None:
    text = " /* a */ BEGIN ; SELECT id FROM orders WHERE status = ';' ; -- b"
    begin, select = analyse(text, shop("everything"))
    assert (begin.kind, text[begin.start : begin.end]) == (StatementKind.SESSION, "BEGIN")
    assert (select.kind, text[select.start : select.end]) == (
        StatementKind.SELECT,
        "SELECT id FROM orders WHERE status = ';'",
    )


def test_what_an_analysis_says_besides_flows() -> None:
    (found,) = analyse("SELECT upper(name), $2::int FROM customers WHERE id = $1", shop("everything"))
    assert found.parameters == 2
    assert found.functions == {"upper"}
    assert [str(table) for table in found.tables] == ["public.customers"]
