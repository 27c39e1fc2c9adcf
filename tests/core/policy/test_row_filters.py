"""Conditions that a row filter may be, those that it may not be and why, and how filters of several tables meet."""

import pytest

from maskproxy.base.errors import ConfigurationError
from maskproxy.base.refs import Generation, Oid, TableRef
from maskproxy.core.catalog import Catalog, Column, Table
from maskproxy.core.plan import Stamp, plan_text
from maskproxy.core.policy.compile import RuleSet
from maskproxy.core.policy.document import RulesDocument
from tests.support.catalogs import catalog, read_catalog
from tests.support.rules import compiled

SHOP = catalog("shop")
STAMP = Stamp(Generation(1), Generation(1))
OIDS = {
    "id": 23, "f": 701, "b": 17, "ts": 1114, "tz": 1184, "d": 1082, "tm": 1083, "iv": 1186, "r": 3910, "j": 3802,
    "n": 1009, "u": 2950, "c": 25,
}  # fmt: skip
T = TableRef("public", "t")
COLUMNS = tuple(Column(name=name, type_oid=Oid(oid)) for name, oid in OIDS.items())
TYPES = Catalog(generation=Generation(1), tables={T: Table(ref=T, columns=COLUMNS)})
FAMILY = read_catalog("""
CREATE TABLE public.p (
    id int4
    open bool
);
CREATE TABLE public.c (
    id int4
    open bool
) INHERITS (public.p);
CREATE TABLE public.other (
    id int4
);
""")
VIEWS = read_catalog("""
CREATE TABLE public.p (
    id int4
    open bool
);
CREATE TABLE public.c (
    id int4
    open bool
) INHERITS (public.p);
CREATE VIEW public.v (id) AS SELECT p.id FROM public.p;
CREATE MATERIALIZED VIEW public.m (id, open) AS SELECT v.id, true AS open FROM public.v;
""")


def rules(text: str, known: Catalog = SHOP) -> RuleSet:
    return compiled(known, RulesDocument.parse(f"version: 1\ndatabase: shop\n{text}", "r.yaml"))


def filtered(condition: str, table: str = "t", known: Catalog = TYPES) -> str:
    quoted = condition.replace('"', '\\"')
    text = f'scopes:\n  s:\n    select: ["public.*"]\n    rows:\n      public.{table}: "{quoted}"\n'
    return rules(text, known).scopes["s"].catalog.tables[TableRef("public", table)].filter


def problem(condition: str, known: Catalog = TYPES) -> str:
    with pytest.raises(ConfigurationError) as caught:
        filtered(condition, known=known)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("r.yaml:7: row filter of `public.t`: ")
    return line.removeprefix("r.yaml:7: row filter of `public.t`: ")


@pytest.mark.parametrize(
    ("condition", "sent"),
    [
        ("id > 5", '("t"."id" > 5)'),
        ("t.id = 1 or public.t.c = 'x' -- why", """("t"."id" = 1 or "t"."c" = 'x')"""),
        ('"c" like \'a%\'', """("t"."c" like 'a%')"""),
        ("tz > now() - interval '90 days'", """("t"."tz" > now ( ) - interval '7776000 seconds')"""),
        ("tz > now() - '1 week 2 hours'::interval", """("t"."tz" > now ( ) - '612000 seconds' :: interval)"""),
        ("tz > '2025-12-31 23:59:59+00'", """("t"."tz" > '2025-12-31 23:59:59+00')"""),
        ("d between '2025-01-01' and '2025-12-31'", """("t"."d" between '2025-01-01' and '2025-12-31')"""),
        ("(tz at time zone 'UTC')::date = d", """(( "t"."tz" at time zone 'UTC' ) :: date = "t"."d")"""),
        ("date_trunc('month', ts) = ts and iv < interval '3 months'",
         """(date_trunc ( 'month' , "t"."ts" ) = "t"."ts" and "t"."iv" < interval '3 months')"""),
        ("f > 1.5 and f::int4 < 7", '("t"."f" > 1.5 and "t"."f" :: int4 < 7)'),
        ("j->>'a' = 'x' and 'x' = any(n)", """("t"."j" ->> 'a' = 'x' and 'x' = any ( "t"."n" ))"""),
        ("coalesce(c, 'x') in ('x', 'y') and u is not null",
         """(coalesce ( "t"."c" , 'x' ) in ( 'x' , 'y' ) and "t"."u" is not null)"""),
    ],
)  # fmt: skip
def test_a_condition_as_it_is_sent(condition: str, sent: str) -> None:
    assert filtered(condition) == sent


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("true) or (true", "this is not one condition"),
        ("true; select 1", "this is not one condition"),
        ("(id > 1", "this is not one condition"),
        ("", "this is not one condition"),
        ("-- nothing", "this is not one condition"),
        ("id >", "syntax error"),
        ("idd = 1", "`public.t` has no column `idd`: did you mean `id`?"),
        ("other.id = 1", "`public.t` has no column `other.id`"),
        ("t is not null", "`public.t` has no column `t`"),
        ("ctid is null", "`public.t` has no column `ctid`"),
        ("exists (select 1)", "no subqueries"),
        ("id = $1", "no subqueries, parameters"),
        ("count(*) > 1", "no aggregates"),
        ("row_number() over () = 1", "no aggregates or window functions"),
        ("pg_sleep(1) is null", "function pg_sleep is not allowed"),
        ("current_setting('timezone') = 'UTC'", "function current_setting"),
        ("current_user = 'x'", "is not supported in a row filter"),
        ("now()", "this is not a condition"),
    ],
)
def test_what_is_no_condition_of_one_row(condition: str, why: str) -> None:
    assert why in problem(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "tz > '2025-12-31'",
        "tz > 'yesterday'",
        "tz > '2025-12-31 10:00'",
        "d = '31/12/2025'",
        "d = 'today'",
        "tz::date = d",
        "tz = d",
        "ts > now()",
        "ts = tz",
        "d = current_date",
        "ts < localtimestamp",
        "date_trunc('day', tz) = tz",
        "date_trunc('day', d) = ts",
        "extract(hour from tz) = 3",
        "tz > now() - interval '1 month'",
        "tz > now() - iv",
        "tz > now() - interval '1 day' * 3",
        "tz > now() - interval '1' day",
        "tz > now() - '1 day'",
        "tz::text like '2025%'",
        "c::timestamptz > now()",
        "c::date = d",
        "d::text = c",
        "to_char(tz, 'HH24') = '03'",
        "f::text = '0.1'",
        "f = '0.1'",
        "b = 'x'",
        "b::text = 'x'",
        "r @> now()",
        "r = '[2025-01-01,2025-01-02)'",
        "iv = '-1 2:03:04'",
        "c || d = 'x'",
        "concat(c, d) = 'x'",
        "case when true then tz else '2025-12-31' end > now()",
        "greatest(tz, '2025-12-31') > now()",
        "tz in ('2025-12-31', '2025-12-31 00:00:00Z')",
        "nullif(tz, '2025-12-31') is null",
    ],
)
def test_what_a_session_could_give_another_meaning(condition: str) -> None:
    """By SET TimeZone, DateStyle, IntervalStyle, bytea_output or extra_float_digits."""
    assert problem(condition)


