"""What one run carries with it from phase to phase."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from catalog.clock import Clock
from catalog.errors import CancelledRunError, GoneError
from catalog.model import Counts, ItemError, VersionInfo
from catalog.runs import Phase
from catalog.settings import Settings
from catalog.sources import LayerConfig, SourceConfig
from catalog.store import Catalog
from harvesters.contract import Harvester, RemoteDataset
from harvesters.engine.book import Book
from harvesters.engine.lease import Heartbeat
from harvesters.engine.result import Results
from harvesters.http.session import program_version
from harvesters.progress import Progress
from layers.contract import LayerStore

MAX_ITEM_ERRORS = 2000
"""Item errors kept per dataset; the rest is counted."""
_WRITE_SECONDS = 1.0
_MAPPING = {
    "rename", "drop", "types", "x", "y", "time", "crs", "where", "region_code", "feature_id", "options",
    "access", "allow_personal",
}  # fmt: skip


@dataclass(slots=True)
class Job:
    """One run of one source."""

    settings: Settings
    catalog: Catalog
    store: LayerStore
    clock: Clock
    source: SourceConfig
    book: Book
    cancel: threading.Event
    progress: Progress
    trigger: str
    dry: bool
    harvester: Harvester | None = None
    heartbeat: Heartbeat | None = None
    results: Results = field(default_factory=Results)
    seen: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)

    def check(self) -> None:
        """Stop here when a person cancelled, or when the lease is gone."""
        if self.cancel.is_set():
            raise CancelledRunError("cancelled", where=self.source.id)

    def phase(self, phase: Phase) -> None:
        """Enter a phase."""
        self.check()
        self.book.phase(phase)
        self.progress.phase(phase)

    def digest(self, layer: LayerConfig, layer_id: str) -> str:
        """Name what shapes a layer's content beside its source: when it changes, all is fetched again.

        That is its configuration, this program, and the corrections that stewards decided.
        """
        shaping: dict[str, Any] = {
            "layer": layer.model_dump(mode="json", include=_MAPPING),
            "source": self.source.model_dump(mode="json", include={"type", "url", "options"}),
            "program": program_version(),  # a mended parser must read unchanged files again
        }
        if corrections := self.catalog.corrections.digest(layer_id):
            shaping["corrections"] = corrections
        return hashlib.sha256(orjson.dumps(shaping, option=orjson.OPT_SORT_KEYS)).hexdigest()[:20]

    def current(self, layer_id: str) -> VersionInfo | None:
        """Return the live version if the store still has it (a lost file must not stop a harvest).

        The version of a withdrawn dataset does not count: what returns is published anew.
        """
        info = self.catalog.versions.current(layer_id)
        if info is None or info.version not in self.store.versions(layer_id):
            return None
        try:
            self.catalog.datasets.get(layer_id)
        except GoneError:
            return None
        except LookupError:
            pass
        return info

    def previous(self, collection_id: str, layer: LayerConfig) -> Mapping[str, Any]:
        """Return what the harvester asked to keep with the live version (see `contract.Previous`)."""
        info = self.current(collection_id)
        if info is None or info.extra.get("config") != self.digest(layer, collection_id):
            return {}
        kept = info.extra.get("keep")
        return kept if isinstance(kept, dict) else {}


class Tally:
    """Counts and item errors of one dataset, written as it goes (about once a second)."""

    def __init__(self, job: Job, layer_id: str) -> None:
        self._job, self.layer_id, self.counts = job, layer_id, Counts()
        self._kept = 0
        self._written = time.monotonic()
        self.codes: dict[str, int] = {}
        self.null_geometries = 0

    def errors(self, errors: Iterable[ItemError]) -> None:
        """Take in item errors; warnings do not count as failed."""
        fresh = list(errors)
        for error in fresh:
            self.codes[error.code] = self.codes.get(error.code, 0) + 1
            self.counts.failed += error.severity == "error"
        keep = fresh[: max(MAX_ITEM_ERRORS - self._kept, 0)]
        if keep:
            self._job.book.errors(keep, self.layer_id)
            self._kept += len(keep)

    def save(self, *, now: bool = False) -> None:
        """Write the counts, at most once a second unless `now`."""
        if now or time.monotonic() - self._written >= _WRITE_SECONDS:
            self._job.book.counts(self.layer_id, self.counts)
            self._written = time.monotonic()


@dataclass(slots=True)
class Offer:
    """A remote dataset on its way through the engine."""

    remote: RemoteDataset
    tally: Tally
    current: VersionInfo | None

    @property
    def id(self) -> str:
        """The collection id."""
        return self.remote.collection_id
