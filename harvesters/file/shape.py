"""Small things that every reader of geometry files needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
import pyproj
import shapely

from catalog.errors import ProtocolError
from catalog.model import BBox, FieldType
from harvesters.file.crs import Bounds, FileCrs

_MULTI = {"Polygon": "MultiPolygon", "LineString": "MultiLineString"}


def stored_type(types: Sequence[str]) -> str:
    """Return the type to store features of `types` in: single and multi together are the multi."""
    multi = {_MULTI.get(name, name) for name in types}
    if multi == {"Point", "MultiPoint"}:
        return "MultiPoint"
    only = multi.pop() if len(multi) == 1 else "Geometry"
    return "Geometry" if only == "Unknown" else only


def known_id(name: str | None, names: Iterable[str], where: str) -> None:
    """Raise ProtocolError when the configured `feature_id` is no field of the file."""
    if name is not None and name not in names:
        listed = ", ".join(sorted(names)[:40])
        raise ProtocolError(
            f"there is no field {name!r} for feature_id", where=where, hint=f"it has: {listed}"
        )


def bbox_of(bounds: Bounds | None, crs: pyproj.CRS | str) -> BBox | None:
    """Return bounds in degrees, None when there are none or they are not of this world."""
    if bounds is None:
        return None
    try:
        moved = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform_bounds(*bounds)
    except pyproj.exceptions.ProjError:
        return None
    west, south, east, north = (float(v) for v in moved)
    if not np.isfinite(moved).all() or max(abs(west), abs(east)) > 180 or max(abs(south), abs(north)) > 90:
        return None
    return west, south, east, north


def mover(crs: FileCrs, swap: bool) -> Any:
    """Return a function on geometries that swaps axes and transforms as needed; None for nothing to do."""
    if crs.source is None and not swap:
        return None
    to = pyproj.Transformer.from_crs(crs.source, crs.code, always_xy=True) if crs.source else None

    def move(xy: Any) -> Any:
        if swap:
            xy = xy[:, ::-1]
        return np.column_stack(to.transform(xy[:, 0], xy[:, 1])) if to is not None else xy

    return lambda geometry: shapely.transform(shapely.force_2d(geometry), move)


def value_of(value: Any, kind: FieldType) -> Any:
    """Return what the layer store takes for a value that a file library gave."""
    if value is None:
        return None
    if kind is FieldType.TEXT and not isinstance(value, str):
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value).hex()
        return (
            orjson.dumps(value, default=str).decode()
            if isinstance(value, (list, dict, tuple))
            else str(value)
        )
    if kind is FieldType.REAL and not isinstance(value, float):
        return float(value)
    if kind in {FieldType.DATE, FieldType.DATETIME} and not isinstance(value, (date, datetime)):
        return str(value)
    return value
