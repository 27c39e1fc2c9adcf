"""What analysis says of a statement: frozen values, no behaviour."""

from dataclasses import dataclass, field
from enum import StrEnum

from maskproxy.base.refs import ColumnRef, TableRef


class StatementKind(StrEnum):
    SELECT = "select"  # SELECT, set operations, VALUES, TABLE, WITH ... SELECT: reads, returns rows; WITH may write
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    SESSION = "session"  # transaction control, session settings and names, see SessionCommand
    EXPLAIN = "explain"  # this and what follows carry a query, see Carrier
    DECLARE = "declare"
    PREPARE = "prepare"
    COPY_OUT = "copy"
    COPY_IN = "copy from"  # a write, which carries no query


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
    LOCK = "lock"  # of tables, against changes of their definition
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
    CONFLICT = "conflict key"
    WRITE = "written value"


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


class WriteKind(StrEnum):
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Origin(StrEnum):
    """Where a written value comes from."""

    LITERAL = "literal"
    PARAMETER = "parameter"
    NULL = "null"  # the literal NULL
    DEFAULT = "default"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class Written:
    """A value that is written to a column. ``text`` is what a literal says, ``cast`` the type the client gave it."""

    column: ColumnRef
    origin: Origin
    position: int | None = field(default=None, compare=False)
    text: str | None = field(default=None, repr=False)
    parameter: int = 0
    cast: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Rows put into, changed in or taken from one table. An INSERT with DO UPDATE is two of them.

    ``values``: of the columns that the statement names; others take their defaults (INSERT) or stay (UPDATE)."""

    kind: WriteKind
    table: TableRef
    values: tuple[Written, ...] = ()
    position: int | None = field(default=None, compare=False)

    @property
    def columns(self) -> frozenset[ColumnRef]:
        return frozenset(value.column for value in self.values)


@dataclass(frozen=True, slots=True)
class Splice:
    """Replace ``text[start:end]`` (character offsets into the whole client text) by ``replacement``."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One statement. ``start``/``end`` are its character offsets in the whole text the client sent. ``locks``: tables
    whose rows it locks (FOR UPDATE, FOR SHARE). ``trusted``: functions of the database's own that it calls.

    With a ``carrier``, ``outputs`` and what follows are those of the query carried. ``combines``: it brings rows of
    several relations together, so a condition may be a join.
    ``literals``: offsets of the literals whose values had a part in this; with other values in the place of all others
    it would be the same. None stands for one that is not known.
    """

    kind: StatementKind
    start: int
    end: int
    outputs: tuple[Output, ...] = ()
    uses: tuple[Use, ...] = ()
    tables: frozenset[TableRef] = frozenset()
    writes: tuple[Write, ...] = ()
    locks: frozenset[TableRef] = frozenset()
    functions: frozenset[str] = frozenset()
    trusted: frozenset[TableRef] = frozenset()
    parameters: int = 0
    session: SessionCommand | None = None
    splices: tuple[Splice, ...] = ()
    carrier: Carrier | None = None
    combines: bool = False
    literals: frozenset[int | None] = frozenset()
