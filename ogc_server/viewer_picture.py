"""The first picture of the map, in the page itself: the basemap's areas as paths, drawn at once.

MapLibre is 200 kB and draws after about two seconds on a slow line; until then people see the same
boundaries, in the same projection and place, as an SVG of some kilobytes. It is made of the very tiles that
the map will draw, of a zoom at which the whole basemap is two to four thousand units wide, simplified so
that no border is off by more than about a pixel at that size. The page's script gives it the map's view,
and takes it away where the view is too deep for it.

It depends on the layers' versions alone, never on what is asked, and is made in the background: the first
page after a new version comes without.
"""

from __future__ import annotations

import gzip
import logging
import math
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import brotli  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pyogrio
import shapely

from catalog.datasets import Dataset
from catalog.model import BBox, VersionInfo
from layers.tiles.grid import EXTENT, GRIDS, HALF
from layers.tiles.plan import FID
from layers.tiles.request import TileBusyError
from ogc_server.tiles_desk import TileDesk

LOGGER = logging.getLogger(__name__)
BUDGET = 18_000
"""Bytes of a picture in brotli: 90 ms of a slow line."""
_WIDE = 2_048
_MOST_AREAS = 3_000
"""More areas than this have no inner borders in the picture: they would be closer than its pixels."""
_FINENESS = (2_048, 1_024, 724, 512)
"""Shares of the picture's width that a border may be off, from the best that is tried."""
_DEEPEST = 12
_KEPT = 4
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
    """Paths (SVG, in `frame`'s units) of a basemap: `land` with its outline, `borders`, whole degrees.

    `off` is how many units a border may be off.
    """

    frame: Frame
    off: float
    land: str
    borders: str
    degrees: str

    @property
    def at(self) -> str:
        """Say to the page's script where the picture belongs: zoom, first column, first row, off."""
        return f"{self.frame.zoom} {self.frame.columns[0]} {self.frame.rows[0]} {self.off:.2f}"


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
    simple = shapely.transform(shapely.coverage_simplify(areas, off), np.rint)
    simple = _areal(shapely.make_valid(simple))
    land = shapely.union_all(simple)
    parts = shapely.get_parts(_areal(np.array([land])))
    borders: shapely.Geometry = shapely.MultiLineString()
    if inner:
        borders = shapely.line_merge(
            shapely.difference(shapely.union_all(shapely.boundary(simple)), shapely.boundary(land))
        )
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    rings = [ring for ring in rings if shapely.area(shapely.polygons(ring)) > off * off / 2]
    lines = shapely.get_parts(borders)
    return Picture(
        frame, off,
        "".join(_path(shapely.get_coordinates(ring)[:-1]) + "z" for ring in rings),
        "".join(_path(shapely.get_coordinates(line)) for line in lines if line.length > 0),
        _degrees(frame),
    )  # fmt: skip


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


def _degrees(frame: Frame) -> str:
    """Return the lines of whole degrees that the map has below its layers (static/viewer/basemap.js)."""
    (west, east), (south, north) = _GRATICULE
    left, top = frame.units(west, north)
    right, bottom = frame.units(east, south)
    along = "".join(f"M{frame.units(lon, 0)[0]} {top}V{bottom}" for lon in range(west, east + 1))
    return along + "".join(f"M{left} {frame.units(west, lat)[1]}H{right}" for lat in range(south, north + 1))


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
    """Yield a tile's features by id, cut to the tile; GDAL counts y from below."""
    with tempfile.NamedTemporaryFile(suffix=".pbf") as file:
        file.write(tile)
        file.flush()
        if layer not in {name for name, _ in pyogrio.list_layers(file.name)}:
            return
        _, _, shapes, (fids,) = pyogrio.raw.read(file.name, layer=layer, columns=[FID])
    placed = shapely.transform(
        shapely.from_wkb(shapes),
        lambda places: np.column_stack((places[:, 0] + shift[0], EXTENT - places[:, 1] + shift[1])),
    )
    yield from zip(fids.tolist(), shapely.make_valid(placed), strict=True)


class Pictures:
    """The pictures of this process, by basemap; one is made at a time. Safe for threads."""

    def __init__(self, desk: TileDesk) -> None:
        self._desk = desk
        self._made: OrderedDict[object, Picture | None] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def of(self, layers: Sequence[tuple[Dataset, VersionInfo]], box: BBox) -> Picture | None:
        """Return the picture if it is made; else have it made for who asks later."""
        archives = [self._desk.archive(info.layer_id, info.version, _GRID.id) for _, info in layers]
        key = tuple(
            (info.layer_id, info.version, info.checksum, archive.tag if archive else "")
            for (_, info), archive in zip(layers, archives, strict=True)
        )
        if not key:
            return None
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
            self._made[key] = None  # nobody else begins
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        threading.Thread(target=self._make, args=(key, layers, box), name="picture", daemon=True).start()
        return None

    def _make(self, key: Any, layers: Sequence[tuple[Dataset, VersionInfo]], box: BBox) -> None:
        try:
            with self._making:
                frame = Frame.of(box)
                made = draw(read(self._desk, layers, frame), frame)
        except TileBusyError:
            return  # the archive will have it
        except Exception as error:
            LOGGER.error("the map's first picture could not be made: %s", type(error).__name__)
            return  # tried again when the layer has an archive or another version
        with self._lock:
            if key in self._made:
                self._made[key] = made
