"""What goes between a worker and its analysts: a policy one way, texts the same way, plans and refusals back.

The worker keeps what an analyst must not have: mask functions, which hold keys, and everything else it does not need
to read a statement. So a mask goes there as its name, type and rule; in a plan that comes back it is only a column,
and the worker puts its own mask in.

Parsers read hostile text, so an analyst is not trusted with code either: what it sends may name nothing but the plain
values and errors of ``base`` and ``core`` (``_Unpickler``). It could still send a wrong plan; that is no more than it
could do inside of the worker.
"""

import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Final

from maskproxy.base.errors import StatementError, restore_error
from maskproxy.base.refs import ColumnRef
from maskproxy.core.plan import Plan, Stamp, StatementPlan
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.policy.ruleset import Scope
from maskproxy.session.enforce import Policy

_PROTOCOL: Final = 5
_PACKAGES: Final = ("maskproxy.base.", "maskproxy.core.")


@dataclass(frozen=True, slots=True)
class Brief:
    """What an analyst knows of a policy."""

    scope: Scope
    stamp: Stamp
    search_path: tuple[str, ...]


def pack_policy(policy: Policy) -> bytes:
    buffer = io.BytesIO()
    _PolicyPickler(buffer, _PROTOCOL).dump((policy.scope, policy.stamp, policy.search_path))
    return buffer.getvalue()


def unpack_policy(data: bytes) -> Brief:
    """For the analyst, which trusts its worker."""
    return Brief(*pickle.loads(data))  # noqa: S301


def pack_result(result: Plan | StatementError) -> bytes:
    if isinstance(result, Plan):
        result = replace(result, statements=tuple(map(_without_uses, result.statements)))
    buffer = io.BytesIO()
    _ResultPickler(buffer, _PROTOCOL).dump(result)
    return buffer.getvalue()


def unpack_result(data: bytes, policy: Policy) -> Plan | StatementError:
    """Raises ValueError for anything that is no plan or refusal."""
    try:
        result = _Unpickler(data, policy).load()
    except Exception as error:  # bytes of a process that may have lost its mind
        raise ValueError(f"no result ({type(error).__name__})") from None
    if not isinstance(result, Plan | StatementError):
        raise ValueError("no result")
    return result


def _without_uses(statement: StatementPlan) -> StatementPlan:
    """Uses and writes have been decided upon; there may be thousands."""
    if statement.analysis is None:
        return statement
    carried = None if statement.carried is None else _without_uses(statement.carried)
    return replace(statement, analysis=replace(statement.analysis, uses=(), writes=()), carried=carried)


class _PolicyPickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Masks without their functions and recipes, a scope without the settings of its sessions: all hold keys."""
        if isinstance(obj, ColumnMask):
            return _build, (
                ColumnMask,
                {name: value for name, value in _fields(obj) if not callable(value) and name not in _KEPT}
                | _NO_FUNCTION,
            )
        if isinstance(obj, Scope):
            return _build, (Scope, {name: value for name, value in _fields(obj) if name != "settings"})
        return NotImplemented


_KEPT: Final = ("settings", "recipe")
_NO_FUNCTION: Final = {"apply": None}


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    return ((each.name, getattr(value, each.name)) for each in fields(value))


def _build(kind: type[Any], values: dict[str, Any]) -> Any:
    return kind(**values)


class _ResultPickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> ColumnRef | None:
        return obj.column if isinstance(obj, ColumnMask) else None

    def reducer_override(self, obj: Any) -> Any:
        """Members of enumerations by their value: Python before 3.11.4 would have the other side call ``getattr``."""
        return (type(obj), (obj.value,)) if isinstance(obj, Enum) else NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, policy: Policy) -> None:
        super().__init__(io.BytesIO(data))
        self._policy = policy

    def persistent_load(self, pid: Any) -> ColumnMask:
        return self._policy.scope.masks[pid]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("builtins", "frozenset"):
            return frozenset
        found = super().find_class(module, name) if module.startswith(_PACKAGES) and "." not in name else None
        if found is restore_error or _is_value(found):
            return found
        raise pickle.UnpicklingError("not a value")


def _is_value(found: object) -> bool:
    return isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum | StatementError))
