"""Which columns probably hold what, by their names, their types and, when allowed, some of their values; and the files
``init`` writes from that. A proposal errs towards masking: taking a label away is easier than taking back a value.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.base.types import PG_TYPES, Domain
from maskproxy.core.catalog import Catalog, Column
from maskproxy.core.masks.table import MASKS
from maskproxy.core.policy.patterns import tables_of

SCOPE = "agent"
Samples = Mapping[ColumnRef, Sequence[str]]
"""Values of text columns. They are looked at here and go nowhere else."""


class Because(StrEnum):
    NAME = "name"
    VALUES = "values"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Kind:
    """A label with its mask; None denies. ``name`` is searched in the column's name in snake case."""

    label: str
    name: str
    mask: Mapping[str, object] | None
    holds: Callable[[str], bool] = lambda value: False


@dataclass(frozen=True, slots=True)
class Proposal:
    column: ColumnRef
    label: str
    mask: Mapping[str, object] | None
    because: Because


def _fullmatch(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value.strip()) is not None


def is_card_number(value: str) -> bool:
    """13 to 19 digits whose check digit is right (Luhn, ISO/IEC 7812-1 annex B)."""
    digits = re.sub(r"[ -]", "", value.strip())
    if not re.fullmatch(r"[0-9]{13,19}", digits):
        return False
    doubled = (int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def is_iban(value: str) -> bool:
    """The remainder of an IBAN's number by 97 is 1 (ISO 13616)."""
    text = value.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}", text):
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


_PERSON = "first|last|full|given|family|middle|maiden|user|customer|client|person|contact|employee|patient"

KINDS: Sequence[Kind] = (
    Kind("secret", r"password|passwd|pwd|secret|api_?key|private_?key|(^|_)(token|hash|salt|otp)($|_)", None),
    Kind("pii.email", r"e_?mail", {"mask": "email"}, _fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+")),
    Kind(
        "pii.national-id",
        r"(^|_)(ssn|nin|tin|cpf|nif|pesel)($|_)|social_?sec|national_?id|tax_?(id|num)|passport|licen[cs]e_?(no|num)",
        {"mask": "partial", "keep_last": 4},
        _fullmatch(r"[0-9]{3}-[0-9]{2}-[0-9]{4}"),
    ),
    Kind(
        "finance.card",
        r"card_?(no|num)|(^|_)(pan|cc_?num|credit_?card|cvv|cvc)($|_)",
        {"mask": "partial", "keep_last": 4},
        is_card_number,
    ),
    Kind(
        "finance.account",
        r"(^|_)(iban|bic|swift)($|_)|account_?(no|num)|routing_?(no|num)",
        {"mask": "partial", "keep_last": 4},
        is_iban,
    ),
    Kind(
        "pii.phone",
        r"phone|mobile|(^|_)(tel|fax|cell|msisdn)($|_)",
        {"mask": "partial", "keep_last": 2},
        _fullmatch(r"(?=(?:\D*[0-9]){8,15}\D*$)(?=.*[+()\- ])\+?[0-9()\-. ]+"),
    ),
    Kind("pii.birth", r"birth|(^|_)dob($|_)", {"mask": "truncate", "to": "year"}),
    Kind("pii.name", rf"^({_PERSON})?_?name$|surname|(^|_)nickname", {"mask": "token", "prefix": "person-"}),
    Kind(
        "pii.address",
        r"address|street|post_?code|postal|(^|_)zip|(^|_)(lat|lon|lng|latitude|longitude)$",
        {"mask": "redact"},
    ),
    Kind("finance.pay", r"salary|wage|income|compensation|bonus", {"mask": "null"}),
    Kind("free-text", r"(^|_)(notes?|comments?|remarks?|bio|message|body|memo|feedback)($|_)", {"mask": "null"}),
)
_FREE_TEXT = KINDS[-1]
_FREE_TYPES = frozenset({"json", "jsonb", "xml", "hstore", "bytea"})
_ENOUGH = 0.3  # of the values seen: columns of real databases are never pure


def propose(catalog: Catalog, samples: Samples) -> list[Proposal]:
    """At most one label a column, in the order of tables and columns."""
    found = []
    for table in sorted(tables_of(catalog), key=lambda table: table.ref):
        for column in table.columns:
            ref = ColumnRef(table.ref.schema, table.ref.name, column.name)
            match = _kind(column, samples.get(ref, ()))
            if match is not None:
                label, mask = _fitting(match[0], column)
                found.append(Proposal(ref, label, mask, match[1]))
    return found


def _kind(column: Column, values: Sequence[str]) -> tuple[Kind, Because] | None:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name).lower()
    for kind in KINDS:
        if re.search(kind.name, name):
            return kind, Because.NAME
    for kind in KINDS:
        if values and sum(map(kind.holds, values)) >= _ENOUGH * len(values):
            return kind, Because.VALUES
    if column.type_name.removesuffix("[]") in _FREE_TYPES:
        return _FREE_TEXT, Because.TYPE
    return None


