"""What raster requests may ask: parts, sizes, CRS, places, times and colours, read strictly.

Parts and sizes: `raster_subset`; `coords`: OGC API - EDR 1.1, Well-Known Text; the rest: OGC API -
Maps 1.0 (20-058), classes "Background", "Scaling", "Display Resolution" and "Spatial Subsetting".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from PIL import ImageColor
from shapely.geometry.base import BaseGeometry

from layers.style.palettes import rgb
from ogc_server.crs import CRS84, Crs
from ogc_server.errors import ParameterError
from ogc_server.parameters import (
    BBOX,
    COMMON,
    DATETIME,
    VERSION,
    Param,
    boolean,
    names,
    positive,
    text,
)
from ogc_server.raster_subset import above_zero, axis_factors, axis_sizes, number, resolution, subset

_HEX = re.compile(r"(?:0x|#)?([0-9a-fA-F]{6})")
_CURIE = re.compile(r"\[?((?:EPSG|OGC):[A-Za-z0-9]{1,12})\]?", re.IGNORECASE)


def geometry(*kinds: str) -> Any:
    """Return a reader of Well-Known Text of these kinds: valid, finite, not empty, two dimensions."""

    def reader(name: str, value: str) -> BaseGeometry:
        try:
            with np.errstate(all="ignore"):  # numbers beyond what a float holds are refused below
                shape = shapely.from_wkt(value.strip())
        except (shapely.errors.ShapelyError, ValueError):
            raise ParameterError("query.wkt", name, known=", ".join(kinds)) from None
        if shape is None or shape.geom_type not in kinds or shape.is_empty:
            raise ParameterError("query.wkt", name, known=", ".join(kinds))
        shape = shapely.force_2d(shape)
        if not all(map(math.isfinite, shape.bounds)):
            raise ParameterError("query.wkt", name, known=", ".join(kinds))
        if not shape.is_valid:
            raise ParameterError("query.wkt-invalid", name)
        return shape

    return reader


def colour(name: str, value: str) -> tuple[int, int, int]:
    """Read `0xRRGGBB`, `#RRGGBB` or a W3C colour name, in capital or small letters."""
    said = value.strip()
    found = _HEX.fullmatch(str(ImageColor.colormap.get(said.lower(), said)))
    if not found:
        raise ParameterError("query.colour", name, value=value[:40])
    return rgb("#" + found.group(1))


def place(name: str, value: str) -> tuple[float, float]:
    """Read two finite numbers: a point in the axis order of its CRS."""
    parts = value.split(",")
    if len(parts) != 2:
        raise ParameterError("query.place", name, value=value[:80])
    return number(name, parts[0]), number(name, parts[1])


def optional_names(name: str, value: str) -> tuple[str, ...]:
    """Read a comma-separated list; an empty one is fine."""
    return names(name, value) if value.strip() else ()


def pick_crs(value: str | None, known: Mapping[str, Crs], where: str, default: Crs = CRS84) -> Crs:
    """Return the CRS named by a URI or a (safe) CURIE such as `[EPSG:3857]`."""
    if value is None:
        return default
    wanted = value.strip().replace("https://www.opengis.net/", "http://www.opengis.net/")
    if curie := _CURIE.fullmatch(wanted):
        code = curie.group(1).upper()
        found = next((crs for crs in known.values() if crs.code == code), None)
    else:
        found = known.get(wanted)
    if found is None:
        raise ParameterError("query.crs", where, value=value[:80])
    return found


_TEXT = {"type": "string"}
_URI = {"type": "string", "format": "uri"}
_SIZE = {"type": "integer", "minimum": 1}
_LIST = {"type": "array", "items": _TEXT}
_ABOVE = {"type": "number", "minimum": 0, "exclusiveMinimum": True}

CRS_PARAM = Param("crs", text, _URI)

_PLACE = (BBOX, Param("bbox-crs", text, _URI))
_PIXELS = (Param("width", positive, _SIZE), Param("height", positive, _SIZE))

_SUBSET = (Param("subset", subset, _TEXT), Param("subset-crs", text, _URI))
_GROUND = (
    Param("transparent", boolean, {"type": "boolean"}),
    Param("bgcolor", colour, _TEXT),
    Param("void-transparent", boolean, {"type": "boolean"}),
    Param("void-color", colour, _TEXT),
)
_SCALE = (Param("scale-denominator", above_zero, _ABOVE), Param("mm-per-pixel", above_zero, _ABOVE))

COVERAGE = (
    *COMMON, VERSION, *_PLACE, CRS_PARAM, DATETIME, *_PIXELS, *_SUBSET,
    Param("resolution", resolution, _TEXT),
    Param("scale-factor", above_zero, _ABOVE),
    Param("scale-axes", axis_factors, _TEXT),
    Param("scale-size", axis_sizes, _TEXT),
    Param("scaleSize", axis_sizes, _TEXT),
    Param("properties", names, _LIST),
    Param("exclude-properties", optional_names, _LIST),
)  # fmt: skip
MAP = (
    *COMMON, VERSION, *_PLACE, CRS_PARAM, DATETIME, *_PIXELS, *_SUBSET, *_SCALE, *_GROUND,
    Param("center", place, {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
    Param("center-crs", text, _URI),
)  # fmt: skip
MAP_TILE = (*COMMON, VERSION, *_PIXELS, *_SCALE, *_GROUND)


def edr_table(*kinds: str) -> tuple[Param, ...]:
    """Return the parameters of an EDR query whose `coords` are of these kinds."""
    return (
        *COMMON, VERSION, Param("coords", geometry(*kinds), _TEXT), Param("parameter-name", names, _LIST),
        CRS_PARAM, DATETIME,
    )  # fmt: skip
