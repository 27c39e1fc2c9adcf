"""What analysis says of a statement: frozen values, no behaviour."""

from dataclasses import dataclass
from enum import StrEnum

from maskproxy.base.refs import ColumnRef, TableRef


class StatementKind(StrEnum):
    SELECT = "select"  # SELECT, set operations, VALUES, TABLE, WITH ... SELECT: reads, returns rows
    SESSION = "session"  # transaction control, session settings and names, see SessionCommand
    EXPLAIN = "explain"  # this and what follows carry a query, see Carrier
    DECLARE = "declare"
    PREPARE = "prepare"
    COPY_OUT = "copy"


class Verb(StrEnum):
    """Session statements, recognised by a grammar of their own (``classify``), never by sqlglot."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback to"
    SET_TRANSACTION = "set transaction"
    SET = "set"
    RESET = "reset"
    SHOW = "show"
    DISCARD_ALL = "discard all"
    DISCARD_PLANS = "discard plans"
    DEALLOCATE = "deallocate"
    CLOSE = "close"
    UNLISTEN = "unlisten"
    FETCH = "fetch"  # this and MOVE: from the cursor or portal ``name``
    MOVE = "move"
    EXECUTE = "execute"  # of the prepared statement ``name``


@dataclass(frozen=True, slots=True)
class SessionCommand:
    """``name`` is the setting, statement, cursor or savepoint; None where the statement says ALL or names nothing."""

    verb: Verb
    name: str | None = None
    value: str | None = None
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """What stands around a query: ``text[start:query_start]`` and ``text[query_end:end]``.

    ``name`` is the cursor or prepared statement made. ``options`` as written, names and words folded: those of EXPLAIN
    and COPY with their values (None: none), those of DECLARE."""

    kind: StatementKind
    query_start: int
    query_end: int
    name: str | None = None
    options: "tuple[tuple[str, str | None], ...]" = ()

    def option(self, name: str) -> str | None:
        """Its value, "" when it stands without one, None when it is not there."""
        return next((value or "" for found, value in self.options if found == name), None)


class UseKind(StrEnum):
    """How a column influences a result without being output as itself."""

    FILTER = "filter"
    JOIN = "join"
    GROUP = "group"
    ORDER = "order"
    DISTINCT = "distinct"
    WINDOW = "window"
    AGGREGATE = "aggregate"
    EXPRESSION = "expression"
    WHOLE_ROW = "whole row"
    FUNCTION = "table function"
    SET_OPERATION = "set operation"
    SAMPLE = "table sample"


@dataclass(frozen=True, slots=True)
class Use:
    """``position`` is a 0-based character offset into the whole client text, or None.

    ``compared`` is how many literals and parameters the column is compared with for equality, if that is all that this
    use does (``=``, IN); 0 for every other use.
    """

    column: ColumnRef
    kind: UseKind
    position: int | None = None
    compared: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """One output column. ``sources``: base columns whose values can reach it (value flow).

    ``direct`` is the one base column this output copies unchanged in every row (or NULL by an outer join); None when
    the value is computed. A masked column may only be released through ``direct``.
    ``name`` is None when the server chooses it (``?column?``, function names) and analysis does not rely on it.
    """

    name: str | None
    sources: frozenset[ColumnRef]
    direct: ColumnRef | None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Splice:
    """Replace ``text[start:end]`` (character offsets into the whole client text) by ``replacement``."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One statement. ``start``/``end`` are its character offsets in the whole text the client sent.

    With a ``carrier``, ``outputs`` and what follows are those of the query carried."""

    kind: StatementKind
    start: int
    end: int
    outputs: tuple[Output, ...] = ()
    uses: tuple[Use, ...] = ()
    tables: frozenset[TableRef] = frozenset()
    functions: frozenset[str] = frozenset()
    parameters: int = 0
    session: SessionCommand | None = None
    splices: tuple[Splice, ...] = ()
    carrier: Carrier | None = None
