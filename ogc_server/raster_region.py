"""Which area a coverage or a map is asked for: `bbox` or `subset`, in the CRS named with it.

A `bbox-crs` without `bbox`, and a `subset-crs` without a spatial `subset`, are ignored, as both
standards demand (Maps 1.0 `spatial-subsetting/bbox-crs` F; Coverages 1.0 `subsetting-spatial/bbox-crs` F).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layers.raster_grid import Box
from ogc_server.crs import CRS84, Crs
from ogc_server.errors import OutsideError, ParameterError
from ogc_server.raster_layer import RasterLayer, shown
from ogc_server.raster_subset import Subset, fits


@dataclass(frozen=True, slots=True)
class Region:
    """Boxes (x, y in `crs`; two when both sides of the antimeridian are meant), and who asked."""

    boxes: tuple[Box, ...]
    crs: Crs
    where: str
    points: frozenset[str] = frozenset()


def region(layer: RasterLayer, values: Mapping[str, Any]) -> Region | None:
    """Return the area asked for; None: all of the raster."""
    part: Subset | None = values.get("subset")
    spatial = part is not None and part.spatial
    if "bbox" in values:
        if spatial:
            raise ParameterError("query.bbox-and-subset", "subset")
        crs = layer.pick(values.get("bbox-crs"), "bbox-crs", CRS84)
        return Region(tuple(layer.sides(values["bbox"], crs, "bbox")), crs, "bbox")
    if part is None or not spatial:
        return None
    crs = layer.pick(values.get("subset-crs"), "subset-crs", CRS84)
    fits(part.names, crs, "subset")
    return Region(tuple(_subset_boxes(layer, part, crs)), crs, "subset", part.points)


def _subset_boxes(layer: RasterLayer, asked: Subset, crs: Crs) -> list[Box]:
    """Return the boxes of a subset; `*` and an axis that is not named are the raster's own ends."""
    west, south, east, north = layer.extent(crs, "subset")
    low_x, high_x = asked.x[:2] if asked.x else (None, None)
    low_y, high_y = asked.y[:2] if asked.y else (None, None)
    box = (
        west if low_x is None else low_x, south if low_y is None else low_y,
        east if high_x is None else high_x, north if high_y is None else high_y,
    )  # fmt: skip
    if crs.geographic:
        box = _within(box, (west, south, east, north))
    ordered = (box[1], box[0], box[3], box[2]) if crs.swapped else box
    found = layer.sides(ordered, crs, "subset")
    for one in found:
        layer.clip(one, crs, "subset")  # 404 beside the raster
    return found


def _within(box: Box, extent: Box) -> Box:
    """Return the part of a box in degrees that is on the earth; OutsideError when none is."""
    west, south, east, north = box
    if south > 90 or north < -90 or min(west, east) > 180 or max(west, east) < -180:
        raise OutsideError("query.beside", "subset", value=shown(extent))
    return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)
