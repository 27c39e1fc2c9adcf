"""Objects by number and by name: casts to regclass and its kind, and functions that tell something of an object.

The server answers for hidden objects too. So ``Flow.object`` says of which kind of *visible* object a value provably is
the number (or, of schemas and databases, the name): it comes from a column of a filtered system relation, or from a
literal that names a visible one. ``data/introspection.txt`` says what each function demands.

A value of type regclass, regtype ... is more: whatever literal or parameter it meets, the server reads as a name of
such an object, and its error then tells whether there is one. It may be an output, be cast to text or oid, and be
compared with other numbers of objects; nothing else (``Flow.reg``)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from maskproxy.base.errors import Refused
from maskproxy.base.refs import TableRef
from maskproxy.core.sql.findings import Findings, Place
from maskproxy.core.sql.objects import (
    COMMENTED,
    FUNCTIONS_OF_OBJECTS,
    REG_TYPES,
    ObjectFunction,
    ObjectNames,
    literal_of,
    refused_lookup,
    refused_reg,
    same_object,
    unproven,
)
from maskproxy.core.sql.resolve import Flow, Relation, Scope, computed
from maskproxy.core.sql.statement import UseKind
from maskproxy.core.sql.substitute import derived_table
from maskproxy.core.sql.tree import Call, Cast, Column, Constant, Expression, Operation, Operator, Parameter, TypeRef
from maskproxy.core.system_relations import NOTHING

_CATALOGS: Final[Mapping[str, str]] = {"regclass": "pg_class", "regtype": "pg_type"}
_NUMBERS: Final = frozenset({"oid", "int4", "int8"})
_NAMES: Final = frozenset({"text", "varchar", "name"})
_PRIVILEGES: Final = re.compile(r"has_\w+_privilege|pg_has_role")

Use = Callable[[Expression, Place, UseKind], Flow]


class Objects:
    """Interprets what names objects in one statement. ``value`` interprets any expression, of a reg type too; ``use``
    one that is not of a reg type."""

    def __init__(self, findings: Findings, value: Use, use: Use) -> None:
        self._findings = findings
        self._names = ObjectNames(findings.catalog, findings.search_path)
        self._value = value
        self._use = use

    # -- casts

    def cast(self, cast: Cast, place: Place, kind: UseKind) -> Flow:
        target = cast.type
        if target.name in REG_TYPES and target.schema in (None, "pg_catalog") and not target.array:
            flow = self._object(cast.arg, REG_TYPES[target.name], place, kind)
            return Flow(flow.sources, object=REG_TYPES[target.name], reg=True)
        self._findings.allow.type(target)
        flow = self._value(cast.arg, place, kind)
        known = flow.object if not target.array and target.name in _NUMBERS | _NAMES else None
        if flow.reg and known is None:
            raise refused_reg(cast.position)
        return Flow(flow.sources, object=known)

    def _object(self, expression: Expression, wanted: str, place: Place, kind: UseKind) -> Flow:
        """An expression that must be the number of a visible object of this kind."""
        literal = literal_of(expression)
        if literal is not None:
            self._names.check_literal(str(literal.value), wanted, literal.position)
            return Flow(object=wanted)
        flow = self._value(expression, place, kind)
        if flow.object not in (wanted, NOTHING):
            raise unproven(wanted, _position(expression))
        return flow

    def lookup(self, expression: Expression, place: Place, kind: UseKind) -> Flow:
        """What looks an object up beside the number of a visible one (``check_compared``)."""
        match expression:
            case Cast(Cast() as inner):  # drivers write the same cast twice
                return self.lookup(inner, place, kind)
            case Cast(arg, type_ref):
                return self._guard(arg, type_ref.name, place, kind)
            case Call(args=(arg,), name=name):
                return self._guard(arg, name.removeprefix("to_"), place, kind)
            case _:
                raise refused_lookup(expression)

    def _guard(self, arg: Expression, reg: str, place: Place, kind: UseKind) -> Flow:
        """A literal or parameter becomes itself if it names a visible object, else NULL: whether the number of a hidden
        object differs from a visible one's, or nothing has a number, must not be told apart."""
        while isinstance(arg, Cast) and arg.type.name in _NAMES:
            arg = arg.arg
        match arg:
            case Parameter(number, int(position)):
                self._use(arg, place, kind)
                name = f"${number}"
            case Constant(str(value), int(position)):
                name = "'" + value.replace("'", "''") + "'"
            case _:
                raise refused_lookup(arg)
        table = self._findings.catalog.tables.get(TableRef("pg_catalog", _CATALOGS[reg]))
        if table is None:
            raise refused_lookup(arg)
        self._findings.edits.parameters[position] = (
            f"(SELECT v.oid::pg_catalog.{reg}::pg_catalog.text "  # noqa: S608 - a literal or parameter in one place
            f"FROM {derived_table(table, {}, only=False)} AS v "
            f"WHERE v.oid = pg_catalog.to_{reg}({name}::pg_catalog.text))"
        )
        return Flow()

    # -- functions

    def call(self, call: Call, place: Place, kind: UseKind) -> Flow | None:
        """The flow of a function that tells of objects; None if it is none of these."""
        if call.schema not in (None, "pg_catalog"):
            return None
        special = _SPECIAL.get(call.name)
        function = FUNCTIONS_OF_OBJECTS.get(call.name)
        if special is None and function is None:
            return None
        if call.schema is None and call.name in self._findings.catalog.functions:
            raise Refused(f"function {call.name} is ambiguous", position=_shown(call.position))
        if call.order_by or call.filter or call.over or call.star:
            raise Refused(f"function {call.name} takes arguments only", position=_shown(call.position))
        self._findings.functions.add(call.name)
        if special is not None:
            return special(self, call, place, kind)
        assert function is not None
        args = self._without_user(call, function)
        if not function.least <= len(args) <= len(function.kinds):
            raise Refused(
                f"function {call.name} with {len(call.args)} arguments is not allowed under a masking scope",
                position=_shown(call.position),
            )
        if function.kinds[0] == "null":
            return self._withheld(call, function.result)
        flows = [
            self._argument(args, index, wanted, place, kind) for index, wanted in enumerate(function.kinds[: len(args)])
        ]
        return Flow(computed(*flows).sources, object=function.result)

    def _without_user(self, call: Call, function: ObjectFunction) -> tuple[Expression, ...]:
        """The arguments of has_*_privilege without who is asked about, who must be who asks."""
        if not _PRIVILEGES.fullmatch(call.name) or len(call.args) != len(function.kinds) + 1:
            return call.args
        if not (isinstance(call.args[0], Operation) and call.args[0].name in ("current_user", "session_user", "user")):
            raise Refused(
                f"{call.name} of another role is not allowed under a masking scope",
                hint="Leave the role out, or write CURRENT_USER.",
                position=_shown(call.position),
            )
        return call.args[1:]

    def _argument(self, args: tuple[Expression, ...], index: int, wanted: str, place: Place, kind: UseKind) -> Flow:
        arg = args[index]
        if wanted == "any":
            return self._use(arg, place, kind)
        if wanted not in ("attnum", "attname"):
            return self._object(arg, wanted, place, kind)
        if wanted == "attname" and isinstance(arg, Constant):
            self._names.check_column(args[index - 1], str(arg.value), arg.position)
            return Flow()
        flow = self._value(arg, place, kind)
        if flow.object != wanted or not _same_row(args[index - 1], arg, place.scope):
            raise Refused(
                "the column must be of the same row of pg_attribute as the table here",
                hint="Read pg_description, pg_attribute or information_schema.columns instead.",
                position=_shown(_position(arg)),
            )
        return flow

    def _withheld(self, call: Call, result: str | None, null: str = "NULL::pg_catalog.oid") -> Flow:
        """The server is asked about NULL. The first argument does not reach it, so it may be anything without
        parameters."""
        first, *rest = call.args
        if call.position is None or _has_parameter(first) or not all(isinstance(each, Constant) for each in rest):
            raise Refused(f"{call.name} of this is not supported under a masking scope", position=_shown(call.position))
        self._findings.edits.withheld[call.position] = (call, null)
        return Flow(object=result, reg=result is not None)

    # -- functions with rules of their own

    def _pg_typeof(self, call: Call, place: Place, kind: UseKind) -> Flow:
        """Names the type of a value in sight."""
        flow = computed(*(self._use(arg, place, kind) for arg in call.args))
        return Flow(flow.sources, object="type", reg=True)

    def _acl_default(self, call: Call, place: Place, kind: UseKind) -> Flow:
        """It names the role. Privileges are NULL, so nobody misses what they are by default."""
        if len(call.args) != 2 or call.position is None or _has_parameter(call.args[0]):
            raise Refused(f"{call.name} of this is not supported under a masking scope", position=_shown(call.position))
        self._findings.edits.withheld[call.position] = (call, 'NULL::pg_catalog."char"')
        return Flow(self._use(call.args[1], place, kind).sources)

    def _to_reg(self, call: Call, place: Place, kind: UseKind) -> Flow:
        """NULL for what does not exist, so for what is hidden too."""
        match call.args:
            case (Constant(str(text), position),) if call.name == "to_regclass":
                if self._names.visible_class(text, position) is None:
                    return self._withheld(call, "class", "NULL::pg_catalog.text")
                return Flow(object="class", reg=True)
        raise refused_lookup(call)

    def _obj_description(self, call: Call, place: Place, kind: UseKind) -> Flow:
        match call.args:
            case (arg, Constant(str(catalog))) if catalog in COMMENTED:
                return Flow(self._object(arg, COMMENTED[catalog], place, kind).sources)
            case _:
                raise Refused(
                    f"{call.name} needs the number of a visible object and the name of its catalog",
                    hint=f"Write {call.name}(oid, 'pg_class').",
                    position=_shown(call.position),
                )

    def _current_database(self, call: Call, place: Place, kind: UseKind) -> Flow:
        if call.args:
            raise Refused(f"function {call.name} takes no arguments", position=_shown(call.position))
        return Flow(object="database" if call.name == "current_database" else "schema")


