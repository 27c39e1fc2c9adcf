"""What counts as reviewed, and what becomes of the rest."""

from dataclasses import replace

import pytest

from maskproxy.base.errors import ConfigurationError
from maskproxy.base.refs import ColumnRef, Generation, Location, Oid, TableRef
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.compile import RuleSet, compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.drift import Reviewed, render_lock, reviewed, with_new_columns
from maskproxy.core.policy.lock import Lock, parse_lock
from tests.support.catalogs import read_catalog
from tests.support.rules import label_key

BEFORE = """
CREATE TABLE public.people (
    id int4
    ssn text
    note text
);
CREATE TABLE public.other (
    id int4
);
CREATE VIEW public.v (note) AS SELECT p.note FROM public.people p;
"""
PEOPLE = TableRef("public", "people")
RULES = """version: 1
database: shop
labels: {ssn: [public.people.ssn]}
masks: {ssn: {mask: redact}}
scopes: {s: {select: [public.people], clear: [ssn]}, viewer: {select: [public.v]}}
"""


def changed(sql: str, *, oid: int | None = None) -> Catalog:
    found = read_catalog(sql)
    if oid is None:
        return found
    return replace(found, tables={**found.tables, PEOPLE: replace(found.tables[PEOPLE], oid=Oid(oid))})


def rules(catalog: Catalog, seen: Reviewed | None, text: str = RULES) -> RuleSet:
    document = RulesDocument.parse(text, "r.yaml")
    return compile_rules([document], catalog, "shop", label_key, Generation(1), seen=seen, lenient=seen is not None)


def masked(catalog: Catalog, seen: Reviewed, scope: str = "s") -> dict[str, tuple[str, str]]:
    masks = rules(catalog, seen).scopes[scope].masks
    return {ref.column: (mask.name, mask.label) for ref, mask in masks.items()}


def test_nothing_has_drifted_where_nothing_has_changed() -> None:
    catalog = read_catalog(BEFORE)
    found = rules(catalog, reviewed(None, catalog))
    assert found.drifted == {}
    assert found.scopes["s"].masks == {}


@pytest.mark.parametrize(
    ("old", "new", "column", "why"),
    [
        ("note text", "note text\n    passport text", "passport", "it is new, of type text"),
        ("note text", "note int4", "note", "its type was text and is int4"),
        ("note text", "memo text", "memo", "it is new, of type text"),
        ("ssn text\n    note text", "note text\n    ssn text", "note", "another column had its name"),
        ("ssn text\n    note text", "note text\n    ssn text", "ssn", "another column had its name"),
    ],
)
def test_what_has_changed_since_is_null_even_to_whom_its_label_is_clear(
    old: str, new: str, column: str, why: str
) -> None:
    before = read_catalog(BEFORE)
    after = changed(BEFORE.replace(old, new))
    seen = reviewed(None, before)
    assert rules(after, seen).drifted[ColumnRef("public", "people", column)] == why
    assert masked(after, seen)[column] == ("null", "(drift)")


def test_a_table_made_anew_is_as_the_old_one_if_its_columns_stand_where_they_stood() -> None:
    seen = reviewed(None, read_catalog(BEFORE))
    assert masked(changed(BEFORE, oid=99999), seen) == {}
    swapped = changed(BEFORE.replace("ssn text\n    note text", "note text\n    ssn text"), oid=99999)
    assert masked(swapped, seen) == {"ssn": ("null", "(drift)"), "note": ("null", "(drift)")}


def test_columns_that_are_seen_later_keep_their_places_too() -> None:
    before = read_catalog(BEFORE)
    lock = Lock(dict.fromkeys((ColumnRef("public", "people", each) for each in ("ssn", "note", "more")), "text"), "x")
    more = read_catalog(BEFORE.replace("note text", "note text\n    more text"))
    swapped = read_catalog(BEFORE.replace("note text", "more text\n    note text"))
    seen = with_new_columns(reviewed(lock, before), more)
    assert set(masked(more, seen)) == {"id"}
    assert set(masked(swapped, seen)) == {"id", "more", "note"}


def test_below_a_view_too() -> None:
    """The column that was labelled has another name: nothing says any more what it holds."""
    before = read_catalog(BEFORE.replace("p.note", "p.ssn AS note"))
    after = changed(BEFORE.replace("ssn text", "x text").replace("p.note", "p.x AS note"))
    found = rules(after, reviewed(None, before))
    assert found.scopes["viewer"].masks[ColumnRef("public", "people", "x")].label == "(drift)"


def test_tables_that_no_scope_sees_do_not_matter() -> None:
    before, after = read_catalog(BEFORE), read_catalog(BEFORE.replace("id int4\n);", "id int8\n);"))
    assert rules(after, reviewed(None, before)).drifted == {}


def test_a_new_partition_holds_what_the_others_hold() -> None:
    part = "CREATE TABLE public.part (\n    id int4\n    ssn text\n    note text\n) INHERITS (public.people);"
    select = RULES.replace("[public.people]", "[public.people, public.part]")
    seen = reviewed(None, read_catalog(BEFORE))
    assert rules(read_catalog(BEFORE + part), seen, select).drifted == {}
    wider = rules(read_catalog(BEFORE + part.replace("note text", "note text\n    more text")), seen, select)
    assert list(wider.drifted) == [ColumnRef("public", "part", "more")]


def test_names_that_the_database_has_lost_are_warnings_for_rules_in_force() -> None:
    after = read_catalog(BEFORE.replace("ssn text\n", "").replace("public.v", "public.w"))
    found = rules(after, reviewed(None, read_catalog(BEFORE)))
    assert [problem.text.split("`")[:2] for problem in found.warnings][:2] == [
        ["unknown column ", "public.people.ssn"], ["unknown table ", "public.v"],
    ]  # fmt: skip
    with pytest.raises(ConfigurationError):
        rules(after, None)


def test_a_lock_is_read_as_it_is_written() -> None:
    odd = replace(read_catalog(BEFORE).tables[PEOPLE], ref=TableRef("public", 'a."b c'))
    catalog = replace(read_catalog(BEFORE), tables={**read_catalog(BEFORE).tables, odd.ref: odd})
    text = render_lock(catalog, [PEOPLE, odd.ref])
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == sorted(lines)
    assert "public.people.ssn text" in lines
    assert 'public."a.""b c".ssn text' in lines
    lock = parse_lock(text, "rules/shop.lock")
    assert lock.columns[ColumnRef("public", 'a."b c', "id")] == "int4"
    assert len(lock.columns) == 6


def test_a_lock_says_what_was_reviewed_and_where() -> None:
    catalog = read_catalog(BEFORE)
    lock = Lock({ColumnRef("public", "people", "id"): "int4", ColumnRef("public", "people", "ssn"): "int8"}, "x.lock")
    found = rules(catalog, reviewed(lock, catalog))
    assert sorted(column.column for column in found.drifted if column.table == "people") == ["note", "ssn"]
    assert found.scopes["s"].masks[ColumnRef("public", "people", "note")].location == Location("x.lock", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("public.people.id", "x.lock:1"), ("# ok\na.b int4\n", "x.lock:2"), ("a.b.c t\na.b.c u\n", "x.lock:2")],
)
def test_lines_that_are_none_of_a_lock(text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        parse_lock(text, "x.lock")
