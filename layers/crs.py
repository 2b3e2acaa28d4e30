"""Coordinate systems: cached pyproj transformers, axis order, and what coordinates a CRS can hold.

Inside `layers` every coordinate is x, y (easting / longitude first). Only GeoJSON asked for in
another CRS follows that CRS's own axis order, as OGC API Features Part 2 demands.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from pyproj.exceptions import CRSError

from catalog.errors import QueryError
from layers.contract import Geometries
from layers.geojson_text import multipolygon_texts

CRS84 = "OGC:CRS84"
_LONLAT = frozenset({"OGC:CRS84", "CRS84", "EPSG:4326"})
type Coordinates = npt.NDArray[np.float64]


@lru_cache(maxsize=256)
def crs_of(code: str) -> pyproj.CRS:
    """Return the CRS named by an `EPSG:` / `OGC:` code, an OGC URI or URN; QueryError otherwise."""
    text = code.strip().strip("<>")
    if "/def/crs/" in text:
        authority, _, name = text.split("/def/crs/")[1].split("/", 2)
        text = f"{authority}:{name}"
    if text.upper() in ("CRS84", "OGC:CRS84"):
        text = CRS84
    try:
        return pyproj.CRS.from_user_input(text)
    except (CRSError, ValueError) as error:
        raise QueryError(f"unknown CRS {code!r}") from error


def is_lonlat(code: str) -> bool:
    """Tell whether x, y in this CRS are already WGS 84 longitude, latitude."""
    return code.upper() in _LONLAT


@lru_cache(maxsize=256)
def latitude_first(code: str) -> bool:
    """Tell whether the CRS's own axis order is northing / latitude first."""
    axes = crs_of(code).axis_info
    return bool(axes) and axes[0].direction.lower() in ("north", "south")


@lru_cache(maxsize=256)
def decimals(code: str) -> int:
    """Return how many decimals GeoJSON gets: 7 in degrees (1 cm), 3 in metres (1 mm)."""
    return 7 if crs_of(code).is_geographic else 3


def epsg(code: str) -> int | None:
    """Return the EPSG number, None when the CRS has none (OGC:CRS84)."""
    authority, _, number = code.partition(":")
    if authority.upper() == "EPSG" and number.isdigit():
        return int(number)
    found = crs_of(code).to_epsg()
    return int(found) if found else None


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs_of(source), crs_of(target), always_xy=True)


def transform_coordinates(coordinates: Coordinates, source: str, target: str) -> Coordinates:
    """Transform an (n, 2) array; what can not be transformed becomes inf."""
    x, y = _transformer(source, target).transform(coordinates[:, 0], coordinates[:, 1])
    return np.column_stack([x, y])


def transform(geometries: Any, source: str, target: str) -> Any:
    """Transform one geometry or an array of them, x, y order on both sides."""
    if source == target or (is_lonlat(source) and is_lonlat(target)):
        return geometries
    return shapely.transform(geometries, lambda c: transform_coordinates(c, source, target))


def transform_bounds(
    bounds: tuple[float, float, float, float], source: str, target: str
) -> tuple[float, float, float, float]:
    """Transform a box, its edges densified, so that the result holds all of it."""
    if source == target or (is_lonlat(source) and is_lonlat(target)):
        return bounds
    west, south, east, north = _transformer(source, target).transform_bounds(*bounds, densify_pts=21)
    return (west, south, east, north)


def to_geojson(geometries: Geometries, source: str, target: str | None = None) -> list[bytes]:
    """Return GeoJSON geometry texts (`null` for None), rounded, polygons counter-clockwise.

    `target` None is longitude, latitude (CRS84); otherwise coordinates follow the axis order of
    the target CRS.
    """
    out = CRS84 if target is None else target
    places = decimals(out)
    swap = target is not None and latitude_first(target)
    same = source == out or (is_lonlat(source) and is_lonlat(out))

    def change(coordinates: Coordinates) -> Coordinates:
        moved = coordinates if same else transform_coordinates(coordinates, source, out)
        rounded = np.round(moved, places) + 0.0
        return rounded[:, ::-1] if swap else rounded

    oriented = shapely.orient_polygons(geometries)
    if (texts := multipolygon_texts(oriented, change)) is not None:
        return texts
    shaped = shapely.transform(oriented, change)
    return [b"null" if text is None else text.encode() for text in shapely.to_geojson(shaped)]
