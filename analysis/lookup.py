"""In which desa is this point, and how far is it from that one? An index of polygons in flat files.

The folder of an index holds coordinate arrays, a grid that names the candidates near a place, and
codes and names. All are memory-mapped, so every worker of a server shares them, and opening takes a
moment. Polygons are built and prepared on first use; the verdict "covers" is GEOS's own, exact on
borders, and a border belongs to every desa that it bounds.

Distances: the nearest point of a border is found in a local equirectangular projection with the
ellipsoid's radii at the place; the metres to it are geodesic (pyproj.Geod, WGS84). Within 1 km of
the border that is right to a millimetre, within 50 km to 0.05 %, across the country to 0.5 %.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import Geod

from analysis.lookup_cells import CellGrid
from analysis.lookup_stretches import Stretches
from analysis.ragged import Bools, Floats, Geometries, Ints, Ragged, Rows, mapped, spans
from catalog.errors import NotFoundError
from catalog.model import BBox, Scheme

FORMAT = 3
CELL = 0.05
"""Edge of a candidate cell in degrees."""
_PAIRS = 100_000
GEOD = Geod(ellps="WGS84")
_A, _E2 = GEOD.a, GEOD.es
_CACHED_VERTICES = 400_000
"""Vertices of built polygons that one index keeps: some 20 MB."""
_PREPARED_FROM = 512
"""Vertices from which preparing pays: below, asking takes about 1 us anyway and preparing much memory."""


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index was made of. `version` names the layer's version or the file's fingerprint."""

    skema: Scheme
    vintage: int
    version: str
    count: int
    bbox: BBox
    columns: int
    rows: int
    cells: bool = False
    format: int = FORMAT


