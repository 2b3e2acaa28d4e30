"""A north-up grid of cells: which cells a box touches, and the grid of a part or of another size.

Pure arithmetic, no file is opened. A box that ends on a cell's edge does not take in the next cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio import Affine

from catalog.model import VersionInfo

type Box = tuple[float, float, float, float]
"""west, south, east, north (x, y order) in the grid's CRS."""

_EDGE = 1e-6
"""Part of a cell by which a box may miss a cell's edge and still mean it (decimals in a URL)."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A rectangle of cells: first column and row (from the north-west), and how many."""

    column: int
    row: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Grid:
    """`width` x `height` cells of `dx` x `dy` units of `crs`, the north-west corner at west, north."""

    crs: str
    west: float
    north: float
    dx: float
    dy: float
    width: int
    height: int

    @property
    def bounds(self) -> Box:
        """Return the outer edges."""
        return (self.west, self.north - self.height * self.dy, self.west + self.width * self.dx, self.north)

    @property
    def transform(self) -> Affine:
        """Return the affine transform from column, row to x, y."""
        return Affine(self.dx, 0, self.west, 0, -self.dy, self.north)

    def xs(self) -> npt.NDArray[np.float64]:
        """Return the x of the middle of each column, west to east."""
        return self.west + (np.arange(self.width, dtype=np.float64) + 0.5) * self.dx

    def ys(self) -> npt.NDArray[np.float64]:
        """Return the y of the middle of each row, north to south."""
        return self.north - (np.arange(self.height, dtype=np.float64) + 0.5) * self.dy

    def cells(self, box: Box) -> Cells | None:
        """Return the cells whose inside a box meets, cut to the grid; None when there are none."""
        west, south, east, north = box
        left, right = _span((west - self.west) / self.dx, (east - self.west) / self.dx, self.width)
        top, bottom = _span((self.north - north) / self.dy, (self.north - south) / self.dy, self.height)
        if left >= right or top >= bottom:
            return None
        return Cells(left, top, right - left, bottom - top)

    def part(self, cells: Cells) -> Grid:
        """Return the grid of some of the cells."""
        west, north = self.west + cells.column * self.dx, self.north - cells.row * self.dy
        return Grid(self.crs, west, north, self.dx, self.dy, cells.width, cells.height)

    def sized(self, width: int, height: int) -> Grid:
        """Return a grid over the same area with other numbers of cells."""
        dx, dy = self.dx * self.width / width, self.dy * self.height / height
        return Grid(self.crs, self.west, self.north, dx, dy, width, height)


def _span(first: float, last: float, count: int) -> tuple[int, int]:
    """Return [start, stop) of the cells between two places, counted in cells; empty: start >= stop."""
    first, last = min(max(first, -1.0), count + 1.0), min(max(last, -1.0), count + 1.0)
    start, stop = floor(first + _EDGE), ceil(last - _EDGE)
    if stop <= start and first <= last:  # a line or a point: the cell it lies in
        stop = start + 1
    return max(start, 0), min(stop, count)


def over(crs: str, box: Box, width: int, height: int) -> Grid:
    """Return the grid of a box cut into so many cells."""
    west, south, east, north = box
    return Grid(crs, west, north, (east - west) / width, (north - south) / height, width, height)


def grid_of(info: VersionInfo) -> Grid | None:
    """Return the grid that a version was stored with; None when it is not known or not north-up."""
    said: dict[str, Any] = info.extra
    a, b, c, d, e, f = said.get("transform") or (0, 0, 0, 0, 0, 0)
    if not a > 0 or not e < 0 or b or d:
        return None
    return Grid(said["crs"], c, f, a, -e, said["width"], said["height"])
