"""Flows through expressions: which columns a value is made of, and a ``Use`` for every column on the way.

``item`` reads an entry of a select list, where a bare column (or a scalar subquery that outputs one) is copied and
not used; ``use`` reads an expression anywhere else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, assert_never

from maskproxy.base.errors import Refused
from maskproxy.core.sql import settings
from maskproxy.core.sql.findings import Findings, Output, Place
from maskproxy.core.sql.flows_objects import Objects, check_compared, lookup_of, one_of
from maskproxy.core.sql.functions import FUNCTIONS, FunctionKind
from maskproxy.core.sql.objects import check_no_reg, same_object
from maskproxy.core.sql.oracle_json import NAMES
from maskproxy.core.sql.resolve import Field, Flow, Scope, WholeRow, computed
from maskproxy.core.sql.statement import SessionCommand, UseKind, Verb
from maskproxy.core.sql.tree import (
    Call,
    Cast,
    Column,
    Constant,
    Default,
    Expression,
    Operation,
    Operator,
    Parameter,
    Query,
    RowField,
    SortKey,
    Star,
    Subquery,
    SubqueryKind,
    Window,
)

PG_DUMPS_SETTING: Final = "restrict_nonsystem_relation_kind"

QueryInterpreter = Callable[[Query, Place], tuple[Output, ...]]

_TAKES_ANYTHING: Final = frozenset({"concat", "concat_ws", "count", "format"})
"""Functions of which no argument gets its type from another."""

_USE_OF_ARGUMENTS: Final = {
    FunctionKind.AGGREGATE: UseKind.AGGREGATE,
    FunctionKind.WINDOW: UseKind.WINDOW,
    FunctionKind.TABLE: UseKind.FUNCTION,
    FunctionKind.RECORD: UseKind.FUNCTION,
}


class Expressions:
    """Interprets expressions of one statement; ``query`` interprets the subqueries in them."""

    def __init__(self, findings: Findings, query: QueryInterpreter) -> None:
        self._findings = findings
        self._query = query
        self._subquery_names: dict[int, str] = {}
        self._objects = Objects(findings, self.value, self.use)

    # -- entries of a select list

    def item(self, expression: Expression, place: Place) -> Flow:
        """The flow of a select list's entry. Computed entries are uses of what they are computed from, wherever the
        query stands: the server may evaluate them, and fail, though nobody reads the column."""
        match expression:
            case Column():
                found = _scope(place).column(expression)
                return self._row(found, expression.position) if isinstance(found, WholeRow) else found.flow
            case Subquery(kind=SubqueryKind.SCALAR):
                outputs = self._outputs(expression, place)
                return outputs[0].flow if len(outputs) == 1 else computed(*(output.flow for output in outputs))
            case Call(schema=None | "pg_catalog", name="set_config"):
                return self._set_config(expression)
            case _:
                return replace(self.value(expression, place, UseKind.EXPRESSION), direct=None)

    def name(self, expression: Expression) -> str:
        """What the server calls an output column without alias; call it after ``item``. FigureColname in
        parse_target.c."""
        return self._figure(expression) or "?column?"

    def _figure(self, expression: Expression) -> str | None:
        match expression:
            case Column(parts):
                return parts[-1]
            case RowField(_, name):
                return name
            case Star(qualifier) if qualifier:  # inside of a cast: the row
                return qualifier[-1]
            case Call():
                return expression.name
            case Operator(nullif=True):
                return "nullif"
            case Cast(arg, type_ref):
                return self._strong(arg) or type_ref.name
            case Operation("(subscript)" | "(collate)", args):
                return self._figure(args[0])
            case Operation("case", args):
                return (self._strong(args[1]) if len(args) == 2 else None) or "case"
            case Operation(name):
                return name if name != "?column?" else None
            case Subquery(kind=SubqueryKind.EXISTS | SubqueryKind.ARRAY as kind):
                return str(kind)
            case Subquery(kind=SubqueryKind.SCALAR):
                return self._subquery_names[id(expression.query)]
            case _:
                return None

    def _strong(self, expression: Expression) -> str | None:
        """A name better than a type's or CASE's own: those of casts and CASE are weak (strength 1)."""
        match expression:
            case Cast(arg, _):
                return self._strong(arg)
            case Operation("case", args):
                return self._strong(args[1]) if len(args) == 2 else None
            case Operation("(subscript)" | "(collate)", args):
                return self._strong(args[0])
            case _:
                return self._figure(expression)

    # -- expressions that are used

    def use(self, expression: Expression | None, place: Place, kind: UseKind) -> Flow:
        """The flow of an expression; every column in it is recorded as used for ``kind`` or for what is nearer to
        it."""
        flow = self.value(expression, place, kind)
        check_no_reg(flow, getattr(expression, "position", None))
        return flow

    def value(self, expression: Expression | None, place: Place, kind: UseKind) -> Flow:
        """As ``use``, where a value of type regclass or the like may stand too."""
        match expression:
            case None | Constant():
                return Flow()
            case Parameter(number):
                self._findings.parameters = max(self._findings.parameters, number)
                return Flow()
            case Default():
                raise Refused("DEFAULT is not supported here", position=_shown(expression.position))
            case Column():
                return self._column(expression, place, kind)
            case RowField():
                return self._row_field(expression, place, kind)
            case Star():
                return self._star(expression, place)
            case Operation():
                return self._operation(expression, place, kind)
            case Operator():
                return self._operator(expression, place, kind)
            case Cast():
                return self._objects.cast(expression, place, kind)
            case Call():
                flow = self.call(expression, place, kind)
                function = FUNCTIONS.get(expression.name)
                return replace(flow, composite=flow.composite or (function is not None and len(function.columns) > 1))
            case Subquery():
                return self._subquery(expression, place, kind)
            case unreachable:
                assert_never(unreachable)

    def sort_keys(self, keys: tuple[SortKey, ...], place: Place, kind: UseKind) -> Flow:
        for key in keys:
            self.sort_operator(key)
        return computed(*(self.use(key.expression, place, kind) for key in keys))

    def sort_operator(self, key: SortKey) -> None:
        if key.operator is not None:
            self._findings.allow.operator(*key.operator, None)

    def window(self, window: Window, place: Place) -> Flow:
        """Partitioning and ordering decide every value of a window function, and the order ties come out in."""
        named = [place.windows[name] for name in (window.name, window.base) if name in place.windows]
        parts = [self.use(each, place, UseKind.WINDOW) for each in (*window.partition_by, *window.bounds)]
        return computed(*named, *parts, self.sort_keys(window.order_by, place, UseKind.WINDOW))

    def call(self, call: Call, place: Place, kind: UseKind) -> Flow:
        """A function's value, of its arguments; ``composite`` if one of those is."""
        special = _SPECIAL.get(call.name)
        if special is not None and call.schema in (None, "pg_catalog"):
            return special(self, call, place, kind)
        of_object = self._objects.call(call, place, kind)
        if of_object is not None:
            return of_object
        if (projected := self._projected(call, place)) is not None:
            return replace(self._row(*projected), composite=False)
        function = self._findings.allow.function(call)
        self._findings.functions.add(call.name)
        if function.trusted is not None:
            self._findings.trusted.add(function.trusted)
        inner = _USE_OF_ARGUMENTS.get(function.kind, kind)
        use = self.value if call.name in _TAKES_ANYTHING else self.use
        parts = [use(arg, place, inner) for arg in call.args]
        parts += [self.sort_keys(call.order_by, place, inner), self.use(call.filter, place, inner)]
        if call.over is not None:
            parts.append(self.window(call.over, place))
        return replace(computed(*parts), reg=False)

    def _projected(self, call: Call, place: Place) -> tuple[WholeRow, int | None] | None:
        """``column(t)``, which the server reads as ``t.column`` if no function of that name takes the row. One that we
        do not know might, so it counts as made of the whole row (ParseFuncOrColumn in parse_func.c)."""
        match call.args:
            case (Column((_,)) as column,) if call == Call(schema=None, name=call.name, args=call.args):
                known = call.name in FUNCTIONS or self._findings.allow.is_shadowed(call.name)
                found = None if known else _scope(place).column(column)
                if isinstance(found, WholeRow) and found.relation.named(call.name):
                    return found, column.position
                return None
            case _:
                return None

    def _column(self, column: Column, place: Place, kind: UseKind, *, compared: int = 0) -> Flow:
        found = _scope(place).column(column)
        if isinstance(found, WholeRow):
            return self._row(found, column.position)
        flow = found.flow
        self._findings.check_computable(flow, column.position)
        self._findings.use(flow.sources, kind, column.position, compared if flow.direct is not None else 0)
        return flow

    def _row_field(self, expression: RowField, place: Place, kind: UseKind) -> Flow:
        """A column of a whole row. Not as itself: whoever writes it so gets it computed."""
        position = expression.row.position
        fields = self.row_fields(expression, place)
        if expression.name == "*" or not fields:
            raise Refused("this field of a row value is not supported under a masking scope", position=_shown(position))
        for field in fields:
            self._findings.check_computable(field.flow, position)
            self._findings.use(field.flow.sources, kind, position)
        return computed(*(field.flow for field in fields))

    def row_fields(self, expression: RowField, place: Place) -> tuple[Field, ...]:
        """What ``(t).a`` or ``(t).*`` means where ``t`` is a relation. Raises Refused where it is a column."""
        found = _scope(place).column(expression.row)
        if not isinstance(found, WholeRow):
            raise Refused(
                "a field of a row value, (row).field, is not supported under a masking scope",
                hint="Name the column by its table: table.column.",
                position=_shown(expression.row.position),
            )
        fields = found.relation.fields
        return tuple(field for field in fields if expression.name in ("*", field.name))

    def _star(self, star: Star, place: Place) -> Flow:
        """``f(c.*)``: the whole row."""
        if not star.qualifier:
            raise Refused("* is not supported here", position=_shown(star.position))
        return self._row(WholeRow(_scope(place).relation(star.qualifier, star.position)), star.position)

    def _row(self, found: WholeRow, position: int | None) -> Flow:
        flow = found.relation.row()
        self._findings.use(flow.sources, UseKind.WHOLE_ROW, position)
        return flow

    def _operator(self, operator: Operator, place: Place, kind: UseKind) -> Flow:
        for name in operator.names:
            self._findings.allow.operator(operator.schema, name, operator.position)
        looked_up = [lookup_of(arg) for arg in operator.args]
        column = _compared_column(operator)
        flows: list[Flow] = []
        for arg, wanted in zip(operator.args, looked_up, strict=True):
            if arg is column:
                flows.append(self._column(column, place, kind, compared=len(operator.args) - 1))
            elif wanted is not None:
                flows.append(self._objects.lookup(arg, place, kind))
            else:
                flows.append(self.value(arg, place, kind))
        check_compared(operator, flows, looked_up)
        copied = flows[0] if operator.nullif else Flow()  # NULLIF gives its first argument or NULL
        return replace(computed(*flows), object=copied.object, reg=copied.reg)

    def _operation(self, operation: Operation, place: Place, kind: UseKind) -> Flow:
        if operation.name in NAMES:
            self._findings.allow.operation(operation)
        flows = [self.value(arg, place, kind) for arg in operation.args]
        flow = computed(*flows)
        found = one_of(operation, flows)
        if found is None and operation.name != "?column?":
            check_no_reg(flow, operation.position)
        is_row = operation.name == "row"
        return Flow(flow.sources, None, flow.composite or is_row, found, flow.reg and found is not None)

    def _outputs(self, subquery: Subquery, place: Place) -> tuple[Output, ...]:
        outputs = self._query(subquery.query, place)
        if subquery.kind is SubqueryKind.SCALAR and not outputs:
            raise Refused("subquery must return a column", position=_shown(subquery.position))
        self._subquery_names[id(subquery.query)] = outputs[0].name if outputs else "?column?"
        return outputs

    def _subquery(self, subquery: Subquery, place: Place, kind: UseKind) -> Flow:
        """EXISTS, IN, ANY and ALL tell of the rows inside, so what those depend on becomes a source. EXISTS does not
        read the outputs: whatever makes them matter (DISTINCT, a set operation, computing them) is a use by itself."""
        for operator in subquery.operators:
            self._findings.allow.operator(*operator, subquery.position)
        test = self.value(subquery.test, place, kind)
        mark = len(self._findings.uses)
        outputs = self._outputs(subquery, place)
        if subquery.kind is SubqueryKind.EXISTS:
            return Flow(self._findings.used_since(mark))
        for output in outputs:
            self._findings.check_computable(output.flow, output.position)
        self._findings.use_outputs(outputs, kind)
        flow = computed(test, *(output.flow for output in outputs))
        if subquery.kind is SubqueryKind.SCALAR:
            return replace(flow, object=same_object(*(output.flow for output in outputs)))
        if subquery.kind is SubqueryKind.ARRAY or same_object(test, *(output.flow for output in outputs)) is None:
            check_no_reg(flow, subquery.position)
        if subquery.kind is SubqueryKind.ARRAY:
            return flow
        return Flow(flow.sources | self._findings.used_since(mark))

    # -- functions with rules of their own

    def _set_config(self, call: Call) -> Flow:
        """``SELECT set_config('name', 'value', bool)``: SET in another spelling, so SET's rules hold."""
        value: str | None = None
        match call.args:
            case (Constant(str(name)), Constant(str(value)), Constant("true" | "false" as local)):
                self._check_shadow(call)
                settings.check_setting(name, value, search_path=self._findings.search_path)
            case (Constant(str(name)), Parameter(number), Constant("true" | "false" as local)) if settings.is_free(
                name
            ):
                self._check_shadow(call)
                self._findings.parameters = max(self._findings.parameters, number)
            case (
                Column(("name",)),
                Constant(),
                Constant("false" as local),
            ):  # of pg_settings, as pg_dump does (``flows``)
                self._check_shadow(call)
                name = PG_DUMPS_SETTING
            case _:
                raise Refused("set_config takes literals only under a masking scope", position=_shown(call.position))
        if self._findings.session is not None:
            raise Refused("only one set_config is allowed in a statement", position=_shown(call.position))
        self._findings.session = SessionCommand(Verb.SET, name.lower(), value, local == "true")
        self._findings.functions.add("set_config")
        return Flow()

    def _set_config_elsewhere(self, call: Call, place: Place, kind: UseKind) -> Flow:
        raise Refused("set_config is allowed as an entry of a select list only", position=_shown(call.position))

    def _current_setting(self, call: Call, place: Place, kind: UseKind) -> Flow:
        self._check_shadow(call)
        match call.args:
            case (Constant(str(name)),) | (Constant(str(name)), Constant()) if settings.is_readable(name):
                self._findings.functions.add("current_setting")
                return Flow()
            case (Cast(Parameter() as parameter, _),) | (Parameter() as parameter,) if parameter.position is not None:
                self._findings.functions.add("current_setting")
                self._findings.edits.parameters[parameter.position] = settings.guarded(f"${parameter.number}")
                return self.use(parameter, place, kind)
            case (Column() as name,) if self.value(name, place, kind).object == "setting":  # of pg_settings
                self._findings.functions.add("current_setting")
                return Flow()
            case _:
                raise Refused("this setting may not be shown", position=_shown(call.position))

    def _check_shadow(self, call: Call) -> None:
        if call.schema is None and self._findings.allow.is_shadowed(call.name):
            raise Refused(f"function {call.name} is ambiguous", position=_shown(call.position))


_SPECIAL: Final[dict[str, Callable[[Expressions, Call, Place, UseKind], Flow]]] = {
    "set_config": Expressions._set_config_elsewhere,
    "current_setting": Expressions._current_setting,
}


def _scope(place: Place) -> Scope:
    return place.scope or Scope()


def _compared_column(operator: Operator) -> Column | None:
    """The column that is compared with literals and parameters for equality, when that is what the arguments are."""
    if operator.names != ("=",) or operator.quantified:
        return None
    for column, values in ((operator.args[0], operator.args[1:]), (operator.args[-1], operator.args[:-1])):
        if isinstance(column, Column) and all(map(_is_given, values)):
            return column
    return None


def _is_given(expression: Expression) -> bool:
    """A literal or a parameter, perhaps with a type written to it."""
    return isinstance(expression.arg if isinstance(expression, Cast) else expression, Constant | Parameter)


def _shown(position: int | None) -> int | None:
    return None if position is None else position + 1
