"""SQL/XML syntax of the server's grammar (XMLELEMENT, XMLFOREST, IS DOCUMENT ...) read into ours; see ``oracle``."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import postgast.pg_query_pb2 as pg

from maskproxy.core.sql.oracle import Message, unknown
from maskproxy.core.sql.tree import Cast, Expression, Operation

if TYPE_CHECKING:
    from maskproxy.core.sql.oracle_expressions import Reader

_NAMES: Final[Mapping[int, str]] = {
    pg.IS_XMLCONCAT: "xmlconcat",
    pg.IS_XMLELEMENT: "xmlelement",
    pg.IS_XMLFOREST: "xmlforest",
    pg.IS_XMLPARSE: "xmlparse",
    pg.IS_XMLPI: "xmlpi",
    pg.IS_DOCUMENT: "?column?",
}


def _expression(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        name = _NAMES.get(fields.take("op"))
        if name is None:
            raise unknown(reader.source, message)
        for each in ("name", "xmloption", "indent"):
            fields.take(each)
        args = (*_named(reader, fields.take("named_args", ())), *reader.expressions(fields.take("args")))
        return Operation(name, args, fields.position)


def _named(reader: "Reader", messages: Iterable[Message]) -> Iterable[Expression]:
    """Attributes, and the elements of XMLFOREST."""
    for each in messages:
        with reader.fields(each.res_target) as fields:
            fields.take("name")
            yield reader.expression(fields.take("val"))


def _serialize(reader: "Reader", message: Message) -> Expression:
    with reader.fields(message) as fields:
        for each in ("xmloption", "indent"):
            fields.take(each)
        to_type = Cast(reader.expression(fields.take("expr")), reader.type_ref(fields.take("type_name")))
        return Operation("xmlserialize", (to_type,), fields.position)


READERS: Final[Mapping[str, "Callable[[Reader, Message], Expression]"]] = {
    "xml_expr": _expression,
    "xml_serialize": _serialize,
}
