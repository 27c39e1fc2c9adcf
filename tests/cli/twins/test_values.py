"""Rows of both twins: the same where the scope sees them, alike under masks, different where nothing is seen."""

import asyncio
from collections.abc import Mapping
from random import Random

import pytest

from maskproxy.base.refs import ColumnRef, Generation
from maskproxy.cli.twins.layout import read_layout
from maskproxy.cli.twins.pairs import Pair
from maskproxy.cli.twins.values import ROWS, Answers, Filler, read_filters
from maskproxy.core.policy.compile import compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.proxy.catalogs import load_catalog
from tests.cli.twins.test_rebuild import fresh
from tests.support.servers import Server

SCHEMA = """
CREATE TABLE public.people (
    id int PRIMARY KEY, mail text UNIQUE, ssn text, pay numeric(10,2) NOT NULL, birth date, device uuid, memo text,
    city text
);
CREATE TABLE public.switches (flag boolean UNIQUE, name text);
CREATE TABLE public.orders (
    id int PRIMARY KEY, person int NOT NULL REFERENCES public.people, mail text REFERENCES public.people (mail),
    tenant text NOT NULL, total int, flag boolean REFERENCES public.switches (flag)
);
CREATE TABLE public.pets (owner int, name text);
CREATE TABLE public.events (at date, who text) PARTITION BY RANGE (at);
CREATE TABLE public.events_24 PARTITION OF public.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE public.below (id int, name text);
CREATE VIEW public.above AS SELECT id, upper(name) AS name FROM public.below;
"""
RULES = """
version: 1
database: shop
labels:
  mail: [public.people.mail, public.orders.mail]
  ssn: [public.people.ssn]
  pay: [public.people.pay]
  gone: [public.people.birth, public.events.who, public.below.name]
  device: [public.people.device]
  tenant: [public.orders.tenant]
masks:
  mail: {mask: email}
  ssn: {mask: partial, keep_last: 4}
  pay: {mask: round, to: 1000}
  gone: {mask: "null"}
  device: {mask: token}
  tenant: {mask: redact}
scopes:
  agent:
    select: [public.people, public.orders, public.switches, public.events, public.above]
    deny: [public.people.memo]
    rows: {public.orders: "tenant = 'acme'"}
"""
Rows = Mapping[str, list[Pair]]


Made = tuple[Mapping[str, Rows], Mapping[str, str]]
"""By table, and the tokens."""


@pytest.fixture(scope="module")
def made(postgres18: Server) -> Made:
    return asyncio.run(make(postgres18))


async def make(postgres18: Server) -> Made:
    async with fresh(postgres18, "twins_values") as connection:
        await connection.execute(SCHEMA)
        await connection.execute("SET search_path = pg_catalog")
        catalog = await load_catalog(connection, Generation(1))
        document = RulesDocument.parse(RULES, "r.yaml")
        ruleset = compile_rules([document], catalog, "shop", lambda label: label.encode().ljust(32), Generation(1))
        scope = ruleset.combine(("agent",))
        layout = await read_layout(connection)
        read_filters(layout, scope)
        protected = [ColumnRef("public", "people", "city")]
        filler = Filler(connection, layout, Answers(layout, scope, ruleset, protected), Random(1))
        made = {ref.name: await filler.fill(table) for ref, table in layout.tables.items() if not table.is_partition}
        return made, filler.rows.tokens


def left(pairs: list[Pair]) -> list[str | None]:
    return [pair.left for pair in pairs]


def right(pairs: list[Pair]) -> list[str | None]:
    return [pair.right for pair in pairs]


def both(pairs: list[Pair]) -> list[tuple[str, str]]:
    """Where neither is NULL."""
    return [(pair.left, pair.right) for pair in pairs if pair.left is not None and pair.right is not None]


@pytest.mark.parametrize(
    ("table", "column"), [("people", "id"), ("orders", "total"), ("events", "at"), ("below", "id")]
)
def test_what_is_in_clear_is_the_same(made: Made, table: str, column: str) -> None:
    rows = made[0][table][column]
    assert left(rows) == right(rows)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("people", name) for name in ("mail", "ssn", "pay", "birth", "device", "memo", "city")),
        *(("events", "who"), ("below", "name"), ("pets", "owner"), ("pets", "name")),
    ],
)
def test_what_is_not_differs_in_each_row(made: Made, table: str, column: str) -> None:
    rows = both(made[0][table][column])
    assert rows
    assert all(one != other for one, other in rows)


def test_masks_show_the_same_of_both(made: Made) -> None:
    people = made[0]["people"]
    assert all(one[0] + one.split("@")[1] == other[0] + other.split("@")[1] for one, other in both(people["mail"]))
    assert all((len(one), one[-4:]) == (len(other), other[-4:]) for one, other in both(people["ssn"]))
    assert all(round(float(one), -3) == round(float(other), -3) for one, other in both(people["pay"]))


def test_null_is_hidden_where_the_mask_is_null(made: Made) -> None:
    people = made[0]["people"]
    for column, hides in (("ssn", False), ("birth", True), ("memo", True)):
        assert any((pair.left is None) != (pair.right is None) for pair in people[column]) is hides
        assert None in left(people[column])
    assert None not in left(people["pay"]) + right(people["pay"])


def test_keys_hold(made: Made) -> None:
    """A key with few values makes the table short; references find their rows, if seen in the same way."""
    people, orders, switches = (made[0][name] for name in ("people", "orders", "switches"))
    assert sorted(map(str, left(switches["flag"]))) == ["f", "t"]
    assert len(orders["id"]) == ROWS
    for side in (left, right):
        assert len(set(side(orders["id"]))) == ROWS
        assert set(side(orders["flag"])) <= set(side(switches["flag"]))
        assert set(side(orders["person"])) <= set(side(people["id"]))
        assert set(side(orders["mail"])) - {None} <= set(side(people["mail"]))


def test_tokens_are_known_of_both(made: Made) -> None:
    rows, tokens = made
    assert len(tokens) >= len(both(rows["people"]["device"]))


def test_what_a_row_filter_names_is_the_same_and_passes_it(made: Made) -> None:
    tenants = left(made[0]["orders"]["tenant"])
    assert tenants == right(made[0]["orders"]["tenant"])
    assert tenants.count("acme") >= ROWS // 2
    assert len(set(tenants)) > 3


def test_partitions_get_rows(made: Made) -> None:
    assert "2024-01-01" in left(made[0]["events"]["at"])
