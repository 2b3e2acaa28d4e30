"""wilayah-terdampak: which desa does a hazard hit, how much of each, and who is there.

Shares are equal-area (EPSG:6933, WGS 84 / NSIDC EASE-Grid 2.0 Global). Desa that lie wholly within
the hazard are found by a prepared `covers`; only those on its edge are cut, each against the piece
of the hazard in its bounding box (`clip_by_rect`). People are those of the published aggregates:
all that live in a desa that is hit, and, as an estimate that takes them for evenly spread, the share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import shapely
from pyproj import Transformer

from analysis.counts import Aggregates
from analysis.earthquake import REACH_KM, SUMBER, Gempa, hypocentral_km, intensity, roman, sigma
from analysis.impact import METODE_LUAS, Dampak, desa_of, highest, roll_up
from analysis.lookup import DesaIndex
from analysis.ragged import Floats, Geometries, Ints
from catalog.errors import QueryError
from layers.valid import valid

_LEAST_SHARE = 1e-9


@dataclass(frozen=True, slots=True)
class Bahaya:
    """One part of a hazard: an area in lon/lat and its class; later in a list is higher."""

    geometry: shapely.Geometry
    kelas: str = ""


def affected_by_area(
    index: DesaIndex,
    hazards: Sequence[Bahaya],
    *,
    aggregates: Aggregates | None = None,
    names: Mapping[str, str] | None = None,
) -> Dampak:
    """Return what areas hit. Where they overlap each other, ground is counted once.

    `hazards` in ascending order of danger; `names` gives the names of larger regions by code.
    QueryError for geometry that is empty, no area, or not in degrees.
    """
    if not hazards:
        raise QueryError("there is no hazard area", where="area")
    classes = list(dict.fromkeys(h.kelas for h in hazards))
    parts = {kelas: _area([h.geometry for h in hazards if h.kelas == kelas]) for kelas in classes}
    shares = [_shares(index, area) for area in parts.values()]
    rows, share = shares[0] if len(classes) == 1 else _shares(index, _area(list(parts.values())))
    per_class = np.zeros((len(rows), len(classes)))
    for number, (of_class, some) in enumerate(shares):
        here = np.isin(of_class, rows)
        per_class[np.searchsorted(rows, of_class[here]), number] = some[here]
    desa = desa_of(index, rows, share, classes, highest(per_class), per_class, aggregates)
    return Dampak(desa, roll_up(index, desa, names or {}))


def affected_by_earthquake(
    index: DesaIndex,
    quake: Gempa,
    *,
    least_mmi: float = 5.0,
    aggregates: Aggregates | None = None,
    names: Mapping[str, str] | None = None,
) -> Dampak:
    """Return the desa where the mean intensity, at a point inside of each, is at least `least_mmi`.

    Only within 300 km of the hypocentre, for which the relation was made; `catatan` warns when the
    earthquake is outside of it. The class is the degree in Roman numerals.
    """
    if not 1 <= least_mmi <= 10:
        raise QueryError(f"least_mmi must be 1 to 10, not {least_mmi}", where="least_mmi")
    lon, lat = index.points[:, 0], index.points[:, 1]
    near = np.flatnonzero((np.abs(lon - quake.lon) < 3) & (np.abs(lat - quake.lat) < 3))
    distance = hypocentral_km(quake, lon[near], lat[near])
    mmi, deviation = intensity(quake.magnitudo, distance), sigma(distance)
    hit = np.flatnonzero((distance <= REACH_KM) & (mmi >= least_mmi))
    degrees = np.array([roman(float(value)) for value in mmi[hit]], object)
    classes = [roman(degree) for degree in range(1, 11)]
    per_class = (degrees[:, None] == np.array(classes, object)).astype(float)
    desa = desa_of(index, near[hit], np.ones(len(hit)), classes, highest(per_class), per_class, aggregates)
    desa = replace(desa, mmi=mmi[hit], sigma=deviation[hit])
    notes = tuple(f"di_luar_relasi.{name}" for name in quake.outside_of_relation())
    return Dampak(desa, roll_up(index, desa, names or {}), METODE_LUAS, SUMBER, notes)


def nothing(index: DesaIndex, aggregates: Aggregates | None) -> Dampak:
    """Return what an event hits that was called off."""
    none = np.empty(0)
    desa = desa_of(
        index, none.astype(np.int64), none, [], none.astype(np.int64), np.empty((0, 0)), aggregates
    )
    return Dampak(desa, roll_up(index, desa, {}))


def _area(geometries: list[shapely.Geometry]) -> shapely.Geometry:
    """Return one valid area of all, polygons only; QueryError when there is none."""
    area = shapely.union_all(valid(np.array(geometries, object)))
    polygons = [p for p in shapely.get_parts(area) if p.geom_type in {"Polygon", "MultiPolygon"}]
    area = shapely.union_all(polygons) if area.geom_type == "GeometryCollection" else area
    if area.is_empty or area.geom_type not in {"Polygon", "MultiPolygon"}:
        raise QueryError("the geometry is no area", where="area")
    west, south, east, north = area.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise QueryError("the geometry is not in degrees of longitude and latitude", where="area")
    return area


def _shares(index: DesaIndex, area: shapely.Geometry) -> tuple[Ints, Floats]:
    """Return the rows that share ground with `area`, ascending, and the share of each."""
    west, south, east, north = area.bounds
    b = index.boxes
    rows = np.flatnonzero((b[:, 0] <= east) & (b[:, 2] >= west) & (b[:, 1] <= north) & (b[:, 3] >= south))
    shapely.prepare(area)
    boxes = shapely.box(*b[rows].T)
    inside = shapely.covers(area, boxes)  # a box is covered sooner than a polygon is looked at
    rest = rows[~inside & shapely.intersects(area, boxes)]
    polygons = index.polygons.shapes(rest)
    covered = shapely.covers(area, polygons)
    edge = ~covered & shapely.intersects(area, polygons)
    whole = np.concatenate([rows[inside], rest[covered]])
    cut, parts = _cut(index, area, rest[edge], polygons[edge])
    found = np.concatenate([whole, cut])
    order = np.argsort(found)
    return found[order], np.concatenate([np.ones(len(whole)), parts])[order]


def _cut(index: DesaIndex, area: shapely.Geometry, rows: Ints, polygons: Geometries) -> tuple[Ints, Floats]:
    pieces = np.array([_clipped(area, b) for b in index.boxes[rows].tolist()], object)
    common = shapely.intersection(polygons, pieces) if len(rows) else pieces
    shares = np.minimum(_equal_area(common) / index.areas[rows], 1.0)
    enough = shares > _LEAST_SHARE
    return rows[enough], shares[enough]


def _clipped(area: shapely.Geometry, box: list[float]) -> shapely.Geometry:
    piece = shapely.clip_by_rect(area, *box)
    return piece if shapely.is_valid(piece) else shapely.intersection(area, shapely.box(*box))


def _equal_area(geometries: Geometries) -> Floats:
    flat = Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)
    if not len(geometries):
        return np.empty(0)
    projected = shapely.transform(geometries, lambda c: np.column_stack(flat.transform(c[:, 0], c[:, 1])))
    return cast(Floats, shapely.area(projected))
