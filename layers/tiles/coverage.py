"""Areas at overview zooms: one coverage, simplified as a whole, so that neighbours share every edge.

Village, kecamatan or zone boundaries are a coverage: areas that meet and do not overlap. GEOS cleans it
once (borders of neighbouring kabupaten that do not quite meet are joined, gaps thinner than half a pixel
go), simplifies it as a whole (Visvalingam-Whyatt on shared edges: neither gap nor overlap can open) from
each zoom to the next, and what rounding to a tile's units would pinch or flatten is mended. Areas that
overlap on purpose are no coverage and are refused (`NotCoverageError`).

https://shapely.readthedocs.io/en/2.2.0/coverage.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
import shapely.errors

from layers.contract import Geometries
from layers.crs import Coordinates
from layers.tiles.grid import EXTENT

OVERVIEW = 8
"""Deepest zoom of the archive that is made of the coverage; deeper ones are tippecanoe's."""
PIXEL = 8
"""Units of EXTENT in a pixel of a 512 pixel tile."""
_HALF_PIXEL = PIXEL / 2
_MOST_CORNERS = 30_000_000
"""Above this many corners (some 10 GB of memory) we do not try."""
_LOST, _MOVED = 0.5, 0.005
"""An area that loses half, or areas that change by 0.5 % in all, are no coverage."""
_CROWDED = 10_000
"""Areas below a unit: of the 83,402 desa 5,639 at zoom 5, 20,601 at zoom 4 (1024 units)."""
_POLYGONS = (3, 6)
_AROUND = sorted(((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)), key=lambda at: abs(at[0]) + abs(at[1]))


class NotCoverageError(Exception):
    """The areas overlap on purpose, or are too many corners to be held in memory."""


@dataclass(frozen=True, slots=True)
class Level:
    """The coverage as one zoom shows it, in degrees. `features` are indices of what each area stands for."""

    shapes: Geometries
    features: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.float64]
    """Area (square degrees) that the feature has by itself, not what it was merged with."""


def degrees_per_unit(zoom: int) -> float:
    """Return the width of a tile's unit; `zoom` in the archive's count, where zoom 0 is 360 degrees wide."""
    return 360 / (EXTENT << zoom)


class Pyramid:
    """The levels of one version. Made once, used for all grids."""

    def __init__(self, shapes: Geometries, deepest: int) -> None:
        """Clean the areas (degrees) for zoom `deepest`; NotCoverageError when that would change the map."""
        if shapely.get_num_coordinates(shapes).sum() > _MOST_CORNERS:
            raise NotCoverageError("too many corners")
        used = np.flatnonzero(shapely.area(shapes) > 0)
        if len(used) < 2 or not np.isin(shapely.get_type_id(shapes[used]), _POLYGONS).all():
            raise NotCoverageError("not areas alone")
        self.deepest, self.count = deepest, len(used)
        self._chain = {deepest: Level(_cleaned(shapes[used], deepest), used, shapely.area(shapes[used]))}
        self._made: dict[tuple[int, float, int], Level] = {}

    def level(self, zoom: int, coarser: float = 1, merge: int = 0) -> Level:
        """Return the areas of a zoom, simplified by half a pixel times `coarser`.

        Areas smaller than `merge` by `merge` pixels are put together with those of the same square of
        that size; together they stand for the largest of them.
        """
        key = (zoom, coarser, merge)
        if key not in self._made:
            unit = degrees_per_unit(zoom)
            found = _merged(self._at(zoom), merge * PIXEL * unit) if merge else self._at(zoom)
            if merge:  # the next zooms go on from here: nothing comes back that was merged
                self._chain[zoom] = found
            shapes = shapely.coverage_simplify(found.shapes, _HALF_PIXEL * coarser * unit)
            self._made[key] = Level(shapes, found.features, found.sizes)
        return self._made[key]

    def _at(self, zoom: int) -> Level:
        """Return what a zoom begins with: the zoom below, simplified by a quarter of a pixel."""
        if zoom not in self._chain:
            below = self._at(zoom + 1)
            shapes = shapely.coverage_simplify(below.shapes, _HALF_PIXEL / 4 * degrees_per_unit(zoom))
            self._chain[zoom] = Level(shapes, below.features, below.sizes)
        return self._chain[zoom]


