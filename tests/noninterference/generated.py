"""Nested queries over the twins' schema: what tests/core/sql makes, and more kinds of outputs, groups and sources.

The seed decides everything, and nothing reads a clock or draws a number: a difference between twins is a leak."""

from collections.abc import Mapping
from typing import Final

from tests.core.sql.generated import Generator, Source

TWINS: Final[Mapping[str, dict[str, str]]] = {
    "customers": {"id": "i", "name": "t", "email": "t", "ssn": "t", "phone": "t", "salary": "n"},
    "orders": {"id": "i", "customer_id": "i", "total": "n"},
    "persons": {"id": "i", "city": "t", "code": "t", "nick": "t", "visits": "i", "secret": "t"},
    "employees": {"id": "i", "city": "t", "secret": "t", "badge": "t"},
    "events": {"id": "i", "customer_id": "i", "kind": "t", "secret": "t", "amount": "n"},
    "v_cust": {"id": "i", "name": "t", "code": "t"},
}

# {0} and {1} are columns of the kind, {t} a text, {n} a number, {i} an integer
_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "t": (
        "upper({0})",
        "{0} || '/' || {1}",
        "left({0}, 3)",
        "substr({0}, 2, 4)",
        "replace({0}, '1', 'x')",
        "lower({0})::varchar(6)",
        "concat_ws('-', {0}, {n}, {i})",
        "format('%s:%s', {0}, {1})",
        "nullif({0}, '123-45-6789')",
        "greatest({0}, {1})",
        "md5({0})",
        "to_char({n}, '999999.99')",
        "({n})::text",
        "string_agg({0}, ',') OVER (ORDER BY {i}, {0})",
        "lag({0}) OVER (PARTITION BY {1} ORDER BY {i})",
        "first_value({0}) OVER (ORDER BY {n}, {i}, {0})",
        "(SELECT max(s.email) FROM customers AS s WHERE s.ssn >= {0})",
        "CASE {0} WHEN {1} THEN 'same' WHEN 'canarysecreta' THEN 'found' ELSE {1} END",
    ),
    "i": (
        "length({t})",
        "({n})::int4",
        "coalesce({0}, {1}, 0)",
        "{0} % 5",
        "ascii({t})",
        "position('1' in {t})",
        "CASE WHEN {t} LIKE '%a%' OR {n} > 50000 THEN {0} ELSE {1} END",
        "dense_rank() OVER (ORDER BY {n}, {t})::int4",
        "(SELECT count(*) FROM events AS s WHERE s.secret < {t})::int4",
        "({t} IN (SELECT s.ssn FROM customers AS s))::int4",
        "({t} IS NULL)::int4",
        "(({t}, {n}) < ('2', 100))::int4",
        "cardinality(ARRAY[{t}, {t}])",
    ),
    "n": (
        "{0} * 2 + {1}",
        "round({0}, 0)",
        "abs({0} - 1000)",
        "{0} / 3",
        "length({t})::numeric",
        "avg({0}) OVER (PARTITION BY {t})",
        "(SELECT sum(s.amount) FROM events AS s WHERE s.amount < {0})",
    ),
}
_AGGREGATES: Final[Mapping[str, tuple[str, ...]]] = {
    "i": ("count({t})::int4", "count(DISTINCT {t})::int4", "count(*) FILTER (WHERE {t} > '2')::int4", "max({i})"),
    "t": ("max({t})", "string_agg({t}, ',' ORDER BY {n}, {t})", "min({t}) FILTER (WHERE {i} > 1)"),
    "n": ("sum({n})", "avg({n})", "percentile_disc(0.5) WITHIN GROUP (ORDER BY {n})"),
}
_GROUPS: Final = ("{0}", "ROLLUP ({0})", "CUBE ({0})", "GROUPING SETS (({0}), ())")
_WRAPS: Final = (
    "{0}",
    "SELECT * FROM ({0}) AS q",
    "SELECT q FROM ({0}) AS q",
    "SELECT q.*, count(*) OVER () FROM ({0}) AS q",
    "SELECT to_jsonb(q) FROM ({0}) AS q",
    "SELECT count(*), max(c0) FROM ({0}) AS q",
    "SELECT DISTINCT ON (c0) q.* FROM ({0}) AS q ORDER BY c0",
    "SELECT q.* FROM ({0}) AS q ORDER BY q",
    "WITH customers AS MATERIALIZED ({0}) TABLE customers",
    "SELECT json_agg(q ORDER BY c0) FROM ({0}) AS q",
    "SELECT c.*, q.* FROM customers AS c, LATERAL (SELECT * FROM ({0}) AS i LIMIT 1) AS q",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r, ({0}) AS q",
    "SELECT * FROM persons AS p LEFT JOIN ({0}) AS q ON p.secret > 'm'",
    "SELECT * FROM (TABLE events) AS e NATURAL JOIN (SELECT secret FROM employees) AS s WHERE EXISTS ({0})",
    "VALUES ((SELECT max(c0) FROM ({0}) AS q)), ((SELECT min(c0) FROM ({0}) AS q))",
)


class TwinQueries(Generator):
    def __init__(self, seed: int) -> None:
        super().__init__(seed, TWINS)

    def statement(self) -> str:
        inner, _ = self.query()
        return self._random.choice(_WRAPS).format(inner.replace("{", "{{").replace("}", "}}"))

    def _expression(self, kind: str, visible: dict[str, str], depth: int) -> str:
        if self._random.random() < 0.5:
            return super()._expression(kind, visible, depth)
        return self._fill(self._random.choice(_FORMS[kind]), kind, visible)

    def _grouped(self, source: Source, visible: dict[str, str], depth: int, kinds: str) -> tuple[str, str]:
        key = self._column(kinds[0], visible)
        outputs = [f"{key} AS c0"]
        for index, kind in enumerate(kinds[1:], 1):
            outputs.append(self._fill(self._random.choice(_AGGREGATES[kind]), kind, visible) + f" AS c{index}")
        group = self._random.choice(_GROUPS).format(key)
        return f"SELECT {', '.join(outputs)} FROM {source.text}{self._where(visible, depth)} GROUP BY {group}", kinds

    def _fill(self, form: str, kind: str, visible: dict[str, str]) -> str:
        columns = {letter: self._column(letter, visible) for letter in "tin"}
        return form.format(self._column(kind, visible), self._column(kind, visible), **columns)
