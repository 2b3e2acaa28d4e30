"""The engine: one run of one source, kept honest from lease to notify.

`lease -> probe -> list -> stage -> verify -> diff -> guard -> swap -> publish -> notify`

A run ends as the worst of its datasets (`engine_result.ORDER`). A dataset that fails does not stop
the others, nor does a record that can not be read. Whatever happens, the last good version stays.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, cast

from catalog.clock import Clock, utc_now
from catalog.errors import (
    CancelledRunError,
    IncompleteError,
    NotFoundError,
    PublishError,
    SatuDataError,
)
from catalog.model import ItemError, RunState
from catalog.runs import Run
from catalog.settings import Settings
from catalog.sources import SourceConfig
from catalog.store import Catalog
from harvesters.contract import FeatureContent, RasterContent, RemoteDataset
from harvesters.engine import guards
from harvesters.engine import version as version
from harvesters.engine.book import Book, DryBook, LiveBook
from harvesters.engine.job import Job, Offer, Tally
from harvesters.engine.lease import Heartbeat
from harvesters.engine.missing import withdraw_missing
from harvesters.engine.notify import Hook, Published, hooks_for, notify
from harvesters.engine.publish import load_regions, masked_fields, put_record, record_of, stricter
from harvesters.engine.raster import harvest_raster
from harvesters.engine.result import LayerResult
from harvesters.engine.stage import Staged, Stager
from harvesters.file.place import in_data
from harvesters.http.client import HttpClient
from harvesters.privacy.texts import redact, traced
from harvesters.progress import Progress, Silent
from harvesters.registry import check, harvester_class
from layers.contract import LayerStore

log = logging.getLogger(__name__)
RECORDS = "(records)"
"""Counts of records and services, which have no layer of their own."""


class Engine:
    """Runs sources. Safe to use for one run after the other; one engine per thread."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        store: LayerStore,
        *,
        clock: Clock = utc_now,
        hooks: Sequence[Hook] | None = None,
        hook_seconds: float = 20.0,
    ) -> None:
        self.catalog = catalog
        self._settings, self._store, self._clock = settings, store, clock
        self._hooks, self._hook_seconds = hooks, hook_seconds

    def run(
        self,
        source: SourceConfig,
        *,
        trigger: str = "manual",
        dry_run: bool = False,
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
    ) -> Run:
        """Harvest a source; return the finished run.

        Raises BusySourceError when another run holds the lease, ConfigError for an unknown type or
        wrong options; what goes wrong at the source is in the run's state, not an exception.
        A dry run stages, compares and judges, and writes nothing to the catalog.
        """
        for problem in check(source):
            raise problem
        kind = harvester_class(source.type)
        source = in_data(source, self._settings.data_dir)
        job = self._lease(source, trigger, dry_run, progress or Silent(), cancel or threading.Event())
        with ExitStack() as stack:
            try:
                lease = self._settings.harvest.lease_seconds
                job.heartbeat = stack.enter_context(Heartbeat(job.book, lease, job.cancel))
                http = stack.enter_context(
                    HttpClient(self._settings.harvest, source, cancel=job.cancel, clock=self._clock)
                )
                job.harvester = kind(source, http)
                job.harvester.previous = job.previous
                stack.callback(job.harvester.close)
                self._harvest(job)
            except BaseException as exc:
                run = self._broken(job, exc)
                if not isinstance(exc, Exception):
                    raise
                return run
        return self._end(job)

    # -- lease ----------------------------------------------------------------------------------

    def _lease(
        self, source: SourceConfig, trigger: str, dry: bool, progress: Progress, cancel: threading.Event
    ) -> Job:
        seconds = self._settings.harvest.lease_seconds
        book: Book = (
            DryBook(source.id, self._clock, trigger) if dry
            else LiveBook(self.catalog, source.id, seconds, trigger)
        )  # fmt: skip
        progress.phase("lease")
        return Job(
            self._settings, self.catalog, self._store, self._clock, source, book, cancel, progress,
            trigger, dry,
        )  # fmt: skip

    # -- probe, list ----------------------------------------------------------------------------

    def _harvest(self, job: Job) -> None:
        assert job.harvester is not None  # noqa: S101 - set by run
        job.phase("probe")
        job.harvester.probe()
        job.phase("list")
        listing = job.harvester.listing()
        job.ids = set(listing.ids or ())
        records = Tally(job, RECORDS)
        for remote in self._described(job, records):
            job.results.add(self._one(job, remote, records), keep=remote.content is not None)
        if records.counts.seen or records.counts.failed:
            records.save(now=True)
        self._listed_all(job, listing.count)
        if job.results.complete() and not listing.window:
            withdraw_missing(job)

    def _described(self, job: Job, records: Tally) -> Iterator[RemoteDataset]:
        """Yield the datasets; those that can not be described become item errors."""
        assert job.harvester is not None  # noqa: S101 - set by run
        collections: dict[str, str] = {}
        for one in job.harvester.datasets():
            job.check()
            if isinstance(one, ItemError):
                records.errors([one])
                job.seen.update([one.remote_id] if one.remote_id else [])
                if one.severity == "error":
                    job.results.note(RunState.INCOMPLETE, one.code, one.message)
                continue
            job.seen.add(one.remote_id)
            first = collections.get(one.collection_id)
            collections.setdefault(one.collection_id, one.remote_id)
            if first is not None:
                said = f"both {first!r} and {one.remote_id!r} become {one.collection_id!r}"
                records.errors([ItemError("duplicate-collection", said, one.remote_id)])
                job.results.note(RunState.INCOMPLETE, "duplicate-collection", said)
                continue
            yield one

    def _listed_all(self, job: Job, count: int | None) -> None:
        """A listed dataset that was neither described nor refused makes the run incomplete."""
        lost = job.ids - job.seen
        if lost:
            some = ", ".join(sorted(lost)[:5])
            job.results.note(RunState.INCOMPLETE, "datasets-lost", f"{len(lost)} listed did not come: {some}")
        elif not job.ids and count is not None and len(job.seen) < count:
            said = f"{len(job.seen)} of {count} that the source counts"
            job.results.note(RunState.INCOMPLETE, "datasets-lost", said)
        job.seen |= job.ids

    # -- one dataset ----------------------------------------------------------------------------

    def _one(self, job: Job, remote: RemoteDataset, records: Tally) -> LayerResult:
        """Harvest one dataset; its failure is its result, unless the run itself can not go on."""
        is_record = remote.content is None and not remote.unchanged
        tally = records if is_record else Tally(job, remote.collection_id)
        try:
            self._owned(job, remote)
            offer = Offer(remote, tally, None if is_record else job.current(remote.collection_id))
            if reasons := version.judge_names(offer):
                return version.held(offer.id, None, reasons)
            if masked := masked_fields(job, offer):
                said = f"personal data was masked in: {', '.join(masked)}"
                tally.errors([ItemError("personal-text", said, remote.remote_id, severity="warning")])
            return self._harvest_one(job, offer)
        except CancelledRunError:
            raise
        except IncompleteError as exc:
            self._item(tally, remote, exc.code, str(exc.detail))
            return LayerResult(remote.collection_id, RunState.INCOMPLETE, exc.code, exc.detail)
        except SatuDataError as exc:
            if isinstance(exc, PublishError):
                self._free(job, remote.collection_id)
            self._item(tally, remote, exc.code, str(exc))
            return LayerResult(remote.collection_id, RunState.FAILED, exc.code, str(exc))
        except Exception as exc:
            named = redact(remote.collection_id)
            log.error("run %s: dataset %s\n%s", job.book.run_id, named, traced(exc))
            said = f"{type(exc).__name__}: {exc}"
            self._item(tally, remote, "internal", said)
            return LayerResult(remote.collection_id, RunState.FAILED, "internal", said)

    def _item(self, tally: Tally, remote: RemoteDataset, code: str, message: str) -> None:
        tally.errors([ItemError(code, message, remote.remote_id)])
        tally.save(now=True)

    def _owned(self, job: Job, remote: RemoteDataset) -> None:
        """Two sources can not write one layer; found before anything is fetched."""
        dataset = job.catalog.datasets.find(remote.collection_id)
        if dataset is not None and dataset.source_id != job.source.id:
            raise PublishError(
                f"the id {remote.collection_id!r} belongs to source {dataset.source_id!r}",
                where=job.source.id,
            )

    def _free(self, job: Job, layer_id: str) -> None:
        """The disk is full, or the store is in trouble: give back what is staged, start clean next time."""
        for layer, stage in job.store.stages():
            if layer == layer_id:
                job.store.discard(layer, stage)

    def _harvest_one(self, job: Job, offer: Offer) -> LayerResult:
        content = offer.remote.content
        if offer.remote.unchanged and offer.current is not None:
            return self._unchanged(job, offer, "not-modified")
        if content is None:
            return self._record(job, offer)
        if offer.remote.kind == "raster":
            return harvest_raster(job, offer, cast(RasterContent, content))
        return self._features(job, offer, cast(FeatureContent, content))

    def _features(self, job: Job, offer: Offer, content: FeatureContent) -> LayerResult:
        job.phase("list")
        with Stager(job, offer, content) as stager:
            if reasons := version.judge_shape(stager.schema):
                return version.held(offer.id, None, reasons)
            listing, stamp = stager.listed()
            live = offer.current.extra.get("stamp") if offer.current else None
            if listing.certain and stamp and stamp == live:
                return self._unchanged(job, offer, "same-listing")
            if listing.certain and (again := version.waiting(job, offer, stamp)) is not None:
                return again
            job.phase("stage")
            staged = stager.stage(listing, stamp)
            job.phase("verify")
            staged = stager.verify(staged)
            self._corrected(job, offer, staged)
            return self._judge_and_swap(job, offer, staged)

    def _corrected(self, job: Job, offer: Offer, staged: Staged) -> None:
        """Tell the catalog which of the stewards' corrections were applied, and which no longer fit."""
        met = staged.mapping.corrections
        if (met.applied or met.stale) and not job.dry:
            job.catalog.corrections.noted(
                offer.id, applied=met.applied, stale=met.stale, run_id=job.book.run_id
            )

    def _judge_and_swap(self, job: Job, offer: Offer, staged: Staged) -> LayerResult:
        job.phase("diff")
        diff = version.difference(offer, staged)
        offer.tally.save(now=True)
        job.phase("guard")
        record = record_of(job, offer)
        reasons = version.judge(job, offer, staged, diff)
        if staged.scan is not None:
            reasons += version.judge_personal(offer, staged.scan, record)
        if (
            staged.scan is not None
            and not reasons
            and version.same(diff, offer.current, staged.mapping.schema)
        ):
            staged.writer.abort()
            return self._unchanged(job, offer, "same-content")
        if job.dry:
            state = RunState.OK
            return version.held(offer.id, None, reasons) if reasons else LayerResult(offer.id, state)
        return self._build_and_swap(job, offer, staged, reasons)

    def _build_and_swap(
        self, job: Job, offer: Offer, staged: Staged, reasons: list[guards.Reason]
    ) -> LayerResult:
        info = version.build(job, offer, staged)
        try:
            record = record_of(job, offer, info)
            if staged.scan is None:
                scan = version.rescan(staged.mapping.schema, job.store.reader(info))
                reasons += version.judge_personal(offer, scan, record)
            reasons += guards.place(offer.current.bbox if offer.current else None, info.bbox)
            reasons += version.rolled_back(job, offer, info)
            if (
                not reasons
                and offer.current is not None
                and info.checksum == offer.current.checksum
                and (info.schema == offer.current.schema)
            ):
                version.drop_version(job, info)
                return self._unchanged(job, offer, "same-content")
            if reasons:
                if job.catalog.datasets.find(offer.id) is None:
                    put_record(job, offer, record)
                return version.register_held(job, offer, info, reasons)
            job.phase("swap")
            if stricter(job, offer, record):  # before more can be seen, fewer must be able to see it
                put_record(job, offer, record)
            version.swap(job, info)
        except BaseException:
            self._drop_unregistered(job, info)
            raise
        return self._publish(job, offer, info, record)

    def _drop_unregistered(self, job: Job, info: Any) -> None:
        try:
            job.catalog.versions.get(info.layer_id, info.version)
        except NotFoundError:
            version.drop_version(job, info)

    def _publish(self, job: Job, offer: Offer, info: Any, record: Any) -> LayerResult:
        job.book.phase("publish")
        put_record(job, offer, record)
        load_regions(job, offer, info)
        offer.tally.save(now=True)
        return LayerResult(offer.id, RunState.OK, version=info.version)

    def _unchanged(self, job: Job, offer: Offer, code: str) -> LayerResult:
        """Nothing to store; the record may still say something new."""
        assert offer.current is not None  # noqa: S101 - only a live version can be unchanged
        counts = offer.tally.counts
        counts.unchanged = counts.seen = offer.current.count
        counts.expected = counts.expected if counts.expected is not None else offer.current.count
        counts.added = counts.updated = counts.removed = 0
        offer.tally.save(now=True)
        if not job.dry:
            put_record(job, offer, record_of(job, offer, offer.current))
            load_regions(job, offer, offer.current, only_if_absent=True)
        return LayerResult(offer.id, RunState.UNCHANGED, code, version=offer.current.version)

    def _record(self, job: Job, offer: Offer) -> LayerResult:
        """Register a record or a service: no versions."""
        counts = offer.tally.counts
        counts.expected = len(job.ids) or None
        counts.seen += 1
        job.progress.advance(1)
        change = put_record(job, offer, record_of(job, offer))
        setattr(counts, change, getattr(counts, change) + 1)
        offer.tally.save()
        return LayerResult(offer.id, RunState.UNCHANGED if change == "unchanged" else RunState.OK)

    # -- the end --------------------------------------------------------------------------------

    def _end(self, job: Job) -> Run:
        """Write the terminal state, then notify."""
        results = job.results
        try:
            job.book.phase("notify")  # no check: what is published can not be cancelled any more
            job.progress.phase("notify")
            run = job.book.finish(results.worst, results.reason, results.code, results.details())
        except CancelledRunError as exc:
            return self._broken(job, exc)
        hooks = hooks_for(self._settings) if self._hooks is None else self._hooks
        if hooks and results.published and not job.dry:
            told = Published(run.id, job.source.id, tuple(results.published))
            notify(hooks, self._settings, self.catalog, told, wait=self._hook_seconds)
        return run

    def _broken(self, job: Job, exc: BaseException) -> Run:
        """End a run that can not go on."""
        state, code, reason = RunState.FAILED, "internal", f"{type(exc).__name__}: {exc}"
        if isinstance(exc, CancelledRunError | KeyboardInterrupt):
            state, code, reason = RunState.CANCELLED, "run-cancelled", "cancelled by a person"
        elif isinstance(exc, IncompleteError):
            state, code, reason = RunState.INCOMPLETE, exc.code, str(exc)
        elif isinstance(exc, SatuDataError):
            code, reason = exc.code, str(exc)
        else:
            log.error("run %s of %s broke\n%s", job.book.run_id, job.source.id, traced(exc))
        try:
            return job.book.finish(state, reason, code, job.results.details())
        except CancelledRunError:  # reaped: another process has written the end
            return job.catalog.runs.get(job.book.run_id)


@contextmanager
def opened(settings: Settings, *, clock: Clock = utc_now) -> Iterator[Engine]:
    """Open catalog and store as the settings say and hand out an engine on them."""
    from layers.open import open_store

    with (
        Catalog.open(settings.database_url(), clock) as catalog,
        closing(open_store(settings, clock=clock)) as store,
    ):
        yield Engine(settings, catalog, store, clock=clock)
