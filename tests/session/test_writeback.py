"""Which values look masked: per mask and type, as text and binary, as literals and parameters."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from maskproxy.base.errors import ColumnRefused
from maskproxy.base.types import PG_TYPES, PgType
from maskproxy.core.plan import Plan, plan_text
from maskproxy.session.writeback import literal_refusal, parameter_refusal
from maskproxy.wire.postgres.arrays import Array
from maskproxy.wire.postgres.values import BINARY, TEXT, encode
from tests.support.catalogs import read_catalog
from tests.support.corpus import SEARCH_PATH, STAMP
from tests.support.rules import RulesDocument, compiled

CATALOG = """
CREATE TABLE public.t (
    id int4 PRIMARY KEY,
    partial text,
    first varchar(20),
    hashes text,
    email text,
    redact text,
    padded bpchar(20),
    birth date,
    seen timestamptz,
    amount numeric(12,2),
    count int4,
    weight float8,
    tags text[],
    nothing text,
    odd point
);
"""
RULES = """
version: 1
database: shop
labels:
  partial: [public.t.partial]
  first: [public.t.first]
  hashes: [public.t.hashes]
  email: [public.t.email]
  redact: [public.t.redact, public.t.padded, public.t.tags]
  year: [public.t.birth, public.t.seen]
  round: [public.t.amount, public.t.count, public.t.weight]
  nothing: [public.t.nothing, public.t.odd]
masks:
  partial: {mask: partial, keep_last: 4}
  first: {mask: partial, keep_first: 3}
  hashes: {mask: partial, keep_last: 2, char: "#"}
  email: {mask: email}
  redact: {mask: redact}
  year: {mask: truncate, to: year}
  round: {mask: round, to: 100}
  nothing: {mask: "null"}
scopes:
  s: {select: [public.t], insert: [public.t], update: [public.t]}
