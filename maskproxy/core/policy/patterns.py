"""Names of tables and columns in rules: ``schema.table.column``, where ``*`` stands for one whole name.

Names are written as the catalog holds them: nothing is folded to lower case. A name with a dot, a star or a quote in it
stands in double quotes, a quote in it doubled, as in SQL.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import SYSTEM_SCHEMAS, Catalog, RelationKind, Table
from maskproxy.core.yaml import did_you_mean

_NAME = re.compile(r'"(?:[^"]|"")+"|[^".*\s]+|\*')
_READABLE = frozenset(
    {
        RelationKind.TABLE,
        RelationKind.PARTITIONED,
        RelationKind.FOREIGN_TABLE,
        RelationKind.VIEW,
        RelationKind.MATERIALIZED_VIEW,
    }
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """``parts`` are names, None for ``*``."""

    text: str
    parts: tuple[str | None, ...]

    @property
    def exact(self) -> bool:
        return None not in self.parts

    def matches(self, names: Iterable[str]) -> bool:
        return all(part is None or part == name for part, name in zip(self.parts, names, strict=True))


def parse_pattern(text: str, *shapes: str) -> Pattern:
    """Raises ValueError when ``text`` has none of the ``shapes``, such as ``schema.table``."""
    parts: list[str | None] = []
    position = 0
    while match := _NAME.match(text, position):
        name = match.group()
        parts.append(None if name == "*" else name[1:-1].replace('""', '"') if name[0] == '"' else name)
        position = match.end() + 1
        if match.end() == len(text) or text[match.end()] != ".":
            break
    if position != len(text) + 1 or len(parts) not in {shape.count(".") + 1 for shape in shapes}:
        raise ValueError(f"`{text}` is not of the form {' or '.join(shapes)}")
    return Pattern(text, tuple(parts))


def tables_of(catalog: Catalog) -> Iterator[Table]:
    """The tables and views that rules can speak of."""
    for table in catalog.tables.values():
        if table.kind in _READABLE and table.ref.schema not in SYSTEM_SCHEMAS:
            yield table


def match_tables(pattern: Pattern, catalog: Catalog) -> tuple[TableRef, ...]:
    return tuple(table.ref for table in tables_of(catalog) if pattern.matches((table.ref.schema, table.ref.name)))


def match_columns(pattern: Pattern, catalog: Catalog) -> tuple[ColumnRef, ...]:
    """Columns by a pattern of three names, or all columns of the tables by a pattern of two."""
    schema_and_table = Pattern(pattern.text, pattern.parts[:2])
    wanted = pattern.parts[2] if len(pattern.parts) == 3 else None
    return tuple(
        ColumnRef(ref.schema, ref.name, column.name)
        for ref in match_tables(schema_and_table, catalog)
        for column in catalog.tables[ref].columns
        if wanted is None or column.name == wanted
    )


def explain_no_match(pattern: Pattern, catalog: Catalog) -> str:
    """Why ``pattern`` found nothing, and what was probably meant."""
    if not pattern.exact:
        return f"`{pattern.text}` matches nothing in the database"
    schema, name, *column = (str(part) for part in pattern.parts)
    table = catalog.tables.get(TableRef(schema, name))
    if table is None or schema in SYSTEM_SCHEMAS:
        known = [str(each.ref) for each in tables_of(catalog)]
        return f"unknown table `{schema}.{name}`{did_you_mean(f'{schema}.{name}', known)}"
    if table.kind not in _READABLE:
        return f"`{schema}.{name}` is not a table or view"
    return f"unknown column `{pattern.text}`{did_you_mean(column[0], [each.name for each in table.columns])}"
