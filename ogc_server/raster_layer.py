"""One raster collection as one request sees it: version, grid, bands, CRS, and the open file.

Every door to a raster (coverage, map, EDR, STAC, COG) begins here, so that access rules, versions,
validators and what happens with a damaged file are the same at each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyproj.exceptions import ProjError

from catalog.datasets import Dataset
from catalog.errors import QueryError, SatuDataError
from catalog.model import VersionInfo
from layers.crs import crs_of, transform_bounds
from layers.raster_grid import Box, Cells, Grid, grid_of
from layers.raster_read import dataset_grid, read_cells
from layers.raster_style import Band, bands_of
from ogc_server.answer import PINNED, REVALIDATE, digest
from ogc_server.ask import Ask
from ogc_server.crs import Crs, from_code, storage, supported
from ogc_server.errors import LayerBrokenError, OutsideError, ParameterError
from ogc_server.raster_params import pick_crs
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot
from ogc_server.spatial import boxes

__all__ = [
    "REVISION",
    "Band",
    "RasterLayer",
    "bands_of",
    "moved",
    "native_crs",
    "offered_crs",
    "open_layer",
    "shown",
]

REVISION = 2
"""Raised when the same question gets other bytes than before; part of every validator."""


def native_crs(info: VersionInfo) -> Crs | None:
    """Return the CRS of the stored raster; without URI when no register knows it; None if unknown."""
    code = info.extra.get("crs")
    if not code:
        return None
    if code.upper().startswith(("EPSG:", "OGC:")):
        return storage(code) if code.upper() == "EPSG:4326" else from_code(code)
    return Crs("", code, swapped=False, geographic=bool(crs_of(code).is_geographic))


def offered_crs(info: VersionInfo) -> dict[str, Crs]:
    """Return uri -> CRS that answers are given in: the raster's own first, then those of all."""
    own = native_crs(info)
    return ({own.uri: own} if own and own.uri else {}) | supported()


@dataclass(frozen=True, slots=True)
class RasterLayer:
    """A raster collection at one version."""

    service: Service
    snapshot: Snapshot
    dataset: Dataset
    info: VersionInfo
    pinned: bool

    @property
    def cache(self) -> str:
        """Return the cache rule: a numbered version never changes."""
        return PINNED if self.pinned else REVALIDATE

    @property
    def crs(self) -> Crs:
        """Return the native CRS."""
        found = native_crs(self.info)
        if found is None:
            raise LayerBrokenError("the stored version does not say its CRS", where=self.dataset.id)
        return found

    def title(self, lang: str) -> str:
        """Return the title in a language."""
        return self.dataset.record.title.get(lang) or self.dataset.id

    def tag(self, ask: Ask, *more: object) -> str:
        """Return the strong validator: the version, the question and the representation."""
        return digest(
            ask.base, ask.path, sorted(ask.pairs), ask.chosen, ask.lang, self.info.version,
            self.info.checksum, REVISION, *more,
        )  # fmt: skip

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is wrong with the file (not with the question) leaves the layer out."""
        try:
            yield
        except QueryError:
            raise
        except (SatuDataError, OSError, ValueError, RuntimeError) as error:
            if isinstance(error, SatuDataError) and error.http_status < 500:
                raise
            if not self.pinned and not self._sound():
                self.snapshot.mark_broken(self.dataset.id, error)
            raise LayerBrokenError(where=self.dataset.id) from error

    def _sound(self) -> bool:
        """Tell whether the file can be read at its corners: no question may take a sound layer down."""
        try:
            self.probe()
        except (SatuDataError, OSError, ValueError, RuntimeError):
            return False
        return True

    def probe(self) -> None:
        """Read one cell at each corner; raises what the file's damage raises."""
        with self.service.rasters().lease(self.info) as source:
            right, bottom = source.width - 1, source.height - 1
            for column, row in ((0, 0), (right, 0), (0, bottom), (right, bottom)):
                read_cells(source, [1], Cells(column, row, 1, 1), 1, 1)

    def grid(self) -> Grid:
        """Return the grid of the whole raster in its own CRS, north up."""
        if (known := grid_of(self.info)) is not None:
            return known
        with self.reading(), self.service.rasters().lease(self.info) as source:
            return dataset_grid(source, self.crs.code)

    def bands(self, wanted: Sequence[str] | None, where: str) -> tuple[Band, ...]:
        """Return the bands by name or number; all when none is named."""
        known = bands_of(self.info)
        if not wanted:
            return known
        by_name = {str(band.index): band for band in known} | {band.name: band for band in known}
        for name in wanted:
            if name not in by_name:
                names = ", ".join(band.name for band in known)
                raise ParameterError("query.band", where, value=name[:80], known=names)
        return tuple(dict.fromkeys(by_name[name] for name in wanted))

    def pick(self, value: str | None, where: str, default: Crs) -> Crs:
        """Return a CRS that this collection is offered in."""
        return pick_crs(value, offered_crs(self.info), where, default)

    def extent(self, crs: Crs, where: str) -> Box:
        """Return the raster's own box in a CRS."""
        return moved(self.grid().bounds, self.crs, crs, where)

    def clip(self, box: Box, crs: Crs, where: str) -> Box:
        """Return the part of an x, y box that lies on the raster; OutsideError when none does."""
        west, south, east, north = self.extent(crs, where)
        cut = (max(box[0], west), max(box[1], south), min(box[2], east), min(box[3], north))
        if cut[0] > cut[2] or cut[1] > cut[3]:
            raise OutsideError("query.beside", where, value=shown((west, south, east, north)))
        return cut

    def sides(self, numbers: tuple[float, ...], crs: Crs, where: str) -> list[Box]:
        """Return a box of the door as x, y boxes.

        Two when it crosses the antimeridian and both sides lie on the raster, else one.
        """
        parts = boxes(numbers, crs, where)
        if len(parts) == 1:
            return parts
        west, _, east, _ = self.extent(crs, where)
        return [part for part in parts if part[0] < east and west < part[2]] or parts[:1]

    def one_box(self, numbers: tuple[float, ...], crs: Crs, where: str) -> Box:
        """Return a box of the door as one x, y box; ParameterError where both sides have the raster."""
        found = self.sides(numbers, crs, where)
        if len(found) > 1:
            raise ParameterError("query.antimeridian", where)
        return found[0]


def shown(box: Box) -> str:
    """Return a box as people write it."""
    return ",".join(f"{one:.10g}" for one in box)


def moved(box: Box, source: Crs, target: Crs, where: str) -> Box:
    """Return a box in another CRS; ParameterError where that CRS means nothing."""
    try:
        found = transform_bounds(box, source.code, target.code)
    except ProjError:
        found = (math.inf,) * 4
    if not all(map(math.isfinite, found)) or found[0] > found[2]:
        raise ParameterError("query.bbox-outside", where, value=shown(box))
    return found


def open_layer(service: Service, snapshot: Snapshot, ask: Ask) -> RasterLayer:
    """Return the raster collection that is asked for; 404 when it is none, or not for this caller."""
    version = ask.values.get("version")
    dataset, info = snapshot.layer(ask.arguments[0], version, ("raster",))
    return RasterLayer(service, snapshot, dataset, info, pinned=version is not None)
