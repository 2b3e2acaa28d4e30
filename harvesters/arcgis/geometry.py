"""Esri JSON geometries to shapely, a page at a time and without a Python step per vertex.

Z and M are dropped. The order and direction of rings are not trusted: which ring is a hole follows
from containment alone. The result is `Point`, `MultiPoint`, `MultiLineString` or `MultiPolygon`, or
None where the source has no (or an empty) geometry. Nothing is made valid here: the store does that
and counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from harvesters.arcgis.curves import densify
from layers.contract import Geometries

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]
type Raw = dict[str, Any] | None

TYPES = {
    "esriGeometryPoint": "Point",
    "esriGeometryMultipoint": "MultiPoint",
    "esriGeometryPolyline": "MultiLineString",
    "esriGeometryPolygon": "MultiPolygon",
    "esriGeometryEnvelope": "MultiPolygon",
}
"""Esri geometry types and what we store of each."""
_EQUAL = 1e-9
"""Relative difference of areas up to which two rings may be the same ring written twice."""


def parse_geometries(geometry_type: str, raw: Sequence[Raw]) -> tuple[Geometries, dict[int, str]]:
    """Turn a page's geometries of one Esri type into shapely ones, in order.

    Also returns position -> reason for those that can not be read (their geometry is None): one bad
    feature does not spoil its page. Raises ValueError on an unknown `geometry_type`.
    """
    parse = _PARSERS.get(geometry_type)
    if parse is None:
        raise ValueError(f"unknown geometry type {geometry_type!r}")
    try:
        return parse(raw), {}
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, shapely.errors.ShapelyError):
        return _one_by_one(parse, raw)


def _one_by_one(
    parse: Callable[[Sequence[Raw]], Geometries], raw: Sequence[Raw]
) -> tuple[Geometries, dict[int, str]]:
    out = np.full(len(raw), None, dtype=object)
    bad: dict[int, str] = {}
    for i, geometry in enumerate(raw):
        try:
            out[i] = parse([geometry])[0]
        except (
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            AttributeError,
            shapely.errors.ShapelyError,
        ) as e:
            bad[i] = f"unreadable geometry: {e}"
    return out, bad


def _number(value: Any) -> float:
    """Esri writes the coordinate of an empty point as null or "NaN"."""
    return np.nan if value is None or value == "NaN" else float(value)


def _points(raw: Sequence[Raw]) -> Geometries:
    xy = np.array(
        [(_number(g.get("x")), _number(g.get("y"))) if g else (np.nan, np.nan) for g in raw], dtype=float
    ).reshape(len(raw), 2)
    out = np.full(len(raw), None, dtype=object)
    real = np.isfinite(xy).all(axis=1)
    out[real] = shapely.points(xy[real])
    return out


def _multipoints(raw: Sequence[Raw]) -> Geometries:
    parts = [(g or {}).get("points") or [] for g in raw]
    owner, coords = _flatten(parts)
    out = np.full(len(raw), None, dtype=object)
    if len(coords):
        shapely.multipoints(shapely.points(coords), indices=owner, out=out)
    return out


def _parts(raw: Sequence[Raw], straight: str, curved: str) -> tuple[Ints, list[list[Any]]]:
    """Return every path or ring of the page and the position of its feature."""
    owner: list[int] = []
    paths: list[list[Any]] = []
    for i, geometry in enumerate(raw):
        if not geometry:
            continue
        found = geometry.get(straight)
        if found is None:
            found = [densify(path) for path in geometry.get(curved) or ()]
        paths += found
        owner += [i] * len(found)
    return np.array(owner, dtype=np.int64), paths


def _flatten(paths: Sequence[Sequence[Sequence[float]]]) -> tuple[Ints, Floats]:
    """Return (path number of each vertex, vertices as n x 2); raises on ragged vertices."""
    sizes = np.fromiter(map(len, paths), dtype=np.int64, count=len(paths))
    total = int(sizes.sum())
    if not total:
        return np.empty(0, dtype=np.int64), np.empty((0, 2))
    widths = np.fromiter(map(len, chain.from_iterable(paths)), dtype=np.int64, count=total)
    width = int(widths[0])
    if width < 2 or (widths != width).any():
        return np.repeat(np.arange(len(paths)), sizes), _ragged(paths)
    flat = np.fromiter(
        chain.from_iterable(chain.from_iterable(paths)), dtype=float, count=total * width
    ).reshape(total, width)
    if not np.isfinite(flat[:, :2]).all():
        raise ValueError("a coordinate is not a finite number")
    return np.repeat(np.arange(len(paths)), sizes), flat[:, :2]


def _ragged(paths: Sequence[Sequence[Sequence[float]]]) -> Floats:
    xy = np.array([(float(v[0]), float(v[1])) for v in chain.from_iterable(paths)])
    if not np.isfinite(xy).all():
        raise ValueError("a coordinate is not a finite number")
    return xy


def _lines(raw: Sequence[Raw]) -> Geometries:
    owner, paths = _parts(raw, "paths", "curvePaths")
    keep = [i for i, path in enumerate(paths) if len(path) >= 2]
    number, coords = _flatten([paths[i] for i in keep])
    out = np.full(len(raw), None, dtype=object)
    if len(coords):
        shapely.multilinestrings(shapely.linestrings(coords, indices=number), indices=owner[keep], out=out)
    return out


def _envelopes(raw: Sequence[Raw]) -> Geometries:
    out = np.full(len(raw), None, dtype=object)
    for i, g in enumerate(raw):
        corners = [_number(g.get(k)) for k in ("xmin", "ymin", "xmax", "ymax")] if g else [np.nan]
        if np.isfinite(corners).all():
            out[i] = shapely.MultiPolygon([shapely.box(*corners)])
    return out


def _polygons(raw: Sequence[Raw]) -> Geometries:
    owner, rings = _parts(raw, "rings", "curveRings")
    keep = [i for i, ring in enumerate(rings) if len(ring) >= 3]  # less encloses nothing
    number, coords = _flatten([rings[i] for i in keep])
    out = np.full(len(raw), None, dtype=object)
    if len(coords):
        _assemble(owner[keep], shapely.linearrings(coords, indices=number), out)
    return out


def _assemble(owner: Ints, rings: Geometries, out: Geometries) -> None:
    """Build each feature's MultiPolygon from its rings into `out`; `owner` is in rising order."""
    alone = np.bincount(owner, minlength=len(out))[owner] == 1
    shell = np.arange(len(rings))  # the shell each ring belongs to; at first every ring is one
    if not alone.all():
        several = np.flatnonzero(~alone)
        shell[several] = _shells(owner[several], rings[several], several)
    used = np.flatnonzero(shell >= 0)
    # A shell comes before its holes, shells in the source's order.
    order = used[np.lexsort((used != shell[used], shell[used]))]
    shells, index = np.unique(shell[order], return_inverse=True)
    polygons = shapely.polygons(rings[order], indices=index)
    shapely.multipolygons(polygons, indices=owner[shells], out=out)


