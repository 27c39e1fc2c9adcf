"""Names found as the server finds them, and what a scope does not see."""

import pytest

from maskproxy.base.refs import ColumnRef, Generation, Oid, TableRef
from maskproxy.core.catalog import SYSTEM_RELATIONS, Catalog, Column, Table


def table(name: str, *columns: str, **more: object) -> Table:
    schema, _, relation = name.partition(".")
    fields = tuple(Column(name=each, type_oid=Oid(23), attnum=number) for number, each in enumerate(columns, 1))
    return Table(ref=TableRef(schema, relation), columns=fields, **more)  # type: ignore[arg-type]


WHOLE = Catalog(
    generation=Generation(1),
    tables={
        each.ref: each
        for each in (
            table("public.customers", "id", "ssn"),
            table("hr.customers", "id"),
            table("hr.payroll", "iban"),
            table("public.pg_class", "id"),
            table("pg_catalog.pg_class", "oid", "relname"),
            table("pg_catalog.pg_type", "oid", "typname", "typdefault"),
            table("pg_temp_3.customers", "id"),
        )
    },
)


@pytest.mark.parametrize(
    ("schema", "name", "path", "found"),
    [
        (None, "customers", ("public", "hr"), "public.customers"),
        (None, "customers", ("hr", "public"), "hr.customers"),
        ("hr", "customers", ("public",), "hr.customers"),
        (None, "payroll", ("public",), None),
        (None, "pg_class", ("public",), "pg_catalog.pg_class"),
        (None, "pg_class", ("public", "pg_catalog"), "public.pg_class"),
        ("pg_temp", "customers", ("public",), None),
        (None, "nosuch", (), None),
    ],
)
def test_lookup(schema: str | None, name: str, path: tuple[str, ...], found: str | None) -> None:
    result = WHOLE.lookup(schema, name, path)
    assert (None if result is None else str(result.ref)) == found


def test_a_hidden_table_is_found_and_not_passed_over() -> None:
    """Else the visible table of a later schema would be analysed while the server reads the hidden one."""
    scope = WHOLE.visible_to({TableRef("public", "customers"): frozenset({"id"})})
    found = scope.lookup(None, "customers", ("hr", "public"))
    assert found is not None
    assert found.hidden
    assert found.ref == TableRef("hr", "customers")


def test_columns_outside_the_scope_are_hidden() -> None:
    scope = WHOLE.visible_to({TableRef("public", "customers"): frozenset({"id"})})
    customers = scope.tables[TableRef("public", "customers")]
    assert [column.name for column in customers.visible_columns] == ["id"]
    assert customers.is_partly_visible
    assert not customers.hidden
    assert scope.visible_tables() == (TableRef("public", "customers"),)


def test_a_table_seen_whole_needs_no_substitute() -> None:
    scope = WHOLE.visible_to({TableRef("hr", "payroll"): frozenset({"iban"})})
    assert not scope.tables[TableRef("hr", "payroll")].is_partly_visible


def test_system_relations_are_those_listed() -> None:
    scope = WHOLE.visible_to({TableRef("hr", "customers"): frozenset({"id"})})
    assert scope.tables[TableRef("pg_catalog", "pg_class")].hidden
    types = scope.tables[TableRef("pg_catalog", "pg_type")]
    assert not types.hidden
    assert [column.name for column in types.visible_columns] == ["oid", "typname"]
    assert "typrelid = 0" in types.filter


def test_filters_name_the_schemas_and_types_in_sight() -> None:
    whole = Catalog(
        generation=Generation(1),
        tables={
            each.ref: each
            for each in (*WHOLE.tables.values(), table("o'hara.t", "a"), *_system("pg_namespace", "pg_enum"))
        },
    )
    scope = whole.visible_to({TableRef("o'hara", "t"): frozenset({"a"})})
    assert "'o''hara'" in scope.tables[TableRef("pg_catalog", "pg_namespace")].filter
    assert "'hr'" not in scope.tables[TableRef("pg_catalog", "pg_namespace")].filter
    assert "IN (23)" in scope.tables[TableRef("pg_catalog", "pg_enum")].filter


def _system(*names: str) -> list[Table]:
    return [table(f"pg_catalog.{name}", "oid") for name in names]


def test_every_system_relation_is_of_a_system_schema_and_shows_something() -> None:
    for ref, relation in SYSTEM_RELATIONS.items():
        assert ref.schema == "pg_catalog"
        assert relation.columns


def test_column() -> None:
    assert WHOLE.column(ColumnRef("hr", "payroll", "iban")) is not None
    assert WHOLE.column(ColumnRef("hr", "payroll", "nosuch")) is None
    assert WHOLE.column(ColumnRef("hr", "nosuch", "iban")) is None
