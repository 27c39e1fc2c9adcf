"""Markers in every sensitive column of the test database, and the search for them in all that left.

The schema is the demo's, so ``rules/demo.yaml`` applies. A marker is the part of a value that no mask of those rules
shows; it is looked for as text and in the binary forms of its type.
"""

import datetime as dt
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

ROWS = 20
TABLES = """
CREATE TABLE customers (
    id int4 PRIMARY KEY, name text, email text, ssn text, phone text, dob date, notes jsonb,
    balance numeric(12,2), created_at timestamptz, tags text[]
);
CREATE TABLE orders (
    id int4 PRIMARY KEY, customer_id int4 REFERENCES customers, total numeric(12,2), status text, created_at timestamptz
);
CREATE TABLE payroll (employee_id int4 PRIMARY KEY, salary numeric(12,2), iban text);
"""
POSTGRES_EPOCH = dt.date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Marker:
    """``forms`` are the byte strings that would be found if the value left; ``label`` is what the rules call it."""

    column: str
    label: str
    forms: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Customer:
    """One row whose sensitive values are found nowhere else."""

    number: int

    @property
    def name(self) -> str:
        return f"Canary Namequx{self.number:03}"

    @property
    def email(self) -> str:
        return f"canary.mailqux{self.number:03}@shop.example"

    @property
    def ssn(self) -> str:
        return f"9{self.number:02}-77-{4000 + self.number}"

    @property
    def phone(self) -> str:
        return f"+1-555-01{self.number:02}-77{self.number:02}"

    @property
    def dob(self) -> dt.date:
        return dt.date(1950, 3, 17) + dt.timedelta(days=401 * self.number)

    @property
    def note(self) -> str:
        return f"canary-note-qux{self.number:03}"

    @property
    def salary(self) -> Decimal:
        return Decimal(f"98{self.number:02}7.{self.number:02}")

    @property
    def iban(self) -> str:
        return f"XX00CANARYIBAN{self.number:06}"


CUSTOMERS = tuple(Customer(number) for number in range(1, ROWS + 1))


def script() -> str:
    """The SQL that makes the database: one statement list, no parameters."""
    return TABLES + "".join(_inserts())


def _inserts() -> Iterator[str]:
    for c in CUSTOMERS:
        notes = f'{{"text": "{c.note}"}}'
        created = f"timestamptz '2026-01-01 UTC' + interval '{c.number} h'"
        yield (
            f"INSERT INTO customers VALUES ({c.number}, '{c.name}', '{c.email}', '{c.ssn}', '{c.phone}', '{c.dob}', "
            f"'{notes}', {100 * c.number}.25, {created}, ARRAY['new', 'tag{c.number}']);\n"
            f"INSERT INTO orders VALUES ({c.number}, {c.number}, {c.number}.50, 'paid', '2026-02-01 UTC');\n"
            f"INSERT INTO payroll VALUES ({c.number}, {c.salary}, '{c.iban}');\n"
        )
    yield "INSERT INTO customers (id) VALUES (1000);\n"  # NULL everywhere


def _markers() -> Iterator[Marker]:
    for c in CUSTOMERS:
        yield Marker("customers.name", "pii.name", (c.name.split()[1].encode(),))
        yield Marker("customers.email", "pii.email", (c.email.split("@")[0].encode(),))
        yield Marker("customers.ssn", "pii.ssn", (c.ssn[:7].encode(), c.ssn.replace("-", "").encode()))
        yield Marker("customers.phone", "pii.phone", (c.phone[3:].encode(),))
        yield Marker("customers.dob", "pii.birth", _date_forms(c.dob))
        yield Marker("customers.notes", "notes", (c.note.encode(),))
        yield Marker("payroll.salary", "pay", (str(c.salary).encode(), _numeric(c.salary)))
        yield Marker("payroll.iban", "pay", (c.iban.encode(),))


def _date_forms(value: dt.date) -> tuple[bytes, ...]:
    """As text, and as binary ``date`` in a DataRow: its length, then days since 2000-01-01 (date.h)."""
    return (value.isoformat().encode(), struct.pack("!ii", 4, (value - POSTGRES_EPOCH).days))


def _numeric(value: Decimal) -> bytes:
    """Binary ``numeric`` with two decimals: digits in base 10000 after a header (numeric_send in numeric.c)."""
    whole, fraction = divmod(int(value * 10000), 10000)
    high, low = divmod(whole, 10000)
    digits = ([high] if high else []) + [low] + ([fraction] if fraction else [])
    header = (len(digits), len(digits) - (2 if fraction else 1), 0, 2)
    return struct.pack(f"!hhhH{len(digits)}h", *header, *digits)


MARKERS = tuple(_markers())

EVERYTHING = frozenset(marker.label for marker in MARKERS)


def found(data: bytes, visible: Iterable[str] = ()) -> Mapping[str, int]:
    """How many markers of each column are in ``data``, but for those with a visible label. Shows no value."""
    allowed = frozenset(visible)
    counts: dict[str, int] = {}
    for marker in MARKERS:
        if marker.label not in allowed and any(form in data for form in marker.forms):
            counts[marker.column] = counts.get(marker.column, 0) + 1
    return counts
