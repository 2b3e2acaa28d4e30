"""Make geometries fit to store: 2D, finite, in the CRS's world, valid, of the layer's type.

Works on whole pages with vectorised shapely calls. What was repaired is counted; what can not be
stored is an item error that names the feature; nothing is swapped or guessed in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely

from catalog.errors import PublishError
from catalog.model import ItemError
from layers.contract import Geometries
from layers.crs import CRS84, Coordinates, crs_of, transform_coordinates
from layers.valid import valid

type Mask = npt.NDArray[np.bool_]

_DIMENSION = {0: 0, 1: 1, 2: 1, 3: 2, 4: 0, 5: 1, 6: 2}
_TYPE_IDS = {
    "point": 0, "linestring": 1, "polygon": 3, "multipoint": 4, "multilinestring": 5,
    "multipolygon": 6, "geometrycollection": 7, "geometry": -1, "unknown": -1,
}  # fmt: skip
_NAMES = {
    -1: "Geometry", 0: "Point", 1: "LineString", 3: "Polygon", 4: "MultiPoint",
    5: "MultiLineString", 6: "MultiPolygon", 7: "GeometryCollection",
}  # fmt: skip
_MULTI: dict[int, Callable[..., Geometries]] = {
    4: shapely.multipoints, 5: shapely.multilinestrings, 6: shapely.multipolygons,
}  # fmt: skip
_SLACK = 1e-6
"""Degrees that a coordinate may lie outside the world: noise of a transformation."""


@dataclass(slots=True)
class Prepared:
    """Geometries ready to store, parallel to the input; `bad` ones must not be stored."""

    geometries: Geometries
    bad: Mask
    repaired: int = 0
    errors: list[ItemError] = field(default_factory=list)


def type_id(name: str) -> int:
    """Return shapely's type id of an OGC type name (-1 = any); PublishError when unknown."""
    plain = name.lower().replace(" ", "").removesuffix("zm").removesuffix("z").removesuffix("m")
    key = {"curve": "linestring", "surface": "polygon", "multicurve": "multilinestring",
           "multisurface": "multipolygon"}.get(plain, plain)  # fmt: skip
    if key not in _TYPE_IDS:
        raise PublishError(f"unknown geometry type {name!r}")
    return _TYPE_IDS[key]


def type_name(name: str) -> str:
    """Return the canonical OGC name: `multipolygon z` -> `MultiPolygon`."""
    return _NAMES[type_id(name)]


def prepare_geometries(ids: list[str], geometries: Geometries, geometry_type: str, crs: str) -> Prepared:
    """Check and repair a page of geometries in CRS `crs` for a layer of `geometry_type`."""
    wanted = type_id(geometry_type)
    shapes = shapely.force_2d(np.asarray(geometries, dtype=object))
    page = Prepared(shapes, np.zeros(len(ids), dtype=bool))
    _check_coordinates(page, ids, crs)
    page.geometries[page.bad] = None
    page.geometries[shapely.is_empty(page.geometries)] = None
    _repair(page, ids, wanted)
    _fit_type(page, ids, wanted)
    page.geometries[page.bad] = None
    return page


def _refuse(page: Prepared, ids: list[str], where: npt.NDArray[np.int_], code: str, message: str) -> None:
    page.bad[where] = True
    page.errors += [ItemError(code, message, remote_id=ids[i]) for i in where]


def _check_coordinates(page: Prepared, ids: list[str], crs: str) -> None:
    coordinates, owner = shapely.get_coordinates(page.geometries, return_index=True)
    finite = np.isfinite(coordinates).all(axis=1)
    if not finite.all():
        broken = np.unique(owner[~finite])
        _refuse(page, ids, broken, "geometry-not-finite", "geometry has NaN or infinite coordinates")
        coordinates, owner = coordinates[finite], owner[finite]
    for code, message, outside in _outside(coordinates, crs):
        hit = np.setdiff1d(np.unique(owner[outside]), np.flatnonzero(page.bad))
        _refuse(page, ids, hit, code, message)


