"""The schema. ``state.generation`` counts changes: every transaction that changes anything else adds one.

Times are text in UTC with six digits of microseconds and a ``Z``: one reading, in any engine, and text order is time
order. Nothing is ever deleted: names and ids are not used twice, and who had what remains known.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
)

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime. Binding a naive one raises ValueError (SQLAlchemy wraps it): nobody knows what it means."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its zone is not stored")
        return value.astimezone(UTC).strftime(_FORMAT)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.strptime(value, _FORMAT).replace(tzinfo=UTC)


metadata = MetaData()

state = Table("state", metadata, Column("generation", Integer, nullable=False))

principals = Table(
    "principals",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    Column("scram_salt", LargeBinary, nullable=False),
    Column("scram_iterations", Integer, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("principal", String(63), ForeignKey("principals.name"), nullable=False, index=True),
    Column("label", String(200), nullable=False),
    Column("stored_key", LargeBinary, nullable=False),
    Column("server_key", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
)

grants = Table(
    "grants",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("principal", String(63), ForeignKey("principals.name"), nullable=False, index=True),
    Column("database", String(63), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("purpose", String(200)),
    Column("ticket", String(200)),
    Column("approved_by", String(200)),
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
    CheckConstraint("until > starts_at", name="grants_end_after_start"),
)
