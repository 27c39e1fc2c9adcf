"""A statement that reads, as a tree of our own: what ``oracle`` makes of the server's grammar and ``resolve`` and
``flows`` walk. Statements that write stand in ``tree_writes``.

It keeps what decides where a value comes from (names, clauses, nesting) and what must be allowed by name (functions,
operators, types, settings), and forgets the rest. Equality ignores positions, which are 0-based character offsets
into the whole text. Literals never show in a ``repr``."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # writes are made of queries, and a WITH query may be a write
    from maskproxy.core.sql.tree_writes import StatementTree


def _position() -> int | None:
    return field(default=None, compare=False)


class SubqueryKind(StrEnum):
    SCALAR = "scalar"
    EXISTS = "exists"
    ARRAY = "array"
    ANY = "any"  # also IN
    ALL = "all"


class SetOperator(StrEnum):
    UNION = "union"
    INTERSECT = "intersect"
    EXCEPT = "except"


class JoinKind(StrEnum):
    INNER = "inner"
    LEFT = "left"
    RIGHT = "right"
    FULL = "full"


# ---------------------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Column:
    """``a``, ``t.a`` or ``s.t.a``; may turn out to be a whole row."""

    parts: tuple[str, ...]
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Star:
    """``*``, ``t.*``, ``s.t.*``."""

    qualifier: tuple[str, ...] = ()
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class RowField:
    """``(t).a``, and ``(t).*`` with the name ``*``: of a whole row."""

    row: Column
    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """``value``: int for integers that may be ordinals, str for strings and booleans, None for the rest. ``text``: what
    any of them says, None for NULL and bit strings; ``null``: it is NULL. Whoever looks at one of the first two leaves
    a trace in ``looked_at``: where that is nobody, any value gives the same analysis."""

    __match_args__ = ("value", "position")

    _value: str | int | None = field(default=None, repr=False)
    position: int | None = _position()
    _text: str | None = field(default=None, repr=False, compare=False)
    null: bool = field(default=False, compare=False)
    looked_at: set[int | None] = field(default_factory=set, repr=False, compare=False)

    @property
    def value(self) -> str | int | None:
        self.looked_at.add(self.position)
        return self._value

    @property
    def text(self) -> str | None:
        self.looked_at.add(self.position)
        return self._text


@dataclass(frozen=True, slots=True)
class Default:
    """DEFAULT where a value is written."""

    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Parameter:
    number: int
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Operation:
    """Syntax that computes from its arguments: AND, CASE, ROW, ARRAY[], subscripts, IS NULL ... ``name``: of its
    output column."""

    name: str
    args: "tuple[Expression, ...]"
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Operator:
    """``names`` are what pg_operator calls it; several where the syntax looks them up by name (BETWEEN ...).
    ``quantified``: its last argument is an array, of whose elements ANY or ALL are compared. ``chain``: it is several
    operators in a row, ``a + b - c``, with the operands of all of them."""

    schema: str | None
    names: tuple[str, ...]
    args: "tuple[Expression, ...]"
    nullif: bool = False
    quantified: bool = False
    chain: bool = False
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class TypeRef:
    """A type's name as written; ``array`` when it has brackets."""

    schema: str | None
    name: str
    array: bool = False
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Cast:
    arg: "Expression"
    type: TypeRef
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class SortKey:
    """``operator``: of ``USING op``, as (schema, name)."""

    expression: "Expression"
    operator: tuple[str | None, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """``OVER w``, ``OVER (w PARTITION BY ...)`` or an entry of WINDOW; ``bounds`` are the frame's offsets."""

    name: str | None = None
    base: str | None = None
    partition_by: "tuple[Expression, ...]" = ()
    order_by: tuple[SortKey, ...] = ()
    bounds: "tuple[Expression, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function by its raw name. ``sql_syntax``: EXTRACT, TRIM ... which name pg_catalog's function without the
    client saying so."""

    schema: str | None
    name: str
    args: "tuple[Expression, ...]" = ()
    order_by: tuple[SortKey, ...] = ()
    filter: "Expression | None" = None
    over: Window | None = None
    star: bool = False
    variadic: bool = False
    sql_syntax: bool = False
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Subquery:
    """``operators``: those a quantified comparison looks up by name."""

    kind: SubqueryKind
    query: "Query"
    test: "Expression | None" = None
    operators: tuple[tuple[str | None, str], ...] = ()
    position: int | None = _position()


Expression = Column | RowField | Star | Constant | Default | Parameter | Operation | Operator | Cast | Call | Subquery

# ----------------------------------------------------------------------------------------------------------------- FROM


@dataclass(frozen=True, slots=True)
class Alias:
    name: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableItem:
    schema: str | None
    name: str
    only: bool = False
    alias: Alias | None = None
    sampled: bool = False
    position: int | None = _position()


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedItem:
    query: "Query"
    lateral: bool = False
    alias: Alias | None = None


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One function in FROM with its column definition list. JSON_TABLE is one of ``sql_syntax``."""

    call: Call
    columns: tuple[tuple[str, TypeRef], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionItem:
    """``calls`` are several for ROWS FROM."""

    calls: tuple[FunctionCall, ...]
    ordinality: bool = False
    alias: Alias | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinItem:
    kind: JoinKind
    left: "FromItem"
    right: "FromItem"
    natural: bool = False
    using: tuple[str, ...] = ()
    using_alias: Alias | None = None
    on: Expression | None = None
    alias: Alias | None = None


FromItem = TableItem | DerivedItem | FunctionItem | JoinItem

# -------------------------------------------------------------------------------------------------------------- queries


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a select list; ``name`` is the alias the client gave."""

    expression: Expression
    name: str | None = None
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Cte:
    name: str
    columns: tuple[str, ...]
    query: "StatementTree"
    position: int | None = _position()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What any query may have around its body."""

    ctes: tuple[Cte, ...] = ()
    recursive: bool = False
    order_by: tuple[SortKey, ...] = ()
    limit: Expression | None = None
    offset: Expression | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """``FOR UPDATE OF a, b NOWAIT``; ``relations`` is empty for all of FROM."""

    strength: str
    relations: tuple[str, ...] = ()
    wait: str = "block"
    position: int | None = _position()


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """``distinct``: None without, () for DISTINCT, expressions for DISTINCT ON. ``group_by``: grouping sets are
    flattened, and ``grouping_sets`` says that there are some."""

    tail: Tail
    items: tuple[Item, ...]
    distinct: tuple[Expression, ...] | None = None
    from_items: tuple[FromItem, ...] = ()
    where: Expression | None = None
    group_by: tuple[Expression, ...] = ()
    grouping_sets: bool = False
    having: Expression | None = None
    windows: tuple[Window, ...] = ()
    locks: tuple[Lock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOperation:
    tail: Tail
    operator: SetOperator
    all: bool
    left: "Query"
    right: "Query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    tail: Tail
    rows: tuple[tuple[Expression, ...], ...]


Query = Select | SetOperation | Values


def combines(query: object) -> bool:
    """It brings rows together: by more than one relation in FROM, a subquery in an expression, or LATERAL."""
    nodes = tuple(_nodes(query))
    relations = sum(isinstance(node, TableItem | FunctionItem) for node in nodes)
    named = sum(isinstance(node, Cte) for node in nodes)  # each is read where it is named
    inner = any(isinstance(node, Subquery) or (isinstance(node, DerivedItem) and node.lateral) for node in nodes)
    return inner or relations - named > 1


def _nodes(node: object) -> Iterator[object]:
    if isinstance(node, tuple):
        for each in node:
            yield from _nodes(each)
    elif is_dataclass(node):
        yield node
        for each in fields(node):
            yield from _nodes(getattr(node, each.name))
