"""Geometry made valid, also where GEOS itself gives up."""

from __future__ import annotations

from typing import overload

import numpy as np
import shapely

from layers.contract import Geometries


@overload
def valid(shapes: Geometries) -> Geometries: ...
@overload
def valid(shapes: shapely.Geometry) -> shapely.Geometry: ...
def valid(shapes: Geometries | shapely.Geometry) -> Geometries | shapely.Geometry:
    """Return `shapely.make_valid`, of an array or of one geometry.

    GEOS 3.14 raises "Overlay input is mixed-dimension" for a multipolygon one of whose parts is a single
    point; such a geometry is mended by its structure, without what has no area.
    """
    if isinstance(shapes, shapely.Geometry):
        return _one(shapes)
    try:
        made: Geometries = shapely.make_valid(shapes)
    except shapely.GEOSException:
        made = np.empty(len(shapes), object)
        made[:] = [one if one is None else _one(one) for one in shapes]
    return made


def _one(shape: shapely.Geometry) -> shapely.Geometry:
    try:
        return shapely.make_valid(shape)
    except shapely.GEOSException:
        return shapely.make_valid(shape, method="structure", keep_collapsed=False)