_SPECIAL: Final[Mapping[str, Callable[[Objects, Call, Place, UseKind], Flow]]] = {
    "pg_typeof": Objects._pg_typeof,
    "to_regtype": Objects._to_reg,
    "to_regclass": Objects._to_reg,
    "obj_description": Objects._obj_description,
    "shobj_description": Objects._obj_description,
    "acldefault": Objects._acl_default,
    "current_database": Objects._current_database,
    "current_schema": Objects._current_database,
}


def lookup_of(expression: Expression) -> str | None:
    """The kind of object that ``to_regclass(...)``, ``to_regtype(...)`` or ``$1::regclass`` looks for."""
    match expression:
        case Call(schema=None | "pg_catalog", name="to_regclass" | "to_regtype" as name):
            return REG_TYPES[name.removeprefix("to_")]
        case Cast(arg, TypeRef(schema=None | "pg_catalog", name="regclass" | "regtype" as name, array=False)):
            return REG_TYPES[name] if isinstance(arg, Parameter) else lookup_of(arg)
        case _:
            return None


def one_of(operation: Operation, flows: Sequence[Flow]) -> str | None:
    """The kind of object that COALESCE and CASE give in every case; NULL is any kind's."""
    args = operation.args
    if operation.name == "coalesce":
        results = range(len(args))
    elif operation.name == "case" and len(args) <= 2 and isinstance(args[0], Operation) and args[0].name == "case":
        results = range(len(args))  # the branches, and what ELSE says
    elif operation.name == "case" and len(args) % 2 == 0:
        results = range(1, len(args), 2)  # condition and result in turn
    else:
        return None
    return same_object(*(flows[index] for index in results if not _is_null(args[index])))


