"""Two parsers must agree. Each row is a statement that sqlglot reads as something else than the server."""

import re

import pytest

from maskproxy.base.errors import LimitExceeded, StatementError
from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.facts import statement_facts
from maskproxy.core.sql.functions import OPERATORS
from maskproxy.core.sql.lex import lex
from maskproxy.core.sql.oracle import Source, parse_statements
from maskproxy.core.sql.oracle_writes import read_statement
from maskproxy.core.sql.parse_writes import parse_statement
from tests.core.sql.case_files import Case, load
from tests.core.sql.catalogs import shop

READING = [each for each in load() if not isinstance(each.case.want, list) and each.case.want.outputs]

MISREAD = [
    "SELECT @ balance FROM customers",
    "SELECT abs(@balance) FROM customers",
    "SELECT date_trunc(status, created_at) FROM orders",
    "SELECT date_part(status, created_at) FROM orders",
    "SELECT * FROM orders semi JOIN customers ON true",
    "SELECT * FROM orders anti JOIN customers ON true",
    "SELECT * FROM orders asof JOIN customers ON true",
    "SELECT * FROM customers straight_join, orders",
    "SELECT user FROM customers",
    "SELECT id FROM customers qualify",
    "SELECT id, ssn AS interval FROM customers WHERE interval '1 day' IS NULL AND id = 1 ORDER BY interval",
    "SELECT 1 FROM customers WHERE ssn ~~ '1' ESCAPE 'x'",
]


@pytest.mark.parametrize("sql", MISREAD)
def test_what_is_misread_is_refused_or_read_alike(sql: str) -> None:
    """Whatever sqlglot makes of it: an analysis comes out only if both parsers' facts are equal."""
    try:
        analyse(sql, shop("everything"))
    except StatementError:
        return
    assert server_facts(sql) == parse_statement(sql, lex(sql))


@pytest.mark.parametrize("sql", MISREAD[:7])
def test_the_known_misreadings_are_refused(sql: str) -> None:
    with pytest.raises(StatementError):
        analyse(sql, shop("everything"))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT generate_series(a, b, {}) FROM t",
        "SELECT date_trunc({}, a) FROM t WHERE a > b + interval {}",
        "SELECT a -> {} FROM t WHERE b #>> {} = {}",
        "SELECT a FROM t WHERE b LIKE {} ESCAPE {}",
    ],
)
@pytest.mark.parametrize("string", ["'ssn'", "'a b'", "'it''s'", "'$.x'", "E'\\n'", "$$a$$", "'7 days'"])
def test_what_strings_hold_is_read_by_neither_parser(sql: str, string: str) -> None:
    """Nor could it be: a plan is shared by texts with other strings."""
    text = sql.replace("{}", string)
    assert parse_statement(text, lex(text)) == server_facts(text)


def test_operators_that_sqlglot_cannot_read() -> None:
    """Between operands both parsers see what stands on either side. These are rare, and refused."""
    unread = set()
    for operator in OPERATORS:
        sql = f"SELECT a {operator} b, c FROM t WHERE d {operator} ANY (e) AND NOT f {operator} g"
        try:
            facts = parse_statement(sql, lex(sql))
        except StatementError:
            unread.add(operator)
        else:
            assert facts == server_facts(sql), operator
    assert unread == {"!!", "|/", "||/", "@", "@-@", "*=", "*<>", "*<", "*<=", "*>", "*>="}


@pytest.mark.parametrize("case", [each.case for each in READING], ids=[each.where for each in READING])
def test_facts_tell_statements_apart(case: Case) -> None:
    """A column added to, or taken from, any one place changes the facts."""
    (analysis,) = analyse(case.sql, shop(case.scope))
    sql = case.sql[analysis.start : analysis.end]
    plain = server_facts(sql)
    for use in analysis.uses:
        at = -1 if use.position is None else use.position - analysis.start
        if at >= 0 and re.match(rf"(\w+\.)?{use.column.column}\b", sql[at:]):
            assert server_facts(f"{sql[:at]}zz_{sql[at:]}") != plain


def server_facts(sql: str) -> object:
    source = Source(sql)
    return statement_facts(read_statement(source, *parse_statements(source)[0][1:]))


def test_values_are_values_however_sqlglot_wraps_them() -> None:
    for sql in (
        "VALUES (1, 2)",
        "WITH v(a) AS (VALUES (1), (2)) SELECT a FROM v",
        "SELECT 1 WHERE 1 IN (VALUES (1), (2))",
    ):
        assert server_facts(sql) == parse_statement(sql, lex(sql))


def test_nested_types_are_bounded() -> None:
    deep = "SELECT " + "text(" * 7 + "'x'" + ")" * 7
    with pytest.raises(LimitExceeded):
        parse_statement(deep, lex(deep))
    wide = "SELECT " + ", ".join(["text('x')"] * 50)
    assert parse_statement(wide, lex(wide)).kind == "select"


def test_sqlglot_logs_no_statement(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    sql = "WITH drop AS (SELECT 'secret') SELECT * FROM drop"
    with pytest.raises(StatementError):
        parse_statement(sql, lex(sql))
    assert "secret" not in caplog.text
    assert "secret" not in capfd.readouterr().err
