"""What a session asks of the world outside: rare, frozen values, taken with ``take_actions``.

Each carries what the answer needs: ``Analyse`` is answered by ``analysed``, ``RecordIntent`` by ``recorded``; the
others have no answer. Parameters and texts in here are for the recorder alone; no ``repr`` shows them.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from maskproxy.base.errors import MaskproxyError
from maskproxy.base.refs import ColumnRef
from maskproxy.core.plan import Plan


@dataclass(frozen=True, slots=True)
class Analyse:
    """Make a plan of this text and call ``analysed(number, plan or StatementError)``; the client is not read until
    then. An answer that comes after the statement was cancelled is ignored."""

    number: int
    text: str = field(repr=False)


class RecordIntent(NamedTuple):  # made for every statement, and cheaper than a frozen dataclass
    """Make this durable, then call ``recorded(number, durable=...)``; results are held, writes not sent, until then."""

    number: int
    plan: Plan | None  # None: a FunctionCall message, which has no text
    parameters: tuple[bytes | None, ...]

    def __repr__(self) -> str:
        return f"RecordIntent({self.number})"


class RecordOutcome(NamedTuple):
    """How the statement of intent ``number`` ended. ``masked`` counts released rows in which a column was masked."""

    number: int
    rows: int
    bytes: int
    tag: str | None
    sqlstate: str | None
    masked: tuple[tuple[ColumnRef, int], ...]

    @classmethod
    def failed(cls, number: int, error: MaskproxyError) -> "RecordOutcome":
        """Of a statement that came to nothing."""
        return cls(number, rows=0, bytes=0, tag=None, sqlstate=error.sqlstate, masked=())


@dataclass(frozen=True, slots=True)
class RecordDenial:
    """A statement that never reached the server. ``text`` is None for messages that carry none."""

    text: str | None = field(repr=False)
    error: MaskproxyError


@dataclass(frozen=True, slots=True)
class CatalogDisagrees:
    """The server described a result otherwise than the analysis: load the catalog again."""


@dataclass(frozen=True, slots=True)
class SchemaChanged:
    """A statement under an unrestricted scope may have changed the schema, and it is committed: load the catalog."""


@dataclass(frozen=True, slots=True)
class CancelStatement:
    """Have the server stop what it does, then call ``cancelled``; the client is not read until then, so that nothing
    of what it sends next is stopped instead."""


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Flush what is outgoing and close both sides. ``error`` is None when the client said goodbye."""

    error: MaskproxyError | None


Action = (
    Analyse
    | RecordIntent
    | RecordOutcome
    | RecordDenial
    | CatalogDisagrees
    | SchemaChanged
    | CancelStatement
    | CloseSession
)
