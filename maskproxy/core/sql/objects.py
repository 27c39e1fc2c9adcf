"""Objects of the database by number and by name: what functions demand of such arguments, and which literals name a
visible one. ``data/introspection.txt`` is the list of functions."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from maskproxy.base.errors import Refused, UnknownColumn, UnknownTable
from maskproxy.base.refs import TableRef
from maskproxy.core.catalog import Catalog, SearchPath, Table
from maskproxy.core.sql.functions import FUNCTIONS, TYPES
from maskproxy.core.sql.resolve import Flow
from maskproxy.core.sql.tree import Call, Cast, Constant, Expression, TypeRef
from maskproxy.core.system_relations import NOTHING

REG_TYPES: Final[Mapping[str, str]] = {
    "regclass": "class",
    "regtype": "type",
    "regproc": "proc",
    "regprocedure": "proc",
    "regnamespace": "schema",
    "regrole": "role",
    "regoperator": "operator",
    "regcollation": "collation",
    "regdictionary": "ts_dict",
}
"""The kind of object that a value of each type is."""

COMMENTED: Final[Mapping[str, str]] = {
    "pg_class": "class",
    "pg_type": "type",
    "pg_proc": "proc",
    "pg_namespace": "schema",
    "pg_constraint": "constraint",
    "pg_operator": "operator",
    "pg_opclass": "opclass",
    "pg_am": "am",
    "pg_extension": "extension",
    "pg_collation": "collation",
    "pg_language": "language",
    "pg_database": "database",
    "pg_tablespace": "tablespace",
    "pg_authid": "role",
    "pg_ts_config": "ts_config",
    "pg_ts_dict": "ts_dict",
    "pg_conversion": "conversion",
    "pg_ts_parser": "ts_parser",
    "pg_ts_template": "ts_template",
    "pg_opfamily": "opfamily",
    "pg_trigger": NOTHING,
    "pg_policy": NOTHING,
    "pg_rewrite": NOTHING,
    "pg_event_trigger": NOTHING,
    "pg_publication": NOTHING,
    "pg_foreign_server": NOTHING,
    "pg_foreign_data_wrapper": NOTHING,
    "pg_statistic_ext": NOTHING,
    "pg_largeobject": NOTHING,
}
"""The kind of object that each catalog has comments on."""

_PUBLIC: Final = frozenset({"class", "type", "proc", "operator", "opclass", "collation", "language", "am"})
"""Kinds of objects of which those that are built in have names everybody knows."""

FIRST_USER_OID: Final = 16384  # FirstNormalObjectId in transam.h: objects below are built in

_PART: Final = r'(?:"(?:[^"]|"")+"|[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)'
_NAME: Final = re.compile(rf"\s*({_PART})\s*(?:\.\s*({_PART})\s*)?")
_BUILT_IN: Final = re.compile(r'pg_catalog\.("?)[a-z][a-z0-9_]*\1')
_INPUT: Final = re.compile(r"(?:array|domain|enum|multirange|range|record)_(?:in|out|recv|send)")
_MAX_NAME: Final = 63  # bytes: the server cuts longer names

_SQL_TYPES: Final = frozenset(
    [
        "integer",
        "smallint",
        "bigint",
        "boolean",
        "real",
        "double precision",
        "character varying",
        "character",
        "decimal",
    ]
    + [f"{name} {zone} time zone" for name in ("timestamp", "time") for zone in ("with", "without")]
)


@dataclass(frozen=True, slots=True)
class ObjectFunction:
    """``kinds`` of its arguments; all but ``least`` may be left out. ``result``: the kind of object that its value is
    the number or name of."""

    kinds: tuple[str, ...]
    least: int
    result: str | None


@dataclass(frozen=True, slots=True)
class ObjectNames:
    """Literals that name objects, for one catalog."""

    catalog: Catalog
    search_path: SearchPath

    def check_literal(self, text: str, wanted: str, position: int | None) -> None:
        """Raises, in the words for what does not exist, unless the literal means a visible object."""
        if wanted in _PUBLIC and text.isdecimal() and int(text) < FIRST_USER_OID:
            return
        match wanted:
            case "class":
                self._check_class(text, position)
            case "type" if text in TYPES or text.lower() in _SQL_TYPES or _BUILT_IN.fullmatch(text):
                return
            case "proc" if _BUILT_IN.fullmatch(text) or self._is_built_in(text):
                return
            case "schema" if any(ref.schema == text for ref, table in self._tables() if not table.hidden):
                return
            case "role" if text.startswith("pg_"):  # the predefined ones
                return
            case "role" | "type" | "proc" | "schema":
                noun = {"proc": "function"}.get(wanted, wanted)
                named = f' "{text}"' if _NAME.fullmatch(text) else ""  # anything else may be a value
                raise Refused(f"{noun}{named} does not exist", position=_shown(position))
            case _:
                raise unproven(wanted, position)

    def _check_class(self, text: str, position: int | None) -> None:
        if text.isdecimal():
            if not any(table.oid == int(text) and not table.hidden for _, table in self._tables()):
                raise UnknownTable(f"relation with OID {text} does not exist", position=_shown(position))
            return
        if self.visible_class(text, position) is None:
            raise UnknownTable(f'relation "{_plain(text)}" does not exist', position=_shown(position))

    def visible_class(self, text: str, position: int | None) -> Table | None:
        """The relation that a name in a literal means. Without schema it must be in the first one of the search path:
        the catalog does not know indexes and composite types, which could be what the server finds in it."""
        match = _NAME.fullmatch(text)
        if match is None or any(len(part.encode()) > _MAX_NAME for part in match.groups(default="")):
            raise Refused("invalid name syntax", position=_shown(position))
        first, second = (part and _unquoted(part) for part in match.groups())
        schema, name = (first, second) if second else (None, first or "")
        path = self.search_path
        table = self.catalog.lookup(schema, name, path)
        if table is None or table.hidden:
            return None
        return table if schema is not None or table.ref.schema in ("pg_catalog", *path[:1]) else None

    def _tables(self) -> Iterable[tuple[TableRef, Table]]:
        return self.catalog.tables.items()

    def _is_built_in(self, text: str) -> bool:
        return (text in FUNCTIONS or _INPUT.fullmatch(text) is not None) and text not in self.catalog.functions

    def check_column(self, table: Expression, column: str, position: int | None) -> None:
        """The name of a column of a table that is named too."""
        named = literal_of(table)
        found = self.visible_class(str(named.value), named.position) if named is not None else None
        known = found.column(column) if found is not None else None
        if known is None or known.hidden:
            raise UnknownColumn(f'column "{column}" of the relation does not exist', position=_shown(position))


def same_object(*flows: Flow) -> str | None:
    """Of a value that is one of these: the kind they all are."""
    kinds = {flow.object for flow in flows}
    if len(kinds) > 1:
        kinds.discard(NOTHING)
    return kinds.pop() if len(kinds) == 1 else None


def literal_of(expression: Expression) -> Constant | None:
    match expression:
        case Constant(str() | int()):
            return expression
        case Cast(arg, TypeRef(schema=None | "pg_catalog", name="oid" | "regclass", array=False)):
            return literal_of(arg)
        case _:
            return None


def _unquoted(part: str) -> str:
    if part.startswith('"'):
        return part[1:-1].replace('""', '"')
    return "".join(char.lower() if char.isascii() else char for char in part)


def _plain(name: str) -> str:
    """As the server shows it."""
    match = _NAME.fullmatch(name)
    return ".".join(_unquoted(part) for part in match.groups() if part) if match else name


def refused_reg(position: int | None) -> Refused:
    return Refused(
        "a value of type regclass, regtype and the like is allowed as an output, cast to text or oid, only",
        hint="What it is compared with would be looked up as a name.",
        position=_shown(position),
    )


def refused_lookup(call: Expression) -> Refused:
    name = call.name if isinstance(call, Call) else "this cast"
    return Refused(
        f"{name} is allowed only where the number of a visible object is compared with it",
        hint="Write pg_class.oid = to_regclass(...) or pg_type.oid = to_regtype(...).",
        position=_shown(getattr(call, "position", None)),
    )


def unproven(wanted: str, position: int | None) -> Refused:
    return Refused(
        f"this must be the number of a visible object here ({wanted})",
        hint="Take it from a column of a system catalog, such as pg_class.oid.",
        position=_shown(position),
    )


def check_no_reg(flow: Flow, position: int | None) -> None:
    if flow.reg:
        raise refused_reg(position)


def _shown(position: int | None) -> int | None:
    return None if position is None else position + 1


def _read_functions() -> dict[str, ObjectFunction]:
    functions: dict[str, ObjectFunction] = {}
    for line in (files(__package__) / "data" / "introspection.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        kinds, _, result = rest.partition("=>")
        least = len(kinds.partition("[")[0].split())
        functions[name] = ObjectFunction(tuple(re.findall(r"\w+", kinds)), least, result.strip() or None)
    return functions


FUNCTIONS_OF_OBJECTS: Final[Mapping[str, ObjectFunction]] = _read_functions()
