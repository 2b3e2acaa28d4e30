"""The first picture of the map, in the page itself: the basemap's areas as paths, drawn at once.

MapLibre is 200 kB and draws after almost two seconds on a slow line; until then people see the same
boundaries, in the same projection and place, as an SVG of some kilobytes. MapLibre then draws the same paths
(static/viewer/basemap.js), so that a first view needs no tile at all; tiles come where the view is too deep
for the picture. It is made of the very tiles that the map will draw, of a zoom at which the whole basemap
is eight to sixteen thousand units wide, simplified so that no border is off by more than about half a pixel
of a desk's screen. It depends on the layers' versions alone, never on what is asked (`viewer_shelf`).
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import brotli  # type: ignore[import-untyped]
import mapbox_vector_tile
import numpy as np
import numpy.typing as npt
import shapely

from catalog.datasets import Dataset
from catalog.model import BBox, VersionInfo
from layers.tiles.grid import EXTENT, GRIDS, HALF
from layers.tiles.plan import FID
from layers.valid import valid
from ogc_server.tiles_desk import TileDesk

BUDGET = 22_000
"""Bytes of a picture in brotli: a tenth of a second of a slow line."""
_WIDE = 8_192
_MOST_AREAS = 3_000
"""More areas than this have no inner borders in the picture: they would be closer than its pixels."""
_FINENESS = (2_048, 1_024, 724, 512)
"""Shares of the picture's width that a border may be off, from the best that is tried."""
_PLACES = 1.4
"""Units that a border may be off in a picture, or up to twice as many: corners are whole units."""
_DEEPEST = 12
_GRID = GRIDS["WebMercatorQuad"]
_GRATICULE = ((90, 145), (-15, 10))

type Areas = npt.NDArray[np.object_]
"""Polygons in units of a picture, y down."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The tiles of one zoom that hold a box; a picture's units count from the first tile's corner."""

    zoom: int
    columns: range
    rows: range

    @classmethod
    def of(cls, box: BBox) -> Frame:
        """Return the frame at the first zoom at which the box is `_WIDE` units wide or high."""
        (west, south), (east, north) = _world(box[0], box[1]), _world(box[2], box[3])
        span = max(east - west, south - north, 1e-9)
        zoom = min(max(math.ceil(math.log2(_WIDE / (span * EXTENT))), 0), _DEEPEST)
        side = 2**zoom
        last = side - 1
        return cls(
            zoom,
            range(int(west * side), min(int(east * side), last) + 1),
            range(max(int(north * side), 0), min(int(south * side), last) + 1),
        )

    def units(self, lon: float, lat: float) -> tuple[int, int]:
        """Return a place in the picture's units."""
        x, y = _world(lon, lat)
        side = 2**self.zoom * EXTENT
        return round(x * side) - self.columns[0] * EXTENT, round(y * side) - self.rows[0] * EXTENT


def _world(lon: float, lat: float) -> tuple[float, float]:
    """Return a place as shares of the Web Mercator world, from its upper left corner."""
    x, y = _GRID.project(np.array([[lon, lat]], dtype=float))[0]
    return float(0.5 + x / (2 * HALF)), float(0.5 - y / (2 * HALF))


@dataclass(frozen=True, slots=True)
class Picture:
    """Paths (SVG, in units of a frame) of a basemap: `land` with its outline, `borders`, whole degrees.

    In `land` a space stands between polygons; a polygon's first ring is its outer one. `at` says where the
    picture belongs: zoom, column and row of its corner, how many units a border may be off.
    """

    at: str
    land: str
    borders: str
    degrees: str

    @property
    def off(self) -> float:
        """How many units a border may be off."""
        return float(self.at.split(" ")[3])


def draw(areas: Areas, frame: Frame) -> Picture | None:
    """Return the finest picture of areas that keeps to the budget, None when there is none."""
    areas = _areal(areas)
    if not len(areas):
        return None
    west, north, east, south = shapely.total_bounds(areas)
    span = max(east - west, south - north)
    for inner in (True, False) if len(areas) <= _MOST_AREAS else (False,):
        shapes = areas if inner else _areal(np.array([shapely.union_all(areas)]))
        for fineness in _FINENESS:
            made = _drawn(shapes, frame, max(span / fineness, 0.5), inner=inner)
            if len(brotli.compress((made.land + made.borders).encode(), quality=5)) <= BUDGET:
                return made
    return None  # no honest picture is small enough


