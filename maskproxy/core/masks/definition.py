"""A mask is a class: its fields are its parameters in the rules, its ``bind`` makes the function for a column."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from maskproxy.base.secret import Secret
from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks.recipe import Recipe
from maskproxy.core.masks.sql import elementwise
from maskproxy.core.yaml import Strict

MaskFunction = Callable[[Any], object]
"""A value of the column's ``Domain`` in, one of the same domain or None (NULL) out. Never raises, never sees NULL."""

SqlForm = Callable[[str], str]
"""The same mask as SQL: an expression of the column's type in (quoted or parenthesised text such as ``"email"``), an
expression of that type and of the value that the function gives out. Raises no error, whatever the value."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a mask cannot represent its result in a type. The column is NULL then, and ``check`` says so."""

    reason: str


Bound = MaskFunction | Misfit | None
"""None: the column is always NULL because the mask says so."""


class MaskRule(Strict):
    """One mask with its parameters. Subclasses add their parameters and the facts below."""

    mask: str
    """Its name in ``MASKS``; subclasses narrow the type to that one word."""

    domains: ClassVar[frozenset[Domain]]
    """Kinds of values it can work on. Elsewhere it is a ``Misfit``."""

    rank: ClassVar[int]
    """Strictness, greater hides more. When several masks are asked for a column, the strictest is used."""

    leaks: ClassVar[str]
    """What a reader of masked values still learns: the end of the sentence "it discloses ..."."""

    shows_part: ClassVar[bool] = True
    """Whether something of the value itself is seen: some characters, its year, its size."""

    coarsens: ClassVar[bool] = False
    """Whether a value that is coarse already (the first of January, a round number) comes back as it is."""

    @property
    def strictness(self) -> Decimal:
        """Orders rules of one mask by their parameters, greater hides more."""
        return Decimal(0)

    def settings(self, key: bytes, key_setting: str) -> Mapping[str, Secret[str]]:
        """What a session must have for the SQL form, by the name of the setting."""
        return {}

    @abstractmethod
    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        """The function for a column of scalar ``type`` (the element's type for an array) with ``atttypmod``.

        ``key`` belongs to the label: one value under one label looks the same everywhere.
        """

    def recipe(self, type: PgType, typmod: int, key: bytes) -> Recipe | None:
        """What the function of ``bind`` does, as data. None: only the function knows. Asked for only where there is
        one."""
        return None

    def sql(self, type: PgType, typmod: int, key_setting: str) -> SqlForm | None:
        """The same for a statement that uses the column: what ``bind`` gives, as SQL. None: NULL there.

        ``key_setting``: how the names of ``settings`` begin. Asked for only where ``bind`` has a function.
        """
        return None


def bind(rule: MaskRule, type: PgType, typmod: int, key: bytes) -> Bound:
    """``rule`` for a column; the function works on the elements when ``type`` is an array."""
    scalar = type.element or type
    if scalar.domain not in rule.domains:
        return Misfit(f"it does not work on type {type.name}")
    return rule.bind(scalar, typmod, key)


def recipe(rule: MaskRule, type: PgType, typmod: int, key: bytes) -> Recipe | None:
    """``rule`` as data for a column where ``bind`` has a function; arrays are left to that."""
    return rule.recipe(type, typmod, key) if type.element is None else None


def sql_form(rule: MaskRule, type: PgType, typmod: int, key_setting: str) -> SqlForm | None:
    """``rule`` as SQL for a column where ``bind`` has a function; of each element when ``type`` is an array."""
    scalar = type.element or type
    form = rule.sql(scalar, typmod, key_setting)
    if form is None or type.element is None:
        return form

    def of_elements(array: str) -> str:
        name = "_e"
        while name in array:  # our names stand nearer than the column's, so they must not be the same
            name += "_"
        return elementwise(array, type, typmod, name, form(f"{name}.v"))

    return of_elements