def _cleaned(shapes: Geometries, zoom: int) -> Geometries:
    unit = degrees_per_unit(zoom)
    simple = shapely.coverage_simplify(shapes, 0.75 * _HALF_PIXEL * unit)
    clean = shapely.coverage_clean(simple, gap_width=_HALF_PIXEL * unit)
    before, after = shapely.area(simple), shapely.area(clean)
    seen = before > (PIXEL * unit) ** 2
    if (after[seen] < _LOST * before[seen]).any() or abs(after.sum() / before.sum() - 1) > _MOVED:
        raise NotCoverageError("areas overlap")
    return clean  # type: ignore[no-any-return]


def _merged(level: Level, cell: float) -> Level:
    """Put areas smaller than a square of `cell` degrees together with those of the same square."""
    small = np.flatnonzero((shapely.area(level.shapes) < cell * cell) & ~shapely.is_empty(level.shapes))
    spots = np.floor(shapely.get_coordinates(shapely.point_on_surface(level.shapes[small])) / cell)
    _, group = np.unique(spots, axis=0, return_inverse=True)
    order = np.lexsort((-level.sizes[small], group.ravel()))
    small, group = small[order], group.ravel()[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    shapes, keep = level.shapes.copy(), np.ones(len(level.shapes), dtype=bool)
    keep[small] = False
    for members in np.split(small, starts[1:]):
        if len(members):
            keep[members[0]] = True  # the largest comes first
            shapes[members[0]] = shapely.coverage_union_all(shapes[members])
    return Level(shapes[keep], level.features[keep], level.sizes[keep])


def in_units(shapes: Geometries, change: Callable[[Coordinates], Coordinates]) -> Geometries:
    """Return areas in whole units (`change` takes degrees to units), still a coverage.

    An area that rounding flattens keeps one unit of ground, taken from its neighbours, where there is one.
    Where very many are flattened there is no room for that: only islands keep a unit.
    """
    exact = shapely.transform(shapes, change)
    rounded = shapely.transform(exact, np.rint)
    pinched = ~shapely.is_valid(rounded)
    rounded[pinched] = _valid(rounded[pinched])
    flat = np.flatnonzero((shapely.area(rounded) == 0) & ~shapely.is_empty(exact))
    if len(flat) > _CROWDED:
        flat = _alone(flat, exact, rounded)
    rounded[flat] = _squares(exact[flat])
    touched = np.union1d(np.flatnonzero(pinched), flat)
    if not len(touched):
        return rounded  # type: ignore[no-any-return]
    near = np.unique(shapely.STRtree(rounded).query(rounded[touched], predicate="intersects")[1])
    near = near[shapely.area(rounded[near]) > 0]
    rounded[near] = _mended(rounded[near])
    return rounded  # type: ignore[no-any-return]


def _alone(flat: npt.NDArray[np.intp], exact: Geometries, rounded: Geometries) -> npt.NDArray[np.intp]:
    """Return those of the flattened areas that have no other area within a unit."""
    west, south, east, north = np.transpose(shapely.bounds(exact[flat]))
    around = shapely.box(np.floor(west) - 1, np.floor(south) - 1, np.floor(east) + 2, np.floor(north) + 2)
    beside = shapely.STRtree(rounded[shapely.area(rounded) > 0]).query(around, predicate="intersects")[0]
    return np.delete(flat, np.unique(beside))


def _mended(shapes: Geometries) -> Geometries:
    """Let every bit of ground belong to one area, the smallest.

    Without any snapping GEOS 3.14 drops whole areas at times, or refuses: what comes out is looked at.
    """
    before = shapely.area(shapes)
    for snap in (0.01, 0.1, 0.3):
        try:
            with np.errstate(invalid="ignore"):  # flat bits on the way, not in what comes out
                clean = shapely.coverage_clean(shapes, snapping_distance=snap, merge_strategy="min_area")
        except shapely.errors.GEOSException:
            continue
        made = _valid(shapely.transform(clean, np.rint))
        if not (shapely.area(made) < _LOST * before - 2).any():
            return made
    return shapes  # overlaps of a unit or two stay


def _valid(shapes: Geometries) -> Geometries:
    made: Geometries = shapely.make_valid(shapes, method="structure", keep_collapsed=False)
    return made


def _squares(shapes: Geometries) -> Geometries:
    """Return a square of one unit at each area, of its own; empty where the places around are taken."""
    taken: set[tuple[float, float]] = set()
    made = []
    for x, y in np.floor(shapely.bounds(shapes)[:, :2]).tolist():
        free = next(((x + i, y + j) for i, j in _AROUND if (x + i, y + j) not in taken), None)
        if free is None:
            made.append(shapely.Polygon())
            continue
        taken.add(free)
        made.append(shapely.box(*free, free[0] + 1, free[1] + 1))
    return np.array(made, dtype=object)
