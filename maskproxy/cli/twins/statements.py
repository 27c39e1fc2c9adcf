"""What an agent who is after protected values would send: statements made from a schema, the same for the same seed.

They are put together from ``statements.yaml``, which see.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from random import Random
from typing import Final

from ruamel.yaml import YAML

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.sql.substitute import quoted

_TEMPLATES: Final = YAML(typ="safe").load(
    resources.files("maskproxy.cli.twins").joinpath("statements.yaml").read_text()
)
_EXPRESSIONS: Final[Mapping[str, list[str]]] = _TEMPLATES["expressions"]
_PREDICATES: Final[Mapping[str, list[str]]] = _TEMPLATES["predicates"]
_SHAPES: Final[list[list[str]]] = [shape.split("; ") for shape in _TEMPLATES["shapes"]]

_KINDS: Final = {
    "numbers": ("smallint", "integer", "bigint", "numeric", "real", "double"),
    "moments": ("date", "timestamp"),
}
"""Expressions by the types they are for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A column that statements are about. ``guesses``: values of either twin; ``by``: what sorts its table.
    ``functions`` that rules trust and that take one argument."""

    column: ColumnRef
    type: str
    by: str
    guesses: tuple[str, ...]
    token: bool
    functions: tuple[str, ...] = ()

    @property
    def table(self) -> TableRef:
        return self.column.table_ref


@dataclass(frozen=True, slots=True)
class Play:
    """Statements that are sent one after the other."""

    target: Target
    statements: tuple[str, ...]


def make_plays(targets: Sequence[Target], count: int, chance: Random) -> Iterator[Play]:
    """Each target in turn, with every shape before any comes again."""
    shapes = list(_SHAPES)
    for number in range(count):
        round_, index = divmod(number, len(targets))
        if index == 0 and round_ % len(shapes) == 0:
            chance.shuffle(shapes)
        target = targets[index]
        shape = shapes[(round_ + index) % len(shapes)]
        yield Play(target, tuple(_fill(statement, target, chance) for statement in shape))


def _fill(template: str, target: Target, chance: Random) -> str:
    """Placeholders once more after they were filled with others, as deep as they go."""
    while (start := template.find("{")) >= 0:
        end = template.index("}", start)
        template = template[:start] + _place(template[start + 1 : end], target, chance) + template[end + 1 :]
    return template.replace(_OPEN, "{").replace(_CLOSE, "}")


_OPEN, _CLOSE = "\x01", "\x02"  # braces of values, which stand for nothing


def _place(name: str, target: Target, chance: Random) -> str:
    column = quoted(target.column.column)
    match name:
        case "c":
            return f"o.{column}"
        case "n":
            return column
        case "t":
            return f"{quoted(target.table.schema)}.{quoted(target.table.name)}"
        case "k":
            return target.by
        case "e":
            return chance.choice(_expressions(target))
        case "p":
            return chance.choice(_PREDICATES["any"] + ([] if target.token else _PREDICATES["more"]))
        case "g":
            return f"{_guess(target, chance)}::{target.type}"
        case "x":
            return _guess(target, chance)
        case _:
            return f"left({_guess(target, chance)}, {chance.randint(1, 6)})"


def _expressions(target: Target) -> list[str]:
    found = _EXPRESSIONS["any"] + [f"{function}({{k}})" for function in target.functions]
    if not target.token:
        found += _EXPRESSIONS["more"] + [f"{function}({{c}})" for function in target.functions]
        for kind, beginnings in _KINDS.items():
            found += _EXPRESSIONS[kind] if target.type.startswith(beginnings) else []
    return found


def _guess(target: Target, chance: Random) -> str:
    value = chance.choice(target.guesses) if target.guesses else "1"
    return "'" + value.replace("'", "''").replace("{", _OPEN).replace("}", _CLOSE) + "'"
