"""The cells of a raster below a polygon, each with the part that the polygon covers (exactextract).

A polygon is looked at in strips of rows, so memory stays bounded however fine the raster is, and
GDAL's own block cache is kept small. The parts are exact, so a polygon smaller than a cell gets its
part of that cell, and neighbours share the cells of their border.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
from rasterio.windows import Window, from_bounds
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

    def window(self, bounds: tuple[float, ...]) -> tuple[Window | None, bool]:
        """Return the whole cells below a box (None outside), and whether all of the box has cells."""
        asked = from_bounds(*bounds, transform=self.dataset.transform)
        left, top = int(np.floor(asked.col_off)), int(np.floor(asked.row_off))
        right = int(np.ceil(asked.col_off + asked.width))
        bottom = int(np.ceil(asked.row_off + asked.height))
        inside = Window(max(left, 0), max(top, 0), 0, 0)
        width = min(right, self.dataset.width) - inside.col_off
        height = min(bottom, self.dataset.height) - inside.row_off
        if width <= 0 or height <= 0:
            return None, False
        whole = width == right - left and height == bottom - top
        return Window(inside.col_off, inside.row_off, width, height), whole

    def cells(self, geometry: BaseGeometry, window: Window, *, areas: bool = True) -> Iterator[Cells]:
        """Yield the cells of a polygon (in the raster's CRS) within a window, strip by strip."""
        rows = max(1, STRIP_CELLS // int(window.width))
        for top in range(int(window.row_off), int(window.row_off + window.height), rows):
            height = min(rows, int(window.row_off + window.height) - top)
            yield self._strip(geometry, Window(window.col_off, top, window.width, height), areas)

    def _strip(self, geometry: BaseGeometry, strip: Window, areas: bool) -> Cells:
        read = self.dataset.read(self.band, window=strip, masked=True)
        grid = np.ma.filled(read.astype(np.float64), np.inf)  # of NaN exactextract would not tell the part
        grid[np.isnan(grid)] = np.inf
        west, south, east, north = self.dataset.window_bounds(strip)
        grid_source = NumPyRasterSource(grid, west, south, east, north)
        wanted = ["values", "coverage", *(["cell_id"] if areas else [])]
        found = exact_extract(grid_source, _One(geometry), wanted)[0]["properties"]
        cover = np.asarray(found["coverage"], np.float64)
        area = cover * self.cell_size
        if areas and len(cover):  # cells are numbered row by row from the north-west
            area = cover * self._row_areas(strip)[np.asarray(found["cell_id"]) // grid.shape[1]]
        return Cells(np.asarray(found["values"], np.float64), cover, area)

    def _row_areas(self, strip: Window) -> Floats:
        """Return m2 (equal-area) of a cell of each row, in the middle column: within a desa all are alike."""
        to = self.dataset.transform
        edges = to.f + to.e * np.arange(strip.row_off, strip.row_off + strip.height + 1)
        west = to.c + to.a * (strip.col_off + strip.width // 2)
        x, y = self._flat.transform(np.repeat([west, west + to.a], len(edges)), np.tile(edges, 2))
        left, right = np.split(np.column_stack([x, y]), 2)
        rings = np.stack([left[:-1], right[:-1], right[1:], left[1:]], axis=1)
        made: Floats = shapely.area(shapely.polygons(rings))
        return made


class _One(JSONFeatureSource):  # type: ignore[misc]  # the library is not typed
    """A single polygon, handed over as WKB instead of as JSON text."""

    def __init__(self, geometry: BaseGeometry) -> None:
        super().__init__([geometry])

    def __iter__(self) -> Iterator[JSONFeature]:
        return (_Polygon(one) for one in self.src)


class _Polygon(JSONFeature):  # type: ignore[misc]
    def __init__(self, geometry: BaseGeometry) -> None:
        super().__init__(None)
        self._wkb: bytes = shapely.to_wkb(geometry)

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
