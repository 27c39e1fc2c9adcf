"""Random queries over the shop: nested, shadowed, joined, merged, grouped, compared. The seed decides everything.

Columns carry one of three types so that most queries also pass the server's type checks; those that do not are of no
use."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

TABLES = {
    "customers": {"id": "i", "name": "t", "email": "t", "ssn": "t", "phone": "t", "balance": "n"},
    "orders": {"id": "i", "customer_id": "i", "total": "n", "status": "t"},
}
_LITERALS = {"i": "3", "t": "'name 1'", "n": "20.5"}


@dataclass(frozen=True, slots=True)
class Source:
    """A FROM item: its text, and columns as they can be written, with types."""

    text: str
    columns: dict[str, str]


class Generator:
    def __init__(self, seed: int, tables: Mapping[str, dict[str, str]] = TABLES) -> None:
        self._random = Random(seed)
        self._tables = dict(tables)
        self._names = 0

    def query(self, depth: int = 3, outer: dict[str, str] | None = None, types: str | None = None) -> tuple[str, str]:
        """A query and its outputs' types, one letter each; outputs are named c0, c1 ..."""
        choice = self._random.random()
        if depth > 0 and choice < 0.12:
            return self._set_operation(depth, outer, types)
        if depth > 0 and choice < 0.24:
            return self._with(depth, outer, types)
        return self._select(depth, outer or {}, types)

    def _set_operation(self, depth: int, outer: dict[str, str] | None, types: str | None) -> tuple[str, str]:
        left, kinds = self.query(depth - 1, outer, types)
        right, _ = self.query(depth - 1, outer, kinds)
        word = self._random.choice(["UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT"])
        return f"({left}) {word} ({right})", kinds

    def _with(self, depth: int, outer: dict[str, str] | None, types: str | None) -> tuple[str, str]:
        inner, kinds = self.query(depth - 1, outer)
        name = self._random.choice(["orders", "q", "customers"])
        columns = {f"c{index}": kind for index, kind in enumerate(kinds)}
        saved = self._tables.get(name)
        self._tables[name] = columns
        try:
            body, out = self.query(depth - 1, outer, types)
        finally:
            if saved is None:
                del self._tables[name]
            else:
                self._tables[name] = saved
        return f"WITH {name} AS ({inner}) {body}", out

    def _select(self, depth: int, outer: dict[str, str], types: str | None) -> tuple[str, str]:
        source = self._from(depth, outer)
        visible = {**outer, **source.columns}
        kinds = types or "".join(self._random.choice("itn") for _ in range(self._random.randint(1, 3)))
        grouped = types is None and self._random.random() < 0.15
        if grouped:
            return self._grouped(source, visible, depth, kinds)
        items = [f"{self._expression(kind, visible, depth)} AS c{index}" for index, kind in enumerate(kinds)]
        distinct = "DISTINCT " if self._random.random() < 0.1 else ""
        text = f"SELECT {distinct}{', '.join(items)} FROM {source.text}{self._where(visible, depth)}"
        if self._random.random() < 0.25 and not distinct:
            key = self._random.choice([str(self._random.randint(1, len(kinds))), "c0", self._column("t", visible)])
            text += f" ORDER BY {key}"
            text += self._random.choice(["", f" LIMIT {self._random.randint(1, 4)}"])
        return text, kinds

    def _grouped(self, source: Source, visible: dict[str, str], depth: int, kinds: str) -> tuple[str, str]:
        key = self._column(kinds[0], visible)
        aggregates = {"i": "count({})", "t": "max({})", "n": "sum({})"}
        columns = {"i": "t", "t": "t", "n": "n"}
        items = [f"{key} AS c0"]
        for index, kind in enumerate(kinds[1:], 1):
            items.append(aggregates[kind].format(self._column(columns[kind], visible)) + f" AS c{index}")
        having = f" HAVING max({self._column('t', visible)}) > 'a'" if self._random.random() < 0.3 else ""
        where = self._where(visible, depth)
        return f"SELECT {', '.join(items)} FROM {source.text}{where} GROUP BY {key}{having}", kinds

    def _where(self, visible: dict[str, str], depth: int) -> str:
        choice = self._random.random()
        if choice < 0.5:
            return ""
        if choice < 0.8 or depth == 0:
            kind = self._random.choice("itn")
            return f" WHERE {self._column(kind, visible)} {self._random.choice(['=', '<', '>='])} {_LITERALS[kind]}"
        inner, kinds = self.query(depth - 1, visible)
        if self._random.random() < 0.5:
            return f" WHERE {self._random.choice(['', 'NOT '])}EXISTS ({inner})"
        inner, _ = self.query(depth - 1, visible, kinds[0])
        return f" WHERE {self._column(kinds[0], visible)} IN ({inner})"

    def _from(self, depth: int, outer: dict[str, str]) -> Source:
        source = self._item(depth, outer)
        for _ in range(self._random.choice([0, 0, 0, 1, 1])):
            source = self._joined(source, self._item(depth, outer), outer, depth)
        return source

    def _joined(self, left: Source, right: Source, outer: dict[str, str], depth: int) -> Source:
        columns = {**left.columns, **right.columns}
        names = {each.split(".")[1]: kind for each, kind in left.columns.items() if "." in each}
        common = [
            n for n, kind in names.items() if any(c.endswith(f".{n}") and k == kind for c, k in right.columns.items())
        ]
        choice = self._random.random()
        kind = self._random.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        if common and choice < 0.4 and " JOIN " not in left.text:
            name = self._random.choice(common)
            return Source(f"{left.text} {kind} {right.text} USING ({name})", {**columns, name: names[name]})
        if choice < 0.6 and depth > 0 and " JOIN " not in left.text:
            inner, kinds = self._select(depth - 1, {**outer, **left.columns}, None)
            lateral = self._derived(inner, kinds)
            return Source(f"{left.text}, LATERAL {lateral.text}", {**left.columns, **lateral.columns})
        on = f"{self._column('i', left.columns)} = {self._column('i', right.columns)}"
        return Source(f"{left.text} {kind.replace('FULL ', '')} {right.text} ON {on}", columns)

    def _item(self, depth: int, outer: dict[str, str]) -> Source:
        if depth > 0 and self._random.random() < 0.35:
            inner, kinds = self.query(depth - 1, outer if self._random.random() < 0.3 else None)
            return self._derived(inner, kinds)
        table = self._random.choice(sorted(self._tables))
        alias = self._alias()
        return Source(f"{table} AS {alias}", {f"{alias}.{name}": kind for name, kind in self._tables[table].items()})

    def _derived(self, inner: str, kinds: str) -> Source:
        alias = self._alias()
        if self._random.random() < 0.3:
            names = [f"a{index}" for index in range(len(kinds))]
            columns = {f"{alias}.{name}": kind for name, kind in zip(names, kinds, strict=True)}
            return Source(f"({inner}) AS {alias}({', '.join(names)})", columns)
        return Source(f"({inner}) AS {alias}", {f"{alias}.c{index}": kind for index, kind in enumerate(kinds)})

    def _alias(self) -> str:
        self._names += 1
        return (
            self._random.choice(["a", "b", "customers", "orders", "x"])
            if self._random.random() < 0.05
            else f"r{self._names}"
        )

    def _column(self, kind: str, visible: dict[str, str]) -> str:
        found = [name for name, each in visible.items() if each == kind]
        return self._random.choice(found) if found else _LITERALS[kind]

    def _expression(self, kind: str, visible: dict[str, str], depth: int) -> str:
        choice = self._random.random()
        column = self._column(kind, visible)
        if choice < 0.55:
            return column
        if choice < 0.65 and depth > 0:
            inner, _ = self._select(depth - 1, visible, kind)
            return f"(SELECT c0 FROM ({inner} LIMIT 1) AS {self._alias()})"
        if choice < 0.72:
            aggregate = {"i": "row_number() OVER (ORDER BY {0}, {1})::int4", "t": "max({0}) OVER (PARTITION BY {1})"}
            window = aggregate.get(kind, "sum({0}) OVER (ORDER BY {1})")
            return window.format(column, self._column("t", visible))
        other = self._column(kind, visible)
        condition = f"{self._column('t', visible)} > 'name 1'"
        return (
            f"CASE WHEN {condition} THEN {column} ELSE {other} END" if choice < 0.82 else f"coalesce({column}, {other})"
        )
