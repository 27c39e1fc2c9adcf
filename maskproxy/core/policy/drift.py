"""Drift: columns that nobody has reviewed are NULL under every masking scope, until somebody has.

What was reviewed is written in a lock beside the rules, one column a line, sorted, so that a change of the schema is a
change of a text file:

    public.customers.email text

Without a lock, what there was when the rules were read counts as reviewed. In either case a column has drifted too
when its number in the table is no longer the one that its name had: it was renamed while the proxy ran, or the table
was made anew with its columns in another order. Rules go by names, and the name may say something else now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from maskproxy.base.refs import ColumnRef, Location, TableRef
from maskproxy.base.types import PG_TYPES
from maskproxy.core.catalog import SYSTEM_SCHEMAS, Catalog, Column
from maskproxy.core.masks.constants import Null
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.policy.lock import Lock, written_name
from maskproxy.core.policy.ruleset import Candidate

DRIFT: Final = "(drift)"
"""The label of such columns. No rules can name it, so no scope sees it clear."""

NOWHERE: Final = Location("rules", 1)
_RULE: Final = "drift"
_NULL: Final = Null(mask="null")
_HEAD: Final = """\
# The columns that were reviewed, with their types. A column that is not here is NULL under masking scopes.
# Written by `maskproxy check --write-lock`: look at the change before you keep it.
"""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What was reviewed: the types of columns, and the numbers that they had in their tables when they were first
    seen."""

    types: Mapping[ColumnRef, str]
    places: Mapping[ColumnRef, int] = field(default_factory=dict)
    location: Location = NOWHERE


def reviewed(lock: Lock | None, catalog: Catalog) -> Reviewed:
    """By the lock, or by what there is now."""
    places = _places(catalog)
    if lock is None:
        return Reviewed({ref: column.type_name for ref, column in _columns(catalog)}, places)
    return Reviewed(lock.columns, places, Location(lock.file, 1))


def with_new_columns(seen: Reviewed, catalog: Catalog) -> Reviewed:
    """The same, of columns too that were made since."""
    return replace(seen, places={**_places(catalog), **seen.places})


def _places(catalog: Catalog) -> dict[ColumnRef, int]:
    return {ref: column.attnum for ref, column in _columns(catalog)}


def drifted(catalog: Catalog, tables: Iterable[TableRef], seen: Reviewed) -> dict[ColumnRef, str]:
    """Columns of these tables that are not as they were reviewed, and why."""
    parents = _parents(catalog)
    found: dict[ColumnRef, str] = {}
    for ref in sorted(tables):
        for column in catalog.tables[ref].columns:
            column_ref = ColumnRef(ref.schema, ref.name, column.name)
            if (why := _drift(column_ref, column, catalog, parents, seen)) is not None:
                found[column_ref] = why
    return found


def _drift(
    ref: ColumnRef, column: Column, catalog: Catalog, parents: Mapping[TableRef, TableRef], seen: Reviewed
) -> str | None:
    type_name = seen.types.get(ref)
    if type_name is None:
        parent = parents.get(ref.table_ref)
        inherited = None if parent is None else ColumnRef(parent.schema, parent.name, ref.column)
        above = None if inherited is None else catalog.column(inherited)
        if inherited is not None and above is not None and above.type_name == column.type_name:
            return _drift(inherited, above, catalog, parents, seen)  # a new partition holds what the others hold
        return f"it is new, of type {column.type_name}"
    if type_name != column.type_name:
        return f"its type was {type_name} and is {column.type_name}"
    if seen.places.get(ref, column.attnum) != column.attnum:
        return "another column had its name"
    return None


def _parents(catalog: Catalog) -> dict[TableRef, TableRef]:
    return {child: ref for ref, table in sorted(catalog.tables.items()) for child in table.children}


def null_candidate(ref: ColumnRef, catalog: Catalog, location: Location) -> Candidate:
    """NULL, stricter than any mask."""
    column = catalog.column(ref)
    mask = ColumnMask(
        name="null",
        label=DRIFT,
        column=ref,
        type=None if column is None else PG_TYPES.get(column.type_oid),
        apply=None,
        rule=_RULE,
        location=location,
    )
    return Candidate((_NULL.rank, _NULL.strictness, _RULE), mask)


def _columns(catalog: Catalog) -> Iterable[tuple[ColumnRef, Column]]:
    for ref, table in catalog.tables.items():
        if ref.schema not in SYSTEM_SCHEMAS:
            for column in table.columns:
                yield ColumnRef(ref.schema, ref.name, column.name), column


def render_lock(catalog: Catalog, tables: Iterable[TableRef]) -> str:
    """The lock of these tables as they are now."""
    chosen = frozenset(tables)
    lines = (
        f"{'.'.join(map(written_name, (ref.schema, ref.table, ref.column)))} {column.type_name}\n"
        for ref, column in _columns(catalog)
        if ref.table_ref in chosen
    )
    return _HEAD + "".join(sorted(lines))
