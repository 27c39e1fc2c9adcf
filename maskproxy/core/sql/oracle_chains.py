"""Long chains of operators, ``a || b || c ...`` as programs write them, read as one operator of all the operands: else
the tree would be as deep as the chain is long. See ``oracle``."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import postgast.pg_query_pb2 as pg

from maskproxy.core.sql.oracle import Message
from maskproxy.core.sql.tree import Expression, Operator

if TYPE_CHECKING:
    from maskproxy.core.sql.oracle_expressions import Reader

_CHAINED: Final = frozenset({"||", "+", "-", "*", "/", "%"})
_LONG: Final = 16  # operators; shorter ones stay as they are


def chain(message: Message) -> Sequence[Message] | None:
    """The A_Expr nodes from the right to the left; None unless they are many."""
    found = tuple(_chain(message))
    return found if len(found) >= _LONG else None


def _chain(message: Message) -> Iterator[Message]:
    while message.kind == pg.AEXPR_OP and len(message.name) == 1 and message.name[0].string.sval in _CHAINED:
        yield message
        if message.lexpr.WhichOneof("node") != "a_expr":
            return
        message = message.lexpr.a_expr


def read(reader: "Reader", messages: Sequence[Message]) -> Operator:
    names: dict[str, None] = {}
    args: list[Expression] = []
    for message in messages:
        with reader.fields(message) as fields:
            fields.take("kind")
            _, name = reader.qualified(fields.take("name"), fields.location)
            names[name] = None
            args.append(reader.expression(fields.take("rexpr")))
            left = fields.take("lexpr")
    if left is not None:  # else it begins with a sign
        args.append(reader.expression(left))
    position = reader.source.offset(messages[0].location)
    return Operator(None, tuple(names), tuple(reversed(args)), chain=True, position=position)
