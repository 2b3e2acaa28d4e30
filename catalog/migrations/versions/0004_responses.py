"""Events that are answered by respons-cepat, and the notices of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UtcTime = sa.DateTime(timezone=True)
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "responses",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Key, nullable=False),
        sa.Column("layer_id", Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("feature_id", Key, nullable=False),
        sa.Column("members", Json, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("answered", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try", UtcTime, nullable=True),
        sa.Column("lease_until", UtcTime, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("first_seen", UtcTime, nullable=False),
        sa.Column("updated", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_responses"),
        sa.UniqueConstraint("id", name="uq_responses_id"),
    )
    op.create_index("ix_responses_layer_id", "responses", ["layer_id", "at"], unique=False)
    op.create_index("ix_responses_state", "responses", ["state", "next_try"], unique=False)
    op.create_table(
        "notices",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("event_id", Key, nullable=False),
        sa.Column("channel", Key, nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try", UtcTime, nullable=False),
        sa.Column("lease_until", UtcTime, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created", UtcTime, nullable=False),
        sa.Column("finished", UtcTime, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_notices"),
        sa.UniqueConstraint("event_id", "channel", name="uq_notices_event_id"),
    )
    op.create_index("ix_notices_state", "notices", ["state", "next_try"], unique=False)
