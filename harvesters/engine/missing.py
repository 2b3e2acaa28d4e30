"""Datasets that a source no longer lists: noted at once, withdrawn only after complete runs and grace."""

from __future__ import annotations

from datetime import timedelta

from catalog.model import ItemError, RunState
from harvesters.engine import guards
from harvesters.engine.job import Job


def withdraw_missing(job: Job) -> None:
    """Mark what is missing; tombstone what has been missing for the whole grace period.

    Called for complete runs with a whole (not windowed) listing only.
    """
    source, harvest = job.source, job.settings.harvest
    datasets = job.catalog.datasets
    known = {d.remote_id: d for d in datasets.many(datasets.ids(source_id=source.id))}
    gone = [d for remote_id, d in known.items() if remote_id not in job.seen]
    limit = source.max_removed_percent
    reasons = guards.missing(len(gone), len(known), harvest.max_removed_percent if limit is None else limit)
    if job.dry:
        for dataset in gone:
            job.book.errors([ItemError("missing", "no longer listed", dataset.remote_id)], dataset.id)
    else:
        missing = job.catalog.datasets.mark_missing(source.id, job.seen, job.book.run_id, job.clock())
        if not reasons:
            grace = timedelta(days=harvest.grace_days if source.grace_days is None else source.grace_days)
            for dataset in missing:
                if dataset.missing_since is not None and job.clock() - dataset.missing_since >= grace:
                    why = f"no longer offered by the source since {dataset.missing_since:%Y-%m-%d}"
                    job.catalog.datasets.tombstone(dataset.id, reason=why, by=f"harvest:{source.id}")
                    job.results.published.append(dataset.id)  # others must hear of it too
    for reason in reasons:
        job.results.note(RunState.HELD, f"guard-{reason.code}", reason.text("en"))
