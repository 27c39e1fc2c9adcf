"""Edits of the client's text."""

import pytest

from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.oracle import Source, parse_statements
from maskproxy.core.sql.oracle_queries import read_query
from maskproxy.core.sql.statement import Splice
from maskproxy.core.sql.substitute import apply_splices, quoted, substituted
from maskproxy.core.sql.tree import Query, TableItem
from tests.core.sql.case_files import Case, load
from tests.core.sql.catalogs import shop


def wants_edits(case: Case) -> bool:
    wants = case.want if isinstance(case.want, list) else [case.want]
    return any(want.sends for want in wants)


EDITED = [each for each in load() if each.case.scope == "no notes" and wants_edits(each.case)]


def test_splices_apply_from_left_to_right_whatever_their_order() -> None:
    assert apply_splices("abcdef", [Splice(4, 5, "E"), Splice(0, 2, "")]) == "cdEf"


def test_overlapping_splices_are_a_fault() -> None:
    with pytest.raises(ValueError, match="overlap"):
        apply_splices("abcdef", [Splice(0, 3, "x"), Splice(2, 4, "y")])


def test_names_are_quoted() -> None:
    assert quoted('a"b') == '"a""b"'


@pytest.mark.parametrize("case", [each.case for each in EDITED], ids=[each.where for each in EDITED])
def test_the_edited_text_reads_the_same_columns(case: Case) -> None:
    """Analysing what is sent, by who sees everything, gives what was promised to who does not."""
    for analysis in analyse(case.sql, shop(case.scope)):
        edited = apply_splices(case.sql[: analysis.end], analysis.splices)[analysis.start :]
        (again,) = analyse(edited, shop("everything"))
        assert not again.splices
        assert [(each.name, each.sources, each.direct) for each in again.outputs] == [
            (each.name, each.sources, each.direct) for each in analysis.outputs
        ]
        assert {(use.column, use.kind) for use in again.uses} == {(use.column, use.kind) for use in analysis.uses}


def tree(sql: str) -> Query:
    source = Source(sql)
    return read_query(source, parse_statements(source)[0][2])


def test_the_expected_tree_differs_by_the_derived_table_alone() -> None:
    sql = "SELECT c.id FROM customers c, customers d"
    customers = shop("no notes").lookup(None, "customers", ("public",))
    assert customers is not None
    item = TableItem(schema=None, name="customers")
    expected = substituted(tree(sql), {sql.index("customers d"): (item, customers)})
    columns = ", ".join(quoted(column.name) for column in customers.visible_columns)
    assert expected == tree(f'SELECT c.id FROM customers c, (SELECT {columns} FROM "public"."customers") d')
    assert expected != tree(f'SELECT c.id FROM customers c, (SELECT {columns}, notes FROM "public"."customers") d')
    assert expected != tree(f'SELECT c.ID FROM (SELECT {columns} FROM "public"."customers") c, customers d')


def test_positions_are_of_the_whole_text() -> None:
    text = "SELECT 1 ; SELECT id FROM customers"
    _, second = analyse(text, shop("no notes"))
    assert [text[splice.start : splice.end] for splice in second.splices] == ["customers"]
    assert [output.position for output in second.outputs] == [text.index("id")]
