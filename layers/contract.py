"""The contract of a layer store, held by the same tests for GeoPackage and PostGIS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from catalog.model import BBox, FieldDef, ItemError, LayerSchema, VersionInfo

type Geometries = npt.NDArray[np.object_]
"""Array of shapely geometries (or None), x = easting / longitude, in the schema's CRS."""


@dataclass(slots=True)
class FeatureBatch:
    """Some features: parallel `ids`, `rows` (attribute dicts) and, unless a table, `geometries`."""

    ids: list[str]
    rows: list[dict[str, Any]]
    geometries: Geometries | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class WriteReport:
    """What happened to one page: how many stored, repaired, and which were refused."""

    written: int = 0
    repaired: int = 0
    errors: list[ItemError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Diff:
    """Row counts of a new version against an older one."""

    added: int
    updated: int
    unchanged: int
    removed: int


@runtime_checkable
class VersionWriter(Protocol):
    """Stages pages durably and turns them into one version. Used by one thread.

    Every `write` is one transaction: after kill -9 a new writer for the same `(layer, stage)` knows
    the pages that were written. Ids are unique in a version: writing an id twice in *different*
    pages keeps the last and counts nothing twice; twice within one page, or with different content
    across pages, is reported as a `duplicate-id` item error (the first is kept).
    """

    def staged_pages(self) -> set[str]:
        """Return keys of the pages already written by an interrupted run."""
        ...

    def write(self, page: str, batch: FeatureBatch) -> WriteReport:
        """Store one page: geometry made valid (counted), ZM dropped, text NFC, types checked."""
        ...

    def count(self) -> int:
        """Return the number of features staged."""
        ...

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Return those of `ids` that are not staged."""
        ...

    def unexpected(self, ids: Sequence[str]) -> list[str]:
        """Return the staged ids that are not in `ids`."""
        ...

    def seed(self, version: int) -> None:
        """Start from an older version's rows (windowed sources such as event lists: upserts)."""
        ...

    def diff(self, version: int | None) -> Diff:
        """Compare what is staged with an older version (None: all is new)."""
        ...

    def finish(self, version: int, run_id: str) -> VersionInfo:
        """Index, verify by reading back, move into place as `version`; then it is immutable."""
        ...

    def abort(self) -> None:
        """Throw the staged pages away."""
        ...

    def close(self) -> None:
        """Let go of the staging, which stays for a later run."""
        ...


SortOrder = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Query:
    """A question to one version. Everything is validated against the schema by `layers`.

    `bbox` and geometries in `filter` are in the storage CRS (x, y); `filter` is a pygeofilter AST;
    `time` a pair of ISO instants or None for open ends (ignored by a layer without time field; features
    without time never fit); `sortby` puts nulls last, ties in id order; `equals` are queryable=value pairs;
    `after` is the opaque keyset token of the previous page; `properties` the chosen attributes.
    """

    limit: int = 100
    offset: int = 0
    after: str | None = None
    bbox: tuple[float, float, float, float] | None = None
    time: tuple[str | None, str | None] | None = None
    ids: tuple[str, ...] | None = None
    equals: tuple[tuple[str, str], ...] = ()
    filter: Any = None
    sortby: tuple[tuple[str, SortOrder], ...] = ()
    properties: tuple[str, ...] | None = None
    skip_geometry: bool = False
    crs: str | None = None
    """Output CRS (`EPSG:23830` or its URI); None = CRS84 lon/lat as GeoJSON wants it.

    Coordinates then follow the axis order of that CRS: `EPSG:4326` is latitude, longitude (Part 2).
    """


@dataclass(slots=True)
class Page:
    """One page of features as ready GeoJSON texts, in the asked order.

    `features` are UTF-8 GeoJSON Feature objects (7 decimals in degrees, 2-3 in metres) that can be
    joined with commas. `matched` counts all that fit the query. `next` is the keyset token, None at the end.
    """

    features: list[bytes]
    matched: int
    next: str | None = None


@runtime_checkable
class LayerReader(Protocol):
    """Reads one version. Safe for use by many threads at once; never writes."""

    info: VersionInfo

    def page(self, query: Query) -> Page:
        """Answer a query."""
        ...

    def count(self, query: Query) -> int:
        """Count what a query matches."""
        ...

    def feature(self, feature_id: str, crs: str | None = None) -> bytes | None:
        """Return one feature as GeoJSON, or None."""
        ...

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        size: int = 5000,
        geometry: bool = True,
        where: Query | None = None,
    ) -> Iterator[FeatureBatch]:
        """Stream the version in id order (for analysis, downloads, crosswalks).

        `where` keeps the features that a query's conditions match (its order and limit do not count).
        """
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


@runtime_checkable
class LayerStore(Protocol):
    """Where versions are kept."""

    def writer(self, layer_id: str, schema: LayerSchema, stage: str) -> VersionWriter:
        """Open (or resume) staging. `stage` is stable over retries of the same harvest content."""
        ...

    def reader(self, info: VersionInfo) -> LayerReader:
        """Open a version for reading; cached and shared by the caller's process."""
        ...

    def versions(self, layer_id: str) -> list[int]:
        """Return the version numbers that are stored, oldest first."""
        ...

    def next_version(self, layer_id: str) -> int:
        """Return a number above every stored one."""
        ...

    def verify(self, info: VersionInfo) -> None:
        """Raise PublishError when count, checksum or structure of the stored version is off."""
        ...

    def remove(self, layer_id: str, version: int) -> None:
        """Delete one version; readers that hold it keep it until they let go."""
        ...

    def stages(self) -> list[tuple[str, str]]:
        """Return (layer, stage) of unfinished staging, for doctor and prune."""
        ...

    def discard(self, layer_id: str, stage: str) -> None:
        """Throw unfinished staging away."""
        ...

    def close(self) -> None:
        """Close readers and connections."""
        ...


__all__ = [
    "BBox", "Diff", "FeatureBatch", "FieldDef", "Geometries", "LayerReader", "LayerStore", "Page",
    "Query", "VersionWriter", "WriteReport",
]  # fmt: skip
