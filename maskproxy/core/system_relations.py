"""Which relations of ``pg_catalog`` and ``information_schema`` a masking scope may read, with which columns and rows.

``system_relations.txt`` is the list; what it leaves open is filled in for each scope: the relations, columns and
schemas in sight. They are numbers in array literals, since a thousand constants would each have to be parsed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from maskproxy.base.refs import TableRef

NOTHING: Final = "nothing"
"""The kind of object of a column that is always NULL or has no rows: it can stand for any."""

_COLUMN: Final = re.compile(r"(?P<name>\w+)(?:@(?P<object>\w+))?")
_KEY: Final = re.compile(r"(?P<name>\w+)(?:@(?P<object>\w+))? ?(?P<sign>[:=]) (?P<rest>.*)", re.DOTALL)
_PLACE: Final = re.compile(r"\{(\w+)\}")
_LET: Final = "let "


@dataclass(frozen=True, slots=True)
class SystemColumn:
    """``object``: the kind of object it is the number or the name of. ``expression``: what is given in its place, None
    for itself; ``is_null``: NULL of its type is."""

    object: str | None = None
    expression: str | None = None
    is_null: bool = False


@dataclass(frozen=True, slots=True)
class SystemRelation:
    """``filter`` and expressions have places for what a scope sees, see the list."""

    columns: Mapping[str, SystemColumn]
    filter: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What one scope sees, as text for each place in the list."""

    places: Mapping[str, str]

    def fill(self, text: str) -> str:
        return _PLACE.sub(lambda place: self.places[place[1]], text)


def make_sight(
    objects: Mapping[str, Iterable[int]], whole: Mapping[int, int], columns: Iterable[int], schemas: Iterable[str]
) -> Sight:
    """``objects``: their numbers by the place they fill. ``whole``: of how many columns, by the number of a table seen
    whole; ``columns``: those of others, each as table * 65536 + column."""
    oids, counts = _array(whole, "oid"), _array(whole.values(), "int2")
    # unnest of several arrays is known by its bare name only, hence ROWS FROM
    query = (
        "SELECT pg_catalog.int8(t.o) * 65536 + n.n "  # noqa: S608 - numbers
        f"FROM ROWS FROM (pg_catalog.unnest({oids}), pg_catalog.unnest({counts})) AS t (o, c), "
        "pg_catalog.generate_series(1, pg_catalog.int4(t.c)) AS n (n) "
        f"UNION ALL SELECT pg_catalog.unnest({_array(sorted(columns), 'int8')})"
    )
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(schemas))
    arrays = {place: _array(sorted(numbers), "oid") for place, numbers in objects.items()}
    return Sight({**arrays, "columns": query, "schemas": names})


def _array(numbers: Iterable[int], type_name: str) -> str:
    return f"'{{{','.join(map(str, numbers))}}}'::pg_catalog.{type_name}[]"


@dataclass(slots=True)
class _Reader:
    """Reads the list; ``lets`` are the texts named so far."""

    lets: dict[str, str] = field(default_factory=dict)
    relations: dict[TableRef, SystemRelation] = field(default_factory=dict)

    def relation(self, name: str, lines: Iterable[str]) -> None:
        columns: dict[str, SystemColumn] = {}
        rows = None
        for line in lines:
            key = _KEY.fullmatch(line)
            if key is None:
                raise ValueError(f"bad line in system_relations.txt: {line}")
            match key["sign"], key["name"]:
                case ":", "columns" | "null" as what:
                    is_null = what == "null"
                    columns |= {
                        each: SystemColumn(NOTHING if is_null else kind, None, is_null)
                        for each, kind in _columns(key["rest"].split())
                    }
                case ":", "rows":
                    rows = self._expand(key["rest"])
                case "=", column:
                    columns[column] = SystemColumn(key["object"], self._expand(key["rest"]))
                case _:
                    raise ValueError(f"bad line in system_relations.txt: {line}")
        schema, _, relation = name.partition(".")
        if rows is None or TableRef(schema, relation) in self.relations:
            raise ValueError(f"{name} in system_relations.txt stands twice or does not say which rows")
        if rows == "false":
            columns = {each: SystemColumn(NOTHING) for each in columns}
        self.relations[TableRef(schema, relation)] = SystemRelation(columns, rows)

    def let(self, line: str) -> None:
        name, _, text = line.removeprefix(_LET).partition(":")
        self.lets[name] = self._expand(text.strip())

    def _expand(self, text: str) -> str:
        return _PLACE.sub(lambda place: self.lets.get(place[1], place[0]), text)


def _columns(words: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    for word in words:
        match = _COLUMN.fullmatch(word)
        if match is None:
            raise ValueError(f"bad column in system_relations.txt: {word}")
        yield match["name"], match["object"]


def _entries(text: str) -> Iterator[list[str]]:
    """A head and its indented lines; what is indented deeper continues the line before."""
    entry: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            if entry:
                yield entry
            entry = [line.strip()]
        elif line.startswith("        ") or entry[0].startswith(_LET):
            entry[-1] += " " + line.strip()
        else:
            entry.append(line.strip())
    if entry:
        yield entry


def read_system_relations(text: str) -> Mapping[TableRef, SystemRelation]:
    """Raises ValueError for a list that cannot be read."""
    reader = _Reader()
    for head, *lines in _entries(text):
        if head.startswith(_LET):
            reader.let(head)
        else:
            reader.relation(head, lines)
    return reader.relations


SYSTEM_RELATIONS: Final = read_system_relations((files(__package__) / "system_relations.txt").read_text("utf-8"))
