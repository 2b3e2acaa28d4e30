"""Staging and verifying one dataset's features: every page stored, every listed id there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from catalog.errors import IncompleteError
from catalog.model import ItemError, LayerSchema
from harvesters.contract import FeatureContent, FeaturePage, Listing
from harvesters.engine.job import Job, Offer
from harvesters.mapping.mapping import Mapping
from harvesters.privacy.detect import PrivacyScan
from layers.contract import VersionWriter

_NAMED = 5


@dataclass(slots=True)
class Staged:
    """A staged dataset. `scan` is None when pages were staged before this run (unseen by us)."""

    writer: VersionWriter
    mapping: Mapping
    listing: Listing
    stamp: str
    config: str
    scan: PrivacyScan | None = None
    gaps: list[str] = field(default_factory=list)


def stamp_of(listing: Listing, config: str) -> str:
    """Name the content as we would store it: its state at the source and our configuration."""
    if not listing.stage:
        return ""
    return hashlib.sha256(f"{listing.stage}\x1f{config}".encode()).hexdigest()[:32]


class Stager:
    """Fetches, maps and stores the pages of one dataset."""

    def __init__(self, job: Job, offer: Offer, content: FeatureContent) -> None:
        self._job, self._offer, self._content = job, offer, content
        self._tally = offer.tally
        self._config = job.digest(offer.remote.layer, offer.id)
        self._mapping = Mapping(
            offer.remote.layer, content.schema(), job.catalog.corrections.active(offer.id)
        )
        self._tally.errors(self._mapping.warnings)
        self._open_writer: tuple[VersionWriter, str] | None = None

    @property
    def schema(self) -> LayerSchema:
        """The shape under which the layer would be stored."""
        return self._mapping.schema

    def __enter__(self) -> Stager:
        return self

    def __exit__(self, *args: object) -> None:
        """Let go of the writer: what can be resumed stays, the rest goes."""
        if self._open_writer is None:
            return
        writer, stamp = self._open_writer
        if self._job.dry or not stamp:
            writer.abort()
        else:
            writer.close()

    def listed(self) -> tuple[Listing, str]:
        """Ask the source what it has; return it with the stamp of its state."""
        listing = self._content.listing()
        expected = len(listing.ids) if listing.ids is not None else listing.count
        self._tally.counts.expected = expected
        self._job.progress.layer(self._offer.id, expected)
        self._tally.save(now=True)
        return listing, stamp_of(listing, self._config)

    def stage(self, listing: Listing, stamp: str) -> Staged:
        """Store all pages that are not staged yet, then the listed ids that did not come."""
        staged = self._open(listing, stamp)
        there = staged.writer.staged_pages()
        if there:
            staged.scan = None
            self._job.progress.advance(staged.writer.count())
        self._store(staged, self._content.pages(listing, there))
        self._refetch(staged, listing)
        return staged

    def _open(self, listing: Listing, stamp: str) -> Staged:
        name = stamp or f"run-{self._job.book.run_id}"
        if self._job.dry:
            name = f"dry-{name}"
        layer = self._offer.id
        # of pages that an interrupted run staged it is not known which corrections fitted
        fresh = listing.window or bool(self._mapping.corrections)
        for other, stage in self._job.store.stages():
            if other == layer and (stage != name or fresh) and not self._job.dry:
                self._job.store.discard(other, stage)
        writer = self._job.store.writer(layer, self._mapping.schema, name)
        self._open_writer = (writer, stamp)
        if listing.window and self._offer.current is not None:
            writer.seed(self._offer.current.version)
        scan = PrivacyScan(self._mapping.schema)
        return Staged(writer, self._mapping, listing, stamp, self._config, scan)

    def _store(self, staged: Staged, pages: Iterator[FeaturePage]) -> None:
        tally = self._tally
        for page in pages:
            self._job.check()
            batch, notes = staged.mapping.apply(page.batch)
            if staged.scan is not None:
                staged.scan.feed(batch)
            report = staged.writer.write(page.key, batch)
            tally.errors([*page.errors, *notes, *report.errors])
            tally.counts.repaired += report.repaired
            if batch.geometries is not None:
                tally.null_geometries += sum(shape is None for shape in batch.geometries)
            tally.counts.seen += len(page.batch)
            tally.counts.corrected = len(staged.mapping.corrections.applied)
            self._job.progress.advance(len(page.batch))
            tally.save()

    def _refetch(self, staged: Staged, listing: Listing) -> None:
        missing = staged.writer.missing(listing.ids) if listing.ids is not None else []
        if missing:
            # named by what is asked for: an equal key would replace what an earlier question brought
            asked = hashlib.sha256("\x1f".join(missing).encode()).hexdigest()[:16]
            pages = self._content.refetch(tuple(missing))
            self._store(staged, (replace(page, key=f"again-{asked} {page.key}") for page in pages))

    def verify(self, staged: Staged) -> Staged:
        """Return what is staged when it is complete; list once more before giving up.

        IncompleteError when what is stored is not what the source listed.
        """
        gaps = self.gaps(staged, staged.listing)
        if gaps:
            staged, gaps = self._again(staged)
        self._tally.counts.seen = staged.writer.count()
        self._tally.save(now=True)
        if gaps:
            raise IncompleteError("; ".join(gaps), where=self._offer.id)
        return staged

    def _again(self, staged: Staged) -> tuple[Staged, list[str]]:
        """The source may have changed under us: take its new listing, once."""
        listing, stamp = self.listed()
        blind = listing.ids is None  # nothing can be asked for by id: all once more
        if blind or stamp != staged.stamp or self._beyond(staged, listing):
            staged.writer.abort()
            self._tally.counts.seen = self._tally.counts.repaired = self._tally.null_geometries = 0
            staged = self.stage(listing, stamp)
        else:
            staged.listing = listing
            self._refetch(staged, listing)
        return staged, self.gaps(staged, listing)

    def _beyond(self, staged: Staged, listing: Listing) -> bool:
        """Tell whether rows are staged that the source no longer lists."""
        return listing.ids is not None and not listing.window and bool(staged.writer.unexpected(listing.ids))

    def gaps(self, staged: Staged, listing: Listing) -> list[str]:
        """Say how what is staged differs from the listing; nothing when it does not."""
        writer, found = staged.writer, []
        if listing.ids is not None:
            missing = writer.missing(listing.ids)
            if missing:
                found.append(f"{len(missing)} of {len(listing.ids)} listed did not come ({_some(missing)})")
            if not listing.window and (extra := writer.unexpected(listing.ids)):
                found.append(f"{len(extra)} came that are not listed ({_some(extra)})")
            if (twice := len(listing.ids) - len(set(listing.ids))) > 0:
                found.append(f"{twice} listed ids are duplicates; choose another feature_id")
            if listing.count is not None and listing.count != len(listing.ids):
                found.append(f"the source counts {listing.count} but lists {len(listing.ids)} ids")
        elif listing.count is not None and not listing.window and writer.count() != listing.count:
            found.append(f"{writer.count()} stored of {listing.count} that the source counts")
        return found


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")


def incomplete_item(layer_id: str, error: IncompleteError) -> ItemError:
    """Keep the gaps with the run as data too."""
    return ItemError("incomplete", error.detail, layer_id)
