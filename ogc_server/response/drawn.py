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
    """Return a valid area in lon/lat; ParameterError names `where` for what is no area in degrees."""
    try:
        shape = geometry_of(geojson)
    except QueryError:
        raise ParameterError("kendali.area.salah", where) from None
    west, south, east, north = shape.bounds if not shape.is_empty else (0.0, 0.0, 0.0, 0.0)
    inside = -180 <= west < east <= 180 and -90 <= south < north <= 90
    if not inside or not shape.area or shapely.get_num_coordinates(shape) > MOST_VERTICES:
        raise ParameterError("kendali.area.salah", where)
    return shape if shape.is_valid else shapely.make_valid(shape)
