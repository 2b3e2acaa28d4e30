"""Where the rows of an answer are: polygons of desa and of larger regions, points, lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from analysis.lookup import DesaIndex
from layers.contract import Geometries

MOST_POLYGONS = 2000
"""Desa whose polygons one answer holds; the whole country's would be gigabytes of text."""


def places_of_codes(index: DesaIndex, codes: Sequence[str | None]) -> Geometries:
    """Return the polygon of each desa or larger region, None for a code that the boundaries have not.

    Codes are canonical, in the scheme of the index. An answer of more than `MOST_POLYGONS` desa gets a
    point inside of each desa (of a region: of its first desa) in their place.
    """
    spans = {code: index.below(code) if code else (0, 0) for code in dict.fromkeys(codes)}
    total = sum(high - low for low, high in (spans[code] for code in codes))
    made = {code: _area(index, *span) if total <= MOST_POLYGONS else _point(index, *span)
            for code, span in spans.items()}  # fmt: skip
    return _array(made[code] for code in codes)


def _area(index: DesaIndex, low: int, high: int) -> shapely.Geometry | None:
    if low == high:
        return None
    shapes = index.polygons.shapes(np.arange(low, high))
    return shapes[0] if high - low == 1 else shapely.union_all(shapes)


def _point(index: DesaIndex, low: int, high: int) -> shapely.Geometry | None:
    return None if low == high else shapely.Point(*index.points[low].tolist())


def points_of(rows: Iterable[Mapping[str, Any]], lon: str = "lon", lat: str = "lat") -> Geometries:
    """Return the point of each row that has numbers for both, within the range of degrees."""
    return _array(_placed(row.get(lon), row.get(lat)) for row in rows)


def lines_of(rows: Iterable[Mapping[str, Any]], begin: tuple[str, str], end: tuple[str, str]) -> Geometries:
    """Return the straight line of each row between two places; None unless both are known."""
    made: list[shapely.Geometry | None] = []
    for row in rows:
        ends = [_placed(*(row.get(name) for name in pair)) for pair in (begin, end)]
        made.append(None if None in ends else shapely.linestrings([p.coords[0] for p in ends if p]))
    return _array(made)


def _placed(lon: Any, lat: Any) -> shapely.Point | None:
    try:
        x, y = float(lon), float(lat)
    except (TypeError, ValueError):
        return None
    return shapely.Point(x, y) if abs(x) <= 180 and abs(y) <= 90 else None


def _array(shapes: Iterable[Any]) -> Geometries:
    found = list(shapes)
    made = np.empty(len(found), object)
    made[:] = found
    return made
