"""The comparison of an edited text with the client's, by the server's grammar."""

from dataclasses import replace

import postgast
import pytest
from google.protobuf import json_format
from postgast.pg_query_pb2 import ParseResult

from maskproxy.core.sql.analysis import read
from maskproxy.core.sql.lex import lex
from maskproxy.core.sql.server_tree import Different, check_derived, tree
from maskproxy.core.sql.substitute import Edits, apply_splices, check_edited, make_splices
from maskproxy.core.sql.tree import Alias, TableItem
from tests.core.sql.case_files import load

DERIVED = '(SELECT "id", "name" FROM "public"."customers" OFFSET 0)'


def is_accepted(text: str) -> bool:
    try:
        postgast.parse(text)
    except postgast.PgQueryError:
        return False
    return True


TEXTS = sorted(filter(is_accepted, {each.case.sql for each in load()}))


@pytest.mark.parametrize("text", TEXTS)
def test_json_says_what_the_messages_say(text: str) -> None:
    """Every field, of every statement that there is a case of."""
    assert json_format.Parse(tree(text), ParseResult(), max_recursion_depth=1000) == postgast.parse(text)


def check(text: str, edited: str, *names: str) -> None:
    """Where these names stand at first, tables have become ``DERIVED``."""
    check_derived(text, edited, {text.index(name): DERIVED for name in names})


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("SELECT id FROM customers c", f"SELECT id FROM {DERIVED} c"),
        ("SELECT id FROM customers", f'SELECT id FROM {DERIVED} AS "customers"'),
        ("SELECT id FROM customers AS c(a, b)", f"SELECT id FROM {DERIVED} AS c(a, b)"),
        ("SELECT 'é' FROM customers c", f"SELECT 'é' FROM {DERIVED} c"),
        ("SELECT 1 FROM orders o, customers c, customers d", f"SELECT 1 FROM orders o, {DERIVED} c, customers d"),
        ("TABLE customers", f'SELECT * FROM {DERIVED} "customers"'),
        ("EXPLAIN SELECT 1 FROM ONLY customers c", f"EXPLAIN SELECT 1 FROM {DERIVED} c"),
        ("COPY (SELECT 1 FROM customers c) TO STDOUT", f"COPY (SELECT 1 FROM {DERIVED} c) TO STDOUT"),
        (
            """SELECT '"location":7}}' AS "{""RangeVar"":{" FROM customers c""",
            f"""SELECT '"location":7}}}}' AS "{{""RangeVar"":{{" FROM {DERIVED} c""",
        ),
    ],
)
def test_derived_tables_in_the_place_of_tables(text: str, edited: str) -> None:
    check(text, edited, "customers")


EDITED = f"SELECT id, 'a' FROM {DERIVED} c, orders o WHERE c.id = 1 ORDER BY 1"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("SELECT id", "SELECT ID, name"),
        ("SELECT id", 'SELECT "ID"'),
        ("'a'", "'b'"),
        ("'a'", "a"),
        ("= 1", "= 2"),
        ("= 1", "<> 1"),
        ("c.id = 1", "(SELECT true)"),
        ("WHERE c.id = 1", ""),
        ("WHERE", "WHERE 1 = 1 AND"),
        ("ORDER BY 1", "ORDER BY 1 DESC"),
        ("ORDER BY 1", "LIMIT 1"),
        ("orders o", "ONLY orders o"),
        ("orders o", "public.orders o"),
        ("orders o", "orders o, customers"),
        (") c,", ") d,"),
        (") c,", ") c(a),"),
        (") c,", ") c JOIN"),
        (f"{DERIVED} c", "customers c"),
        (f"{DERIVED} c", f"LATERAL {DERIVED} c"),
        (f"{DERIVED} c, orders o", f"orders o, {DERIVED} c"),
        (DERIVED, DERIVED.replace('"name"', '"notes"')),
        (DERIVED, DERIVED.replace('"name"', '"name", "notes"')),
        (DERIVED, DERIVED.replace("OFFSET 0", "")),
        (DERIVED, DERIVED.replace("OFFSET 0", "OFFSET 1")),
        (DERIVED, DERIVED.replace("customers", "orders")),
        (DERIVED, DERIVED.replace("FROM", "FROM ONLY")),
        (DERIVED, DERIVED.replace("OFFSET 0", "-- OFFSET 0\n")),
        (DERIVED, DERIVED.replace("OFFSET 0", "/* OFFSET 0 */")),
        ("ORDER BY 1", "ORDER BY 1; SELECT 2"),
        ("SELECT id", "EXPLAIN SELECT id"),
        ("ORDER BY 1", "ORDER BY"),
        (EDITED, ""),
    ],
)
def test_whatever_else_is_different_is_noticed(right: str, wrong: str) -> None:
    text = EDITED.replace(DERIVED, "customers")
    check(text, EDITED, "customers")
    assert right in EDITED
    with pytest.raises(Different):
        check(text, EDITED.replace(right, wrong), "customers")


@pytest.mark.parametrize("key", ["location", "name_location", "list_start", "rexpr_list_end", "stmt_len"])
@pytest.mark.parametrize("before", ["", ",", '",', '\\",', '{"', "}"])
def test_what_looks_like_a_position_in_a_literal_stays(before: str, key: str) -> None:
    text = f"""SELECT '{before}"{key}":7' FROM customers c"""
    edited = text.replace("customers", DERIVED)
    check(text, edited, "customers")
    with pytest.raises(Different):
        check(text, edited.replace("7", "8"), "customers")


def test_each_table_must_be_found() -> None:
    text = "SELECT id FROM customers c"
    with pytest.raises(Different):
        check_derived(text, text, {text.index("id"): DERIVED})


def test_a_derived_table_is_one_statement() -> None:
    with pytest.raises(Different):
        check_derived("TABLE customers", f'SELECT * FROM {DERIVED} "customers"', {6: f"{DERIVED}; {DERIVED}"})


@pytest.mark.parametrize(
    ("text", "table"),
    [
        (
            "SELECT * FROM orders AS o INNER JOIN customers AS c ON o.id = c.id WHERE o.total > ALL (VALUES (1))",
            TableItem(schema=None, name="customers", alias=Alias("c")),
        ),
        (
            "WITH q AS MATERIALIZED (TABLE customers) SELECT DISTINCT q.* FROM q ORDER BY 1 ASC NULLS FIRST LIMIT ALL",
            TableItem(schema=None, name="customers"),
        ),
        (
            "SELECT c, CASE c.id WHEN 1 THEN 'a' ELSE NULL END FROM ONLY customers c GROUP BY 1, 2 HAVING NOT false",
            TableItem(schema=None, name="customers", only=True, alias=Alias("c")),
        ),
    ],
)
def test_no_word_can_be_lost_unnoticed(text: str, table: TableItem) -> None:
    """Without any one of its tokens an edited text is noticed, or has the same tree of ours too."""
    position = text.index("customers")
    edits = Edits(tables={position: (replace(table, position=position), DERIVED)})
    edited = apply_splices(text, make_splices(edits, lex(text)))
    check(text, edited, "customers")
    (statement,) = read(text)
    assert statement.tree is not None
    same = []
    for token in lex(edited):
        shorter = edited[: token.start] + edited[token.end :]
        try:
            check(text, shorter, "customers")
        except Different:
            continue
        check_edited(statement.tree, shorter, edits)
        same.append(token.value)
    assert set(same) <= {"as", "inner", "all"}
