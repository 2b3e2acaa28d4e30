"""First schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UtcTime = sa.DateTime(timezone=True)
Json = sa.JSON().with_variant(JSONB(), "postgresql")
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        # INSERT OR REPLACE deletes without firing the delete trigger
        "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit "
        "WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number) "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_append_only()",
        "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()",
    ),
}


def upgrade() -> None:
    """Make every table, the audit log's triggers and the generation counter."""
    _tables()
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
    op.execute("INSERT INTO counters (name, value) VALUES ('generation', 1)")


def _tables() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", Key, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "number"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "crosswalk_sets",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("from_scheme", Key, nullable=False),
        sa.Column("from_vintage", sa.Integer(), nullable=False),
        sa.Column("to_scheme", Key, nullable=False),
        sa.Column("to_vintage", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("loaded", UtcTime, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_crosswalk_sets"),
        sa.UniqueConstraint(
            "from_scheme", "from_vintage", "to_scheme", "to_vintage", name="uq_crosswalk_sets"
        ),
    )
    op.create_table(
        "datasets",
        sa.Column("id", Key, nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("source_id", Key, nullable=False),
        sa.Column("remote_id", Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("harvested", Json, nullable=False),
        sa.Column("overlay", Json, nullable=False),
        sa.Column("overlay_base", Json, nullable=False),
        sa.Column("run_id", Key, nullable=False),
        sa.Column("created", UtcTime, nullable=False),
        sa.Column("updated", UtcTime, nullable=False),
        sa.Column("missing_since", UtcTime, nullable=True),
        sa.Column("withdrawn_at", UtcTime, nullable=True),
        sa.Column("withdrawn_reason", sa.Text(), nullable=False),
        sa.Column("title_key", Key, nullable=False),
        sa.Column("produsen_data", sa.Text(), nullable=False),
        sa.Column("access", sa.Text(), nullable=False),
        sa.Column("west", sa.Float(), nullable=True),
        sa.Column("south", sa.Float(), nullable=True),
        sa.Column("east", sa.Float(), nullable=True),
        sa.Column("north", sa.Float(), nullable=True),
        sa.Column("time_start", UtcTime, nullable=True),
        sa.Column("time_end", UtcTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
    )
    op.create_index("ix_datasets_source_id", "datasets", ["source_id", "remote_id"], unique=False)
    op.create_index("ix_datasets_title_key", "datasets", ["title_key", "id"], unique=False)
    op.create_index("ix_datasets_updated", "datasets", ["updated", "id"], unique=False)
    op.create_table(
        "region_sets",
        sa.Column("scheme", Key, nullable=False),
        sa.Column("vintage", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("loaded", UtcTime, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scheme", "vintage", name="pk_region_sets"),
    )
    op.create_table(
        "regions",
        sa.Column("scheme", Key, nullable=False),
        sa.Column("vintage", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("code", Key, nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent", Key, nullable=True),
        sa.PrimaryKeyConstraint("scheme", "vintage", "code", name="pk_regions"),
    )
    op.create_index("ix_regions_parent", "regions", ["scheme", "vintage", "parent", "code"], unique=False)
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", Key, nullable=False),
        sa.Column("source_id", Key, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("started", UtcTime, nullable=False),
        sa.Column("finished", UtcTime, nullable=True),
        sa.Column("heartbeat", UtcTime, nullable=False),
        sa.Column("lease_until", UtcTime, nullable=False),
        sa.Column("lease_seconds", sa.Float(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
        sa.UniqueConstraint("id", name="uq_runs_id"),
    )
    op.create_index("ix_runs_source_id", "runs", ["source_id", "number"], unique=False)
    op.create_index(
        "uq_runs_running",
        "runs",
        ["source_id"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "versions",
        sa.Column("layer_id", Key, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", Key, nullable=False),
        sa.Column("info", Json, nullable=False),
        sa.Column("published", UtcTime, nullable=True),
        sa.PrimaryKeyConstraint("layer_id", "version", name="pk_versions"),
    )
    op.create_index(
        "uq_versions_current",
        "versions",
        ["layer_id"],
        unique=True,
        sqlite_where=sa.text("state = 'current'"),
        postgresql_where=sa.text("state = 'current'"),
    )
    op.create_table(
        "crosswalk",
        sa.Column("set_number", sa.Integer(), nullable=False),
        sa.Column("from_code", Key, nullable=False),
        sa.Column("to_code", Key, nullable=False),
        sa.Column("share", sa.Float(), nullable=True),
        sa.Column("share_back", sa.Float(), nullable=True),
        sa.Column("quality", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["set_number"], ["crosswalk_sets.number"], name="fk_crosswalk_set_number", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("set_number", "from_code", "to_code", name="pk_crosswalk"),
    )
    op.create_index("ix_crosswalk_to_code", "crosswalk", ["set_number", "to_code"], unique=False)
    op.create_table(
        "dataset_keywords",
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("keyword", Key, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_dataset_keywords_dataset_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "keyword", name="pk_dataset_keywords"),
    )
    op.create_index(
        "ix_dataset_keywords_keyword", "dataset_keywords", ["keyword", "dataset_id"], unique=False
    )
    op.create_table(
        "dataset_marks",
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("mark", Key, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_dataset_marks_dataset_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "mark", name="pk_dataset_marks"),
    )
    op.create_index("ix_dataset_marks_mark", "dataset_marks", ["mark", "dataset_id"], unique=False)
    op.create_table(
        "dataset_terms",
        sa.Column("dataset_id", Key, nullable=False),
        sa.Column("term", Key, nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_dataset_terms_dataset_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "term", name="pk_dataset_terms"),
    )
    op.create_index("ix_dataset_terms_term", "dataset_terms", ["term", "dataset_id", "weight"], unique=False)
    op.create_table(
        "run_errors",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", Key, nullable=False),
        sa.Column("layer_id", Key, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_errors_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number", name="pk_run_errors"),
    )
    op.create_index("ix_run_errors_run_id", "run_errors", ["run_id"], unique=False)
    op.create_table(
        "run_layers",
        sa.Column("run_id", Key, nullable=False),
        sa.Column("layer_id", Key, nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("repaired", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_layers_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "layer_id", name="pk_run_layers"),
    )
