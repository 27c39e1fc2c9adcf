"""How much text a column holds, and masks that keep part of a text: ``partial`` and ``email``.

A character is a code point, as for PostgreSQL's ``left`` and ``length``; never a byte.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from maskproxy.base.limits import MAX_IDENTIFIER, MAX_MASKED_ROW
from maskproxy.base.types import Domain, PgType
from maskproxy.core.masks import sql
from maskproxy.core.masks.definition import Bound, MaskFunction, MaskRule, SqlForm
from maskproxy.core.masks.recipe import Address, Ends, Recipe

_VARHDRSZ = 4  # atttypmod of varchar(n) and char(n) is n + 4: src/include/varatt.h, utils/adt/varchar.c


@dataclass(frozen=True, slots=True)
class Room:
    """What a column of a text type holds: characters for varchar(n) and char(n), bytes for ``name`` and ``"char"``."""

    characters: int | None = None
    octets: int | None = None
    padded: bool = False  # char(n): the server pads with spaces, which are not part of the value

    @classmethod
    def of(cls, type: PgType, typmod: int) -> "Room":
        if type.name in ("varchar", "bpchar"):
            length = typmod - _VARHDRSZ if typmod >= _VARHDRSZ else None
            return cls(characters=length, padded=type.name == "bpchar")
        return cls(octets={"char": 1, "name": MAX_IDENTIFIER}.get(type.name))

    def holds(self, text: str) -> bool:
        if self.characters is not None and len(text) > self.characters:
            return False
        return self.octets is None or len(text.encode("utf-8", "surrogatepass")) <= self.octets

    def function(self, apply: Callable[[str], str]) -> MaskFunction:
        """``apply`` on the value without padding; what does not fit is None."""

        def fitted(value: str) -> str | None:
            masked = apply(value)
            return masked if self.holds(masked) else None

        def padded(value: str) -> str | None:
            masked = fitted(value.rstrip(" "))
            return None if masked is None else masked.ljust(self.characters or 0)

        if self.padded:
            return padded
        # text and varchar whose mask never lengthens need no check, but the check is cheap beside the call
        return apply if self == Room() else fitted

    def sql(self, type: PgType, typmod: int, apply: SqlForm, *, bytes_a_character: int = 1) -> SqlForm:
        """The same in SQL, for an ``apply`` that makes no more characters of a text than it has.

        ``bytes_a_character``: of those that it puts in the place of others. What may become longer than the type (a
        cast would cut it) or than a value may be (an error) is NULL."""
        name = sql.type_name(type, typmod)
        limit = self.octets or MAX_MASKED_ROW

        def form(value: str) -> str:
            masked = apply(sql.text(value))
            if bytes_a_character > 1:
                size = sql.op(sql.call("length", sql.text(value)), "*", str(bytes_a_character))
                size = sql.call("octet_length", masked) if self.octets is not None else size
                masked = sql.case((sql.op(size, "<=", str(limit)), masked))
            return sql.cast(sql.null_stays(value, type, sql.cast(masked, name)), name)

        return form


def _one_printable(char: str) -> str:
    if len(char) != 1 or not char.isprintable() or char.isspace():
        raise ValueError("must be one visible character")
    return char


Keep = Annotated[int, Field(strict=True, ge=0, le=1000)]


class Partial(MaskRule):
    """Keeps characters at the ends. A text no longer than what would be kept is hidden whole."""

    mask: Literal["partial"]
    keep_first: Keep = 0
    keep_last: Keep = 0
    char: Annotated[str, AfterValidator(_one_printable)] = "*"

    domains = frozenset({Domain.TEXT})
    rank = 50
    leaks = "the kept characters and the length"

    @property
    def strictness(self) -> Decimal:
        return Decimal(-(self.keep_first + self.keep_last))

    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        first, last, char = self.keep_first, self.keep_last, self.char
        kept = first + last

        def partial(value: str) -> str:
            length = len(value)
            if length <= kept:
                return char * length
            return value[:first] + char * (length - kept) + value[length - last :]

        return Room.of(type, typmod).function(partial)

    def recipe(self, type: PgType, typmod: int, key: bytes) -> Recipe:
        return Ends(self.keep_first, self.keep_last, self.char, Room.of(type, typmod).characters)

    def sql(self, type: PgType, typmod: int, key_setting: str) -> SqlForm:
        first, last, kept = str(self.keep_first), str(self.keep_last), str(self.keep_first + self.keep_last)

        def partial(value: str) -> str:
            length = sql.call("length", value)
            ends = sql.call("left", value, first), sql.call("right", value, last)
            stars = sql.call("repeat", sql.literal(self.char), sql.op(length, "-", kept))
            hidden = sql.call("repeat", sql.literal(self.char), length)
            shown = sql.op(sql.op(ends[0], "||", stars), "||", ends[1])
            return sql.case((sql.op(length, "<=", kept), hidden), otherwise=shown)

        return Room.of(type, typmod).sql(type, typmod, partial, bytes_a_character=len(self.char.encode()))


class Email(MaskRule):
    """``ann@example.com`` becomes ``a**@example.com``; a text that is no address becomes stars."""

    mask: Literal["email"]

    domains = frozenset({Domain.TEXT})
    rank = 40
    leaks = "the first character, the length of the local part and the domain"

    def bind(self, type: PgType, typmod: int, key: bytes) -> Bound:
        return Room.of(type, typmod).function(_mask_email)

    def recipe(self, type: PgType, typmod: int, key: bytes) -> Recipe:
        return Address(Room.of(type, typmod).characters)

    def sql(self, type: PgType, typmod: int, key_setting: str) -> SqlForm:
        return Room.of(type, typmod).sql(type, typmod, _sql_email)


def _mask_email(value: str) -> str:
    local, at, domain = value.rpartition("@")
    if not at or not local:
        return "*" * len(value)
    kept = local[0] if len(local) > 1 else ""  # the only character of a local part is not kept
    return kept + "*" * (len(local) - len(kept)) + "@" + domain


def _sql_email(value: str) -> str:
    """By where the last @ stands: after the second character, at it, or nowhere else (first or not at all).

    Searching depends on the collation, and some refuse it, so it is done under "C"; cutting does not."""
    star, length = sql.literal("*"), sql.call("length", value)
    second, later = sql.call("substr", value, "2", "1"), sql.call("right", value, "-2")
    domain = _position_of_at(sql.call("reverse", value))  # its length with the @
    stars = sql.call("repeat", star, sql.op(sql.op(length, "-", domain), "-", "1"))
    kept = sql.op(sql.op(sql.call("left", value, "1"), "||", stars), "||", sql.call("right", value, domain))
    return sql.case(
        (sql.op(_position_of_at(later), ">", "0"), kept),
        (sql.op(_position_of_at(second), ">", "0"), sql.op(star, "||", sql.call("right", value, "-1"))),
        otherwise=sql.call("repeat", star, length),
    )


def _position_of_at(value: str) -> str:
    return sql.call("strpos", f'{value} COLLATE pg_catalog."C"', sql.literal("@"))
