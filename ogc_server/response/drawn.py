"""An area that somebody draws: read from GeoJSON, the same for pusat kendali and the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import shapely

from analysis.inputs import geometry_of
from catalog.errors import QueryError
from ogc_server.errors import ParameterError

MOST_VERTICES = 20_000


def area_of(geojson: Mapping[str, Any], where: str) -> shapely.Geometry:
    """Return a valid area in lon/lat, several united; ParameterError names `where` for what is none."""
    try:
        shape = geometry_of(geojson)
    except QueryError:
        raise ParameterError("kendali.area.salah", where) from None
    west, south, east, north = shape.bounds if not shape.is_empty else (0.0, 0.0, 0.0, 0.0)
    inside = -180 <= west < east <= 180 and -90 <= south < north <= 90
    if not inside or shapely.get_num_coordinates(shape) > MOST_VERTICES:
        raise ParameterError("kendali.area.salah", where)
    area = shapely.union_all([_valid(part) for part in shapely.get_parts(shape)])
    if not area.area:
        raise ParameterError("kendali.area.salah", where)
    return area


def _valid(shape: shapely.Geometry) -> shapely.Geometry:
    """Return what an outline encloses, also one that crosses itself; nothing for points and lines."""
    if shape.geom_type not in ("Polygon", "MultiPolygon"):
        return shapely.Polygon()
    return shapely.make_valid(shape, method="structure", keep_collapsed=False)
