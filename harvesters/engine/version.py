"""From what is staged to a version: diff, guards, build, swap."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from catalog.errors import PublishError
from catalog.model import DatasetRecord, LayerSchema, RunState, VersionInfo
from catalog.versions import VersionEntry
from harvesters.engine import guards
from harvesters.engine.job import Job, Offer
from harvesters.engine.result import LayerResult
from harvesters.engine.stage import Staged
from harvesters.mapping.mapping import Mapping
from harvesters.privacy.detect import Finding, PrivacyScan, told_by_headers
from harvesters.privacy.texts import personal_text, redacted
from layers.contract import Diff, LayerReader


def difference(offer: Offer, staged: Staged) -> Diff:
    """Compare what is staged with the live version, and count it."""
    diff = staged.writer.diff(offer.current.version if offer.current else None)
    counts = offer.tally.counts
    counts.added, counts.updated = diff.added, diff.updated
    counts.unchanged, counts.removed = diff.unchanged, diff.removed
    return diff


def origin(mapping: Mapping) -> dict[str, Any]:
    """Remember the source's own shape beside ours, to tell its drift from a steward's mapping."""
    return {"fields": mapping.sources, "source": mapping.source_types}


def bad_share(offer: Offer, total: int) -> float:
    """Return the percentage of features without a geometry or with one that had to be repaired."""
    return 100 * (offer.tally.counts.repaired + offer.tally.null_geometries) / total if total else 0.0


def same(diff: Diff, old: VersionInfo | None, new: LayerSchema) -> bool:
    """Tell whether a new version would be the live one again."""
    return old is not None and old.schema == new and not (diff.added or diff.updated or diff.removed)


def judge(job: Job, offer: Offer, staged: Staged, diff: Diff) -> list[guards.Reason]:
    """Ask all guards that need no built version."""
    harvest, source, layer = job.settings.harvest, job.source, offer.remote.layer
    limit = source.max_removed_percent
    limit = harvest.max_removed_percent if limit is None else limit
    old, new = offer.current, staged.mapping.schema
    reasons = [] if staged.listing.window else guards.removed(diff, limit) + guards.shrink(diff, limit)
    if old is not None and old.schema is not None:
        was = old.extra.get("origin") or {}
        reasons += guards.drift(old.schema, new, was, origin(staged.mapping))
        reasons += guards.crs(old.schema, new, layer.crs)
        if staged.scan is not None:  # a resumed stage: what was repaired before is not known
            total = staged.writer.count()
            reasons += guards.geometry(old.extra.get("bad_geometry"), bad_share(offer, total))
    return reasons


def may_be_personal(offer: Offer, record: DatasetRecord) -> bool:
    """Tell whether this layer may hold personal data: it says so, and is internal."""
    return offer.remote.layer.allow_personal and record.access == "internal"


def judge_personal(offer: Offer, scan: PrivacyScan, record: DatasetRecord) -> list[guards.Reason]:
    """Ask the privacy guard about the content (the record's own texts were masked)."""
    return guards.personal(scan.findings(), allowed=may_be_personal(offer, record))


def judge_names(offer: Offer) -> list[guards.Reason]:
    """Refuse a NIK in what the dataset is called: ids stand in addresses, folders and tables."""
    named = any(map(personal_text, (offer.id, offer.remote.remote_id)))
    return guards.personal([Finding("(id)", "nik", 1)] if named else [], allowed=False)


def judge_shape(schema: LayerSchema) -> list[guards.Reason]:
    """Refuse a NIK in a column's name, explanation or codes, as of a table without a header line.

    No such layer is stored, not even held: the names of columns are written in too many places.
    """
    return guards.personal(told_by_headers(schema), allowed=False)


def rescan(schema: LayerSchema, reader: LayerReader) -> PrivacyScan:
    """Scan a built version: pages that an interrupted run staged were not seen by this one."""
    scan = PrivacyScan(schema)
    for batch in reader.batches(geometry=False):
        scan.feed(batch)
    return scan


def build(job: Job, offer: Offer, staged: Staged) -> VersionInfo:
    """Write the immutable version (not yet live) with what the next run needs to know of it."""
    total = staged.writer.count()
    info = staged.writer.finish(next_version(job, offer.id), job.book.run_id)
    extra: dict[str, Any] = {
        **info.extra, "stamp": staged.stamp, "config": staged.config, "origin": origin(staged.mapping),
        "keep": redacted(offer.remote.keep),
    }  # fmt: skip
    if corrected := offer.tally.counts.corrected:
        extra["corrected"] = corrected
    if info.schema is not None and info.schema.geometry_type is not None:
        extra["bad_geometry"] = round(bad_share(offer, total), 3)
    return replace(info, extra=extra)


def next_version(job: Job, layer_id: str) -> int:
    """Return a number above all that were ever registered; drop what a crash left unregistered."""
    entries = job.catalog.versions.list(layer_id)
    for entry in entries:
        if entry.state == "staged":  # we hold the lease, so whoever registered it is gone
            job.catalog.versions.reject(
                layer_id, entry.info.version, by=f"harvest:{job.source.id}", reason="interrupted run"
            )
    registered = {entry.info.version for entry in entries}
    for version in job.store.versions(layer_id):
        if version not in registered:
            job.store.remove(layer_id, version)
    return max([job.store.next_version(layer_id), *(v + 1 for v in registered)])


def register_held(job: Job, offer: Offer, info: VersionInfo, reasons: list[guards.Reason]) -> LayerResult:
    """Keep the version for a steward; older ones that waited are superseded."""
    said = "; ".join(reason.text("en") for reason in reasons)
    entries = job.catalog.versions.list(offer.id)
    if entries and entries[0].info.checksum == info.checksum and entries[0].state in ("held", "rejected"):
        drop_version(job, info)
        return _decided(offer.id, entries[0])
    for entry in entries:
        if entry.state == "held":
            job.catalog.versions.reject(
                offer.id, entry.info.version, by=f"harvest:{job.source.id}",
                reason=f"superseded by version {info.version}",
            )  # fmt: skip
    job.catalog.versions.register(info, state="held", reason=said)
    return held(offer.id, info.version, reasons)


def held(layer_id: str, version: int | None, reasons: list[guards.Reason]) -> LayerResult:
    """Build the result of a held dataset."""
    return LayerResult(
        layer_id, RunState.HELD, f"guard-{reasons[0].code}", "; ".join(r.text("en") for r in reasons),
        version, [asdict(reason) for reason in reasons],
    )  # fmt: skip


def rolled_back(job: Job, offer: Offer, info: VersionInfo) -> list[guards.Reason]:
    """Hold content that a steward rolled back from: the source offering it again decides nothing."""
    if offer.current is None:
        return []
    again = [
        entry.info.version
        for entry in job.catalog.versions.list(offer.id)
        if entry.state == "old"
        and entry.info.version > offer.current.version
        and entry.info.checksum == info.checksum
    ]
    return [guards.Reason("rolled-back", {"version": again[0]})] if again else []


def waiting(job: Job, offer: Offer, stamp: str) -> LayerResult | None:
    """Return the result again when just this content waits for a steward, or was rejected."""
    if not stamp:
        return None
    entries = job.catalog.versions.list(offer.id)
    newest = entries[0] if entries else None
    if newest is None or newest.info.extra.get("stamp") != stamp:
        return None
    return _decided(offer.id, newest) if newest.state in ("held", "rejected") else None


def _decided(layer_id: str, entry: VersionEntry) -> LayerResult:
    """The same content again: it still waits for a steward, or it was refused by one."""
    if entry.state == "held":
        return LayerResult(layer_id, RunState.HELD, "still-held", entry.reason, entry.info.version)
    reason = f"version {entry.info.version} of this content was rejected: {entry.reason}"
    return LayerResult(layer_id, RunState.UNCHANGED, "rejected-before", reason)


def swap(job: Job, info: VersionInfo) -> None:
    """Make the version live: one row in the catalog, refused when the lease is lost."""
    job.book.beat()
    job.check()
    job.catalog.versions.register(info)
    job.catalog.versions.make_current(
        info.layer_id, info.version, run_id=job.book.run_id, by=f"harvest:{job.source.id}"
    )


def drop_version(job: Job, info: VersionInfo) -> None:
    """Delete a built version that nobody will see."""
    try:
        job.store.remove(info.layer_id, info.version)
    except PublishError:
        return
