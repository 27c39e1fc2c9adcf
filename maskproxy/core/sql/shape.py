"""What is left of a text without its plain literals, so that texts which differ in nothing else can share a plan.

One pass of one regular expression. It need not know SQL: it takes out what is a plain string or a plain number for
certain, keeps all the rest to the letter, and gives up (None) where it cannot be certain. Two texts of one shape are
therefore made of the same tokens, but for the values of the literals; whether those matter to an analysis is for the
analysis to say (``Analysis.literals``).
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final


class LiteralKind(IntEnum):
    STRING = 1
    INTEGER = 2  # of nine digits at most, which the server's grammar takes for an int4
    DECIMAL = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """``key``: the text, with a kind in the place of each literal. ``literals``: as they were written."""

    key: tuple[str | LiteralKind, ...] = field(repr=False)
    literals: tuple[str, ...] = field(repr=False)

    def chunks(self) -> list[str]:
        """The texts around the literals: one more than there are literals."""
        found = [""]
        for part in self.key:
            if isinstance(part, LiteralKind):
                found.append("")
            else:
                found[-1] += part
        return found


# A string is plain without a prefix (E, B, X, N, U& ...), backslash, line end or anything that is no UTF-8; a number
# without exponent, base or underscore, alone between characters that are no part of a word or number. Quoted names and
# comments are matched in order to be kept: quotes and digits in them are no literals.
# The pattern starts with a set of characters, which the engine finds fast; what the character was is looked back at.
_WORD: Final = r"A-Za-z0-9_$\x80-\U0010ffff"
_PARTS: Final = re.compile(
    rf"""(['"0-9$/-] (?:
      (?<=') (?<![{_WORD}&]') (?>(?: [^'\\\n\r\0\ud800-\udfff] | '' )*) '
    | (?<=[0-9]) (?<![{_WORD}.][0-9]) [0-9]{{0,8}} (?: \.[0-9]{{1,20}} )? (?![{_WORD}.])
    | (?<=") (?>(?: [^"] | "" )*) "
    | (?<=-) - [^\n\r]*
    | (?<=/) \* (?>(?: [^*/] | \*(?!/) | /(?!\*) )*) \*/
    | (?<=['"])
    | (?<=/)(?=\*)
    | (?<=\$)(?![0-9])
    ))""",
    re.VERBOSE,
)
_UNCERTAIN: Final = frozenset("'\"/$")


def shape(text: str) -> Shape | None:
    """None when it is not certain what the literals are."""
    parts: list[str | LiteralKind] = list(_PARTS.split(text))
    literals = []
    for index in range(1, len(parts), 2):
        part = str(parts[index])
        first = part[0]
        if part in _UNCERTAIN:
            return None
        if first == "'":
            parts[index] = LiteralKind.STRING
        elif first.isdecimal():
            parts[index] = LiteralKind.DECIMAL if "." in part else LiteralKind.INTEGER
        else:
            continue
        literals.append(part)
    return Shape(tuple(parts), tuple(literals))
