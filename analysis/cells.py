"""Points of a register to regions: H3 cells (Uber's hexagons) or the desa that the points lie in.

Coordinates are read and gone: no answer holds one. A cell of what is public is at least as large as
resolution 8 makes it (0.74 km2 on average), so that a cell is not a house.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import h3.api.numpy_int as h3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from analysis.lookup import DesaIndex
from analysis.ragged import Floats
from catalog.errors import QueryError

FINEST = 10
FINEST_PUBLIC = 8
_NUMBER = r"^\s*[-+]?\d{1,3}([.,]\d+)?\s*$"
_AROUND = (94.0, -12.0, 142.0, 7.0)
"""Points beside of this are no places in Indonesia: 0/0, swapped, of another unit."""


def check_resolutions(resolutions: Sequence[int], *, public: bool) -> None:
    """Raise QueryError (`h3`) for resolutions that do not exist, or that are too fine to be published."""
    finest = FINEST_PUBLIC if public else FINEST
    for one in resolutions:
        if not 0 <= one <= finest:
            raise QueryError(f"resolutions are 0 to {finest}, finer ones would show houses", where="h3")


def degrees_of(table: pa.Table, column: str) -> Floats:
    """Return coordinates as numbers, NaN for what is none; cells are never repeated in an error."""
    cells = table[column].combine_chunks()
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        good = pc.match_substring_regex(cells, _NUMBER)
        clean = pc.replace_substring(pc.utf8_trim_whitespace(cells), ",", ".")
        cells = pc.cast(pc.if_else(good, clean, None), pa.float64())
    elif not (pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type)):
        if not (pa.types.is_null(cells.type) or pa.types.is_decimal(cells.type)):
            raise QueryError("the column holds no numbers", where=column)
        cells = pc.cast(cells, pa.float64())
    return np.asarray(pc.fill_null(pc.cast(cells, pa.float64()), np.nan), np.float64)


def cells_of(lon: Floats, lat: Floats, resolution: int) -> pa.Array:
    """Return the H3 cell of each point as a number, null for points that are not in Indonesia."""
    good = _in_indonesia(lon, lat)
    made = np.zeros(len(lon), np.uint64)
    places = zip(lat[good].tolist(), lon[good].tolist(), strict=True)
    made[good] = [h3.latlng_to_cell(y, x, resolution) for y, x in places]
    return pa.array(made, mask=~good)


def desa_of_points(index: DesaIndex, lon: Floats, lat: Floats) -> pa.Array:
    """Return the code of the desa that each point lies in (on a border the first by code), null outside."""
    good = np.flatnonzero(_in_indonesia(lon, lat))
    rows = np.full(len(lon), -1, np.int64)
    rows[good] = index.where(lon[good], lat[good])[0]
    return index.codes.take(pa.array(rows, mask=rows < 0))


def name_of(cell: int) -> str:
    """Return the usual writing of a cell."""
    return cast(str, h3.int_to_str(cell))


def parents_of(cell: str, resolutions: Sequence[int]) -> list[str]:
    """Return the cells above, for each of the resolutions, and the cell itself where it is of one."""
    number = h3.str_to_int(cell)
    return [name_of(h3.cell_to_parent(number, one)) for one in resolutions]


def resolution_of(cell: str) -> int:
    """Return the resolution of a cell."""
    return cast(int, h3.get_resolution(h3.str_to_int(cell)))


def outlines(cells: Sequence[str]) -> Any:
    """Return the polygon of each cell in lon/lat, None for an empty name (all cells together)."""
    made = np.empty(len(cells), object)
    for number, cell in enumerate(cells):
        if cell:
            ring = [(lon, lat) for lat, lon in h3.cell_to_boundary(h3.str_to_int(cell))]
            made[number] = shapely.Polygon(ring)
    return made


def _in_indonesia(lon: Floats, lat: Floats) -> Any:
    west, south, east, north = _AROUND
    return (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
