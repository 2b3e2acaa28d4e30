"""A road network that does not exist: plausible, connected, and noded where roads meet.

The Gabriel graph of the desa's inner points (two are joined when no third lies in the circle over
them; Gabriel and Sokal 1969): it is planar and holds the minimum spanning tree, so every desa is
reached. That tree's roads are the better ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import shapely
from pyproj import Geod
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay
from shapely.geometry import LineString

from harvesters.sample.land import GRID, Floats, Region, roughened
from harvesters.sample.things import MARK, Feature

_GEOD = Geod(ellps="WGS84")
_SPEED = {"kolektor": 50, "lokal": 25}


def roads(rng: np.random.Generator, places: Sequence[Region]) -> list[Feature]:
    """Return the roads between the inner points of `places` as lines that share their end points.

    Attributes: `id`, `kelas` (kolektor, lokal), `kecepatan_kmj` (km/h), `panjang_m` (geodesic metres),
    `dari`, `ke` (codes). Every line may be driven both ways.
    """
    inner = shapely.point_on_surface([place.geometry for place in places])
    xy = np.column_stack([shapely.get_x(inner), shapely.get_y(inner)]).round(6)
    pairs = _gabriel(xy)
    main = _spanning(xy, pairs)
    found = []
    for number, (a, b) in enumerate(pairs, start=1):
        line = _line(rng, xy[a], xy[b])
        kelas = "kolektor" if (a, b) in main else "lokal"
        properties = {
            "id": f"jalan-{number:03d}", "nama": f"Jalan Contoh {number}", "kelas": kelas,
            "kecepatan_kmj": _SPEED[kelas], "panjang_m": round(_GEOD.geometry_length(line), 1),
            "dari": places[a].code, "ke": places[b].code, "keterangan": MARK,
        }  # fmt: skip
        found.append(Feature(properties, line))
    return found


def _gabriel(xy: Floats) -> list[tuple[int, int]]:
    edges = set()
    for triangle in Delaunay(xy).simplices.tolist():
        edges |= {tuple(sorted((triangle[i], triangle[i - 1]))) for i in range(3)}
    kept = []
    for a, b in sorted(edges):
        middle, reach = (xy[a] + xy[b]) / 2, ((xy[a] - xy[b]) ** 2).sum() / 4
        away = ((xy - middle) ** 2).sum(axis=1)
        away[[a, b]] = np.inf
        if away.min() >= reach:
            kept.append((int(a), int(b)))
    return kept


def _spanning(xy: Floats, pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    a, b = np.array(pairs).T
    length = np.hypot(*(xy[a] - xy[b]).T)
    tree = minimum_spanning_tree(coo_array((length, (a, b)), shape=(len(xy), len(xy)))).tocoo()
    return {
        cast(tuple[int, int], tuple(sorted(p)))
        for p in zip(tree.row.tolist(), tree.col.tolist(), strict=True)
    }


def _line(rng: np.random.Generator, a: Floats, b: Floats) -> LineString:
    ends = (float(a[0]), float(a[1]), float(b[0]), float(b[1]))
    points = roughened(rng, ends, depth=3)
    inner = [(round(x, 6), round(y, 6)) for x, y in points[1:-1]]
    return cast(LineString, shapely.remove_repeated_points(LineString([ends[:2], *inner, ends[2:]]), GRID))
