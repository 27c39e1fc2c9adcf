"""The rows of the demo's shop: believable, the same on every machine, and about nobody.

Mail addresses are in the domains that RFC 2606 reserves, phone numbers in the range 555-0100 to 555-0199 set aside for
fiction, social security numbers begin with 9 (never issued; and outside of the groups of tax numbers), and the check
digits of the account numbers are wrong.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from random import Random
from typing import Any

CUSTOMERS = 300
ORDERS = 900
EMPLOYEES = 40
OPENED = datetime(2024, 1, 8, 9, 0, tzinfo=UTC)


def _names(file: str) -> list[str]:
    return resources.files("maskproxy.cli").joinpath("data", file).read_text(encoding="utf-8").split()


GIVEN = _names("given.txt")
FAMILY = _names("family.txt")
DOMAINS = ("example.com", "example.net", "example.org")
AREAS = (206, 212, 303, 312, 404, 415, 503, 512, 617, 702)
STATUSES = ("paid", "paid", "paid", "shipped", "shipped", "pending", "refunded")
TAGS = ("newsletter", "vip", "wholesale", "trial", "returning")
NOTES = (
    "asked for a call back in the evening",
    "moved house, new address to be confirmed",
    "wants invoices by post",
    "complained about a late parcel, got a voucher",
)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows by table, in the order of the columns."""

    customers: list[Row]
    orders: list[Row]
    payroll: list[Row]


def make_sample() -> Sample:
    random = Random(20260101)  # noqa: S311 - sample data
    return Sample(
        customers=[_customer(random, number) for number in range(1, CUSTOMERS + 1)],
        orders=[_order(random, number) for number in range(1, ORDERS + 1)],
        payroll=[_employee(random, number) for number in range(1, EMPLOYEES + 1)],
    )


def _customer(random: Random, number: int) -> Row:
    given, family = random.choice(GIVEN), random.choice(FAMILY)
    return (
        number,
        f"{given} {family}",
        f"{given}.{family}{number}@{random.choice(DOMAINS)}".lower(),
        f"{random.randint(900, 999)}-{random.randint(1, 49):02}-{random.randint(1, 9999):04}",
        f"+1-{random.choice(AREAS)}-555-{random.randint(100, 199):04}",
        # Never the first of January: masked to the year it would be told apart from no other day.
        date(random.randint(1945, 2006), 1, 2) + timedelta(days=random.randrange(363)),
        json.dumps({"channel": random.choice(("phone", "mail", "chat")), "text": random.choice(NOTES), "no": number}),
        _money(random, 0, 4_999),
        OPENED + timedelta(minutes=random.randrange(1_000_000)),
        sorted(random.sample(TAGS, random.randint(0, 3))),
    )


def _order(random: Random, number: int) -> Row:
    return (
        number,
        random.randint(1, CUSTOMERS),
        _money(random, 5, 900),
        random.choice(STATUSES),
        OPENED + timedelta(minutes=random.randrange(1_000_000)),
    )


def _employee(random: Random, number: int) -> Row:
    return (number, _money(random, 38_000, 160_000), f"GB00DEMO{random.randrange(10**14):014}")


def _money(random: Random, low: int, high: int) -> Decimal:
    return Decimal(random.randint(100 * low, 100 * high + 99)).scaleb(-2)
