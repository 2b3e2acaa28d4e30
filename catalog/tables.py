"""The tables of the catalog: one model for SQLite (embedded) and PostgreSQL (grown).

Rules that must hold whatever the code does stand here as constraints: one running run per source,
one current version per layer. The audit log's append-only triggers stand in the first migration.
Change a table only together with a new migration; a test holds the two equal.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

Json = sa.JSON().with_variant(JSONB(), "postgresql")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(value: Any) -> Any:
    """Return a JSON-like value without what PostgreSQL can not keep: NUL and half characters."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    return value


class Text(sa.types.TypeDecorator[str]):
    """Any text that an upstream or a person may send."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Take out what can not be stored."""
        return None if value is None else _UNSTORABLE.sub("\ufffd", value)


class Key(Text):
    """A text ordered by code point on both databases, so that sorting and prefix ranges agree."""

    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[str]:
        """Return the collated type where there is one."""
        return sa.Text(collation="C") if dialect.name == "postgresql" else sa.Text()


class UtcTime(sa.types.TypeDecorator[datetime]):
    """An aware instant; kept in UTC. SQLite has no zones, so there the zone is put back on read."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Turn an aware instant (a naive one is taken as UTC) into what the database keeps."""
        if value is None:
            return None
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        in_utc = aware.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Return the instant aware and in UTC."""
        if value is None:
            return None
        aware: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)


Column = sa.Column

counters = sa.Table(
    "counters", metadata,
    Column("name", Text, primary_key=True),
    Column("value", sa.BigInteger, nullable=False),
)  # fmt: skip

runs = sa.Table(
    "runs", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("id", Key, nullable=False, unique=True),
    Column("source_id", Key, nullable=False),
    Column("state", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("finished", UtcTime),
    Column("heartbeat", UtcTime, nullable=False),
    Column("lease_until", UtcTime, nullable=False),
    Column("lease_seconds", sa.Float, nullable=False),
    Column("cancel_requested", sa.Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("details", Json, nullable=False),
    sa.Index("ix_runs_source_id", "source_id", "number"),
    sa.Index(
        "uq_runs_running", "source_id", unique=True,
        sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"),
    ),
)  # fmt: skip

run_layers = sa.Table(
    "run_layers", metadata,
    Column("run_id", Key, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("layer_id", Key, primary_key=True),
    Column("expected", sa.BigInteger),
    *(
        Column(name, sa.BigInteger, nullable=False)
        for name in ("seen", "added", "updated", "unchanged", "removed", "failed", "repaired")
    ),
    Column("corrected", sa.BigInteger, nullable=False, server_default=sa.text("0")),
)  # fmt: skip

run_errors = sa.Table(
    "run_errors", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("run_id", Key, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("layer_id", Key, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("remote_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("severity", Text, nullable=False),
)  # fmt: skip

datasets = sa.Table(
    "datasets", metadata,
    Column("id", Key, primary_key=True),
    Column("uuid", Text, nullable=False),
    Column("source_id", Key, nullable=False),
    Column("remote_id", Key, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rank", sa.Integer, nullable=False),
    Column("harvested", Json, nullable=False),
    Column("overlay", Json, nullable=False),
    Column("overlay_base", Json, nullable=False),  # what the source said when a field was edited
    Column("run_id", Key, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
    Column("missing_since", UtcTime),
    Column("withdrawn_at", UtcTime),
    Column("withdrawn_reason", Text, nullable=False),
    # Merged values kept once more, for search, sort and facets only:
    Column("title_key", Key, nullable=False),
    Column("produsen_data", Text, nullable=False),
    Column("access", Text, nullable=False),
    Column("west", sa.Float),
    Column("south", sa.Float),
    Column("east", sa.Float),
    Column("north", sa.Float),
    Column("time_start", UtcTime),
    Column("time_end", UtcTime),
    sa.Index("ix_datasets_source_id", "source_id", "remote_id"),
    sa.Index("ix_datasets_title_key", "title_key", "id"),
    sa.Index("ix_datasets_updated", "updated", "id"),
)  # fmt: skip

dataset_keywords = sa.Table(
    "dataset_keywords", metadata,
    Column("dataset_id", Key, sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("keyword", Key, primary_key=True),
    sa.Index("ix_dataset_keywords_keyword", "keyword", "dataset_id"),
)  # fmt: skip

# The text index: one row per dataset and word. A plain table searches alike on both databases, and
# no input of a person is ever read as query syntax.
dataset_terms = sa.Table(
    "dataset_terms", metadata,
    Column("dataset_id", Key, sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("term", Key, primary_key=True),
    Column("weight", sa.Integer, nullable=False),
    sa.Index("ix_dataset_terms_term", "term", "dataset_id", "weight"),
)  # fmt: skip

# What tells that two sources hold the same dataset: service links and declared identifiers.
dataset_marks = sa.Table(
    "dataset_marks", metadata,
    Column("dataset_id", Key, sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("mark", Key, primary_key=True),
    sa.Index("ix_dataset_marks_mark", "mark", "dataset_id"),
)  # fmt: skip

versions = sa.Table(
    "versions", metadata,
    Column("layer_id", Key, primary_key=True),
    Column("version", sa.Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_id", Key, nullable=False),
    Column("info", Json, nullable=False),
    Column("published", UtcTime),
    sa.Index(
        "uq_versions_current", "layer_id", unique=True,
        sqlite_where=sa.text("state = 'current'"), postgresql_where=sa.text("state = 'current'"),
    ),
)  # fmt: skip

audit = sa.Table(
    "audit", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Key, nullable=False),
    Column("actor", Text, nullable=False),
    Column("details", Json, nullable=False),
    sa.Index("ix_audit_subject", "subject", "number"),
)  # fmt: skip

region_sets = sa.Table(
    "region_sets", metadata,
    Column("scheme", Key, primary_key=True),
    Column("vintage", sa.Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("loaded", UtcTime, nullable=False),
    Column("rows", sa.Integer, nullable=False),
)  # fmt: skip

regions = sa.Table(
    "regions", metadata,
    Column("scheme", Key, primary_key=True),
    Column("vintage", sa.Integer, primary_key=True, autoincrement=False),
    Column("code", Key, primary_key=True),
    Column("level", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("parent", Key),
    sa.Index("ix_regions_parent", "scheme", "vintage", "parent", "code"),
)  # fmt: skip

crosswalk_sets = sa.Table(
    "crosswalk_sets", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("from_scheme", Key, nullable=False),
    Column("from_vintage", sa.Integer, nullable=False),
    Column("to_scheme", Key, nullable=False),
    Column("to_vintage", sa.Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("loaded", UtcTime, nullable=False),
    Column("rows", sa.Integer, nullable=False),
    sa.UniqueConstraint("from_scheme", "from_vintage", "to_scheme", "to_vintage", name="uq_crosswalk_sets"),
)  # fmt: skip

crosswalk = sa.Table(
    "crosswalk", metadata,
    Column("set_number", sa.Integer, sa.ForeignKey("crosswalk_sets.number", ondelete="CASCADE"),
           primary_key=True),
    Column("from_code", Key, primary_key=True),
    Column("to_code", Key, primary_key=True),
    Column("share", sa.Float),
    Column("share_back", sa.Float),
    Column("quality", Text, nullable=False),
    sa.Index("ix_crosswalk_to_code", "set_number", "to_code"),
)  # fmt: skip

jobs = sa.Table(
    "jobs", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("id", Key, nullable=False, unique=True),
    Column("process_id", Key, nullable=False),
    Column("state", Text, nullable=False),
    Column("progress", sa.Integer, nullable=False),
    Column("raw", sa.Boolean, nullable=False),
    Column("worker", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("started", UtcTime),
    Column("finished", UtcTime),
    Column("updated", UtcTime, nullable=False),
    Column("lease_until", UtcTime),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("results", sa.LargeBinary),
    sa.Index("ix_jobs_state", "state", "number"),
)  # fmt: skip

# Events (earthquakes, warnings) that were seen, and the answer that each has got: respons-cepat.
responses = sa.Table(
    "responses", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("id", Key, nullable=False, unique=True),
    Column("layer_id", Key, nullable=False),
    Column("kind", Text, nullable=False),
    Column("feature_id", Key, nullable=False),
    Column("members", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("lon", sa.Float, nullable=False),
    Column("lat", sa.Float, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("answered", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", sa.Integer, nullable=False),
    Column("next_try", UtcTime),
    Column("lease_until", UtcTime),
    Column("revision", sa.Integer, nullable=False),
    Column("dataset_id", Key, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
    sa.Index("ix_responses_layer_id", "layer_id", "at"),
    sa.Index("ix_responses_state", "state", "next_try"),
)  # fmt: skip

# Notices on their way: one row per event of ours and channel, kept until delivered or given up.
notices = sa.Table(
    "notices", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("event_id", Key, nullable=False),
    Column("channel", Key, nullable=False),
    Column("body", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", sa.Integer, nullable=False),
    Column("next_try", UtcTime, nullable=False),
    Column("lease_until", UtcTime),
    Column("reason", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("finished", UtcTime),
    sa.UniqueConstraint("event_id", "channel", name="uq_notices_event_id"),
    sa.Index("ix_notices_state", "state", "next_try"),
)  # fmt: skip

reconciliations = sa.Table(
    "reconciliations", metadata,
    Column("id", Key, primary_key=True),
    Column("definition", Json, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
)  # fmt: skip

reconciliation_runs = sa.Table(
    "reconciliation_runs", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("reconciliation_id", Key, sa.ForeignKey("reconciliations.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("versions", Json, nullable=False),
    Column("counts", Json, nullable=False),
    Column("queue", Json, nullable=False),
    sa.Index("ix_reconciliation_runs_reconciliation_id", "reconciliation_id", "number"),
)  # fmt: skip

# One row per difference ever met; it is closed, never deleted.
reconciliation_items = sa.Table(
    "reconciliation_items", metadata,
    Column("reconciliation_id", Key, sa.ForeignKey("reconciliations.id"), primary_key=True),
    Column("key", Key, primary_key=True),
    Column("verdict", Key, nullable=False),
    Column("code", Key, nullable=False),
    Column("facts", Json, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("decision", sa.Integer),
    Column("run", sa.Integer, nullable=False),  # the last that changed it
    Column("changed", UtcTime, nullable=False),
    sa.Index("ix_reconciliation_items_state", "reconciliation_id", "state", "code"),
)  # fmt: skip

reconciliation_rules = sa.Table(
    "reconciliation_rules", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("reconciliation_id", Key, sa.ForeignKey("reconciliations.id"), nullable=False, index=True),
    Column("fits", Json, nullable=False),
    Column("action", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("until", UtcTime),
    Column("undone_at", UtcTime),
    Column("undone_by", Text, nullable=False),
    Column("undone_reason", Text, nullable=False),
)  # fmt: skip

reconciliation_decisions = sa.Table(
    "reconciliation_decisions", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("reconciliation_id", Key, sa.ForeignKey("reconciliations.id"), nullable=False),
    Column("item_key", Key, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("facts", Json, nullable=False),
    Column("action", Text, nullable=False),
    Column("details", Json, nullable=False),
    Column("rule", sa.Integer, sa.ForeignKey("reconciliation_rules.number"), index=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("until", UtcTime),
    Column("undone_at", UtcTime),
    Column("undone_by", Text, nullable=False),
    Column("undone_reason", Text, nullable=False),
    sa.Index("ix_reconciliation_decisions_item", "reconciliation_id", "item_key"),
)  # fmt: skip

# What decisions change in a dataset's cells on every later harvest.
corrections = sa.Table(
    "corrections", metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("decision", sa.Integer, sa.ForeignKey("reconciliation_decisions.number"),
           nullable=False, index=True),
    Column("dataset_id", Key, nullable=False),
    Column("feature_id", Key, nullable=False),
    Column("field", Key, nullable=False),
    Column("code_field", Key, nullable=False),
    Column("code", Key, nullable=False),
    Column("was", Json),
    Column("becomes", Json),
    Column("created", UtcTime, nullable=False),
    Column("ended", UtcTime),
    Column("superseded_by", sa.Integer),  # the decision that spoke of the same cell later
    Column("stale_since", UtcTime),
    Column("applied", UtcTime),
    Column("run_id", Key, nullable=False),
    sa.Index("ix_corrections_dataset_id", "dataset_id", "feature_id"),
)  # fmt: skip
