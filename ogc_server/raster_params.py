"""What raster requests may ask: parts, sizes, CRS, places and colours, read strictly.

Grammar of `subset`, `scale-axes` and `scale-size`: OGC API - Coverages (draft 19-087), clauses
"Subsetting" and "Scaling"; `coords`: OGC API - EDR 1.1, Well-Known Text; `bgcolor` and
`transparent`: OGC API - Maps 1.0, clause "Background".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ogc_server.crs import CRS84, Crs
from ogc_server.errors import ParameterError
from ogc_server.parameters import (
    BBOX,
    COMMON,
    DATETIME,
    NUMBER,
    VERSION,
    Param,
    boolean,
    names,
    positive,
    text,
)

type Interval = tuple[float | None, float | None]

AXES = dict.fromkeys(("x", "lon", "long", "longitude", "e", "easting"), "x") | dict.fromkeys(
    ("y", "lat", "latitude", "n", "northing"), "y"
)
_PART = re.compile(r"\s*([A-Za-z]{1,12})\s*\(([^()]{1,80})\)\s*")
_HEX = re.compile(r"(?:0x|#)?([0-9a-fA-F]{6})")
_CURIE = re.compile(r"\[?((?:EPSG|OGC):[A-Za-z0-9]{1,12})\]?", re.IGNORECASE)
_COLOURS = {
    "white": "ffffff", "black": "000000", "gray": "808080", "grey": "808080", "silver": "c0c0c0",
    "red": "ff0000", "green": "008000", "blue": "0000ff", "yellow": "ffff00",
}  # fmt: skip


class AnswerTooLargeError(ParameterError):
    """The answer would hold more values than one request may ask for; says how to ask for less."""

    code: ClassVar[str] = "answer-too-large"
    http_status: ClassVar[int] = 413


class OutsideError(ParameterError):
    """What is asked for lies wholly beside the raster (Coverages, subset requirement J: 204 or 404)."""

    code: ClassVar[str] = "outside"
    http_status: ClassVar[int] = 404


def _parts(name: str, value: str) -> dict[str, str]:
    """Read `Lat(...),Lon(...)` as axis (x or y) -> text between the brackets."""
    found: dict[str, str] = {}
    at = 0
    while at <= len(value):
        part = _PART.match(value, at)
        if not part:
            raise ParameterError("query.axes", name, value=value[:80])
        axis = AXES.get(part.group(1).lower())
        if axis is None:
            raise ParameterError("query.axis", name, value=part.group(1))
        if axis in found:
            raise ParameterError("query.axis-twice", name, value=part.group(1))
        found[axis] = part.group(2)
        if part.end() == len(value):
            return found
        if value[part.end()] != ",":
            break
        at = part.end() + 1
    raise ParameterError("query.axes", name, value=value[:80])


def number(name: str, value: str) -> float:
    """Read one finite number."""
    read = float(value) if NUMBER.fullmatch(value.strip()) else math.nan
    if not math.isfinite(read):
        raise ParameterError("query.number", name, value=value[:40])
    return read


def above_zero(name: str, value: str) -> float:
    """Read one finite number greater than 0."""
    read = number(name, value)
    if read <= 0:
        raise ParameterError("query.above-zero", name, value=value[:40])
    return read


def subset(name: str, value: str) -> dict[str, Interval]:
    """Read `Lat(-7:-6),Lon(106:107)`; `*` is the raster's own end; one number is one row or column."""
    found: dict[str, Interval] = {}
    for axis, inside in _parts(name, value).items():
        ends = inside.split(":")
        if len(ends) > 2 or (len(ends) == 1 and ends[0].strip() == "*"):
            raise ParameterError("query.axes", name, value=value[:80])
        low, high = (None if end.strip() == "*" else number(name, end) for end in (ends[0], ends[-1]))
        found[axis] = (low, high)
    return found


def axis_factors(name: str, value: str) -> dict[str, float]:
    """Read `x(2),y(4)`: by how much fewer columns and rows."""
    return {axis: above_zero(name, inside) for axis, inside in _parts(name, value).items()}


def axis_sizes(name: str, value: str) -> dict[str, int]:
    """Read `x(400),y(200)`: how many columns and rows."""
    return {axis: positive(name, inside) for axis, inside in _parts(name, value).items()}


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
    """Read `0xRRGGBB`, `#RRGGBB` or a W3C colour name of the basic ones."""
    found = _HEX.fullmatch(_COLOURS.get(value.strip().lower(), value.strip()))
    if not found:
        raise ParameterError("query.colour", name, value=value[:40])
    code = int(found.group(1), 16)
    return (code >> 16, code >> 8 & 255, code & 255)


def pick_crs(value: str | None, known: Mapping[str, Crs], where: str, default: Crs = CRS84) -> Crs:
    """Return the CRS named by a URI or a (safe) CURIE such as `[EPSG:3857]`."""
    if value is None:
        return default
    wanted = value.strip()
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

COVERAGE = (
    *COMMON, VERSION, *_PLACE, CRS_PARAM, DATETIME, *_PIXELS,
    Param("subset", subset, _TEXT),
    Param("subset-crs", text, _URI),
    Param("scale-factor", above_zero, _ABOVE),
    Param("scale-axes", axis_factors, _TEXT),
    Param("scale-size", axis_sizes, _TEXT),
    Param("properties", names, _LIST),
)  # fmt: skip
MAP = (
    *COMMON, VERSION, *_PLACE, CRS_PARAM, DATETIME, *_PIXELS,
    Param("transparent", boolean, {"type": "boolean"}),
    Param("bgcolor", colour, _TEXT),
)  # fmt: skip


def edr_table(*kinds: str) -> tuple[Param, ...]:
    """Return the parameters of an EDR query whose `coords` are of these kinds."""
    return (
        *COMMON, VERSION, Param("coords", geometry(*kinds), _TEXT), Param("parameter-name", names, _LIST),
        CRS_PARAM, DATETIME,
    )  # fmt: skip
