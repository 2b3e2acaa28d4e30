"""An unchanging view of the catalog that requests work on, swapped as a whole when the catalog moves.

It holds the list of datasets; their records are read when first asked for and handed on to the
next snapshot while unchanged. A request keeps the snapshot it began with.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping

from catalog.datasets import Dataset, Tombstone
from catalog.errors import GoneError, NotFoundError, SatuDataError
from catalog.listing import Listed, listing
from catalog.messages import text
from catalog.model import Kind, VersionInfo
from catalog.store import Catalog
from ogc_server.errors import LayerBrokenError, SpokenError
from ogc_server.policy import ANYONE, Caller, may_see

LOGGER = logging.getLogger(__name__)
CATALOG_ID = "katalog"
"""The collection whose items are the records of the catalogue."""

_CACHED_BODIES = 64
VECTORS: tuple[Kind, ...] = ("feature", "table")
COLLECTIONS: tuple[Kind, ...] = (*VECTORS, "raster")
"""Kinds that are collections; services and bare records are in the catalogue only."""


class Snapshot:
    """One state of the catalog. Safe for threads."""

    def __init__(
        self,
        catalog: Catalog,
        generation: int,
        listed: Mapping[str, Listed],
        tombstones: Mapping[str, Tombstone],
        old: Snapshot | None = None,
    ) -> None:
        self._catalog = catalog
        self.generation = generation
        self.listed = listed
        self.tombstones = tombstones
        self.broken: dict[str, str] = {}
        self.collections = tuple(
            entry.id
            for entry in listed.values()
            if entry.kind in COLLECTIONS and entry.version is not None and entry.id != CATALOG_ID
        )
        self._loaded: dict[str, Dataset] = {}
        self._lock = threading.Lock()
        self.bodies: dict[object, bytes] = {}
        if old is not None:
            self._take_over(old)

    @classmethod
    def build(cls, catalog: Catalog, old: Snapshot | None = None) -> Snapshot:
        """Read the catalog's present state."""
        generation = catalog.generation()
        return cls(catalog, generation, listing(catalog.database), catalog.datasets.tombstones(), old)

    def _take_over(self, old: Snapshot) -> None:
        def same(dataset_id: str) -> bool:
            was, now = old.listed.get(dataset_id), self.listed.get(dataset_id)
            return was is not None and now is not None and was.stamp == now.stamp

        self._loaded = {key: value for key, value in old._loaded.copy().items() if same(key)}
        self.broken = {key: value for key, value in old.broken.copy().items() if same(key)}

    def visible(self, caller: Caller = ANYONE) -> tuple[str, ...]:
        """Return the ids of the collections that the caller may see and that can be read."""
        return tuple(
            key
            for key in self.collections
            if may_see(self.listed[key].access, caller) and key not in self.broken
        )

    def dataset(self, dataset_id: str, caller: Caller = ANYONE) -> Dataset:
        """Return a dataset; GoneError with the reason when withdrawn, NotFoundError else."""
        entry = self.listed.get(dataset_id)
        if entry is None or not may_see(entry.access, caller):
            tomb = self.tombstones.get(dataset_id)
            if tomb is not None:
                raise GoneError(tomb.reason, where=dataset_id)
            raise missing("collection", dataset_id)
        found = next(iter(self.datasets([dataset_id])), None)
        if found is None:  # withdrawn since this snapshot was made
            return self._catalog.datasets.get(dataset_id)
        return found

    def datasets(self, ids: Iterable[str]) -> Iterator[Dataset]:
        """Yield datasets in the order asked; those that can not be read are noted and left out."""
        wanted = list(ids)
        absent = [key for key in wanted if key not in self._loaded]
        if absent:
            self._load(absent)
        for key in wanted:
            if (found := self._loaded.get(key)) is not None:
                yield found

    def _load(self, ids: list[str]) -> None:
        try:
            found = self._catalog.datasets.many(ids)
        except (SatuDataError, ValueError, KeyError, TypeError) as error:
            if len(ids) == 1:
                self.mark_broken(ids[0], error)
                return
            for one in ids:  # one broken record must not take the others down
                self._load([one])
            return
        with self._lock:
            # what came first stays: two may have asked at once, and the slower one before a change
            for dataset in found:
                self._loaded.setdefault(dataset.id, dataset)

    def mark_broken(self, dataset_id: str, error: Exception) -> None:
        """Leave a dataset out from now on and report it at /health."""
        if dataset_id not in self.broken:
            LOGGER.error("layer %s is left out: %s: %s", dataset_id, type(error).__name__, error)
        self.broken[dataset_id] = f"{type(error).__name__}: {error}"

    def layer(
        self,
        dataset_id: str,
        version: int | None,
        kinds: tuple[Kind, ...] = VECTORS,
        caller: Caller = ANYONE,
    ) -> tuple[Dataset, VersionInfo]:
        """Return a dataset and the version asked for (None: the current one)."""
        dataset = self.dataset(dataset_id, caller)
        if dataset.version is None:
            raise missing("collection", dataset_id)
        if dataset.kind not in kinds:
            raise missing("raster" if kinds == ("raster",) else "features", dataset_id)
        if version is None or version == dataset.version.version:
            if dataset_id in self.broken:
                raise LayerBrokenError(self.broken[dataset_id], where=dataset_id)
            return dataset, dataset.version
        try:
            entry = self._catalog.versions.get(dataset_id, version)
        except NotFoundError:
            raise missing("version", version) from None
        if entry.state not in ("current", "old"):
            raise missing("version", version)
        return dataset, entry.info

    def remember(self, key: object, body: bytes) -> bytes:
        """Keep a made answer for the life of this snapshot."""
        if len(self.bodies) < _CACHED_BODIES:
            self.bodies[key] = body
        return body


class MissingError(SpokenError, NotFoundError):
    """A collection, version, feature, record or route that is not there."""

    def hint(self, lang: str = "id") -> str:
        """Say where to look."""
        return text("missing.collection.hint", lang)


def missing(what: str, value: object) -> MissingError:
    """Return the error for a collection, version, feature, record or route that is not there."""
    return MissingError(f"missing.{what}", value=str(value)[:120])
