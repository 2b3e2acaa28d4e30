"""Which part of a raster, at which size and in which CRS: the question of coverage and area queries.

The part is the smallest rectangle of whole cells that covers the box asked for. In the raster's own
CRS values are read as they are; in another CRS the grid of the answer starts at the box's north-west
corner with cells as large as the raster's are there. A size (`width`, `height`, `scale-size`) is laid
over the box as it was asked, also where that reaches beyond the raster (`raster_sized`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import calculate_default_transform

from layers.crs import crs_of
from layers.raster_grid import Box, Cells, Grid
from layers.raster_read import Values, read_cells, read_grid
from ogc_server.crs import Crs
from ogc_server.errors import OutsideError, ParameterError
from ogc_server.raster_layer import Band, RasterLayer, moved, shown
from ogc_server.raster_region import Region, region
from ogc_server.raster_sized import counted, resized, too_large, window


@dataclass(frozen=True, slots=True)
class Selection:
    """What to read: `cells` in the raster's own grid (None: warped), and the grid of the answer.

    `points` are the axes on which one value was asked for. `beyond` are more cells that follow to the
    east, across the antimeridian.
    """

    crs: Crs
    cells: Cells | None
    full: Grid
    grid: Grid
    points: frozenset[str] = frozenset()
    beyond: Cells | None = None

    def count(self, bands: int) -> int:
        """Return how many values the answer holds."""
        return self.grid.width * self.grid.height * bands


def select(layer: RasterLayer, values: Mapping[str, Any]) -> Selection:
    """Return what a coverage request asks for; errors name the parameter."""
    out = layer.pick(values.get("crs"), "crs", layer.crs)
    asked = region(layer, values)
    if asked is None:
        return _sized(part(layer, None, out, out, "bbox"), None, out, values)
    if len(asked.boxes) > 1:
        return _sized(replace(_across(layer, asked, out), points=asked.points), None, out, values)
    (box,) = asked.boxes
    chosen = replace(part(layer, box, asked.crs, out, asked.where), points=asked.points)
    if not counted(values):
        return _sized(chosen, None, out, values)
    exact = box if asked.crs.code == out.code else moved(box, asked.crs, out, asked.where)
    return _sized(chosen, exact, out, values)


def _sized(chosen: Selection, exact: Box | None, out: Crs, values: Mapping[str, Any]) -> Selection:
    """Return the selection at the size asked for; warped where that does not fit the raster's cells."""
    grid = window(chosen.full, exact)
    cells = chosen.cells if grid is chosen.full else None
    made = resized(grid, chosen.points, out, values)
    if not _same_area(made, grid):
        cells = None
    if chosen.beyond is not None and cells is None:
        raise ParameterError("query.antimeridian", "bbox")
    return replace(chosen, cells=cells, full=grid, grid=made)


def _same_area(one: Grid, other: Grid) -> bool:
    near = 1e-6 * min(other.dx, other.dy)
    return all(abs(a - b) <= near for a, b in zip(one.bounds, other.bounds, strict=True))


def _across(layer: RasterLayer, asked: Region, out: Crs) -> Selection:
    """Return both sides of the antimeridian as one grid, whose x goes on beyond 180 degrees."""
    west, east = (part(layer, box, asked.crs, out, asked.where) for box in asked.boxes)
    if west.cells is None or east.cells is None or not out.geographic:
        raise ParameterError("query.antimeridian", asked.where)
    grid = replace(west.full, width=west.full.width + east.full.width)
    return Selection(out, west.cells, grid, grid, beyond=east.cells)


def part(layer: RasterLayer, box: Box | None, crs: Crs, out: Crs, where: str) -> Selection:
    """Return a box (x, y in `crs`; None: all) of the raster at full resolution in the CRS `out`."""
    whole, own = layer.grid(), layer.crs
    near = whole.bounds if box is None else moved(layer.clip(box, crs, where), crs, own, where)
    cells = whole.cells(near)
    if cells is None:
        raise OutsideError("query.beside", where, value=shown(whole.bounds))
    if out.code == own.code or {out.code, own.code} <= {"OGC:CRS84", "EPSG:4326"}:
        grid = whole.part(cells)
        return Selection(out, cells, grid, grid)
    same = box is not None and crs.code == out.code
    target = layer.clip(box, crs, where) if box and same else moved(near, own, out, "crs")
    grid = _natural(whole.part(cells), own, out, target)
    return Selection(out, None, grid, grid)


def _natural(grid: Grid, own: Crs, out: Crs, target: Box) -> Grid:
    """Return a grid over the box with cells as large as the raster's are in that CRS."""
    source, wanted = (CRS.from_wkt(crs_of(one.code).to_wkt()) for one in (own, out))
    try:
        place, _, _ = calculate_default_transform(source, wanted, grid.width, grid.height, *grid.bounds)
    except RasterioError as error:
        raise ParameterError("query.bbox-outside", "crs", value=out.uri) from error
    west, south, east, north = target
    width = max(1, math.ceil((east - west) / place.a - 1e-6))
    height = max(1, math.ceil((north - south) / -place.e - 1e-6))
    return Grid(out.code, west, north, place.a, -place.e, width, height)


def check_size(chosen: Selection, bands: int, most: int, where: str = "scale-factor") -> None:
    """Refuse an answer of more than `most` values before anything is read."""
    if chosen.count(bands) > most:
        raise too_large(chosen.full.width * bands, chosen.full.height, most, where)


def read(layer: RasterLayer, bands: tuple[Band, ...], chosen: Selection) -> Values:
    """Read the values: a masked array (bands, rows north to south, columns west to east)."""
    indexes = [band.index for band in bands]
    width, height = chosen.grid.width, chosen.grid.height
    with layer.reading():
        if chosen.cells is None:
            return read_grid(layer.service.rasters(), layer.info, indexes, chosen.grid)
        with layer.service.rasters().lease(layer.info) as source:
            if chosen.beyond is None:
                return read_cells(source, indexes, chosen.cells, width, height)
            first = _share(width, chosen.cells.width, chosen.beyond.width)
            west = read_cells(source, indexes, chosen.cells, first, height)
            east = read_cells(source, indexes, chosen.beyond, width - first, height)
    return np.ma.concatenate([west, east], axis=2)


def _share(width: int, first: int, second: int) -> int:
    """Return how many of the answer's columns the first of two parts gets: at least one each."""
    return min(max(1, round(width * first / (first + second))), width - 1)
