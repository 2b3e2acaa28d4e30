"""The size of a coverage: by factor, by numbers of cells, or by resolution in the answer's CRS.

OGC API - Coverages 1.0 (19-087, rc4) "Spatial Scaling" has `resolution`, `width` and `height`; the
draft before it had `scale-factor`, `scale-axes` and `scale-size`, which clients still use. `scaleSize` is
the name in the draft of 2021: it is what GDAL's driver `OGCAPI` sends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from layers.raster_grid import Box, Grid, over
from ogc_server.crs import Crs
from ogc_server.errors import AnswerTooLargeError, ParameterError
from ogc_server.raster_subset import PerAxis, fits

HUGE = 1e7
"""No answer has more columns or rows; keeps sizes within what integers of GDAL hold."""
_WAYS = ("scale-factor", "scale-axes", "scale-size", "scaleSize", "resolution")
_NEAR = 1e-3
"""Part of a cell by which a box may miss the edges of cells and still mean them."""


def counted(values: Mapping[str, Any]) -> bool:
    """Tell whether a number of columns or rows is asked for."""
    return not values.keys().isdisjoint(("width", "height", "scale-size", "scaleSize"))


def window(full: Grid, exact: Box | None) -> Grid:
    """Return the area that a number of cells is laid over: the very box, where it is not whole cells.

    The rows and columns of the returned grid are as large as the raster's own.
    """
    if exact is None:
        return full
    if all(
        abs(one - other) <= _NEAR * size
        for one, other, size in zip(exact, full.bounds, (full.dx, full.dy) * 2, strict=True)
    ):
        return full
    west, south, east, north = exact
    if not (east > west and north > south):  # a line or a point: the cells that it lies in
        return full
    wide, high = max(1.0, (east - west) / full.dx), max(1.0, (north - south) / full.dy)
    if max(wide, high) > HUGE:
        raise too_large(full.width, full.height, HUGE, "bbox")
    return over(full.crs, exact, round(wide), round(high))


def resized(full: Grid, points: frozenset[str], out: Crs, values: Mapping[str, Any]) -> Grid:
    """Return the grid in the size asked for, as it is when none is asked for.

    ParameterError for two ways at once, and for a size along an axis on which one value is asked for
    (Coverages 1.0, `subset-scaling-exclusivity`).
    """
    given = [name for name in _WAYS if name in values]
    if "width" in values or "height" in values:
        given.append("width")
    if len(given) > 1:
        raise ParameterError("query.sizes", given[1], value=given[0])
    if not given:
        return full
    if points & _axes(values, given[0]):
        raise ParameterError("query.slice-and-size", given[0])
    if given[0] == "resolution":
        return _resolved(full, values["resolution"], out)
    wide, high = _size(full, values)
    wide, high = (1.0 if "x" in points else wide), (1.0 if "y" in points else high)
    if max(wide, high) > HUGE:
        raise too_large(full.width, full.height, HUGE, given[0])
    return full.sized(max(1, round(wide)), max(1, round(high)))


def _axes(values: Mapping[str, Any], way: str) -> set[str]:
    """Return the axes that are named with a size of their own."""
    if way == "width":
        return {axis for name, axis in (("width", "x"), ("height", "y")) if name in values}
    if way == "scale-factor":
        return set()
    if way == "resolution":
        return {axis for axis, one in values[way].values.items() if one is not None}
    return set(values[way])


def _size(full: Grid, values: Mapping[str, Any]) -> tuple[float, float]:
    width, height = float(full.width), float(full.height)
    if (factor := values.get("scale-factor")) is not None:
        return width / factor, height / factor
    if (factors := values.get("scale-axes")) is not None:
        return width / factors.get("x", 1.0), height / factors.get("y", 1.0)
    if (sizes := values.get("scale-size", values.get("scaleSize"))) is not None:
        return sizes.get("x", width), sizes.get("y", height)
    shape = height / width
    wide = values.get("width") or values["height"] / shape
    return wide, values.get("height") or values["width"] * shape


def _resolved(full: Grid, asked: PerAxis, out: Crs) -> Grid:
    """Return a grid from the same corner with cells of the size asked for, over at least the area."""
    fits(asked.names, out, "resolution")
    dx, dy = asked.values.get("x") or full.dx, asked.values.get("y") or full.dy
    wide, high = full.width * full.dx / dx, full.height * full.dy / dy
    if max(wide, high) > HUGE:
        raise too_large(full.width, full.height, HUGE, "resolution")
    columns, rows = max(1, math.ceil(wide - 1e-6)), max(1, math.ceil(high - 1e-6))
    return Grid(full.crs, full.west, full.north, dx, dy, columns, rows)


def too_large(width: int, height: int, most: float, where: str) -> AnswerTooLargeError:
    """Return the refusal of too many values, with the factor that would do."""
    factor = math.ceil(math.sqrt(width * height / most) * 1.01 + 0.01)
    return AnswerTooLargeError("query.too-large", where, most=int(most), factor=factor)
