"""Allow-lists of built-in functions, operators and types, by the names the server's grammar gives them.

What is not listed is refused. So is a listed name that also exists outside pg_catalog when the client did not write
``pg_catalog.``: overload resolution could pick the other one. Functions of the database's own are allowed where rules
trust them; they never have the name of a built-in.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.resources import files
from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.base.refs import TableRef
from maskproxy.core.catalog import Catalog, SearchPath
from maskproxy.core.sql.tree import Call, Operation, TypeRef


class FunctionKind(StrEnum):
    SCALAR = "scalar"
    AGGREGATE = "aggregate"
    WINDOW = "window"
    TABLE = "table"  # returns any number of rows
    RECORD = "record"  # returns rows of the types the client writes


@dataclass(frozen=True, slots=True)
class Function:
    """``most`` is None when there is no upper bound. ``columns``: names of its output columns where the server names
    them. ``trusted``: which one it is of the database's own."""

    kind: FunctionKind
    least: int
    most: int | None
    columns: tuple[str, ...] = ()
    trusted: TableRef | None = None

    def takes(self, arguments: int) -> bool:
        return self.least <= arguments and (self.most is None or arguments <= self.most)


class AllowList:
    """Checks names against the lists, for one catalog."""

    def __init__(self, catalog: Catalog, search_path: SearchPath = ()) -> None:
        self._catalog = catalog
        self._search_path = search_path

    @classmethod
    def of_definitions(cls, catalog: Catalog) -> "AllowList":
        """For definitions, where every name without a schema is pg_catalog's: nothing can stand in for a built-in."""
        return cls(replace(Catalog.empty(), trusted=catalog.trusted))

    def function(self, call: Call) -> Function:
        """Raises Refused unless trusted, or a listed built-in that nothing outside pg_catalog can stand in for."""
        if self._catalog.trusted and (trusted := self._trusted(call)) is not None:
            return trusted
        function = FUNCTIONS.get(call.name)
        if function is None or call.schema not in (None, "pg_catalog"):
            raise _refused(f"function {_written(call.schema, call.name)}", call.position)
        # WITHIN GROUP passes its sort keys as further arguments of hypothetical-set and ordered-set aggregates.
        if not function.takes(len(call.args)):
            raise _refused(f"function {call.name} with {len(call.args)} arguments", call.position)
        if call.schema is None and (
            self.is_shadowed(call.name) or (len(call.args) == 1 and call.name in self._catalog.types)
        ):
            raise _shadowed(f"function {call.name}", f"pg_catalog.{call.name}", call.position)
        return function

    def _trusted(self, call: Call) -> Function | None:
        """Without its schema it must be the only one of that name."""
        for ref, function in self._catalog.trusted.items():
            if ref.name == call.name and call.schema in (None, ref.schema):
                if call.schema is None and not function.only:
                    raise _shadowed(f"function {call.name}", str(ref), call.position)
                found = Function(FunctionKind.SCALAR, function.least, function.most, trusted=ref)
                if not found.takes(len(call.args)) or call.order_by or call.filter or call.over or call.star:
                    raise _refused(f"function {ref} in this form", call.position)
                return found
        return None

    def operation(self, operation: Operation) -> None:
        """Syntax that an older server reads as a call: refused where there is such a function."""
        if operation.name in self._catalog.functions:
            raise _refused(f"function {operation.name}", operation.position)

    def is_shadowed(self, name: str) -> bool:
        """Whether a function outside pg_catalog could be meant by an unqualified name."""
        return name in self._catalog.functions

    def operator(self, schema: str | None, name: str, position: int | None) -> None:
        if name not in OPERATORS or schema not in (None, "pg_catalog"):
            raise _refused(f"operator {_written(schema, name)}", position)
        if schema is None and name in self._catalog.operators:
            raise _shadowed(f"operator {name}", f"OPERATOR(pg_catalog.{name})", position)

    def type(self, type_ref: TypeRef) -> None:
        """Raises Refused unless it is a listed built-in, or an enum in sight."""
        if not self._is_enum(type_ref):
            check_type(type_ref)

    def _is_enum(self, type_ref: TypeRef) -> bool:
        """An enum in sight: casting to it reads its labels, which are in sight too. Without schema it must be in the
        first one of the search path, and not be named as a built-in."""
        if type_ref.schema is not None:
            return TableRef(type_ref.schema, type_ref.name) in self._catalog.enums
        return bool(self._search_path) and TableRef(self._search_path[0], type_ref.name) in self._catalog.enums


def check_type(type_ref: TypeRef) -> None:
    """Raises Refused unless it is a listed built-in."""
    if type_ref.name not in TYPES or type_ref.schema not in (None, "pg_catalog"):
        raise _refused(f"type {_written(type_ref.schema, type_ref.name)}", type_ref.position)


def _written(schema: str | None, name: str) -> str:
    return name if schema is None else f"{schema}.{name}"


def _refused(thing: str, position: int | None) -> Refused:
    return Refused(
        f"{thing} is not allowed under a masking scope",
        hint="Built-ins that read nothing but their arguments are allowed.",
        position=None if position is None else position + 1,
    )


def _shadowed(thing: str, qualified: str, position: int | None) -> Refused:
    return Refused(
        f"{thing} is ambiguous: this database defines another of that name",
        hint=f"Write {qualified} to mean that one.",
        position=None if position is None else position + 1,
    )


_FUNCTION: Final = re.compile(
    r"(?P<name>\w+)/(?P<least>\d+)(?:-(?P<most>\d+)|(?P<more>\+))?(?:\((?P<columns>[\w,]+)\))?"
)


def _words(name: str) -> Iterator[str]:
    text = (files(__package__) / "data" / name).read_text("utf-8")
    return (word for line in text.splitlines() if not line.startswith("# ") and line != "#" for word in line.split())


def _read_functions() -> dict[str, Function]:
    functions: dict[str, Function] = {}
    kind = FunctionKind.SCALAR
    for word in _words("functions.txt"):
        if word.startswith("["):
            kind = FunctionKind(word.strip("[]"))
            continue
        match = _FUNCTION.fullmatch(word)
        if match is None or match["name"] in functions:
            raise ValueError(f"bad or repeated entry in functions.txt: {word}")
        least = int(match["least"])
        most = None if match["more"] else int(match["most"] or least)
        functions[match["name"]] = Function(kind, least, most, tuple(filter(None, (match["columns"] or "").split(","))))
    return functions


FUNCTIONS: Final[Mapping[str, Function]] = _read_functions()
OPERATORS: Final = frozenset(_words("operators.txt"))
TYPES: Final = frozenset(_words("types.txt"))
