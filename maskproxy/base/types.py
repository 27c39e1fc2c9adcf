"""PostgreSQL's built-in types that masks understand: their numbers (pg_type.dat) and the kind of value they hold.

A ``Domain`` is what a mask function sees, independent of the wire format:

    TEXT str        INT int           FLOAT float        NUMERIC decimal.Decimal   BOOL bool
    BYTES bytes     UUID 16 bytes     JSON str (the document's text)
    DATE  int, days since 2000-01-01                      (PostgreSQL's epoch, proleptic Gregorian)
    TIMESTAMP, TIMESTAMPTZ  int, microseconds since 2000-01-01 00:00:00 (UTC for TIMESTAMPTZ)

Values outside what the domain can hold (``infinity``, ``NaN`` in NUMERIC) decode to None, and a masked None is NULL.
"""

from dataclasses import dataclass
from enum import StrEnum

from maskproxy.base.refs import Oid


class Domain(StrEnum):
    TEXT = "text"
    INT = "int"
    FLOAT = "float"
    NUMERIC = "numeric"
    BOOL = "bool"
    BYTES = "bytes"
    UUID = "uuid"
    JSON = "json"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"


@dataclass(frozen=True, slots=True)
class PgType:
    """A built-in type; ``size`` is its fixed width in bytes or -1; ``element`` is the type in an array."""

    oid: Oid
    name: str
    domain: Domain
    size: int
    element: "PgType | None" = None


_SCALARS: tuple[tuple[int, str, Domain, int, int], ...] = (
    # oid, name, domain, size, oid of its array
    (16, "bool", Domain.BOOL, 1, 1000),
    (17, "bytea", Domain.BYTES, -1, 1001),
    (18, "char", Domain.TEXT, 1, 1002),
    (19, "name", Domain.TEXT, 64, 1003),
    (20, "int8", Domain.INT, 8, 1016),
    (21, "int2", Domain.INT, 2, 1005),
    (23, "int4", Domain.INT, 4, 1007),
    (25, "text", Domain.TEXT, -1, 1009),
    (114, "json", Domain.JSON, -1, 199),
    (700, "float4", Domain.FLOAT, 4, 1021),
    (701, "float8", Domain.FLOAT, 8, 1022),
    (1042, "bpchar", Domain.TEXT, -1, 1014),
    (1043, "varchar", Domain.TEXT, -1, 1015),
    (1082, "date", Domain.DATE, 4, 1182),
    (1114, "timestamp", Domain.TIMESTAMP, 8, 1115),
    (1184, "timestamptz", Domain.TIMESTAMPTZ, 8, 1185),
    (1700, "numeric", Domain.NUMERIC, -1, 1231),
    (2950, "uuid", Domain.UUID, 16, 2951),
    (3802, "jsonb", Domain.JSON, -1, 3807),
)


def _table() -> dict[Oid, PgType]:
    types: dict[Oid, PgType] = {}
    for oid, name, domain, size, array in _SCALARS:
        scalar = PgType(Oid(oid), name, domain, size)
        types[scalar.oid] = scalar
        types[Oid(array)] = PgType(Oid(array), f"{name}[]", domain, -1, scalar)
    return types


PG_TYPES: dict[Oid, PgType] = _table()
"""Every type that a mask other than ``null`` can work on, arrays included, by OID."""


# fmt: off
PARAMETER_TYPES: frozenset[int] = frozenset({
    0, 705,  # left to the server; "unknown"
    16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 199, 600, 601, 602, 603, 604, 628, 629, 650, 651, 700, 701, 718, 719, 774,
    775, 790, 791, 829, 869, 1000, 1001, 1002, 1003, 1005, 1007, 1009, 1014, 1015, 1016, 1017, 1018, 1019, 1020, 1021,
    1022, 1027, 1028, 1040, 1041, 1042, 1043, 1082, 1083, 1114, 1115, 1182, 1183, 1184, 1185, 1186, 1187, 1231, 1266,
    1270, 1560, 1561, 1562, 1563, 1700, 2950, 2951, 3614, 3615, 3643, 3645, 3802, 3807, 3904, 3905, 3906, 3907, 3908,
    3909, 3910, 3911, 3912, 3913, 3926, 3927, 4072, 4073,
})
# fmt: on
"""Types that a client under a masking scope may declare for a parameter: the built-in ones of
``core/sql/data/types.txt`` and their arrays (pg_type.dat).

Not among them: reg* types, which look names up; row types and composites, which tell a relation's columns; domains,
whose checks run user code on the value."""
