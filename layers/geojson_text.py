"""GeoJSON texts of a page of MultiPolygons, without a step per vertex.

Nearly all of a boundary layer is MultiPolygons, and GEOS takes four times as long to write them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import orjson
import shapely

from layers.contract import Geometries

_MULTIPOLYGON = 6
type Coordinates = npt.NDArray[np.float64]


def multipolygon_texts(
    shapes: Geometries, change: Callable[[Coordinates], Coordinates]
) -> list[bytes] | None:
    """Return the texts (`null` for None) with `change` applied to all coordinates (n x 2) at once.

    None when there is anything but 2D MultiPolygons with coordinates: then GEOS has to write them.
    """
    there = np.array([shape is not None for shape in shapes], dtype=bool)
    given = shapes[there]
    plain = (shapely.get_type_id(given) == _MULTIPOLYGON) & ~shapely.is_empty(given) & ~shapely.has_z(given)
    if not len(given) or not plain.all() or shapely.is_empty(shapely.get_parts(given)).any():
        return None
    _, coordinates, (ring, polygon, shape) = shapely.to_ragged_array(given, include_z=False)
    changed = np.ascontiguousarray(change(coordinates))
    vertices = orjson.dumps(changed, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")
    rings = _joined([b"],[".join(vertices[a:b]) for a, b in _pairs(ring)], b"]],[[", polygon)
    parts = _joined(rings, b"]]],[[[", shape)
    texts = iter([b'{"type":"MultiPolygon","coordinates":[[[[' + part + b"]]]]}" for part in parts])
    return [next(texts) if yes else b"null" for yes in there]


def _pairs(offsets: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    return list(pairwise(offsets.tolist()))


def _joined(texts: list[bytes], between: bytes, offsets: npt.NDArray[np.int64]) -> list[bytes]:
    return [texts[a] if b - a == 1 else between.join(texts[a:b]) for a, b in _pairs(offsets)]