def _is_null(expression: Expression) -> bool:
    return isinstance(expression, Constant) and expression.null


def check_compared(operator: Operator, flows: Sequence[Flow], looked_up: Sequence[str | None]) -> None:
    """``oid = to_regclass(...)``: the filter on the other side decides, nothing is told of hidden objects. A value of a
    reg type may be compared with numbers of objects."""
    for index, wanted in enumerate(looked_up):
        if wanted is not None and (len(flows) != 2 or flows[1 - index].object != wanted):
            raise refused_lookup(operator.args[index])
    if any(flow.reg for flow in flows) and (operator.chain or any(flow.object is None for flow in flows)):
        raise refused_reg(operator.position)


def _same_row(table: Expression, column: Expression, scope: Scope | None) -> bool:
    """Both are columns of one and the same base relation in FROM."""
    owners = [_owner(each, scope) for each in (table, column)]
    return owners[0] is not None and owners[0] is owners[1]


def _owner(expression: Expression, scope: Scope | None) -> Relation | None:
    while isinstance(expression, Cast):
        expression = expression.arg
    if not isinstance(expression, Column) or scope is None:
        return None
    if len(expression.parts) > 1:
        owner: Relation | None = scope.relation(expression.parts[:-1], expression.position)
    else:
        name = expression.parts[0]
        found = (item for level in scope.levels() for item in level.items if item.columns_visible and item.named(name))
        owner = next(found, None)
    return owner if owner is not None and owner.is_base else None


def _has_parameter(node: Any) -> bool:
    stack = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, Parameter):
            return True
        if isinstance(each, tuple):
            stack += each
        elif hasattr(type(each), "__slots__"):
            stack += [getattr(each, name) for name in type(each).__slots__]
    return False


def _position(expression: Expression) -> int | None:
    return getattr(expression, "position", None)


def _shown(position: int | None) -> int | None:
    return None if position is None else position + 1