class DesaIndex:
    """Answers where points are. Row numbers are positions in the order of codes.

    Safe for several threads: the polygons they share are asked under a lock.
    """

    def __init__(self, folder: Path, *, cached_vertices: int = _CACHED_VERTICES) -> None:
        """Open the index in `folder` (see `analysis.lookup_build`); NotFoundError when there is none."""
        meta = folder / "index.json"
        if not meta.is_file():
            raise NotFoundError(f"no boundary index in {folder.name}")
        values = json.loads(meta.read_text("utf-8"))
        self.folder = folder
        self.info = IndexInfo(**{**values, "bbox": tuple(values["bbox"])})
        self.polygons = Ragged.open(folder)
        self.boxes: Floats = mapped(folder / "boxes.npy")
        self.areas: Floats = mapped(folder / "areas.npy")
        self.points: Floats = mapped(folder / "points.npy")
        self.cell_starts: Ints = mapped(folder / "cell_starts.npy")
        self.cell_rows: npt.NDArray[np.int32] = mapped(folder / "cell_rows.npy")
        with pa.ipc.open_file(pa.memory_map(str(folder / "regions.arrow"))) as file:
            regions = file.read_all().combine_chunks()
        self.codes: pa.StringArray = regions["kode"].chunk(0)
        self.names: pa.StringArray = regions["nama"].chunk(0)
        self._sorted: list[str] = self.codes.to_pylist()
        self._row_of = {code: row for row, code in enumerate(self._sorted)}
        self._shapes: Geometries = np.full(len(self), None, object)
        self._held, self._cached = 0, cached_vertices
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.info.count

    def row(self, code: str) -> int | None:
        """Return the row of a canonical code."""
        return self._row_of.get(code)

    @cached_property
    def grid(self) -> CellGrid | None:
        """Return the fine grid, when the index was built with one."""
        return CellGrid(self) if self.info.cells else None

    @cached_property
    def naming(self) -> tuple[Ints, pa.StringArray]:
        """Return for each row the number of its name, and the names, each once."""
        once = self.names.dictionary_encode()
        return once.indices.to_numpy().astype(np.int64), once.dictionary

    @cached_property
    def writings(self) -> list[pa.Array]:
        """Return all codes as most registers write them, dotted and not, for a vectorised look-up."""
        dotted = self.info.skema == "kemendagri"
        return [self.codes, pc.replace_substring(self.codes, ".", "")] if dotted else [self.codes]

    def below(self, code: str) -> tuple[int, int]:
        """Return the range of rows (first, behind the last) whose canonical codes begin with `code`."""
        return bisect_left(self._sorted, code), bisect_left(self._sorted, code + "\x7f")

    def code(self, row: int) -> str:
        """Return the code of a row."""
        return self._sorted[row]

    def name(self, row: int) -> str:
        """Return the name of a row."""
        return cast(str, self.names[row].as_py())

    def _built(self, rows: Rows) -> Geometries:
        """Return polygons of rows, the large ones prepared, built when they are not at hand."""
        found = self._shapes[rows]
        missing = np.unique(rows[shapely.is_missing(found)])
        if not len(missing):
            return found
        vertices = int(self.polygons.vertex_spans(missing)[1].sum())
        if self._held and self._held + vertices > self._cached:
            self._shapes[:], self._held = None, 0
            missing = np.unique(rows)
        counts = self.polygons.vertex_spans(missing)[1]
        built = self.polygons.shapes(missing)
        shapely.prepare(built[counts > _PREPARED_FROM])
        self._shapes[missing], self._held = built, self._held + vertices
        return self._shapes[rows]

    def covers(self, rows: Rows, lon: Floats, lat: Floats) -> Bools:
        """Tell for each pair of row and point whether the polygon holds it; borders count as inside."""
        inside: Bools = _in_boxes(self.boxes[rows], lon, lat)
        near = np.flatnonzero(inside)
        near = near[np.argsort(rows[near], kind="stable")]  # neighbours in memory one after the other
        with self._lock:  # preparing is lazy inside of GEOS, and the cache may be emptied
            inside[near] = shapely.intersects_xy(self._built(rows[near]), lon[near], lat[near])
        return inside

    def candidates(self, lon: Floats, lat: Floats) -> tuple[Ints, Ints]:
        """Return pairs (number of the point, row) whose bounding box holds the point, by row."""
        west, south = self.info.bbox[:2]
        x = np.floor((lon - west) / CELL)
        y = np.floor((lat - south) / CELL)
        known = np.flatnonzero((x >= 0) & (y >= 0) & (x < self.info.columns) & (y < self.info.rows))
        cell = (y[known] * self.info.columns + x[known]).astype(np.int64)
        starts = self.cell_starts[cell]
        lengths = self.cell_starts[cell + 1] - starts
        point = np.repeat(known, lengths)
        row = self.cell_rows[spans(starts, lengths)].astype(np.int64)
        keep = _in_boxes(self.boxes[row], lon[point], lat[point])
        return point[keep], row[keep]

    def where(self, lon: Floats, lat: Floats) -> tuple[Rows, Ints]:
        """Return for each point the first row (by code) that covers it, or -1, and how many do."""
        point, row = self.candidates(lon, lat)
        hit = self.covers(row, lon[point], lat[point])
        point, row = point[hit], row[hit]
        first = np.full(len(lon), -1, np.int64)
        first[point[::-1]] = row[::-1]  # rows of a point ascend, so the lowest is written last
        return first, np.bincount(point, minlength=len(lon))

    def border_distance(self, rows: Rows, lon: Floats, lat: Floats) -> Floats:
        """Return geodesic metres from each point to the nearest border point of its row's polygon."""
        result = np.empty(len(rows))
        order = np.argsort(rows, kind="stable")  # neighbours in memory one after the other
        total = np.cumsum(self._stretches.counts(rows[order]))
        # so many pairs of point and stretch at once that the work stays in some tens of MB
        cuts = np.searchsorted(total, np.arange(_PAIRS, int(total[-1]) if len(total) else 0, _PAIRS))
        for part in np.split(order, np.unique(cuts)):
            if len(part):
                result[part] = self._border_distance(rows[part], lon[part], lat[part])
        return result

    def _border_distance(self, rows: Rows, lon: Floats, lat: Floats) -> Floats:
        kx, ky = _metres_per_degree(_between(self.boxes[rows], lat))
        owner, starts, lengths = self._stretches.near(rows, lon, lat, kx, ky)
        at, owner = spans(starts, lengths), np.repeat(owner, lengths)
        px, py, sx, sy = lon[owner], lat[owner], kx[owner], ky[owner]
        this, ends = self.polygons.coords.take(at, axis=0), self._ends.take(at)
        other = self.polygons.coords.take(np.where(ends, at, at + 1), axis=0)
        x, y = (this[:, 0] - px) * sx, (this[:, 1] - py) * sy
        x, y = _nearest_on_segments(x, y, (other[:, 0] - px) * sx - x, (other[:, 1] - py) * sy - y)
        square = x * x + y * y
        least = np.minimum.reduceat(square, np.searchsorted(owner, np.arange(len(rows))))
        hits = np.flatnonzero(square == least[owner])[::-1]
        nearest = np.empty(len(rows), np.int64)
        nearest[owner[hits]] = hits
        _, _, metres = GEOD.inv(lon, lat, lon + x[nearest] / kx, lat + y[nearest] / ky)
        return cast(Floats, np.asarray(metres))

    @cached_property
    def _stretches(self) -> Stretches:
        return Stretches.open(self.folder, self.polygons.coords)

    @cached_property
    def _ends(self) -> Bools:
        return cast(Bools, mapped(self.folder / "ring_ends.npy"))


def _nearest_on_segments(x: Floats, y: Floats, dx: Floats, dy: Floats) -> tuple[Floats, Floats]:
    """Return the point nearest to the origin on the segments from (x, y) to (x + dx, y + dy)."""
    length2 = dx * dx + dy * dy
    length2[length2 == 0.0] = 1.0  # a point: stays where it is
    t = np.minimum(np.maximum(-(x * dx + y * dy) / length2, 0.0), 1.0)
    return x + t * dx, y + t * dy


def describe(info: IndexInfo) -> str:
    """Return the text of `index.json`."""
    return json.dumps(asdict(info), indent=1)


def _in_boxes(boxes: Floats, lon: Floats, lat: Floats) -> Bools:
    return (boxes[:, 0] <= lon) & (lon <= boxes[:, 2]) & (boxes[:, 1] <= lat) & (lat <= boxes[:, 3])


def _between(boxes: Floats, lat: Floats) -> Floats:
    """Return the latitude midway between point and box: the point's own when it is beside the box."""
    return (lat + np.clip(lat, boxes[:, 1], boxes[:, 3])) / 2


def _metres_per_degree(lat: Floats) -> tuple[Floats, Floats]:
    """Return metres of a degree of longitude and of latitude on the ellipsoid."""
    phi = np.radians(lat)
    root = 1 - _E2 * np.sin(phi) ** 2
    degree = np.pi / 180
    return degree * _A * np.cos(phi) / np.sqrt(root), degree * _A * (1 - _E2) / root**1.5