def _shells(owner: Ints, rings: Geometries, number: Ints) -> Ints:
    """Return for each ring the `number` of its shell (its own when it is one), -1 for a repeated ring.

    Ring a lies in ring b of the same feature when a point inside a is inside b and b is larger. An
    even count of such b makes a a shell, an odd count a hole of the smallest of them.
    """
    areas = shapely.area(shapely.polygons(rings))
    inner, outer = _nested(owner, shapely.polygons(rings), areas)
    repeated = np.zeros(len(rings), dtype=bool)
    same = np.isclose(areas[inner], areas[outer], rtol=_EQUAL, atol=0)
    repeated[inner[same]] = True  # `_nested` gives equal rings once, the later in the earlier
    real = ~(repeated[inner] | repeated[outer])
    inner, outer = inner[real], outer[real]
    depth = np.bincount(inner, minlength=len(rings))
    result = number.copy()
    result[repeated] = -1
    holes = (depth[inner] % 2 == 1) & (depth[outer] == depth[inner] - 1)
    result[inner[holes]] = number[outer[holes]]
    return result


def _nested(owner: Ints, polygons: Geometries, areas: Floats) -> tuple[Ints, Ints]:
    """Return pairs (inner, outer) of rings of one feature of which one lies in the other."""
    inside = shapely.point_on_surface(polygons)
    points, boxes = shapely.STRtree(polygons).query(inside)
    equal = np.isclose(areas[points], areas[boxes], rtol=_EQUAL, atol=0)
    fits = (owner[points] == owner[boxes]) & np.where(equal, points > boxes, areas[points] < areas[boxes])
    points, boxes, equal = points[fits], boxes[fits], equal[fits]
    shapely.prepare(polygons[np.unique(boxes)])
    hit = shapely.contains_properly(polygons[boxes], inside[points])
    if equal.any():
        hit[equal] &= shapely.equals(polygons[points[equal]], polygons[boxes[equal]])
    return points[hit], boxes[hit]


_PARSERS: dict[str, Callable[[Sequence[Raw]], Geometries]] = {
    "esriGeometryPoint": _points,
    "esriGeometryMultipoint": _multipoints,
    "esriGeometryPolyline": _lines,
    "esriGeometryPolygon": _polygons,
    "esriGeometryEnvelope": _envelopes,
}
