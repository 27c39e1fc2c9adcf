"""What statements are about: every column that is masked, denied or protected, and what views make of them."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from maskproxy.base.refs import ColumnRef
from maskproxy.cli.twins import pairs
from maskproxy.cli.twins.layout import Layout
from maskproxy.cli.twins.statements import Target
from maskproxy.cli.twins.values import Rows
from maskproxy.core.catalog import SYSTEM_SCHEMAS, Column, RelationKind, Table
from maskproxy.core.policy.ruleset import RuleSet, Scope
from maskproxy.core.sql.substitute import quoted

NOTHING_TO_SORT_BY: Final = "(1 + 0)"  # a lone number would be the number of an output column
_GUESSES: Final = 4
_SORTABLE: Final = (
    "smallint",
    "integer",
    "bigint",
    "text",
    "character varying",
    "numeric",
    "date",
    "uuid",
    "timestamp",
)


@dataclass(frozen=True, slots=True)
class Subject:
    """``seen``: the name of the mask, ``denied``, ``not selected``, ``clear``, or for a view ``by its table``.
    ``alone``: it is the same in both twins, since it is seen in clear elsewhere or no two of its values look alike."""

    target: Target
    seen: str
    alone: bool
    masked: bool


def subjects(
    layout: Layout,
    scope: Scope,
    ruleset: RuleSet,
    rows: Rows,
    protected: Collection[ColumnRef],
    differing: frozenset[ColumnRef],
) -> list[Subject]:
    return list(_Subjects(layout, scope, ruleset, rows, protected, differing).all())


@dataclass(frozen=True, slots=True)
class _Subjects:
    layout: Layout
    scope: Scope
    ruleset: RuleSet
    rows: Rows
    protected: Collection[ColumnRef]
    differing: frozenset[ColumnRef]

    def all(self) -> Iterator[Subject]:
        for ref, table in sorted(self.scope.catalog.tables.items()):
            if ref.schema in SYSTEM_SCHEMAS or table.kind is RelationKind.SEQUENCE:
                continue
            if table.hidden and self.layout.root(ref) != ref:
                continue
            for column in table.columns:
                column_ref = ColumnRef(ref.schema, ref.name, column.name)
                seen = self._seen(column_ref, table)
                if seen is not None:
                    yield self._subject(column_ref, table, column, seen)
                if table.hidden:  # one statement is as good as another
                    break

    def _seen(self, ref: ColumnRef, table: Table) -> str | None:
        """None: in clear, and nobody minds."""
        if table.hidden:
            return "not selected"
        if ref in self.scope.denied:
            return "denied"
        if ref in self.scope.masks:
            return self.scope.masks[ref].name
        if ref in self.protected:
            return "clear"
        flows = self.ruleset.views.get(ref.table_ref)
        if flows is not None and ref in flows.columns and self._closed(flows.columns[ref].sources):
            return "by its table"
        return None

    def _closed(self, sources: Iterable[ColumnRef]) -> bool:
        return any(each in self.scope.masks or each in self.scope.denied or each in self.protected for each in sources)

    def _subject(self, ref: ColumnRef, table: Table, column: Column, seen: str) -> Subject:
        root = self.layout.root(ref.table_ref)
        sources = [ref] if root == ref.table_ref else [ref, ColumnRef(root.schema, root.name, ref.column)]
        if table.ref in self.ruleset.views and ref in self.ruleset.views[table.ref].columns:
            sources += sorted(self.ruleset.views[table.ref].columns[ref].sources)
        names = {self.scope.masks[each].name for each in sources if each in self.scope.masks}
        found = [pair for each in sources for pair in self.rows.columns.get(each, [])]
        some = [value for pair in found[:_GUESSES] for value in (pair.left, pair.right) if value is not None]
        target = Target(
            column=ref,
            type=self._type(ref, column),
            by=self._by(table),
            guesses=tuple(dict.fromkeys(some)),
            token=pairs.TOKEN in names,
            functions=self._functions(),
        )
        return Subject(target, seen, alone=self.differing.isdisjoint(sources), masked=bool(names))

    def _functions(self) -> tuple[str, ...]:
        known = self.ruleset.catalog.trusted.items()
        fit = (ref for ref, each in known if each.least <= 1 and each.most != 0)
        return tuple(f"{quoted(ref.schema)}.{quoted(ref.name)}" for ref in fit)

    def _type(self, ref: ColumnRef, column: Column) -> str:
        table = self.layout.tables.get(ref.table_ref)
        return table.fields[ref.column].type if table is not None else column.type_name

    def _by(self, table: Table) -> str:
        """A column in clear that rows can be sorted by, of the key if possible."""
        clear = [
            column.name
            for column in table.columns
            if column.type_name.startswith(_SORTABLE) and self._seen(ColumnRef(*_names(table, column)), table) is None
        ]
        best = next((name for name in clear if name in table.primary_key), clear[0] if clear else None)
        return NOTHING_TO_SORT_BY if best is None else f"o.{quoted(best)}"


def _names(table: Table, column: Column) -> tuple[str, str, str]:
    return table.ref.schema, table.ref.name, column.name