def _fitting(kind: Kind, column: Column) -> tuple[str, Mapping[str, object] | None]:
    """The kind's mask, or under a label of its own one that fits the column's type."""
    if kind.mask is None or kind.mask["mask"] == "null":
        return kind.label, kind.mask
    type = PG_TYPES.get(column.type_oid)
    if type is None:
        return f"{kind.label}.other", {"mask": "null"}
    too_short = kind.mask["mask"] == "token" and type.domain is Domain.TEXT and 0 < column.typmod - 4 < 23
    if type.domain in MASKS[str(kind.mask["mask"])].domains and not too_short:
        return kind.label, kind.mask
    return f"{kind.label}.{type.domain}", {"mask": "redact"}


# the files


def render_settings(name: str, dsn: str, *, tls: str, tls_root: str | None, password: Mapping[str, str] | None) -> str:
    """``maskproxy.yaml``. JSON's strings are YAML's too."""
    lines = [
        "# Settings of the proxy; all others have safe defaults. What may be seen stands in rules/.",
        "databases:",
        f"  {json.dumps(name)}:",
        f"    dsn: {json.dumps(dsn)}",
        *([f"    password: {json.dumps(password)}"] if password else []),
        f"    tls: {tls}",
        *([f"    tls_root: {json.dumps(tls_root)}"] if tls_root else []),
    ]
    return "\n".join(lines) + "\n"


def render_rules(name: str, proposals: Sequence[Proposal], catalog: Catalog) -> str:
    return "\n".join(_rules_lines(name, proposals, catalog)) + "\n"


def _rules_lines(name: str, proposals: Sequence[Proposal], catalog: Catalog) -> Iterator[str]:
    yield "# Proposed from the catalog: review every line, then run maskproxy check."
    yield "# A label without a mask is denied; a column without a label is shown as it is."
    yield "version: 1"
    yield f"database: {json.dumps(name)}"
    yield from _section("labels", _labels(proposals))
    masks = {each.label: each.mask for each in proposals if each.mask is not None}
    yield from _section("masks", (f"{json.dumps(label)}: {json.dumps(mask)}" for label, mask in masks.items()))
    yield "scopes:"
    selected = [f"- {_pattern(table.ref)}" for table in tables_of(catalog)]
    yield f"  {SCOPE}:" if selected else f"  {SCOPE}: {{}}"
    yield from _section("select", selected, indent="    ")


def _labels(proposals: Sequence[Proposal]) -> Iterator[str]:
    for label in dict.fromkeys(each.label for each in proposals):
        yield f"{json.dumps(label)}:"
        yield from (f"  - {_pattern(each.column)}  # {each.because}" for each in proposals if each.label == label)


def _section(key: str, lines: Iterable[str], indent: str = "") -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield f"{indent}{key}:"
        yield from (f"{indent}  {line}" for line in lines)


_PLAIN = re.compile(r"\w+")


def _pattern(ref: ColumnRef | TableRef) -> str:
    names = (ref.schema, ref.table, ref.column) if isinstance(ref, ColumnRef) else (ref.schema, ref.name)
    text = ".".join(name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"' for name in names)
    return text if _PLAIN.fullmatch(text.replace(".", "")) else json.dumps(text)