"""
SCOPE = compiled(read_catalog(CATALOG), RulesDocument.parse(RULES, "r.yaml")).scopes["s"]

MASKED = [
    ("partial", "*******6789"),
    ("partial", "***"),
    ("partial", "12***"),
    ("partial", "[redacted]"),
    ("first", "123****"),
    ("hashes", "####89"),
    ("email", "a**@example.com"),
    ("email", "*@example.com"),
    ("redact", "[redacted]"),
    ("padded", "[redacted]          "),
    ("padded", "[redacted]"),
    ("birth", "1984-01-01"),
    ("birth", "January 1st, 1984"),  # who knows what the server reads there
    ("seen", "1984-01-01 00:00:00+00"),
    ("amount", "1200"),
    ("amount", "1200.00"),
    ("count", "100"),
    ("weight", "300"),
    ("tags", "{a,[redacted]}"),
    ("tags", "[redacted]"),
]
PLAIN = [
    ("partial", "123-45-6789"),
    ("partial", "1*2"),
    ("partial", ""),
    ("first", "1234567"),
    ("hashes", "123456"),
    ("email", "ann@example.com"),
    ("redact", "redacted"),
    ("padded", "a note"),
    ("birth", "1984-02-29"),
    ("seen", "1984-02-29 11:12:13+00"),
    ("amount", "1234.50"),
    ("count", "101"),
    ("weight", "300.5"),
    ("tags", "{a,NULL}"),
    ("nothing", "anything"),
    ("odd", "(1,2)"),
]


def plan(statement: str) -> Plan:
    return plan_text(statement, SCOPE, SEARCH_PATH, STAMP)


def literal(column: str, value: str) -> ColumnRefused | None:
    quoted = value.replace("'", "''")
    found = literal_refusal(plan(f"UPDATE t SET {column} = '{quoted}'"))
    inserted = literal_refusal(plan(f"INSERT INTO t (id, {column}) VALUES (1, '{quoted}')"))
    assert (found is None) == (inserted is None)
    return found


def parameter(column: str, value: bytes | None, *, format: int = TEXT, type: int = 0, cast: str = "") -> bool:
    """Whether it is refused."""
    statement = plan(f"UPDATE t SET {column} = $1{cast}")
    return parameter_refusal(statement, (value,), (format,), (type,)) is not None


@pytest.mark.parametrize(("column", "value"), MASKED)
def test_what_looks_masked_is_refused(column: str, value: str) -> None:
    refusal = literal(column, value)
    assert refusal is not None
    assert (refusal.sqlstate, refusal.column.column) == ("42501", column)
    assert value not in f"{refusal.message} {refusal.detail} {refusal.hint}"
    assert parameter(column, value.encode())


@pytest.mark.parametrize(("column", "value"), PLAIN)
def test_what_does_not_may_be_written(column: str, value: str) -> None:
    assert literal(column, value) is None
    assert not parameter(column, value.encode())


def typed(name: str) -> PgType:
    return next(type for type in PG_TYPES.values() if type.name == name)


BINARY_VALUES: list[tuple[str, str, Any, bool]] = [
    ("partial", "text", "*******6789", True),
    ("partial", "varchar", "123-45-6789", False),
    ("birth", "date", (dt.date(1984, 1, 1) - dt.date(2000, 1, 1)).days, True),
    ("birth", "date", (dt.date(1984, 2, 2) - dt.date(2000, 1, 1)).days, False),
    ("amount", "numeric", Decimal("1200.00"), True),
    ("amount", "numeric", Decimal("1234.50"), False),
    ("amount", "int2", 1200, True),  # psycopg sends the smallest type
    ("amount", "int2", 1234, False),
    ("count", "int8", 100, True),
    ("count", "int8", 101, False),
    ("weight", "float8", 300.0, True),
    ("tags", "text[]", Array(((2, 1),), ("a", "[redacted]")), True),
    ("tags", "text[]", Array(((2, 1),), ("a", None)), False),
]


@pytest.mark.parametrize(("column", "type_name", "value", "refused"), BINARY_VALUES)
def test_binary_parameters(column: str, type_name: str, value: Any, refused: bool) -> None:
    type = typed(type_name)
    data = encode(type, BINARY, value)
    assert data is not None
    assert parameter(column, data, format=BINARY, type=type.oid) is refused


def test_a_type_that_is_not_declared_is_the_casts_or_the_columns() -> None:
    (days,) = (encode(typed("date"), BINARY, (dt.date(1984, 1, 1) - dt.date(2000, 1, 1)).days),)
    assert parameter("birth", days, format=BINARY)
    assert parameter("birth", days, format=BINARY, cast="::date")
    assert parameter("birth", b"1984-01-01", format=BINARY, type=705, cast="::text")
    assert not parameter("birth", b"1984-02-01", format=BINARY, cast="::text::date")


def test_what_cannot_be_read_is_refused() -> None:
    assert parameter("birth", b"\x00", format=BINARY)
    assert parameter("birth", b"1984-02-29", format=7)
    assert parameter("birth", b"\x00\x00\x00\x01", format=BINARY, type=600)  # point
    assert parameter("birth", b"1984-02-29", format=BINARY, cast="::interval::text::date")


def test_null_over_what_is_always_null() -> None:
    assert parameter("nothing", None)
    assert not parameter("partial", None)
    insert = plan("INSERT INTO t (id, nothing) VALUES (1, $1)")
    assert parameter_refusal(insert, (None,), (), ()) is None


def test_formats_and_parameters_are_matched_by_number() -> None:
    update = plan("UPDATE t SET email = $3, id = $1, partial = $2")
    plain, masked = b"123-45-6789", b"*******6789"
    assert parameter_refusal(update, (b"1", plain, b"ann@example.com"), (), ()) is None
    assert parameter_refusal(update, (masked, plain, b"ann@example.com"), (), ()) is None
    refused = parameter_refusal(update, (b"1", masked, b"ann@example.com"), (0, 1, 0), ())
    assert refused is not None
    assert refused.column.column == "partial"
    assert parameter_refusal(update, (b"1",), (), ()) is None  # the server refuses it
    assert parameter_refusal(update, (b"1", plain, b"ann@example.com"), (0, 1), ()) is not None  # no format for $3


def test_every_row_and_both_parts_of_an_upsert_are_looked_at() -> None:
    insert = plan("INSERT INTO t (id, partial) VALUES (1, '123-45-6789'), (2, '***')")
    assert literal_refusal(insert) is not None
    upsert = "INSERT INTO t (id, {0}) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET {0} = excluded.{0}"
    assert parameter_refusal(plan(upsert.format("nothing")), (None,), (), ()) is not None
    assert parameter_refusal(plan(upsert.format("partial")), (b"***",), (), ()) is not None
