"""Principals, their tokens, and grants.

A migration names its columns itself: ``tables`` moves on, this stays what it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.String(27)


def upgrade() -> None:
    state = op.create_table("state", sa.Column("generation", sa.Integer, nullable=False))
    op.bulk_insert(state, [{"generation": 1}])
    op.create_table(
        "principals",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("disabled_at", _TIME),
        sa.Column("scram_salt", sa.LargeBinary, nullable=False),
        sa.Column("scram_iterations", sa.Integer, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("principal", sa.String(63), sa.ForeignKey("principals.name"), nullable=False, index=True),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("stored_key", sa.LargeBinary, nullable=False),
        sa.Column("server_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("principal", sa.String(63), sa.ForeignKey("principals.name"), nullable=False, index=True),
        sa.Column("database", sa.String(63), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("starts_at", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("purpose", sa.String(200)),
        sa.Column("ticket", sa.String(200)),
        sa.Column("approved_by", sa.String(200)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.CheckConstraint("until > starts_at", name="grants_end_after_start"),
    )


def downgrade() -> None:
    for table in ("grants", "tokens", "principals", "state"):
        op.drop_table(table)
