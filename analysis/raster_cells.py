"""The cells of a raster below a polygon, each with the part that the polygon covers (exactextract).

A polygon is looked at in strips of rows, so memory stays bounded however fine the raster is, and
GDAL's own block cache is kept small. The parts are exact, so a polygon smaller than a cell gets its
part of that cell, and neighbours share the cells of their border.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from exactextract import exact_extract
from exactextract.feature import JSONFeature, JSONFeatureSource
from exactextract.raster import NumPyRasterSource
from pyproj import CRS, Transformer
from rasterio.windows import Window, union
from shapely.geometry.base import BaseGeometry

from analysis.ragged import Floats
from catalog.errors import ProtocolError, QueryError

STRIP_CELLS = 2_000_000
"""Cells that are read at once."""
_CACHE_MB = 64
EQUAL_AREA = "EPSG:6933"


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells that a polygon touches: value (infinite without data), part covered (0..1), covered m2."""

    values: Floats
    cover: Floats
    area: Floats


class Source:
    """An open raster band, north up, with a CRS."""

    def __init__(self, dataset: Any, band: int) -> None:
        self.dataset, self.band = dataset, band
        self.wkt: str = dataset.crs.to_wkt()
        self.cell_size = abs(dataset.transform.a * dataset.transform.e)
        self._flat = Transformer.from_crs(CRS.from_wkt(self.wkt), EQUAL_AREA, always_xy=True)

    def each(
        self, shapes: Sequence[BaseGeometry], *, areas: bool = True
    ) -> Iterator[tuple[Iterable[Cells], bool]]:
        """Yield for each polygon (in the raster's CRS), in order, its cells and whether all of it has cells.

        Polygons that lie together are read at once, a large one in strips.
        """
        windows = [self._window(shape.bounds) if shape.area else (None, False) for shape in shapes]
        for low, high, window in self._groups([window for window, _ in windows], 0, len(shapes)):
            if window is None:
                yield from (((), False) for _ in range(low, high))
            elif high - low == 1:
                yield self._strips(shapes[low], window, areas), windows[low][1]
            else:
                found = self._read(shapes[low:high], window, areas)
                yield from (([cells], windows[low + n][1]) for n, cells in enumerate(found))

    def _groups(
        self, windows: Sequence[Window | None], low: int, high: int
    ) -> Iterator[tuple[int, int, Window | None]]:
        """Split a row of windows until each group's common window is read at once."""
        some = [one for one in windows[low:high] if one is not None]
        common = union(some) if some else None
        small = common is None or common.width * common.height <= STRIP_CELLS
        if high - low <= 1 or (small and len(some) in (0, high - low)):
            if high > low:
                yield low, high, common
            return
        middle = (low + high) // 2
        yield from self._groups(windows, low, middle)
        yield from self._groups(windows, middle, high)

    def _window(self, bounds: tuple[float, ...]) -> tuple[Window | None, bool]:
        """Return the whole cells below a box (None outside), and whether all of the box has cells."""
        to = self.dataset.transform
        left, right = int(np.floor((bounds[0] - to.c) / to.a)), int(np.ceil((bounds[2] - to.c) / to.a))
        top, bottom = int(np.floor((bounds[3] - to.f) / to.e)), int(np.ceil((bounds[1] - to.f) / to.e))
        west, north = max(left, 0), max(top, 0)
        width, height = min(right, self.dataset.width) - west, min(bottom, self.dataset.height) - north
        if width <= 0 or height <= 0:
            return None, False
        return Window(west, north, width, height), width == right - left and height == bottom - top

    def _strips(self, shape: BaseGeometry, window: Window, areas: bool) -> Iterator[Cells]:
        rows = max(1, STRIP_CELLS // int(window.width))
        for top in range(int(window.row_off), int(window.row_off + window.height), rows):
            height = min(rows, int(window.row_off + window.height) - top)
            yield self._read([shape], Window(window.col_off, top, window.width, height), areas)[0]

    def _read(self, shapes: Sequence[BaseGeometry], window: Window, areas: bool) -> list[Cells]:
        read = self.dataset.read(self.band, window=window, masked=True)
        grid = np.ma.filled(read.astype(np.float64), np.inf)  # of NaN exactextract would not tell the part
        grid[np.isnan(grid)] = np.inf
        west, south, east, north = self.dataset.window_bounds(window)
        source = NumPyRasterSource(grid, west, south, east, north)
        wanted = ["values", "coverage", *(["cell_id"] if areas else [])]
        per_row = self._row_areas(window) if areas else None
        found = exact_extract(source, _Polygons(shapes), wanted)
        return [self._cells(one["properties"], per_row, grid.shape[1]) for one in found]

    def _cells(self, found: dict[str, Any], per_row: Floats | None, columns: int) -> Cells:
        cover = np.asarray(found["coverage"], np.float64)
        area = cover * self.cell_size
        if per_row is not None and len(cover):  # cells are numbered row by row from the north-west
            area = cover * per_row[np.asarray(found["cell_id"]) // columns]
        return Cells(np.asarray(found["values"], np.float64), cover, area)

    def _row_areas(self, window: Window) -> Floats:
        """Return m2 (equal-area) of a cell of each row, in the middle column: within a desa all are alike."""
        to = self.dataset.transform
        edges = to.f + to.e * np.arange(window.row_off, window.row_off + window.height + 1)
        west = to.c + to.a * (window.col_off + window.width // 2)
        x, y = self._flat.transform(np.repeat([west, west + to.a], len(edges)), np.tile(edges, 2))
        left, right = np.split(np.column_stack([x, y]), 2)
        rings = np.stack([left[:-1], right[:-1], right[1:], left[1:]], axis=1)
        made: Floats = shapely.area(shapely.polygons(rings))
        return made


class _Polygons(JSONFeatureSource):  # type: ignore[misc]  # the library is not typed
    """Polygons, handed over as WKB instead of as JSON text."""

    def __init__(self, shapes: Sequence[BaseGeometry]) -> None:
        super().__init__(list(shapes))

    def __iter__(self) -> Iterator[JSONFeature]:
        return (_Polygon(one) for one in self.src)


class _Polygon(JSONFeature):  # type: ignore[misc]
    def __init__(self, shape: BaseGeometry) -> None:
        super().__init__(None)
        self._wkb: bytes = shapely.to_wkb(shape)

    def geometry(self) -> bytes:
        return self._wkb


@contextmanager
def opened(raster: Path | str, band: int, *, crs: str | None = None) -> Iterator[Source]:
    """Open one band. QueryError for a band that is not there, ProtocolError for an unusable raster.

    `crs` stands in where the file declares none.
    """
    name = Path(raster).name
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        try:
            dataset = rasterio.open(raster)
        except rasterio.errors.RasterioIOError as error:
            raise ProtocolError("the raster can not be read", where=name) from error
        with dataset:
            if not 1 <= band <= dataset.count:
                raise QueryError(f"the raster has {dataset.count} band(s)", where="band")
            to = dataset.transform
            if to.b or to.d or to.e >= 0 or to.is_identity:
                raise ProtocolError("the raster is not north up", where=name)
            if dataset.crs is None and crs is None:
                raise ProtocolError("the raster has no CRS", where=name)
            with (
                rasterio.vrt.WarpedVRT(dataset, src_crs=crs, crs=crs)
                if dataset.crs is None
                else dataset as it
            ):
                yield Source(it, band)


def moved(geometries: Iterable[BaseGeometry], crs: str, wanted: str) -> list[BaseGeometry]:
    """Return polygons in another CRS (their vertices are moved, edges stay straight)."""
    here, there = CRS.from_user_input(crs), CRS.from_user_input(wanted)
    if here.equals(there, ignore_axis_order=True):
        return list(geometries)
    transform = Transformer.from_crs(here, there, always_xy=True).transform

    def points(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(transform(xy[:, 0], xy[:, 1]))

    return [shapely.transform(geometry, points) for geometry in geometries]
