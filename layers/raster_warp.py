"""Which cell of a raster lies below the middle of each cell of another grid, in the same or another CRS.

Where columns hang on x alone and rows on y alone (degrees to degrees, degrees to Mercator and back) one
row and one column of places say it all. Elsewhere places are transformed exactly at the nodes of a mesh
and linearly between them; the mesh is made finer until its error is below an eighth of a cell, which
is what GDAL's own warper allows itself. A WarpedVRT does the same for several times the price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from layers.crs import is_lonlat, transform_coordinates
from layers.raster_grid import Cells, Grid

type Floats = npt.NDArray[np.float64]
type Indexes = npt.NDArray[np.intp]
type Flags = npt.NDArray[np.bool_]
type Pixels = npt.NDArray[Any]

_EDGE = 1e-6
"""Part of a cell: a middle that lies on the edge between two cells belongs to the next one."""
_ERROR = 0.125
_MESH = 32
_FAR = 2.0**40
_MERCATOR = frozenset({"EPSG:3857", "EPSG:900913"})


@dataclass(frozen=True, slots=True)
class Below:
    """Column and row of a raster for each cell of a grid; they may lie beside the raster.

    `columns` is (1, width) and `rows` (height, 1) where they are separable, else both (height, width).
    """

    columns: Indexes
    rows: Indexes
    separable: bool

    def window(self, width: int, height: int) -> Cells | None:
        """Return the least rectangle with all cells of a raster of this size; None: there are none."""
        columns, rows = _span(self.columns, width), _span(self.rows, height)
        if columns is None or rows is None:
            return None
        return Cells(columns[0], rows[0], columns[1] - columns[0] + 1, rows[1] - rows[0] + 1)

    def pick(self, values: Pixels, window: Cells) -> tuple[Pixels, Flags]:
        """Return of a window's values (bands, rows, columns) those of the grid, and which lie beside it."""
        columns, left = _within(self.columns - window.column, window.width)
        rows, above = _within(self.rows - window.row, window.height)
        if self.separable:
            return values.take(rows[:, 0], axis=1).take(columns[0], axis=2), left | above
        shape = rows.shape
        rows *= window.width  # in place: half a megabyte more costs more to get than to fill
        rows += columns
        return values.reshape(len(values), -1).take(rows.ravel(), axis=1).reshape(-1, *shape), left | above


def _span(numbers: Indexes, count: int) -> tuple[int, int] | None:
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= count:
        kept = numbers[(numbers >= 0) & (numbers < count)]
        return (int(kept.min()), int(kept.max())) if kept.size else None
    return low, high


def _within(numbers: Indexes, count: int) -> tuple[Indexes, Flags]:
    """Return the numbers, cut to [0, count), and which had to be cut."""
    if int(numbers.min()) >= 0 and int(numbers.max()) < count:
        return numbers, np.zeros((1, 1), dtype=bool)
    return numbers.clip(0, count - 1), (numbers < 0) | (numbers >= count)


def below(grid: Grid, whole: Grid) -> Below:
    """Return the cells of `whole` below the middles of the cells of `grid`; -1: there is no such place."""
    if not _separable(grid.crs, whole.crs):
        return Below(*_mesh(grid, whole), separable=False)
    xs, ys = grid.xs(), grid.ys()
    across, _ = _cells(xs, ys[len(ys) // 2 :][:1], grid, whole)
    _, down = _cells(xs[len(xs) // 2 :][:1], ys, grid, whole)
    return Below(_numbers(across), _numbers(down), separable=True)


def _separable(one: str, other: str) -> bool:
    return one == other or all(is_lonlat(code) or code.upper() in _MERCATOR for code in (one, other))


def _cells(xs: Floats, ys: Floats, grid: Grid, whole: Grid) -> tuple[Floats, Floats]:
    """Return where all pairs of xs and ys lie, counted in columns and rows from the raster's corner."""
    x, y = (one.ravel() for one in np.meshgrid(xs, ys))
    if grid.crs != whole.crs and not (is_lonlat(grid.crs) and is_lonlat(whole.crs)):
        moved = transform_coordinates(np.column_stack([x, y]), grid.crs, whole.crs)
        x, y = moved[:, 0], moved[:, 1]
    shape = (len(ys), len(xs))
    return ((x - whole.west) / whole.dx).reshape(shape), ((whole.north - y) / whole.dy).reshape(shape)


def _mesh(grid: Grid, whole: Grid) -> tuple[Indexes, Indexes]:
    step = _MESH
    while step > 2:
        across, down = _nodes(grid.width, step), _nodes(grid.height, step)
        nodes = _cells(grid.west + across * grid.dx, grid.north - down * grid.dy, grid, whole)
        between, under = (across[1:] + across[:-1]) / 2, (down[1:] + down[:-1]) / 2
        true = _cells(grid.west + between * grid.dx, grid.north - under * grid.dy, grid, whole)
        if all(_near(one, other) for one, other in zip(nodes, true, strict=True)):
            found = (_spread(one + _EDGE, down, grid.height, across, grid.width) for one in nodes)
            columns, rows = (np.floor(one, out=one).astype(np.intp) for one in found)
            return columns, rows
        step //= 2
    columns, rows = (_numbers(one) for one in _cells(grid.xs(), grid.ys(), grid, whole))
    return columns, rows


def _nodes(count: int, step: int) -> Floats:
    """Return places along a side, counted in its cells, about `step` apart, from edge to edge."""
    return np.linspace(0, count, max(1, -(-count // step)) + 1)


def _near(nodes: Floats, true: Floats) -> bool:
    """Tell whether the mesh is right in the middle of its meshes; it is not where a place is infinite."""
    with np.errstate(invalid="ignore"):
        guess = (nodes[1:, 1:] + nodes[1:, :-1] + nodes[:-1, 1:] + nodes[:-1, :-1]) / 4
        return float(np.abs(guess - true).max()) <= _ERROR


def _spread(nodes: Floats, down: Floats, height: int, across: Floats, width: int) -> Floats:
    """Return the values at the middles of height x width cells."""  # a product of matrices starts threads
    first, part = _between(down, height)
    tall = nodes[first] * (1 - part)[:, np.newaxis] + nodes[first + 1] * part[:, np.newaxis]
    first, part = _between(across, width)
    base, rise = tall[:, :-1], tall[:, 1:] - tall[:, :-1]
    if width % rise.shape[1] == 0:  # as in every tile: the places in all meshes are the same
        found = rise[..., np.newaxis] * part[: width // rise.shape[1]]
        found += base[..., np.newaxis]
        return found.reshape(height, width)
    found = rise.take(first, axis=1)
    found *= part
    found += base.take(first, axis=1)
    return found


def _between(nodes: Floats, count: int) -> tuple[Indexes, Floats]:
    """Return for the middle of each cell the node before it and how far it is on to the next one."""
    at = (np.arange(count) + 0.5) / (nodes[1] - nodes[0])
    first = np.minimum(at.astype(np.intp), len(nodes) - 2)
    return first, at - first


def _numbers(places: Floats) -> Indexes:
    """Return the cells that places lie in; -1 for a place that there is not."""
    if not abs(float(places.sum())) < _FAR:  # something is infinite or far away
        places = np.nan_to_num(places, nan=-1, posinf=-1, neginf=-1).clip(-1, _FAR)
    shifted = places + _EDGE
    return np.floor(shifted, out=shifted).astype(np.intp)
