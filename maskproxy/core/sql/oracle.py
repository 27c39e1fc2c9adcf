"""The server's own grammar (libpg_query through postgast) read into our tree.

This tree decides: it is what the server will run. Nothing may be overlooked, so every field of every node is taken by
name and ``Fields.finish`` refuses a node with a field left over; a node type without a reader is refused by its name.
"""

from collections.abc import Hashable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from types import TracebackType
from typing import Any, Final, cast

import postgast
from google.protobuf.message import DecodeError

from maskproxy.base.errors import LimitExceeded, Refused, StatementError, Unparsable

# Without this messages are nested 100 deep at most, which a chain of 33 operators is. MAX_TOKENS bounds them as well:
# no text of that many tokens overflows the 8 MiB of a thread's stack.
with suppress(ImportError, AttributeError):  # another implementation of protobuf keeps its bound
    import_module("google._upb._message").SetAllowOversizeProtos(True)

Message = Any
"""A protobuf message of pg_query_pb2; its classes are made at run time and have no static types."""


class Source:
    """The text that was parsed; turns the grammar's byte offsets into character offsets. ``literals``: where those
    stand whose values were looked at (``tree.Constant``). ``statements``: how many there are, once it is parsed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.statements = 0
        self.literals: set[int | None] = set()
        self._characters: list[int] | None = None if text.isascii() else _character_of_byte(text)

    def offset(self, location: int | None) -> int | None:
        """0-based character offset; None for a location the grammar does not know (-1)."""
        if location is None or location < 0:
            return None
        return location if self._characters is None else self._characters[location]

    def refusal(self, construct: str, location: int | None = None) -> Refused:
        offset = self.offset(location)
        return Refused(
            f"{construct} is not supported under a masking scope",
            hint=_INSTEAD.get(construct),
            position=None if offset is None else offset + 1,
        )


def _character_of_byte(text: str) -> list[int]:
    return [index for index, each in enumerate(text) for _ in each.encode()] + [len(text)]


_INSTEAD: Final = {
    "SELECT INTO": "Read with a plain SELECT.",
    "SEARCH": "Order by a column that the recursion computes, such as a depth or a path.",
    "CYCLE": "Collect the keys on the way in an array, and go on while the next is not in it.",
    "XMLTABLE": "Use json functions, or xml outside of the database.",
    "this XML expression": "XMLELEMENT, XMLFOREST, XMLCONCAT, XMLPARSE, XMLPI and XMLSERIALIZE are supported.",
    "OVER after this aggregate": "Use json_agg or jsonb_agg, which take OVER.",
    "a field of a row value, (row).field,": "Name it by its table; of json use jsonb_to_record(...) AS r(a type).",
    "a name with a database": "Write schema.table.",
    "ORDER BY USING": "Write ASC or DESC.",
}
"""What does the same, by construct."""


class Fields:
    """The fields set in one message. As a context manager it checks that each of them was taken."""

    def __init__(self, source: Source, message: Message) -> None:
        self._source = source
        self._message = message
        self._values: dict[str, Any] = {field.name: value for field, value in message.ListFields()}
        location: int | None = self._values.pop("location", None)
        self.location = _least_location(message.__class__) if location is None else location
        self.position = source.offset(self.location)

    def __enter__(self) -> "Fields":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._values:
            raise self._refusal(min(self._values))

    def take(self, name: str, default: Any = None) -> Any:
        return self._values.pop(name, default)

    def refuse(self, *names: str) -> None:
        """Names of fields that stand for constructs with a name of their own."""
        for name in names:
            if name in self._values:
                raise self._refusal(name)

    def _refusal(self, name: str) -> Refused:
        return self._source.refusal(_construct(f"{self._message.DESCRIPTOR.name}.{name}"), self.location)


@cache
def _least_location(kind: Hashable) -> int | None:
    """What a location that is not set says: 0, or that this type of message has none."""
    return 0 if "location" in cast(Any, kind).DESCRIPTOR.fields_by_name else None


_CONSTRUCTS: Final = {
    "SelectStmt.into_clause": "SELECT INTO",
    "SelectStmt.locking_clause": "FOR UPDATE or FOR SHARE here",
    "CommonTableExpr.search_clause": "SEARCH",
    "CommonTableExpr.cycle_clause": "CYCLE",
    "TypeName.setof": "SETOF",
    "TypeName.pct_type": "%TYPE",
    "RangeVar.catalogname": "a name with a database",
    "InsertStmt": "INSERT here",
    "InsertStmt.override": "OVERRIDING",
    "UpdateStmt": "UPDATE here",
    "DeleteStmt": "DELETE here",
    "ReturningClause.options": "RETURNING WITH",
    "IndexElem.collation": "COLLATE in ON CONFLICT",
    "IndexElem.opclass": "an operator class in ON CONFLICT",
    "ResTarget.indirection": "assignment to an element or a field",
    "MergeStmt": "MERGE",
    "RangeTableFunc": "XMLTABLE",
    "XmlExpr": "this XML expression",
    "JsonAggConstructor.over": "OVER after this aggregate",
    "CurrentOfExpr": "CURRENT OF",
    "MergeSupportFunc": "MERGE_ACTION",
}


def _construct(name: str) -> str:
    return _CONSTRUCTS.get(name, f"this construct ({name})")


def node(message: Message) -> tuple[str, Message]:
    """The name and the message inside a Node."""
    name = message.WhichOneof("node")
    return (name, getattr(message, name)) if name else ("", message)


def unknown(source: Source, message: Message) -> Refused:
    """A node type nobody reads."""
    location = getattr(message, "location", None)
    return source.refusal(_construct(message.DESCRIPTOR.name), location)


def strings(source: Source, nodes: Any) -> tuple[str, ...]:
    """A list of String nodes; anything else among them is refused."""
    return tuple(_strings(source, nodes))


def _strings(source: Source, nodes: Any) -> Iterator[str]:
    for each in nodes or ():
        name, value = node(each)
        if name != "string":
            raise unknown(source, value)
        yield value.sval


def parse_statements(source: Source) -> tuple[tuple[int, str, Message], ...]:
    """(character offset at or before the statement, node name, message) of each statement.

    Raises Unparsable with the server's own words, without the token it stumbled over: that may be a literal.
    """
    try:
        result = postgast.parse(source.text)
    except postgast.PgQueryError as error:
        raise _syntax_error(source, error) from None
    except (DecodeError, RecursionError):
        raise LimitExceeded("statement is nested too deeply") from None
    source.statements = len(result.stmts)
    return tuple((source.offset(each.stmt_location) or 0, *node(each.stmt)) for each in result.stmts)


def _syntax_error(source: Source, error: postgast.PgQueryError) -> StatementError:
    offset = source.offset(error.cursorpos - 1) if error.cursorpos > 0 else None
    return Unparsable("syntax error", position=None if offset is None else offset + 1)