def _outside(xy: Coordinates, crs: str) -> list[tuple[str, str, Mask]]:
    if len(xy) == 0:
        return []
    if crs_of(crs).is_geographic:
        off = (np.abs(xy[:, 0]) > 180 + _SLACK) | (np.abs(xy[:, 1]) > 90 + _SLACK)
        if not off.any():
            return []
        swapped = off & _in_indonesia(xy[:, ::-1])
        return [
            ("coordinates-swapped", "latitude and longitude are swapped (it lies in Indonesia when swapped "
             "back); set the source's axis order", swapped),
            ("coordinates-outside", f"coordinates lie outside the world of {crs}", off & ~swapped),
        ]  # fmt: skip
    degrees = _maybe_degrees(xy)
    lonlat = transform_coordinates(xy, crs, CRS84)
    off = ~np.isfinite(lonlat).all(axis=1) | (np.abs(lonlat[:, 1]) > 90 + _SLACK)
    return [
        ("coordinates-degrees", f"coordinates are degrees but the layer's CRS {crs} is in metres", degrees),
        ("coordinates-outside", f"coordinates lie outside the world of {crs}", off & ~degrees),
    ]


def _in_indonesia(xy: Coordinates) -> Mask:
    x, y = xy[:, 0], xy[:, 1]
    inside: Mask = (x >= 94) & (x <= 142) & (y >= -12) & (y <= 7)
    return inside


def _maybe_degrees(xy: Coordinates) -> Mask:
    """In metres (0, 0) is a fair point; (107, -6) is Java in degrees, either way round."""
    return _in_indonesia(xy) | _in_indonesia(xy[:, ::-1])


def _repair(page: Prepared, ids: list[str], wanted: int) -> None:
    present = ~shapely.is_missing(page.geometries)
    broken = np.flatnonzero(present & ~shapely.is_valid(page.geometries))
    for i in broken:
        before = page.geometries[i]
        family = _family(wanted if wanted >= 0 else int(shapely.get_type_id(before)))
        after = _restrict(valid(before), family)
        if after is None:
            why = shapely.is_valid_reason(before)
            message = f"geometry collapses when made valid: {why}"
            _refuse(page, ids, np.array([i]), "geometry-collapsed", message)
        else:
            page.geometries[i] = after
            page.repaired += 1


def _family(kind: int) -> int | None:
    return _DIMENSION.get(kind)


def _restrict(geometry: shapely.Geometry, dimension: int | None) -> shapely.Geometry | None:
    """Keep the parts of one dimension (make_valid may leave lines beside the polygon)."""
    if dimension is None:
        return None if geometry.is_empty else geometry
    parts = [p for p in _flat(geometry) if _family(int(shapely.get_type_id(p))) == dimension]
    parts = [p for p in parts if not p.is_empty]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else _MULTI[(4, 5, 6)[dimension]](parts)


def _flat(geometry: shapely.Geometry) -> list[shapely.Geometry]:
    if shapely.get_type_id(geometry) < 4:
        return [geometry]
    return [leaf for part in shapely.get_parts(geometry) for leaf in _flat(part)]


def _fit_type(page: Prepared, ids: list[str], wanted: int) -> None:
    if wanted < 0:
        return
    kinds = shapely.get_type_id(page.geometries)
    kinds[kinds == 2] = 1
    if wanted in _MULTI:
        _promote(page, np.flatnonzero(kinds == {4: 0, 5: 1, 6: 3}[wanted]), wanted)
    elif wanted in (0, 1, 3):
        single = np.flatnonzero(kinds == {0: 4, 1: 5, 3: 6}[wanted])
        single = single[shapely.get_num_geometries(page.geometries[single]) == 1]
        page.geometries[single] = shapely.get_geometry(page.geometries[single], 0)
    kinds = shapely.get_type_id(page.geometries)
    for i in np.flatnonzero((kinds >= 0) & (kinds != wanted) & ~((kinds == 2) & (wanted == 1))):
        name = page.geometries[i].geom_type
        message = f"{name} does not fit in a layer of {_NAMES[wanted]}"
        _refuse(page, ids, np.array([i]), "geometry-type", message)


def _promote(page: Prepared, where: npt.NDArray[np.int_], wanted: int) -> None:
    if len(where):
        page.geometries[where] = _MULTI[wanted](page.geometries[where], indices=np.arange(len(where)))


__all__ = ["Prepared", "prepare_geometries", "type_id", "type_name"]
