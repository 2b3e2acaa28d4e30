"""Telling the catalog: the dataset's record, and the region reference that a layer may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from catalog.messages import text
from catalog.model import DatasetRecord, ItemError, VersionInfo
from catalog.regions import load_crosswalk_from_rows, load_from_rows
from harvesters.engine.job import Job, Offer
from harvesters.mapping.mapping import merged_record
from harvesters.privacy.texts import clean_record

type Change = Literal["added", "updated", "unchanged"]
type Load = Callable[..., tuple[int, list[ItemError]]]
_ACCESS = ("publik", "terbatas", "internal")


def record_of(job: Job, offer: Offer, info: VersionInfo | None = None) -> DatasetRecord:
    """Return what is said of the dataset: configuration over harvest, extent and CRS as stored.

    Personal data in its texts is masked (`masked_fields` names where).
    """
    record, _ = clean_record(_said(job, offer))
    if info is None:
        return record
    if corrected := info.extra.get("corrected"):
        record.lineage = f"{record.lineage} {text('lineage.corrected', 'id', count=corrected)}".strip()
    if info.bbox is not None:
        record.bbox = info.bbox
    if info.schema is not None and info.schema.geometry_type is not None:
        record.crs = record.crs or info.schema.crs
    record.time_start = record.time_start or _instant(info.time_start)
    record.time_end = record.time_end or _instant(info.time_end)
    return record


def _said(job: Job, offer: Offer) -> DatasetRecord:
    record = merged_record(offer.remote.record, offer.remote.layer, job.source)
    if not record.title.id and not record.title.en:
        record.title = record.title.model_copy(update={"id": offer.remote.remote_id})
    return record


def masked_fields(job: Job, offer: Offer) -> list[str]:
    """Return the fields of the record whose texts held personal data."""
    return clean_record(_said(job, offer))[1]


def _instant(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def stricter(job: Job, offer: Offer, record: DatasetRecord) -> bool:
    """Tell whether fewer people may see the dataset from now on."""
    known = job.catalog.datasets.find(offer.id)
    return known is not None and _ACCESS.index(record.access) > _ACCESS.index(known.harvested.access)


def put_record(job: Job, offer: Offer, record: DatasetRecord) -> Change:
    """Store the record; in a dry run only tell what would happen."""
    if job.dry:
        known = job.catalog.datasets.find(offer.id)
        if known is None:
            return "added"
        return "unchanged" if known.harvested == record else "updated"
    remote = offer.remote
    return job.catalog.datasets.put(
        offer.id, source_id=job.source.id, remote_id=remote.remote_id, kind=remote.kind, record=record,
        run_id=job.book.run_id, rank=job.source.rank,
    )  # fmt: skip


def load_regions(job: Job, offer: Offer, info: VersionInfo, *, only_if_absent: bool = False) -> None:
    """Fill what a layer declares to be: `options.region_reference` and `options.region_crosswalk`.

    Rows that are no region are warnings; a wrong declaration is too: the layer itself is good.
    """
    options = offer.remote.layer.options
    reference, crosswalk = options.get("region_reference"), options.get("region_crosswalk")
    if job.dry:
        return
    if isinstance(reference, Mapping) and not (only_if_absent and _is_loaded(job, reference)):
        _load(job, offer, info, load_from_rows, reference)
    if isinstance(crosswalk, Mapping) and not only_if_absent:
        _load(job, offer, info, load_crosswalk_from_rows, crosswalk)


def _is_loaded(job: Job, reference: Mapping[str, Any]) -> bool:
    return reference.get("vintage") in job.catalog.regions.vintages(reference.get("scheme") or "kemendagri")


def _load(job: Job, offer: Offer, info: VersionInfo, load: Load, declared: Mapping[str, Any]) -> None:
    try:
        _, errors = load(
            job.catalog.regions, _rows(job, info), declared, source=f"{info.layer_id} v{info.version}"
        )
    except (ValueError, KeyError, TypeError) as exc:
        errors = [ItemError("region-reference", str(exc), offer.remote.remote_id)]
    offer.tally.errors(ItemError(e.code, e.message, e.remote_id, severity="warning") for e in errors)


def _rows(job: Job, info: VersionInfo) -> Iterator[Mapping[str, Any]]:
    for batch in job.store.reader(info).batches(geometry=False):
        yield from batch.rows
