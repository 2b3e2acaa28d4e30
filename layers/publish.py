"""Publishes a made table (a result of an analysis) as a layer version, as harvests do theirs.

The same rules: a version is immutable, is read back before it counts, and becomes current together
with its record in one transaction. What fails leaves the old version current and nothing behind.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from secrets import token_hex

from catalog.closed import CLOSED
from catalog.errors import CancelledRunError, PublishError
from catalog.model import Counts, DatasetRecord, LayerSchema, RunState, VersionInfo
from catalog.store import Catalog
from layers.contract import FeatureBatch, LayerStore

log = logging.getLogger(__name__)
KEEP = 5
"""Versions kept for roll-back, as `harvest.keep_versions`."""
_LEASE_SECONDS = 900.0
"""Renewed with every batch; building the index of a large version must fit in."""
_PAGE = 5000


def publish_table(
    store: LayerStore,
    catalog: Catalog,
    dataset_id: str,
    schema: LayerSchema,
    batches: Iterable[FeatureBatch],
    record: DatasetRecord,
    *,
    by: str,
    run_id: str = "",
    source_id: str = "",
    keep: int = KEEP,
    closed: str = "",
) -> VersionInfo:
    """Write a version of a dataset and make it current; return it.

    `batches` hold geometries in `schema.crs`; ids are unique. Without `run_id` the work is a run of its
    own, of the source `source_id` (`analisis:<dataset>` by default), so that two can not publish one
    dataset at once (BusySourceError). With `run_id` the caller holds the lease of its run.
    Content that is current already makes no new version; only the record is stored.
    `closed` says why this version must never be public (see `catalog.closed`); ClosedError when the
    dataset is.
    Raises PublishError when a row is refused, when what was written does not read back, or when the
    id belongs to another source.
    """
    source = source_id or f"analisis:{dataset_id}"
    known = catalog.datasets.find(dataset_id)
    if known is not None and known.source_id != source:
        raise PublishError(f"the id {dataset_id!r} belongs to source {known.source_id!r}", where=source)
    with _run(catalog, dataset_id, source, run_id, by) as work:
        info = _written(store, catalog, dataset_id, schema, _beaten(batches, work.beat), work.run_id)
        if closed:
            info = replace(info, extra={**info.extra, CLOSED: closed})
        current = catalog.versions.current(dataset_id)
        same = current is not None and _said(current) == _said(info)
        work.counts = Counts(expected=info.count, seen=info.count)
        try:
            work.beat()
            with catalog.database.together():
                catalog.datasets.put(
                    dataset_id, source_id=source, remote_id=dataset_id, kind=info.kind,
                    record=_completed(record, info), run_id=work.run_id,
                )  # fmt: skip
                if not same:
                    catalog.versions.register(info)
                    catalog.versions.make_current(dataset_id, info.version, run_id=work.run_id, by=by)
        except BaseException:
            _forget(store, info)
            raise
        if current is not None and same:
            _forget(store, info)
            work.state = RunState.UNCHANGED
            return current
    _prune(store, catalog, dataset_id, keep, by)
    return info


def _said(info: VersionInfo) -> tuple[object, ...]:
    return info.checksum, info.schema, info.extra.get(CLOSED)


@dataclass(slots=True)
class _Work:
    run_id: str
    beat: Callable[[], object] = lambda: None
    state: RunState = RunState.OK
    counts: Counts = field(default_factory=Counts)


@contextmanager
def _run(catalog: Catalog, dataset_id: str, source: str, run_id: str, by: str) -> Iterator[_Work]:
    """Hold the lease of a run of our own, or stand in the caller's."""
    if run_id:
        yield _Work(run_id)
        return
    worker = f"{socket.gethostname()}:{os.getpid()}"
    run = catalog.runs.start(source, lease_seconds=_LEASE_SECONDS, trigger=f"analyse:{by}", worker=worker)
    work = _Work(run.id, lambda: catalog.runs.heartbeat(run.id))
    code = ""
    try:
        yield work
    except BaseException as error:
        work.state, code = RunState.FAILED, getattr(error, "code", "internal")
        raise
    finally:
        with suppress(CancelledRunError):  # reaped meanwhile: its end is written already
            catalog.runs.counts(run.id, dataset_id, work.counts)
            catalog.runs.finish(run.id, work.state, code=code)


def _beaten(batches: Iterable[FeatureBatch], beat: Callable[[], object]) -> Iterator[FeatureBatch]:
    for batch in batches:
        beat()
        for start in range(0, len(batch), _PAGE):
            part = slice(start, start + _PAGE)
            shapes = None if batch.geometries is None else batch.geometries[part]
            yield FeatureBatch(batch.ids[part], batch.rows[part], shapes)


def _written(
    store: LayerStore,
    catalog: Catalog,
    dataset_id: str,
    schema: LayerSchema,
    batches: Iterable[FeatureBatch],
    run: str,
) -> VersionInfo:
    """Write, build and read back a version that nobody sees yet."""
    writer = store.writer(dataset_id, schema, f"publish-{token_hex(8)}")
    try:
        for number, batch in enumerate(batches):
            errors = [e for e in writer.write(str(number), batch).errors if e.severity == "error"]
            if errors:  # the message of an error may hold a value
                raise PublishError(f"{len(errors)} rows are refused ({errors[0].code})", where=dataset_id)
        known = [entry.info.version + 1 for entry in catalog.versions.list(dataset_id)]
        info = writer.finish(max([store.next_version(dataset_id), *known]), run)
    except BaseException:
        writer.abort()
        raise
    finally:
        writer.close()
    try:
        store.verify(info)
    except BaseException:
        _forget(store, info)
        raise
    return info


def _completed(record: DatasetRecord, info: VersionInfo) -> DatasetRecord:
    """Add to the record what only the written version knows: extent, CRS, times."""
    said: dict[str, object] = {"bbox": record.bbox if info.bbox is None else info.bbox}
    if info.schema is not None and info.schema.geometry_type is not None:
        said["crs"] = record.crs or info.schema.crs
    said["time_start"] = record.time_start or _instant(info.time_start)
    said["time_end"] = record.time_end or _instant(info.time_end)
    return record.model_copy(update=said)


def _instant(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _forget(store: LayerStore, info: VersionInfo) -> None:
    with suppress(PublishError):
        store.remove(info.layer_id, info.version)


def _prune(store: LayerStore, catalog: Catalog, dataset_id: str, keep: int, by: str) -> None:
    """Take away what is too old; what can not be deleted now is left to `satudata prune`."""
    for version in catalog.versions.prunable(dataset_id, keep):
        try:
            catalog.versions.mark_removed(dataset_id, version, by=by)
            store.remove(dataset_id, version)
        except PublishError as error:
            log.warning("%s version %s stays: %s", dataset_id, version, error.code)


__all__ = ["KEEP", "publish_table"]
