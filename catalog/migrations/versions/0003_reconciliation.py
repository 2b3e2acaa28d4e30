"""Reconciliations, their queues and decisions, and what these correct on every later harvest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UtcTime = sa.DateTime(timezone=True)
Json = sa.JSON().with_variant(JSONB(), "postgresql")
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of reconciliation."""
    op.add_column(
        "run_layers", sa.Column("corrected", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    _reconciliations()
    _items()
    _rules()
    _decisions()
    _corrections()


def _reconciliations() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", Key, nullable=False),
        sa.Column("definition", Json, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created", UtcTime, nullable=False),
        sa.Column("updated", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliations"),
    )
    op.create_table(
        "reconciliation_runs",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        _of("reconciliation_runs"),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("versions", Json, nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("queue", Json, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_reconciliation_runs"),
    )
    op.create_index(
        "ix_reconciliation_runs_reconciliation_id", "reconciliation_runs", ["reconciliation_id", "number"]
    )


def _items() -> None:
    op.create_table(
        "reconciliation_items",
        _of("reconciliation_items"),
        sa.Column("key", Key, nullable=False),
        sa.Column("verdict", Key, nullable=False),
        sa.Column("code", Key, nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("decision", sa.Integer(), nullable=True),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("changed", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("reconciliation_id", "key", name="pk_reconciliation_items"),
    )
    op.create_index(
        "ix_reconciliation_items_state", "reconciliation_items", ["reconciliation_id", "state", "code"]
    )


def _rules() -> None:
    op.create_table(
        "reconciliation_rules",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        _of("reconciliation_rules"),
        sa.Column("fits", Json, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        *_ends(),
        sa.PrimaryKeyConstraint("number", name="pk_reconciliation_rules"),
    )
    op.create_index(
        "ix_reconciliation_rules_reconciliation_id", "reconciliation_rules", ["reconciliation_id"]
    )


def _decisions() -> None:
    op.create_table(
        "reconciliation_decisions",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        _of("reconciliation_decisions"),
        sa.Column("item_key", Key, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.Column(
            "rule",
            sa.Integer(),
            sa.ForeignKey("reconciliation_rules.number", name="fk_reconciliation_decisions_rule"),
            nullable=True,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        *_ends(),
        sa.PrimaryKeyConstraint("number", name="pk_reconciliation_decisions"),
    )
    op.create_index("ix_reconciliation_decisions_rule", "reconciliation_decisions", ["rule"])
    op.create_index(
        "ix_reconciliation_decisions_item", "reconciliation_decisions", ["reconciliation_id", "item_key"]
    )


def _corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column(
            "decision",
            sa.Integer(),
            sa.ForeignKey("reconciliation_decisions.number", name="fk_corrections_decision"),
            nullable=False,
        ),
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("feature_id", Key, nullable=False),
        sa.Column("field", Key, nullable=False),
        sa.Column("code_field", Key, nullable=False),
        sa.Column("code", Key, nullable=False),
        sa.Column("was", Json, nullable=True),
        sa.Column("becomes", Json, nullable=True),
        sa.Column("created", UtcTime, nullable=False),
        sa.Column("ended", UtcTime, nullable=True),
        sa.Column("superseded_by", sa.Integer(), nullable=True),
        sa.Column("stale_since", UtcTime, nullable=True),
        sa.Column("applied", UtcTime, nullable=True),
        sa.Column("run_id", Key, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_corrections"),
    )
    op.create_index("ix_corrections_decision", "corrections", ["decision"])
    op.create_index("ix_corrections_dataset_id", "corrections", ["dataset_id", "feature_id"])


def _of(table: str) -> sa.Column[str]:
    return sa.Column(
        "reconciliation_id",
        Key,
        sa.ForeignKey("reconciliations.id", name=f"fk_{table}_reconciliation_id"),
        nullable=False,
    )


def _ends() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("until", UtcTime, nullable=True),
        sa.Column("undone_at", UtcTime, nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=False),
        sa.Column("undone_reason", sa.Text(), nullable=False),
    )