def test_a_function_that_the_database_defines_too() -> None:
    shadowed = Catalog(generation=Generation(1), tables=TYPES.tables, functions=frozenset({"lower"}))
    assert "ambiguous" in problem("lower(c) = 'x'", shadowed)
    assert filtered("pg_catalog.lower(c) = 'x'", known=shadowed)


def scope_filters(text: str, known: Catalog, scope: str = "s") -> dict[str, str]:
    seen = rules(text, known).combine(tuple(scope.split("+"))).catalog
    return {ref.name: table.filter for ref, table in seen.tables.items() if table.filter and ref.schema == "public"}


def test_a_parents_filter_is_its_childrens() -> None:
    text = "scopes: {s: {select: [public.c, public.p], rows: {public.p: open}}}\n"
    assert scope_filters(text, FAMILY) == {"p": '("p"."open")', "c": '("c"."open")'}


def test_a_childs_filter_must_hold_through_the_parent() -> None:
    only = "scopes: {s: {select: [public.c], rows: {public.c: open}}}\n"
    assert scope_filters(only, FAMILY) == {"c": '("c"."open")'}
    with pytest.raises(ConfigurationError, match=r"r.yaml:3: `public.c` is read through `public.p` too"):
        rules(only.replace("[public.c]", "[public.c, public.p]"), FAMILY)


def test_all_filters_of_all_scopes_hold() -> None:
    text = """
scopes:
  s: {include: [inner], rows: {public.p: open}}
  inner: {select: [public.p], rows: {public.p: "id > 0"}}
  t: {select: [public.p], rows: {public.p: "id < 9"}}
  free: {select: ["public.*"]}
"""
    assert scope_filters(text, FAMILY)["p"] == '("p"."id" > 0) AND ("p"."open")'
    assert scope_filters(text, FAMILY, "s+t")["p"] == '("p"."id" < 9) AND ("p"."id" > 0) AND ("p"."open")'
    assert scope_filters(text, FAMILY, "free+t+s") == scope_filters(text, FAMILY, "s+t")
    assert scope_filters(text, FAMILY, "free") == {}


def test_a_filter_without_effect_is_a_warning() -> None:
    (warning,) = rules("scopes: {s: {select: [public.other], rows: {public.p: open}}}\n", FAMILY).warnings
    assert str(warning) == "r.yaml:3: `public.p` has a row filter but is not selected"


def test_a_view_shows_the_rows_that_its_tables_filters_let_pass() -> None:
    text = "scopes: {s: {select: [public.v], rows: {public.p: open}}}\n"
    found = rules(text, VIEWS)
    assert found.warnings == ()
    sent = plan_text("SELECT id FROM v", found.scopes["s"], ("public",), STAMP).sql
    assert 'FROM "public"."p" WHERE ("p"."open") OFFSET 0)' in sent
    with pytest.raises(ConfigurationError, match=r"write it for those"):
        rules("scopes: {s: {select: [public.v], rows: {public.v: 'id > 1'}}}\n", VIEWS)


def test_a_childs_filter_must_hold_through_views_of_the_parent() -> None:
    with pytest.raises(ConfigurationError, match=r"r.yaml:3: `public.c` is read through `public.p` too"):
        rules("scopes: {s: {select: [public.v, public.c], rows: {public.c: open}}}\n", VIEWS)


def test_a_materialized_view_of_filtered_rows_needs_a_filter_of_its_own() -> None:
    text = "scopes: {s: {select: [public.m], rows: {public.p: open}}, t: {select: [public.m]}}\n"
    found = rules(text, VIEWS)
    (warning,) = found.warnings
    assert str(warning).startswith("r.yaml:3: nothing of public.m is seen: it stores rows of tables with row filters")
    assert not found.scopes["s"].catalog.tables[TableRef("public", "m")].visible_columns
    assert not found.combine(("s", "t")).catalog.tables[TableRef("public", "m")].visible_columns
    assert found.scopes["t"].catalog.tables[TableRef("public", "m")].visible_columns
    own = rules(text.replace("public.p: open", "public.p: open, public.m: open"), VIEWS)
    assert own.warnings == ()
    assert own.scopes["s"].catalog.tables[TableRef("public", "m")].filter == '("m"."open")'
