"""Random points in given areas, many at once: every polygon cut into triangles, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from catalog.errors import QueryError
from harvesters.sample.land import Floats

type Ints = npt.NDArray[np.int64]
_CHUNK = 2000
"""Areas that are cut up at once: a nation's triangles as objects would not fit in memory."""
_INWARD = 0.999
"""Points are drawn this far from a triangle's centroid at most, so that none falls over a border."""


@dataclass(frozen=True, slots=True)
class Areas:
    """Regions to draw from: codes, names and polygons (EPSG:4326) in the same order."""

    codes: Sequence[str]
    names: Sequence[str]
    shapes: npt.NDArray[np.object_]


class Surface:
    """Triangles of all areas; an area is drawn by its weight, a point in it evenly."""

    def __init__(self, rng: np.random.Generator, areas: Areas) -> None:
        """Cut the areas up. Weights are lognormal, as populations are. QueryError when nothing is left."""
        cut = [
            _triangles(areas.shapes[start : start + _CHUNK]) for start in range(0, len(areas.codes), _CHUNK)
        ]
        if not sum(len(corners) for corners, *_ in cut):
            raise QueryError("the boundaries hold no polygon", where="boundaries")
        self.areas = areas
        self._corners = np.concatenate([corners for corners, *_ in cut])
        owners = np.concatenate([of + n * _CHUNK for n, (_, _, of) in enumerate(cut)])
        size = np.concatenate([sizes for _, sizes, _ in cut])
        self._owners = owners
        total = np.bincount(owners, size, len(areas.codes))
        weight = rng.lognormal(0, 0.6, len(areas.codes))
        self._until = np.cumsum(size / total[owners] * weight[owners])
        self.box = bounds_of(areas.shapes)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Ints, Floats, Floats]:
        """Return area numbers, longitudes and latitudes of `count` points inside."""
        chosen = np.searchsorted(self._until, rng.random(count) * self._until[-1])
        chosen = np.minimum(chosen, len(self._until) - 1)
        a, b = rng.random(count), rng.random(count)
        over = a + b > 1
        a, b = np.where(over, 1 - a, a), np.where(over, 1 - b, b)
        p, q, r = (self._corners[chosen, i] for i in range(3))
        xy = p + a[:, None] * (q - p) + b[:, None] * (r - p)
        return self._owners[chosen].astype(np.int64), xy[:, 0], xy[:, 1]

    def on_border(self, rng: np.random.Generator, owners: Ints) -> tuple[Floats, Floats]:
        """Return one vertex of the border of each of these areas: it belongs to the neighbour as well."""
        wanted, back = np.unique(owners, return_inverse=True)
        vertices, ring = shapely.get_coordinates(
            shapely.boundary(self.areas.shapes[wanted]), return_index=True
        )
        first = np.searchsorted(ring, np.arange(len(wanted)))
        count = np.bincount(ring, minlength=len(wanted))
        at = first[back] + (rng.random(len(owners)) * count[back]).astype(np.int64)
        return vertices[at, 0], vertices[at, 1]


def bounds_of(shapes: Any) -> tuple[float, float, float, float]:
    """Return west, south, east, north of geometries in degrees."""
    west, south, east, north = (float(v) for v in shapely.total_bounds(shapes))
    return west, south, east, north


def _triangles(shapes: npt.NDArray[np.object_]) -> tuple[Floats, Floats, Ints]:
    """Return the triangles of some areas: corners (n, 3, 2) drawn inward, sizes, and whose they are."""
    parts, of_shape = shapely.get_parts(shapes, return_index=True)
    polygons = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    parts, of_shape = parts[polygons], of_shape[polygons]
    pieces, of_part = shapely.get_parts(shapely.constrained_delaunay_triangles(parts), return_index=True)
    corners = shapely.get_coordinates(pieces).reshape(-1, 4, 2)[:, :3]
    centre = corners.mean(axis=1, keepdims=True)
    return centre + (corners - centre) * _INWARD, shapely.area(pieces), of_shape[of_part]
