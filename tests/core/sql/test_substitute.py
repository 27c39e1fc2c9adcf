"""Edits of the client's text."""

import pytest

from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.oracle import Source, parse_statements
from maskproxy.core.sql.oracle_queries import read_query
from maskproxy.core.sql.statement import Splice, UseKind
from maskproxy.core.sql.substitute import Edits, apply_splices, derived_table, quoted, substituted
from maskproxy.core.sql.tree import Query, TableItem
from tests.core.sql.case_files import Case, load
from tests.core.sql.catalogs import shop


def is_accepted(case: Case) -> bool:
    return isinstance(case.want, list) or not case.want.refused


HIDING = [each for each in load() if each.case.scope == "no notes" and is_accepted(each.case)]


def test_splices_apply_from_left_to_right_whatever_their_order() -> None:
    assert apply_splices("abcdef", [Splice(4, 5, "E"), Splice(0, 2, "")]) == "cdEf"


def test_overlapping_splices_are_a_fault() -> None:
    with pytest.raises(ValueError, match="overlap"):
        apply_splices("abcdef", [Splice(0, 3, "x"), Splice(2, 4, "y")])


def test_names_are_quoted() -> None:
    assert quoted('a"b') == '"a""b"'


@pytest.mark.parametrize("case", [each.case for each in HIDING], ids=[each.where for each in HIDING])
def test_the_text_sent_reads_the_same_columns(case: Case) -> None:
    """Analysing what is sent, by who sees everything, gives what was promised to who does not."""
    for analysis in analyse(case.sql, shop(case.scope)):
        edited = apply_splices(case.sql[: analysis.end], analysis.splices)[analysis.start :]
        (again,) = analyse(edited, shop("everything"))
        assert not again.splices
        assert [(each.name, each.sources, each.direct) for each in again.outputs] == [
            (each.name, each.sources, each.direct) for each in analysis.outputs
        ]
        written, used = ({(use.column, use.kind) for use in each.uses} for each in (again, analysis))
        dependent = {(column, UseKind.GROUP) for column, _ in written} if "GROUP BY" in case.sql else set()
        assert used <= written <= used | dependent


def tree(sql: str) -> Query:
    source = Source(sql)
    return read_query(source, parse_statements(source)[0][2])


def test_the_expected_tree_differs_by_the_derived_table_alone() -> None:
    sql = "SELECT c.id FROM customers c, customers d"
    customers = shop("no notes").lookup(None, "customers", ("public",))
    assert customers is not None
    item = TableItem(schema=None, name="customers")
    derived = derived_table(customers, {}, only=False)
    expected = substituted(tree(sql), Edits(tables={sql.index("customers d"): (item, derived)}))
    columns = ", ".join(quoted(column.name) for column in customers.visible_columns)
    assert expected == tree(f'SELECT c.id FROM customers c, (SELECT {columns} FROM "public"."customers") d')
    assert expected != tree(f'SELECT c.id FROM customers c, (SELECT {columns}, notes FROM "public"."customers") d')
    assert expected != tree(f'SELECT c.ID FROM (SELECT {columns} FROM "public"."customers") c, customers d')


def test_positions_are_of_the_whole_text() -> None:
    text = "SELECT 1 ; SELECT id, name AS notes FROM customers ORDER BY notes"
    _, second = analyse(text, shop("no notes"))
    assert [text[splice.start : splice.end] for splice in second.splices] == ["customers"]
    assert [output.position for output in second.outputs] == [text.index("id"), text.index("name")]


@pytest.mark.parametrize(
    ("sql", "edits"),
    [
        ("SELECT c.id, c.name, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id", 0),
        ("SELECT public.customers.id FROM public.customers", 0),
        ("SELECT id, 1 AS notes FROM customers", 0),
        ("SELECT a.id FROM customers a JOIN orders USING (id)", 0),
        ("SELECT j.total FROM (customers c JOIN orders o ON c.id = o.customer_id) AS j", 0),
        ("SELECT * FROM customers", 1),
        ("SELECT 1 FROM orders WHERE EXISTS (SELECT * FROM customers)", 1),
        ("TABLE customers", 1),
        ("SELECT * FROM orders JOIN customers c ON true", 1),
        ("SELECT * FROM (SELECT id FROM customers) AS q", 0),
        ("WITH q AS (SELECT id FROM customers) SELECT q.*, q FROM q", 0),
        ("SELECT 1 FROM customers c WHERE EXISTS (SELECT c.* FROM orders)", 1),
        ("SELECT j.* FROM (customers c JOIN orders o ON true) AS j", 1),
        ("SELECT o.* FROM customers c JOIN orders o ON true", 0),
        ("SELECT a.id FROM customers a NATURAL JOIN orders", 1),
        ("SELECT count(c) FROM customers c", 1),
        ("SELECT count(c.*) FROM customers c", 1),
        ("SELECT row_to_json(customers) FROM customers", 1),
        ("SELECT count(j) FROM (customers c JOIN orders o ON true) AS j", 2),
        ("SELECT g FROM customers AS c(a, b, c, d, e, f, g)", 1),
        ("SELECT a FROM (customers c JOIN orders o ON true) AS j(a)", 1),
        ("SELECT (SELECT notes FROM customers LIMIT 1) FROM (SELECT 1 AS notes) q", 1),
        ("SELECT q.notes FROM (SELECT 1 AS notes) q, customers c", 1),
        ("SELECT id AS notes FROM customers ORDER BY notes", 1),
        ("SELECT 1 FROM customers, (SELECT 1 AS notes) a JOIN (SELECT 1 AS notes) b USING (notes)", 1),
        ("SELECT oid FROM pg_type", 1),
    ],
)
def test_a_table_is_edited_unless_nothing_can_reach_what_is_hidden(sql: str, edits: int) -> None:
    (analysis,) = analyse(sql, shop("no notes"))
    assert len(analysis.splices) == edits
