"""What writes are checked against, as a real database says it, old and new."""

import pytest

from maskproxy.base.refs import TableRef
from maskproxy.core.catalog import Catalog
from tests.proxy.test_catalogs import catalog
from tests.support.servers import Server

SCRIPT = """
CREATE TABLE t (
    id int PRIMARY KEY, email text UNIQUE, a int, b int, c text DEFAULT 'x', gone int,
    total int GENERATED ALWAYS AS (a + b) STORED, EXCLUDE USING btree (c WITH =)
);
ALTER TABLE t DROP COLUMN gone;
CREATE UNIQUE INDEX ON t (a) INCLUDE (b);
CREATE UNIQUE INDEX ON t (lower(c));
CREATE UNIQUE INDEX ON t (b) WHERE email IS NULL;
CREATE FUNCTION whole(t) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE UNIQUE INDEX ON t (id, whole(t.*));
CREATE INDEX ON t ((a / b));
ALTER TABLE t ADD CHECK (a > b);
CREATE TABLE unvalidated (a int, b int);
ALTER TABLE unvalidated ADD CHECK (a > 0) NOT VALID;
CREATE TABLE secured (a int, b int, c int);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON secured USING (a > 0) WITH CHECK (c > 0);
CREATE POLICY two ON secured FOR UPDATE USING (current_user = 'x');
CREATE POLICY three ON secured FOR SELECT USING (b > 0);
CREATE TABLE unsecured (a int);
CREATE POLICY one ON unsecured USING (a > 0);
CREATE TABLE refers (t_id int REFERENCES t, code int DEFAULT 5, owner int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE parts (id int, at date, kind int) PARTITION BY RANGE (at);
CREATE TABLE parts_expression (id int, at date) PARTITION BY RANGE ((id + 1));
CREATE TABLE ruled (a int);
CREATE RULE also AS ON INSERT TO ruled DO ALSO NOTHING;
CREATE VIEW seen AS SELECT a FROM ruled;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER does BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE DOMAIN five AS int DEFAULT 5;
CREATE TABLE defaults (none int, domain five, serial serial);
"""


@pytest.fixture(params=["postgres18", "postgres15"])
async def found(request: pytest.FixtureRequest) -> Catalog:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Server)
    return await catalog(server, SCRIPT)


def checks(catalog: Catalog, table: str) -> set[str]:
    found = catalog.tables[TableRef("public", table)].constraints
    return {
        " ".join((each.kind, *sorted(each.columns)))
        + (f" -> {' '.join(map(str, sorted(each.others)))}" if each.others else "")
        + (" nulls" if each.nulls else "")
        + (" always" if each.always else "")
        for each in found
    }


async def test_indexes_checks_and_generated_columns(found: Catalog) -> None:
    assert checks(found, "t") == {
        "unique id nulls",
        "unique email nulls",
        "unique a nulls",
        "unique c nulls",  # exclusion
        "unique c",  # an expression
        "unique b email",  # a predicate
        "unique a b c email id total",  # a whole row
        "row a b",  # CHECK and the index of a / b
        "row a b total",
        "referenced id -> public.refers.t_id",
    }


async def test_a_check_that_was_never_validated_matters_always(found: Catalog) -> None:
    assert checks(found, "unvalidated") == {"row a always"}


async def test_policies_matter_where_row_security_is_on(found: Catalog) -> None:
    assert checks(found, "secured") == {"row a c always", "row always"}
    assert checks(found, "unsecured") == set()


async def test_foreign_keys_stand_on_both_sides(found: Catalog) -> None:
    assert checks(found, "refers") == {"references t_id -> public.t.id nulls"}


async def test_keys_of_partitions(found: Catalog) -> None:
    assert checks(found, "parts") == {"row at"}
    assert checks(found, "parts_expression") == {"row at id"}


async def test_nulls_not_distinct(request: pytest.FixtureRequest) -> None:
    found = await catalog(
        request.getfixturevalue("postgres18"), "CREATE TABLE t (a int, UNIQUE NULLS NOT DISTINCT (a))"
    )
    assert checks(found, "t") == {"unique a"}


async def test_match_full_compares_what_is_not_null(request: pytest.FixtureRequest) -> None:
    script = "CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE u (a int REFERENCES t MATCH FULL)"
    found = await catalog(request.getfixturevalue("postgres18"), script)
    assert checks(found, "u") == {"references a -> public.t.a"}


async def test_rules_and_triggers(found: Catalog) -> None:
    tables = {ref.name: table for ref, table in found.tables.items() if ref.schema == "public"}
    assert {name for name, table in tables.items() if table.has_rules} == {"ruled"}
    assert {name for name, table in tables.items() if table.has_triggers} == {"parts"}


async def test_what_an_insert_does_not_name_may_have_a_value(found: Catalog) -> None:
    tables = {ref.name: table for ref, table in found.tables.items() if ref.schema == "public"}
    with_default = {
        name: [column.name for column in tables[name].columns if column.has_default]
        for name in ("t", "refers", "defaults")
    }
    assert with_default == {"t": ["c", "total"], "refers": ["code", "owner"], "defaults": ["domain", "serial"]}
