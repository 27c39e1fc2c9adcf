"""The shop's catalog with a view and the system relations, as two scopes see it. A server can be given the same."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from maskproxy.base.refs import Oid, TableRef
from maskproxy.core.catalog import Catalog, Column, RelationKind, Table
from tests.support.catalogs import catalog

VIEWS = """
CREATE VIEW public.v_cust AS SELECT id, name, ssn AS code FROM public.customers;
CREATE MATERIALIZED VIEW public.m_cust AS SELECT id, ssn FROM public.customers;
"""

_SYSTEM: Mapping[str, str] = {
    "pg_type": "oid typname typnamespace typtype typrelid typelem typarray typdelim typdefault",
    "pg_namespace": "oid nspname",
    "pg_enum": "oid enumtypid enumsortorder enumlabel",
    "pg_class": "oid relname relnamespace reltuples",
    "pg_attribute": "attrelid attname atttypid attnum attnotnull attisdropped",
    "pg_index": "indexrelid indrelid indisunique",
    "pg_description": "objoid classoid objsubid description",
}


def whole_catalog() -> Catalog:
    tables = dict(catalog("shop").tables)
    for name, columns in _SYSTEM.items():
        tables[TableRef("pg_catalog", name)] = _table("pg_catalog", name, columns, RelationKind.TABLE)
    view = _table("public", "v_cust", "id name code", RelationKind.VIEW)
    tables[view.ref] = replace(view, definition=" SELECT id,\n    name,\n    ssn AS code\n   FROM public.customers;")
    stored = _table("public", "m_cust", "id ssn", RelationKind.MATERIALIZED_VIEW)
    tables[stored.ref] = replace(stored, definition=" SELECT id,\n    ssn\n   FROM public.customers;")
    return replace(catalog("shop"), tables=tables)


def _table(schema: str, name: str, columns: str, kind: RelationKind) -> Table:
    fields = tuple(
        Column(name=each, type_oid=Oid(25), type_name="text", attnum=number)
        for number, each in enumerate(columns.split(), 1)
    )
    return Table(ref=TableRef(schema, name), kind=kind, columns=fields)


def seen_by(scope: str, whole: Catalog) -> Catalog:
    """``everything``: all of the shop but payroll. ``no notes``: that without customers.notes."""
    hidden = {"notes"} if scope == "no notes" else set()
    return whole.visible_to(
        {
            ref: frozenset(column.name for column in table.columns) - hidden
            for ref, table in whole.tables.items()
            if ref.schema == "public" and ref.name != "payroll"
        }
    )


@cache
def shop(scope: str) -> Catalog:
    return seen_by(scope, whole_catalog())
