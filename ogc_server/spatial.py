"""bbox brought from the door's CRS to the storage CRS (x, y)."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from pygeofilter import ast, values

from layers.valid import valid
from ogc_server.crs import CRS84, Crs, storage, transformer
from ogc_server.errors import ParameterError
from ogc_server.parameters import Numbers

_STEPS = 21
_MARGIN = 1.0
type Box = tuple[float, float, float, float]


def boxes(box: Numbers, crs: Crs, where: str = "bbox") -> list[Box]:
    """Return the box as one or two x, y boxes in `crs`: two when it crosses the antimeridian."""
    west, south, east, north = box
    if crs.swapped:
        west, south, east, north = south, west, north, east
    shown = ",".join(f"{number:g}" for number in box)
    if south > north:
        raise ParameterError("query.bbox-order", where, value=shown)
    if not crs.geographic:
        if west > east:
            raise ParameterError("query.bbox-order", where, value=shown)
        return [(west, south, east, north)]
    if max(abs(south), abs(north)) > 90 or max(abs(west), abs(east)) > 180:
        raise ParameterError("query.bbox-range", where, value=shown)
    if west > east:
        return [(west, south, 180.0, north), (-180.0, south, east, north)]
    return [(west, south, east, north)]


def bbox_query(box: Numbers, crs: Crs, storage_code: str, extent: Box | None) -> tuple[Box | None, Any]:
    """Return (envelope in storage CRS, exact condition or None) of a bbox in `crs`.

    A box across the antimeridian keeps west > east, which the store knows. A box whose edges bend in
    the storage CRS is its envelope (for the index) and the bent outline (for exactness); it is cut to
    the layer's `extent` (CRS84) first, as a projection means nothing far from its own area.
    """
    parts = boxes(box, crs)
    target = storage(storage_code)
    plain = crs.code == target.code or _same_datum(crs, target)
    if plain:
        return (parts[0][0], parts[0][1], parts[-1][2], parts[-1][3]), None
    if crs.geographic and extent is not None and extent[0] <= extent[2]:
        parts = [clipped for part in parts if (clipped := _clip(part, extent)) is not None]
        if not parts:
            return None, ast.Include(not_=True)
    shapes = [_bent(part, crs, target.code) for part in parts]
    conditions = [_touches(shape) for shape in shapes]
    if len(shapes) == 1:
        west, south, east, north = shapes[0].bounds
        return (west, south, east, north), conditions[0]
    return None, ast.Or(*conditions)


def inside(box: Box) -> Any:
    """Return the condition of a storage-CRS box, which may cross the antimeridian."""
    west, south, east, north = box
    if west <= east:
        return _touches(shapely.box(west, south, east, north))
    halves = [shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)]
    return _touches(shapely.MultiPolygon(halves))


def _touches(shape: Any) -> Any:
    return ast.GeometryIntersects(ast.Attribute("geometry"), values.Geometry(shapely.geometry.mapping(shape)))


def _clip(part: Box, extent: Box) -> Box | None:
    """Return the part within a degree of the extent, None when there is none."""
    west, south = max(part[0], extent[0] - _MARGIN), max(part[1], extent[1] - _MARGIN)
    east, north = min(part[2], extent[2] + _MARGIN), min(part[3], extent[3] + _MARGIN)
    return (west, south, east, north) if west <= east and south <= north else None


def _same_datum(one: Crs, other: Crs) -> bool:
    return {one.code, other.code} <= {"OGC:CRS84", "EPSG:4326"}


def _bent(part: Box, crs: Crs, target: str) -> Any:
    west, south, east, north = part
    width = max(east - west, north - south) / _STEPS
    outline = (
        shapely.segmentize(shapely.box(west, south, east, north), width)
        if width > 0
        else shapely.Point(west, south)
    )
    points = shapely.get_coordinates(outline)
    x, y = transformer(crs.code, target).transform(points[:, 0], points[:, 1])
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ParameterError("query.bbox-outside", "bbox", value=",".join(f"{number:g}" for number in part))
    moved = shapely.set_coordinates(outline, np.column_stack([x, y]))
    return moved if moved.is_valid else valid(moved)


def record_box(box: Numbers) -> list[Box]:
    """Return a bbox in CRS84 for records and collections, where envelopes are compared."""
    return boxes(box, CRS84)


def overlaps(one: Box, other: Box) -> bool:
    """Tell whether two boxes share a point."""
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
