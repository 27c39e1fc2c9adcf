import pytest

from maskproxy.base.refs import TableRef
from maskproxy.core.catalog import RelationKind
from maskproxy.core.policy.patterns import explain_no_match, match_columns, match_tables, parse_pattern
from tests.support.catalogs import catalog, read_catalog

SHOP = catalog("shop")
COLUMN, TABLE = "schema.table.column", "schema.table"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("public.customers.ssn", ("public", "customers", "ssn")),
        ("*.*.email", (None, None, "email")),
        ('"my.schema"."a ""b""".*', ("my.schema", 'a "b"', None)),
        ('public."*".x', ("public", "*", "x")),
        ("public.Straße.ssn", ("public", "Straße", "ssn")),
    ],
)
def test_parse(text: str, parts: tuple[str | None, ...]) -> None:
    assert parse_pattern(text, COLUMN).parts == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a",
        "a.b",
        "a.b.c.d",
        "a.b.",
        ".a.b",
        "a..b",
        "a.b.c*",
        "*a.b.c",
        'a.b."c',
        'a.b.""',
        "a b.c.d",
        'a."b"c.d',
    ],
)
def test_what_is_no_column(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not of the form schema\.table\.column"):
        parse_pattern(text, COLUMN)


def test_columns() -> None:
    assert [str(each) for each in match_columns(parse_pattern("*.*.created_at", COLUMN), SHOP)] == [
        "public.customers.created_at",
        "public.orders.created_at",
    ]
    assert len(match_columns(parse_pattern("public.payroll", TABLE), SHOP)) == 3
    assert match_columns(parse_pattern("public.payroll.Salary", COLUMN), SHOP) == ()


def test_views_match_like_tables_and_system_relations_do_not() -> None:
    found = read_catalog("CREATE TABLE public.v (\nid int4\n);\nCREATE TABLE pg_catalog.pg_x (\nid int4\n);\n")
    view = found.tables[TableRef("public", "v")]
    object.__setattr__(view, "kind", RelationKind.VIEW)
    assert match_tables(parse_pattern("*.*", TABLE), found) == (TableRef("public", "v"),)
    object.__setattr__(view, "kind", RelationKind.SEQUENCE)
    assert "is not a table or view" in explain_no_match(parse_pattern("public.v", TABLE), found)
    assert "unknown table `pg_catalog.pg_x`" in explain_no_match(parse_pattern("pg_catalog.pg_x", TABLE), found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("public.custmers.ssn", "unknown table `public.custmers`: did you mean `public.customers`?"),
        ("public.customers.snn", "unknown column `public.customers.snn`: did you mean `ssn`?"),
        ("*.*.snn", "`*.*.snn` matches nothing in the database"),
    ],
)
def test_explain_no_match(text: str, expected: str) -> None:
    assert explain_no_match(parse_pattern(text, COLUMN), SHOP) == expected
