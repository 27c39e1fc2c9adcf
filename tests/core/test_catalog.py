"""Names found as the server finds them, and what a scope does not see."""

from dataclasses import replace

import pytest

from maskproxy.base.refs import ColumnRef, Generation, Oid, TableRef
from maskproxy.core.catalog import (
    SYSTEM_SCHEMAS,
    Catalog,
    CatalogObject,
    Column,
    ObjectKind,
    Table,
    UserType,
    _Visible,
    column_key,
)
from maskproxy.core.system_relations import SYSTEM_RELATIONS


def table(name: str, *columns: str, **more: object) -> Table:
    schema, _, relation = name.partition(".")
    fields = tuple(
        Column(name=each, type_oid=Oid(23), type_name="text", attnum=number) for number, each in enumerate(columns, 1)
    )
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
    whole = replace(WHOLE, tables={**WHOLE.tables, **{each.ref: each for each in _system("pg_stats")}})
    scope = whole.visible_to({TableRef("hr", "customers"): frozenset({"id"})})
    assert scope.tables[TableRef("pg_catalog", "pg_stats")].hidden
    types = scope.tables[TableRef("pg_catalog", "pg_type")]
    assert not types.hidden
    assert {column.name: column.expression for column in types.visible_columns} == {
        "oid": "",
        "typname": "",
        "typdefault": "NULL::text",
    }
    assert types.filter


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


def _system(*names: str) -> list[Table]:
    return [table(f"pg_catalog.{name}", "oid") for name in names]


NAME = TableRef("public", "a_type")


def numbers(**more: object) -> dict[str, frozenset[int]]:
    """The objects in sight of who sees public.customers, of oid 20000, but for ssn."""
    customers = replace(WHOLE.tables[TableRef("public", "customers")], oid=Oid(20000))
    whole = replace(WHOLE, tables={**WHOLE.tables, customers.ref: customers}, **more)  # type: ignore[arg-type]
    return dict(_Visible(whole, {customers.ref: frozenset({"id"})})._numbers())


def test_an_index_is_seen_with_all_its_columns() -> None:
    seen = numbers(
        objects=(
            CatalogObject(ObjectKind.INDEX, Oid(1), frozenset({column_key(20000, 1)})),
            CatalogObject(ObjectKind.INDEX, Oid(2), frozenset({column_key(20000, 1), column_key(20000, 2)})),
            CatalogObject(ObjectKind.INDEX, Oid(3), frozenset({column_key(30000, 1)})),
            CatalogObject(ObjectKind.INDEX, Oid(4), frozenset()),
            CatalogObject(ObjectKind.CONSTRAINT, Oid(5), frozenset({column_key(20000, 1)}), Oid(1)),
            CatalogObject(ObjectKind.CONSTRAINT, Oid(6), frozenset({column_key(20000, 1)}), Oid(2)),
            CatalogObject(ObjectKind.SEQUENCE, Oid(7), frozenset({column_key(20000, 2)})),
        )
    )
    assert seen["indexes"] == {1}
    assert seen["constraints"] == {5}
    assert seen["sequences"] == frozenset()


def test_a_type_is_seen_with_what_it_is_made_of_but_no_hidden_table_is() -> None:
    """The column's type is a composite of a domain and of a hidden table's row."""
    customers = replace(WHOLE.tables[TableRef("public", "customers")], oid=Oid(20000))
    id_column = replace(customers.columns[0], declared=Oid(40000))
    customers = replace(customers, columns=(id_column, *customers.columns[1:]))
    types = {
        Oid(40000): UserType(NAME, parts=(Oid(40001), Oid(40002), Oid(40003)), relation=Oid(50000), is_composite=True),
        Oid(40001): UserType(NAME, parts=(Oid(40004), Oid(25))),
        Oid(40002): UserType(NAME, parts=(Oid(40003),), relation=Oid(60000)),
        Oid(40003): UserType(NAME, parts=(Oid(40002),)),
        Oid(40004): UserType(NAME),
        Oid(40005): UserType(NAME),
        Oid(40006): UserType(NAME, of_extension=True),
        Oid(40007): UserType(NAME, relation=Oid(20000)),
    }
    whole = replace(WHOLE, tables={**WHOLE.tables, customers.ref: customers}, user_types=types)
    seen = _Visible(whole, {customers.ref: frozenset({"id"})})._numbers()
    assert seen["types"] == {40000, 40001, 40004, 40006, 40007}
    assert seen["composites"] == {50000}


def test_every_system_relation_is_of_a_system_schema_and_shows_something() -> None:
    for ref, relation in SYSTEM_RELATIONS.items():
        assert ref.schema in SYSTEM_SCHEMAS
        assert relation.columns
        assert relation.filter


def test_column() -> None:
    assert WHOLE.column(ColumnRef("hr", "payroll", "iban")) is not None
    assert WHOLE.column(ColumnRef("hr", "payroll", "nosuch")) is None
    assert WHOLE.column(ColumnRef("hr", "nosuch", "iban")) is None
