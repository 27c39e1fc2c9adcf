"""Values of any type, as text: many are alike in parts, so that masks which show a part find two that look alike."""

from random import Random
from typing import Final

from maskproxy.cli.twins.layout import Types

_LETTERS: Final = "bcdfghjkmnpqrstvwxz"
_STARTS: Final = ("anna", "boris", "+49-30", "DE8937")
_ENDS: Final = ("4711", "0815", "x1y2z3", "9")
_MIDDLES: Final = (3, 4, 9)
_DOMAINS: Final = ("example.com", "example.org", "mail.example.net")
_ADDRESS: Final = 27  # characters of the longest of our addresses
_BASES: Final = (0, 40, 1_200, 31_000, 7_400_000)
_SMALL: Final = 1 << 15
_SPREADS: Final = (1, 10, 100, 1_000, 100_000)
_SECONDS: Final = (1, 60, 3_600, 86_400, 2_600_000, 31_000_000)
_DEPTH: Final = 3  # of types in types; a row type may hold its own table's

# Whatever else: something among these is a value of most types.
_ANY: Final = (
    *("1", "2", "17", "0.5", "t", "f", "a", "b", "{}", "{1,2}", "{3,4}", "[]", '"x"', '{"k": 1}', '{"k": 2}'),
    *("(1,2)", "(3,4)", "((1,1),(2,2))", "((3,1),(4,2))", "<(0,0),1>", "<(1,1),2>", "{1,2,3}", "[(0,0),(1,1)]"),
    *("0101", "1010", "101", "011", "16/B374D848", "16/B374D849", "10:20:10", "a=>1", "b=>2", "<a/>", "<b>c</b>"),
)


class Candidates:
    """``of`` a type; the server says which of them are values of the type, lengths and checks considered."""

    def __init__(self, types: Types, chance: Random) -> None:
        self._types = types
        self._chance = chance

    def of(self, type: str, count: int, hint: str = "") -> list[str]:
        """``hint``: the names of column and mask, by which text looks like what it holds."""
        return list(dict.fromkeys(self._one(type, hint, _DEPTH) for _ in range(count)))

    def _one(self, type: str, hint: str, depth: int) -> str:
        types, name = self._types, type.partition("(")[0].strip()
        if type.endswith("[]"):
            return self._array(type.removesuffix("[]"), hint, depth)
        if type in types.bases:
            return self._one(types.bases[type], hint, depth)
        if type in types.labels:
            return self._chance.choice(types.labels[type])
        if type in types.ranges:
            return self._range(types.ranges[type], depth)
        if type in types.fields:
            parts = (self._one(each, hint, depth - 1) if depth else "" for each in types.fields[type])
            return f"({','.join(map(_quoted, parts))})"
        return self._scalar(name, type, hint)

    def _scalar(self, name: str, type: str, hint: str) -> str:
        match name:
            case "text" | "character varying" | "character" | "name" | "citext" | '"char"':
                return self._text(_length(type, name), hint)
            case "smallint":  # so short that some tokens are the same
                return str(self._chance.choice((self._number(), self._chance.randrange(_SMALL))))
            case "integer" | "bigint" | "oid":
                return str(self._number())
            case "numeric" | "real" | "double precision" | "money":
                return f"{self._number() + self._chance.randrange(100) / 100:.2f}"
            case "date" | "timestamp" | "timestamp without time zone" | "timestamp with time zone":
                return self._moment()
            case "time without time zone" | "time with time zone" | "time":
                return (
                    f"{self._chance.randrange(24):02}:{self._chance.randrange(60):02}:{self._chance.randrange(60):02}"
                )
            case "interval":
                return f"{self._chance.randrange(1, 400)} days {self._chance.randrange(24)} hours"
            case "uuid":
                return f"{self._chance.getrandbits(128):032x}"
            case "boolean":
                return self._chance.choice(("true", "false"))
            case "json" | "jsonb":
                text = self._text(0, hint)
                return f'{{"kind": "{self._chance.choice("ab")}", "number": {self._number()}, "text": "{text}"}}'
            case "bytea":
                return "\\x" + self._chance.randbytes(self._chance.choice((4, 9))).hex()
            case "inet" | "cidr":
                return f"10.{self._chance.randrange(3)}.{self._chance.randrange(3)}.{self._chance.randrange(256)}"
            case "macaddr" | "macaddr8":
                return ":".join(f"{each:02x}" for each in self._chance.randbytes(6))
            case "tsvector" | "tsquery" | "xml":
                text = self._text(0, "").replace("+", "")
                return f"<v>{text}</v>" if name == "xml" else text.replace("-", "")
            case _:
                return self._chance.choice(_ANY)

    def _text(self, length: int, hint: str) -> str:
        middle = "".join(self._chance.choices(_LETTERS, k=self._chance.choice(_MIDDLES)))
        if "mail" in hint.lower() and not 0 < length <= _ADDRESS:
            return f"{self._chance.choice('ab')}{middle}@{self._chance.choice(_DOMAINS)}"
        text = f"{self._chance.choice(_STARTS)}-{middle}-{self._chance.choice(_ENDS)}"
        if not length or length >= len(text):
            return text
        return "".join(self._chance.choices(_LETTERS[:4] if length > 1 else _LETTERS, k=length))

    def _number(self) -> int:
        return self._chance.choice(_BASES) + self._chance.randrange(self._chance.choice(_SPREADS))

    def _moment(self) -> str:
        year, month = self._chance.choice((1971, 1988, 2024)), self._chance.choice((2, 11))
        seconds = self._chance.randrange(self._chance.choice(_SECONDS))
        days, rest = divmod(seconds, 86_400)
        day, month = days % 27 + 2, (month + days // 27 - 1) % 12 + 1
        return f"{year}-{month:02}-{day:02} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"

    def _array(self, element: str, hint: str, depth: int) -> str:
        count = self._chance.choice((1, 1, 2)) if depth else 0
        return "{" + ",".join(_element(self._one(element, hint, depth - 1)) for _ in range(count)) + "}"

    def _range(self, subtype: str, depth: int) -> str:
        """The larger of two texts is not always the larger value: the server sorts the others out."""
        low, high = sorted((self._one(subtype, "", depth - 1), self._one(subtype, "", depth - 1)))
        return f"[{_quoted(low)},{_quoted(high)})"


def _length(type: str, name: str) -> int:
    """The declared one; 0 when there is none."""
    if name == '"char"':
        return 1
    length = type.partition("(")[2].partition(")")[0]
    return int(length) if length.isdecimal() else 1 if name == "character" else 0


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '""')
    return f'"{escaped}"'


def _element(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