def _drawn(areas: Areas, frame: Frame, off: float, *, inner: bool) -> Picture:
    """Neighbours are simplified together, so that no gap opens between them."""
    halved = min(max(math.floor(math.log2(off / _PLACES)), 0), frame.zoom)
    unit = 2**halved  # finer places than a border's own exactness would only be bytes
    simple = shapely.transform(shapely.coverage_simplify(areas, off), lambda places: np.rint(places / unit))
    simple = _areal(valid(simple))
    land = shapely.union_all(simple)
    parts = shapely.get_parts(_areal(np.array([land])))
    borders: shapely.Geometry = shapely.MultiLineString()
    if inner:
        borders = shapely.line_merge(
            shapely.difference(shapely.union_all(shapely.boundary(simple)), shapely.boundary(land))
        )
    lines = shapely.get_parts(borders)
    least = (off / unit) ** 2 / 2
    return Picture(
        f"{frame.zoom - halved} {frame.columns[0] / unit:.12g} {frame.rows[0] / unit:.12g} {off / unit:.2f}",
        " ".join(filter(None, (_polygon(part, least) for part in parts))),
        "".join(_path(shapely.get_coordinates(line)) for line in lines if line.length > 0),
        _degrees(frame, unit),
    )


def _polygon(shape: shapely.Polygon, least: float) -> str:
    """Return the path of a polygon's rings, its outer one first; what is smaller than `least` is left out."""
    rings = [ring for ring in (shape.exterior, *shape.interiors) if shapely.Polygon(ring).area > least]
    return "".join(_path(shapely.get_coordinates(ring)[:-1]) + "z" for ring in rings)


def _areal(shapes: Areas) -> Areas:
    """Return what of shapes is areas: mending may leave lines and points beside them."""
    parts, owners = shapely.get_parts(shapes, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)  # of collections, multipolygons
    kept = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    return np.asarray(shapely.multipolygons(parts[kept], indices=_counted(owners[inner][kept])))


def _counted(owners: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Number owners from 0 without gaps: who has no areas is left out."""
    return np.unique(owners, return_inverse=True)[1]


def _path(places: npt.NDArray[np.float64]) -> str:
    """Return one line of an SVG path: absolute to its first place, then step by step; "" for a point."""
    whole = np.rint(places).astype(int).tolist()
    steps = ((x2 - x1, y2 - y1) for (x1, y1), (x2, y2) in pairwise(whole))
    said = " ".join(f"{dx} {dy}" for dx, dy in steps if dx or dy).replace(" -", "-")
    return f"M{whole[0][0]} {whole[0][1]}l{said}" if said else ""


def _degrees(frame: Frame, unit: int) -> str:
    """Return the lines of whole degrees that the map has below its layers (static/viewer/basemap.js)."""
    (west, east), (south, north) = _GRATICULE

    def at(lon: float, lat: float) -> tuple[int, int]:
        x, y = frame.units(lon, lat)
        return round(x / unit), round(y / unit)

    (left, top), (right, bottom) = at(west, north), at(east, south)
    along = "".join(f"M{at(lon, 0)[0]} {top}V{bottom}" for lon in range(west, east + 1))
    return along + "".join(f"M{left} {at(west, lat)[1]}H{right}" for lat in range(south, north + 1))


def read(desk: TileDesk, layers: Sequence[tuple[Dataset, VersionInfo]], frame: Frame) -> Areas:
    """Return the areas of layers in a frame, from their tiles; TileBusyError while those are not there."""
    found: dict[tuple[str, str], list[shapely.Geometry]] = {}
    for dataset, info in layers:
        for row in frame.rows:
            for column in frame.columns:
                body = desk.tile(dataset, info, _GRID, frame.zoom, row, column).body
                shift = ((column - frame.columns[0]) * EXTENT, (row - frame.rows[0]) * EXTENT)
                for fid, shape in _features(gzip.decompress(body), dataset.id, shift) if body else ():
                    found.setdefault((dataset.id, fid), []).append(shape)
    # what tiles have cut is one again
    whole = [shapely.union_all(parts, grid_size=1) if parts[1:] else parts[0] for parts in found.values()]
    return np.array(whole, dtype=object)


def _features(tile: bytes, layer: str, shift: tuple[int, int]) -> Iterator[tuple[str, shapely.Geometry]]:
    """Yield a tile's areas by id, in units of a picture: tiles of overview zooms have fewer than `EXTENT`.

    GDAL's reader refuses a whole tile for one ring that rounding has flattened; here such are left out.
    """
    said = mapbox_vector_tile.decode(tile, default_options={"y_coord_down": True}).get(layer)
    if said is None:
        return
    scale = EXTENT / said["extent"]
    for feature in said["features"]:
        shape = shapely.transform(_shape(feature["geometry"]), lambda places: places * scale + shift)
        yield feature["properties"][FID], valid(shape)


def _shape(said: Any) -> shapely.Geometry:
    """Return a GeoJSON polygon or multipolygon without its rings of fewer than three places."""
    polygons = {"Polygon": [said["coordinates"]], "MultiPolygon": said["coordinates"]}.get(said["type"], [])
    rings = [[ring for ring in polygon if len(ring) > 3] for polygon in polygons]
    return shapely.MultiPolygon([(ring[0], ring[1:]) for ring in rings if ring])
