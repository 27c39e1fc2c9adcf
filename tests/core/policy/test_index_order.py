"""Indexes in whose order rows would come by values that a scope may not see."""

from dataclasses import replace

import pytest

from maskproxy.base.refs import TableRef
from maskproxy.core.catalog import Index
from maskproxy.core.policy.document import RulesDocument
from tests.support.catalogs import read_catalog
from tests.support.rules import compiled

USERS = """
CREATE TABLE public.users (
id int4
tenant int4
email text
name text
);
CREATE TABLE public.users_old (
id int4
tenant int4
email text
name text
) INHERITS (public.users);
CREATE VIEW public.seen (id) AS SELECT id FROM public.users;
"""
RULES = """version: 1
database: shop
labels: {a: [public.users.email], b: [public.users.name]}
masks: {a: {mask: redact}, b: {mask: redact}}
scopes: {s: {select: [%s], %s}}
"""
MIXED, SECRET, CLEAR = frozenset({"tenant", "email"}), frozenset({"email"}), frozenset({"tenant", "id"})


def settings(index: Index, terms: str = "", table: str = "users", select: str = "public.users") -> set[str]:
    known = read_catalog(USERS)
    ref = TableRef("public", table)
    known = replace(known, tables={**known.tables, ref: replace(known.tables[ref], indexes=(index,))})
    found = compiled(known, RulesDocument.parse(RULES % (select, terms), "r.yaml"))
    pinned = set(found.scopes["s"].settings)
    assert any("order of indexes" in each.text and "users_i" in each.text for each in found.warnings) == bool(pinned)
    return pinned


@pytest.mark.parametrize(
    ("index", "terms", "tells"),
    [
        (Index("users_i", MIXED), "", True),
        (Index("users_i", MIXED), "deny: [public.users.email]", True),
        (Index("users_i", MIXED), "clear: [a]", False),
        (Index("users_i", MIXED), "use: {a: any}", False),
        (Index("users_i", MIXED), "use: {a: equality}", True),
        (Index("users_i", SECRET), "", False),
        (Index("users_i", SECRET), "use: {a: equality}", False),
        (Index("users_i", SECRET, partial=True), "", True),
        (Index("users_i", frozenset({"email", "name"})), "", False),
        (Index("users_i", frozenset({"email", "name"})), "use: {a: equality}", True),
        (Index("users_i", CLEAR), "", False),
        (Index("users_i", CLEAR, partial=True), "", False),
        (Index("users_i", CLEAR), "rows: {public.users: tenant = 7}", True),
        (Index("users_i", CLEAR), "rows: {public.users: name <> 'x'}", False),
        (Index("users_i", SECRET), "rows: {public.users: email <> 'x'}", True),
    ],
)
def test_indexes_that_tell(index: Index, terms: str, tells: bool) -> None:
    assert settings(index, terms) == ({"enable_indexscan"} if tells else set())


def test_indexes_of_what_is_read_with_a_table() -> None:
    """Children of it, and tables below views."""
    index = Index("users_i", MIXED)
    assert settings(index, table="users_old")
    assert settings(index, select="public.seen")
    assert settings(Index("users_i", CLEAR), "rows: {public.users: tenant = 7}", table="users_old")
