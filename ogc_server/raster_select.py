"""Which part of a raster, at which size and in which CRS: the question of coverage and area queries.

The part is the smallest rectangle of whole cells that covers the box asked for. In the raster's own
CRS values are read as they are; in another CRS the grid of the answer starts at the box's north-west
corner with cells as large as the raster's are there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import calculate_default_transform

from layers.crs import crs_of
from layers.raster_grid import Box, Cells, Grid
from layers.raster_read import Values, read_cells, read_grid
from ogc_server.crs import CRS84, Crs
from ogc_server.errors import ParameterError
from ogc_server.raster_layer import Band, RasterLayer, moved, shown
from ogc_server.raster_params import AnswerTooLargeError, Interval, OutsideError

_HUGE = 1e7
"""No answer has more columns or rows; keeps sizes within what integers of GDAL hold."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to read: `cells` in the raster's own grid (None: warped), and the grid of the answer."""

    crs: Crs
    cells: Cells | None
    full: Grid
    grid: Grid

    def count(self, bands: int) -> int:
        """Return how many values the answer holds."""
        return self.grid.width * self.grid.height * bands


def select(layer: RasterLayer, values: Mapping[str, Any]) -> Selection:
    """Return what a coverage request asks for; errors name the parameter."""
    out = layer.pick(values.get("crs"), "crs", layer.crs)
    box, crs, where = _box(layer, values)
    return resized(part(layer, box, crs, out, where), values)


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


def resized(chosen: Selection, values: Mapping[str, Any]) -> Selection:
    """Return the selection in the size asked for: by factor, by numbers of cells, or as it is."""
    given = [name for name in ("scale-factor", "scale-axes", "scale-size") if name in values]
    if "width" in values or "height" in values:
        given.append("width")
    if len(given) > 1:
        raise ParameterError("query.sizes", given[1], value=given[0])
    wide, high = _size(chosen.full, values)
    if max(wide, high) > _HUGE:
        raise too_large(chosen.full.width, chosen.full.height, _HUGE, given[0] if given else "bbox")
    return Selection(
        chosen.crs, chosen.cells, chosen.full, chosen.full.sized(max(1, round(wide)), max(1, round(high)))
    )


def _size(full: Grid, values: Mapping[str, Any]) -> tuple[float, float]:
    width, height = float(full.width), float(full.height)
    if (factor := values.get("scale-factor")) is not None:
        return width / factor, height / factor
    if (factors := values.get("scale-axes")) is not None:
        return width / factors.get("x", 1.0), height / factors.get("y", 1.0)
    if (sizes := values.get("scale-size")) is not None:
        return sizes.get("x", width), sizes.get("y", height)
    if "width" not in values and "height" not in values:
        return width, height
    shape = height / width
    wide = values.get("width") or values["height"] / shape
    return wide, values.get("height") or values["width"] * shape


def too_large(width: int, height: int, most: float, where: str) -> AnswerTooLargeError:
    """Return the refusal of too many values, with the factor that would do."""
    factor = math.ceil(math.sqrt(width * height / most) * 1.01 + 0.01)
    return AnswerTooLargeError("query.too-large", where, most=int(most), factor=factor)


def check_size(chosen: Selection, bands: int, most: int, where: str = "scale-factor") -> None:
    """Refuse an answer of more than `most` values before anything is read."""
    if chosen.count(bands) > most:
        raise too_large(chosen.full.width * bands, chosen.full.height, most, where)


def read(layer: RasterLayer, bands: tuple[Band, ...], chosen: Selection) -> Values:
    """Read the values: a masked array (bands, rows north to south, columns west to east)."""
    indexes = [band.index for band in bands]
    with layer.reading():
        if chosen.cells is None:
            return read_grid(layer.service.rasters(), layer.info, indexes, chosen.grid)
        with layer.service.rasters().lease(layer.info) as source:
            return read_cells(source, indexes, chosen.cells, chosen.grid.width, chosen.grid.height)


def _box(layer: RasterLayer, values: Mapping[str, Any]) -> tuple[Box | None, Crs, str]:
    """Return the box of `bbox` or `subset` as x, y, its CRS, and the parameter's name."""
    if "bbox" in values and "subset" in values:
        raise ParameterError("query.bbox-and-subset", "subset")
    if "bbox" in values:
        crs = layer.pick(values.get("bbox-crs"), "bbox-crs", CRS84)
        return layer.one_box(values["bbox"], crs, "bbox"), crs, "bbox"
    if "bbox-crs" in values:
        raise ParameterError("query.bbox-crs-alone", "bbox-crs")
    if "subset" in values:
        crs = layer.pick(values.get("subset-crs"), "subset-crs", CRS84)
        return _subset_box(layer, values["subset"], crs), crs, "subset"
    return None, CRS84, "bbox"


def _subset_box(layer: RasterLayer, asked: Mapping[str, Interval], crs: Crs) -> Box:
    west, south, east, north = layer.extent(crs, "subset")
    (low_x, high_x), (low_y, high_y) = asked.get("x", (None, None)), asked.get("y", (None, None))
    box = (
        west if low_x is None else low_x, south if low_y is None else low_y,
        east if high_x is None else high_x, north if high_y is None else high_y,
    )  # fmt: skip
    ordered = (box[1], box[0], box[3], box[2]) if crs.swapped else box
    return layer.one_box(ordered, crs, "subset")
