"""Rasters: fetched whole, written as a Cloud-Optimised GeoTIFF, compared by checksum."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import rasterio
import rasterio.errors

from catalog.model import RunState, VersionInfo
from harvesters.contract import RasterContent
from harvesters.engine import guards
from harvesters.engine import version as version
from harvesters.engine.job import Job, Offer
from harvesters.engine.publish import put_record, record_of, stricter
from harvesters.engine.result import LayerResult
from harvesters.privacy.detect import Finding
from harvesters.privacy.texts import personal_text, redacted
from layers.raster import write_cog


def harvest_raster(job: Job, offer: Offer, content: RasterContent) -> LayerResult:
    """Bring one raster from the source into a version."""
    if job.dry:
        return LayerResult(offer.id, RunState.OK, notes={"dry": "rasters are not fetched in a dry run"})
    job.phase("stage")
    folder = job.settings.data_dir / "downloads" / offer.id  # kept over runs: downloads resume
    folder.mkdir(parents=True, exist_ok=True)
    job.progress.layer(offer.id, None)

    def report(done: int, total: int | None) -> None:
        job.check()

    path = content.fetch(folder, report)
    job.phase("verify")
    if reasons := _judge_tags(path):
        shutil.rmtree(folder, ignore_errors=True)
        return version.held(offer.id, None, reasons)
    info = _write(job, offer, path)
    result = _judge_and_swap(job, offer, info)
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _judge_tags(path: Path) -> list[guards.Reason]:
    """Refuse a NIK in what a raster says of itself: its tags and band names travel with every copy."""
    try:
        with rasterio.open(path) as source:
            texts = [source.tags(ns=ns) for ns in [None, *source.tag_namespaces()]]
            texts += [source.tags(band) for band in source.indexes]
            said = repr([texts, source.descriptions, path.name])
    except rasterio.errors.RasterioError:
        return []  # what can not be read is told by the writing
    return guards.personal([Finding("(tags)", "nik", 1)] if personal_text(said) else [], allowed=False)


def _write(job: Job, offer: Offer, path: Path) -> VersionInfo:
    number = version.next_version(job, offer.id)
    nodata = offer.remote.layer.options.get("nodata")
    info = write_cog(
        path, job.settings.data_dir / "layers", offer.id, number, job.book.run_id,
        nodata=nodata, crs=offer.remote.layer.crs, clock=job.clock,
    )  # fmt: skip
    extra = {
        **info.extra,
        "config": job.digest(offer.remote.layer, offer.id),
        "keep": redacted(offer.remote.keep),
    }
    return replace(info, extra=extra)


def _same(old: VersionInfo, new: VersionInfo) -> bool:
    """Equal pixels at another place, or with another meaning of "no data", are another raster."""
    described = ("crs", "transform", "nodata", "nodata_nan")
    return old.checksum == new.checksum and all(
        list(_flat(old.extra.get(k))) == list(_flat(new.extra.get(k))) for k in described
    )


def _flat(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _judge_and_swap(job: Job, offer: Offer, info: VersionInfo) -> LayerResult:
    old, counts = offer.current, offer.tally.counts
    counts.expected = counts.seen = 1
    if old is not None and _same(old, info):
        version.drop_version(job, info)
        counts.unchanged = 1
        offer.tally.save(now=True)
        put_record(job, offer, record_of(job, offer, old))
        return LayerResult(offer.id, RunState.UNCHANGED, "same-content", version=old.version)
    counts.added, counts.updated = int(old is None), int(old is not None)
    offer.tally.save(now=True)
    job.phase("guard")
    record = record_of(job, offer, info)
    reasons = guards.place(old.bbox if old else None, info.bbox) + version.rolled_back(job, offer, info)
    if old is not None and old.extra.get("crs") != info.extra.get("crs"):
        reasons.append(guards.Reason("crs", {"before": old.extra.get("crs"), "after": info.extra.get("crs")}))
    if reasons:
        if job.catalog.datasets.find(offer.id) is None:
            put_record(job, offer, record)
        return version.register_held(job, offer, info, reasons)
    job.phase("swap")
    if stricter(job, offer, record):
        put_record(job, offer, record)
    version.swap(job, info)
    job.book.phase("publish")
    put_record(job, offer, record)
    return LayerResult(offer.id, RunState.OK, version=info.version)
