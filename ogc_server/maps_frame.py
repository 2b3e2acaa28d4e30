"""Which pixels a map has: box, centre, size and scale (OGC API - Maps 1.0, 20-058).

Classes "Scaling", "Display Resolution" and "Spatial Subsetting": metres on the ground per pixel are
`mm-per-pixel` / 1000 x `scale-denominator`, measured at the middle of the map; where one side is not
given, pixels are as high on the ground as they are wide. `width` and `height` are the size of the map;
with `center` or `scale-denominator` and without a box they are also its area.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from pyproj import Geod

from layers.crs import transform_coordinates
from layers.raster_grid import Box, Grid, over
from ogc_server.crs import CRS84, Crs
from ogc_server.errors import AnswerTooLargeError, ParameterError
from ogc_server.raster_layer import RasterLayer, moved
from ogc_server.raster_region import region

DEFAULT_SIDE = 1024
MOST_SIDE = 8192
MOST_PIXELS = 16_000_000
PIXEL = 0.28
"""Millimetres of a pixel where the client does not say (20-058, `mm-per-pixel-definition` C)."""
_STEP = 1e-3
_WORLD = "EPSG:3857"
"""The projection we offer whose x goes round the earth."""
_SQUARE = 0.01
"""A projection that is true in angles to within this part gets square pixels: Web Mercator is so on a
sphere, and by up to 0.7 % not so on the ellipsoid."""


def frame(layer: RasterLayer, values: Mapping[str, Any], crs: Crs) -> tuple[Grid, ...]:
    """Return the grid of pixels of a map in `crs`: two, side by side, across the antimeridian."""
    asked = region(layer, values)
    if "center" in values:
        if asked is not None:
            raise ParameterError("query.regions", "center", value=asked.where)
        return (_around(layer, values, crs),)
    if asked is None:
        if "scale-denominator" in values and ("width" in values or "height" in values):
            return (_around(layer, values, crs),)
        box = layer.extent(crs, "crs")
        return (over(crs.code, box, *size(box, crs, values)),)
    parts = [
        one if asked.crs.code == crs.code else moved(one, asked.crs, crs, asked.where) for one in asked.boxes
    ]
    if len(parts) == 1:
        return (over(crs.code, parts[0], *size(parts[0], crs, values)),)
    if not crs.geographic and crs.code != _WORLD:
        raise ParameterError("query.antimeridian", asked.where)
    return _side_by_side(parts, crs, values)


def _side_by_side(parts: list[Box], crs: Crs, values: Mapping[str, Any]) -> tuple[Grid, ...]:
    """Return the grids west and east of the antimeridian, in columns by their share of the width."""
    first, second = parts
    across = second[2] - second[0]
    width, height = size((first[0], first[1], first[2] + across, first[3]), crs, values)
    share = round(width * (first[2] - first[0]) / (first[2] - first[0] + across))
    share = min(max(1, share), max(1, width - 1))
    return over(crs.code, first, share, height), over(crs.code, second, max(1, width - share), height)


def size(box: Box, crs: Crs, values: Mapping[str, Any]) -> tuple[int, int]:
    """Return columns and rows of a map of this box; 413 beyond the limits of one picture."""
    across, down = box[2] - box[0], box[3] - box[1]
    shape = down / across if across > 0 and down > 0 else 0.0
    if not 1e-9 < shape < 1e9:
        raise ParameterError("query.bbox-flat", "bbox")
    width, height = values.get("width"), values.get("height")
    if "scale-denominator" in values:
        if width or height:
            raise ParameterError("query.scale-and-size", "scale-denominator")
        metres = _metres(crs, box)
        if metres is None:
            raise ParameterError("query.bbox-outside", "scale-denominator", value=crs.uri)
        per_pixel = _per_pixel(values, values["scale-denominator"])
        return _checked(across * metres[0] / per_pixel, down * metres[1] / per_pixel, "scale-denominator")
    if width is None or height is None:  # pixels as high on the ground as they are wide
        metres = _metres(crs, box) or (1.0, 1.0)
        shape *= metres[1] / metres[0]
        if width is None and height is None:
            width = DEFAULT_SIDE if shape <= 1 else max(1, round(DEFAULT_SIDE / shape))
    wide = width or height / shape  # type: ignore[operator]
    high = height or width * shape  # type: ignore[operator]
    return _checked(wide, high, "width" if width else "height")


def _checked(wide: float, high: float, where: str) -> tuple[int, int]:
    if not max(wide, high) <= MOST_SIDE or wide * high > MOST_PIXELS:
        raise AnswerTooLargeError("query.picture-too-large", where, most=MOST_SIDE, pixels=MOST_PIXELS)
    return max(1, round(wide)), max(1, round(high))


def _around(layer: RasterLayer, values: Mapping[str, Any], crs: Crs) -> Grid:
    """Return the map around a centre (default: the raster's) at a scale (default: a cell a pixel)."""
    extent = layer.extent(crs, "crs")
    x, y = _middle(layer, values, crs) if "center" in values else _centre(extent)
    metres = _metres(crs, (x, y, x, y), extent)
    if metres is None:
        raise ParameterError("query.bbox-outside", "center", value=f"{x:g},{y:g}")
    per_pixel = _per_pixel(values, values.get("scale-denominator") or _own_scale(layer))
    dx, dy = per_pixel / metres[0], per_pixel / metres[1]
    whole = (extent[2] - extent[0]) / dx, (extent[3] - extent[1]) / dy
    wide, high = (
        float(values.get(name) or min(DEFAULT_SIDE, max(1.0, math.ceil(one - 1e-6))))
        for name, one in zip(("width", "height"), whole, strict=True)
    )
    width, height = _checked(wide, high, "width")
    return Grid(crs.code, x - width * dx / 2, y + height * dy / 2, dx, dy, width, height)


def _middle(layer: RasterLayer, values: Mapping[str, Any], crs: Crs) -> tuple[float, float]:
    """Return `center` as x, y of the map's CRS."""
    given = layer.pick(values.get("center-crs"), "center-crs", CRS84)
    first, second = values["center"]
    x, y = (second, first) if given.swapped else (first, second)
    if given.geographic and (abs(x) > 180 or abs(y) > 90):
        raise ParameterError("query.coords-range", "center")
    if given.code != crs.code:
        x, y = transform_coordinates(np.array([[x, y]]), given.code, crs.code)[0].tolist()
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ParameterError("query.bbox-outside", "center", value=f"{first:g},{second:g}")
    return x, y


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _per_pixel(values: Mapping[str, Any], scale: float) -> float:
    """Return metres on the ground per pixel (20-058, `scale-denominator-definition` C)."""
    return float(values.get("mm-per-pixel", PIXEL)) / 1000 * scale


def _own_scale(layer: RasterLayer) -> float:
    """Return the scale at which a pixel of 0.28 mm is as high as one cell of the raster."""
    grid = layer.grid()
    metres = _metres(layer.crs, grid.bounds)
    if metres is None:
        raise ParameterError("query.bbox-outside", "center", value="")
    return grid.dy * metres[1] / (PIXEL / 1000)


def _metres(crs: Crs, box: Box, near: Box | None = None) -> tuple[float, float] | None:
    """Return metres on the ground per unit of x and of y at the middle of a box; None where there are none.

    `near` gives the length of the step that is measured where the box is a point.
    """
    x, y = _centre(box)
    west, south, east, north = near or box
    step_x, step_y = (east - west) * _STEP, (north - south) * _STEP
    ends = np.array([[x - step_x, y], [x + step_x, y], [x, y - step_y], [x, y + step_y]])
    lon, lat = transform_coordinates(ends, crs.code, CRS84.code).T
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()) or abs(lat).max() > 90:
        return None
    _, _, lengths = _earth().inv(lon[[0, 2]], lat[[0, 2]], lon[[1, 3]], lat[[1, 3]])
    across, down = float(lengths[0]) / (2 * step_x), float(lengths[1]) / (2 * step_y)
    if not (across > 0 and down > 0):
        return None
    if not crs.geographic and abs(across / down - 1) < _SQUARE:
        across = down = math.sqrt(across * down)
    return across, down


@cache
def _earth() -> Geod:
    return Geod(ellps="WGS84")
