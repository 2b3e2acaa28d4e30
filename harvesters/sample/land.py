"""The invented land: desa polygons that form a valid coverage, and the levels above made of them.

Cells of a relaxed Voronoi diagram, their borders roughened, noded with a wavy coastline and turned
into polygons at once, so that neighbours share the very same vertices.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import LineString, MultiPolygon, Point, Polygon

type Floats = npt.NDArray[np.float64]

CENTRE = (108.40, -9.05)
"""Longitude, latitude (EPSG:4326): open sea, some 130 km south of Java."""
RADIUS = (0.20, 0.15)
GRID = 1e-6
"""All vertices stand on this grid (degrees, about 11 cm)."""
KECAMATAN = ("Anggrek", "Bakung", "Cempaka", "Dahlia", "Flamboyan", "Kenanga", "Melati", "Nusa Indah",
             "Seroja", "Teratai")  # fmt: skip
_NUMBERS = ("Satu", "Dua", "Tiga", "Empat", "Lima", "Enam", "Tujuh", "Delapan", "Sembilan", "Sepuluh",
            "Sebelas", "Dua Belas", "Tiga Belas", "Empat Belas", "Lima Belas", "Enam Belas")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Region:
    """One region: dotted Kemendagri-like code, name, level (1 provinsi .. 4 desa), MultiPolygon in 4326."""

    code: str
    name: str
    level: int
    tipadm: int
    geometry: MultiPolygon
    parents: tuple[str, ...] = ()
    """Names of the regions above, provinsi first."""


@dataclass(slots=True)
class Land:
    """All regions by level; `desa` are ordered by code."""

    provinsi: list[Region] = field(default_factory=list)
    kabupaten: list[Region] = field(default_factory=list)
    kecamatan: list[Region] = field(default_factory=list)
    desa: list[Region] = field(default_factory=list)

    def level(self, name: str) -> list[Region]:
        """Return the regions of `provinsi`, `kabupaten`, `kecamatan` or `desa`."""
        return {
            "provinsi": self.provinsi,
            "kabupaten": self.kabupaten,
            "kecamatan": self.kecamatan,
            "desa": self.desa,
        }[name]


def make_land(rng: np.random.Generator, desa: int = 80) -> Land:
    """Make the land with exactly `desa` desa in ten kecamatan; the same generator state, the same land."""
    coast = _coast(rng)
    seeds = _seeds(rng, coast, desa)
    cells = _coverage(rng, coast, seeds)
    cells = _with_islet(rng, coast, cells)
    return _name(cells, _groups(seeds, len(KECAMATAN)))


def _coast(rng: np.random.Generator) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, 480, endpoint=False)
    radius = np.ones_like(angle)
    for k in range(2, 24):
        radius += rng.normal(0, 0.22 / k**1.25) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.55, 1.3) + rng.normal(0, 0.004, angle.shape)
    xy = np.column_stack([
        CENTRE[0] + RADIUS[0] * radius * np.cos(angle),
        CENTRE[1] + RADIUS[1] * radius * np.sin(angle),
    ])  # fmt: skip
    whole = shapely.make_valid(shapely.set_precision(Polygon(xy), GRID))
    return max(shapely.get_parts(whole), key=lambda part: part.area)


def _seeds(rng: np.random.Generator, coast: Polygon, count: int) -> Floats:
    west, south, east, north = coast.bounds
    points: list[tuple[float, float]] = []
    while len(points) < count:
        x, y = rng.uniform(west, east), rng.uniform(south, north)
        if coast.contains(Point(x, y)):
            points.append((float(x), float(y)))
    seeds = np.array(points)
    for _ in range(4):
        centres = shapely.centroid(_cells(coast, seeds))
        seeds = np.column_stack([shapely.get_x(centres), shapely.get_y(centres)])
    return seeds


def _cells(coast: Polygon, seeds: Floats) -> npt.NDArray[np.object_]:
    """Return the plain Voronoi cell of each seed, cut at the coast (order of the seeds)."""
    parts = shapely.get_parts(
        shapely.voronoi_polygons(shapely.multipoints(seeds), extend_to=coast, ordered=True)
    )
    return np.asarray(shapely.intersection(parts, coast), dtype=object)


def _coverage(rng: np.random.Generator, coast: Polygon, seeds: Floats) -> list[MultiPolygon]:
    """Return one polygon per seed; together they fill the coast exactly."""
    net = shapely.voronoi_polygons(shapely.multipoints(seeds), extend_to=coast.buffer(0.1), only_edges=True)
    edges = sorted(_segments(net))
    lines = [LineString(roughened(rng, edge)) for edge in edges]
    noded = shapely.union_all([*lines, coast.exterior], grid_size=GRID)
    faces = [
        f for f in shapely.get_parts(shapely.polygonize([noded])) if coast.contains(f.representative_point())
    ]
    cells = _cells(coast, seeds)
    owned: list[list[Polygon]] = [[] for _ in seeds]
    for face in faces:
        share = shapely.area(shapely.intersection(cells, face))
        owned[int(np.argmax(share))].append(face)
    return [_multi(shapely.coverage_union_all(parts)) for parts in owned]


def _segments(net: shapely.Geometry) -> list[tuple[float, float, float, float]]:
    found: set[tuple[float, float, float, float]] = set()
    for line in shapely.get_parts(net):
        xy = [tuple(p) for p in shapely.get_coordinates(line).round(9).tolist()]
        for a, b in pairwise(xy):
            low, high = min(a, b), max(a, b)
            found.add((low[0], low[1], high[0], high[1]))
    return list(found)


def roughened(
    rng: np.random.Generator, edge: tuple[float, float, float, float], depth: int = 4
) -> list[tuple[float, float]]:
    """Return a line from end to end, its midpoints displaced again and again, as rivers would run."""
    points = [(edge[0], edge[1]), (edge[2], edge[3])]
    for _ in range(depth):
        finer = [points[0]]
        for (ax, ay), (bx, by) in pairwise(points):
            shift = float(np.clip(rng.normal(0, 0.07), -0.16, 0.16))
            finer.append(((ax + bx) / 2 - (by - ay) * shift, (ay + by) / 2 + (bx - ax) * shift))
            finer.append((bx, by))
        points = finer
    return points


def _with_islet(rng: np.random.Generator, coast: Polygon, cells: list[MultiPolygon]) -> list[MultiPolygon]:
    """Give one coastal desa an islet, so that the sample has a region of two parts."""
    east = coast.bounds[2] + 0.03
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = 0.011 * (1 + rng.normal(0, 0.08, angle.shape))
    ring = np.column_stack([east + radius * np.cos(angle), CENTRE[1] + radius * np.sin(angle)])
    islet = shapely.set_precision(Polygon(ring), GRID)
    owner = int(np.argmin(shapely.distance(np.array(cells, dtype=object), islet)))
    cells[owner] = MultiPolygon([*cells[owner].geoms, islet])
    return cells


def _groups(seeds: Floats, count: int) -> npt.NDArray[np.int_]:
    """Group seeds in `count` compact kecamatan (k-means), numbered from north-west to south-east."""
    centres = seeds[np.argsort(seeds @ np.array([1.0, -1.3]))][:: max(1, len(seeds) // count)][:count]
    group = np.zeros(len(seeds), dtype=np.int_)
    for _ in range(30):
        group = np.argmin(((seeds[:, None, :] - centres[None]) ** 2).sum(axis=2), axis=1)
        held = [seeds[group == k] for k in range(count)]
        centres = np.array([h.mean(axis=0) if len(h) else c for h, c in zip(held, centres, strict=True)])
    order = np.argsort(np.argsort(centres @ np.array([1.0, -1.3])))
    return np.asarray(order[group], dtype=np.int_)


def _name(cells: list[MultiPolygon], groups: npt.NDArray[np.int_]) -> Land:
    land = Land()
    above = ("Provinsi Contoh", "Kabupaten Contoh")
    for k, flower in enumerate(KECAMATAN, start=1):
        members = [cell for cell, group in zip(cells, groups, strict=True) if group == k - 1]
        members.sort(key=lambda cell: (-round(cell.centroid.y, 2), cell.centroid.x))
        district = f"Contoh {flower}"
        for n, cell in enumerate(members, start=1):
            kelurahan = n == 1 and k <= 3
            code = f"99.01.{k:02d}.{(1000 if kelurahan else 2000) + n}"
            name = f"Contoh {flower} {_NUMBERS[n - 1] if n <= len(_NUMBERS) else n}"
            land.desa.append(Region(code, name, 4, 2 if kelurahan else 1, cell, (*above, district)))
        land.kecamatan.append(Region(f"99.01.{k:02d}", district, 3, 3, _join(members), above))
    land.desa.sort(key=lambda region: region.code)
    whole = _join([region.geometry for region in land.kecamatan])
    land.kabupaten = [Region("99.01", above[1], 2, 4, whole, above[:1])]
    land.provinsi = [Region("99", above[0], 1, 6, whole)]
    return land


def _join(parts: list[MultiPolygon]) -> MultiPolygon:
    return _multi(shapely.coverage_union_all(parts))


def _multi(geometry: shapely.Geometry) -> MultiPolygon:
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon)]
    return MultiPolygon(parts)


def group_sizes(land: Land) -> Counter[str]:
    """Count the desa of each kecamatan code."""
    return Counter(region.code[:8] for region in land.desa)
