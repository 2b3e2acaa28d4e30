"""wilayah-terdampak: which desa does a hazard hit, how much of each, and who is there.

Shares are equal-area (EPSG:6933, WGS 84 / NSIDC EASE-Grid 2.0 Global). Desa that lie wholly within
the hazard are found by a prepared `covers`; only those on its edge are cut, each against the piece
of the hazard in its bounding box (`clip_by_rect`). People are those of the published aggregates:
all that live in a desa that is hit, and, as an estimate that takes them for evenly spread, the share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import shapely
from pyproj import Transformer

from analysis.earthquake import REACH_KM, SUMBER, Gempa, hypocentral_km, intensity, roman, sigma
from analysis.lookup import DesaIndex
from analysis.ragged import Floats, Geometries, Ints
from catalog.codes import LEVELS, Level, parse
from catalog.errors import QueryError

METODE_LUAS = "EPSG:6933"
_LEAST_SHARE = 1e-9

type Aggregates = Mapping[str, Mapping[str, float]]
"""Desa code (canonical) -> how many of what: `{"jiwa": 3210, "keluarga": 980, "penerima": 120}`."""


@dataclass(frozen=True, slots=True)
class Bahaya:
    """One part of a hazard: an area in lon/lat and its class; later in a list is higher."""

    geometry: shapely.Geometry
    kelas: str = ""


@dataclass(frozen=True, slots=True)
class Terdampak:
    """One desa or larger region that is hit.

    `bagian` is the share of its area (0..1), `luas_m2` the area hit, `kelas` the highest class there
    and `bagian_kelas` the share of each class. `jumlah` counts all who live in the desa that are hit,
    `perkiraan` the share of them; None when no aggregate of a desa is published (`tanpa_data` counts
    such desa in a larger region). `mmi` is the intensity of an earthquake and `sigma` its deviation.
    Of a raster: `bagian_tanpa_data` is the share without data and `maksimum` the highest value there.
    """

    kode: str
    nama: str
    tingkat: Level
    bagian: float
    luas_m2: float
    kelas: str = ""
    bagian_kelas: Mapping[str, float] = field(default_factory=dict)
    jumlah: Mapping[str, float] | None = None
    perkiraan: Mapping[str, float] | None = None
    desa: int = 1
    tanpa_data: int = 0
    mmi: float | None = None
    sigma: float | None = None
    bagian_tanpa_data: float | None = None
    maksimum: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values without what is not known."""
        found = {
            "kode": self.kode, "nama": self.nama, "tingkat": self.tingkat, "kelas": self.kelas,
            "bagian": round(self.bagian, 6), "luas_m2": round(self.luas_m2, 1), "desa": self.desa,
            "tanpa_data": self.tanpa_data,
            "bagian_kelas": {k: round(v, 6) for k, v in self.bagian_kelas.items()},
        }  # fmt: skip
        for name in ("jumlah", "perkiraan"):
            if (values := getattr(self, name)) is not None:
                found[name] = {k: round(v, 1) for k, v in values.items()}
        for name, digits in (("mmi", 2), ("sigma", 2), ("bagian_tanpa_data", 6), ("maksimum", 6)):
            if (number := getattr(self, name)) is not None:
                found[name] = round(number, digits)
        return found


@dataclass(frozen=True, slots=True)
class Dampak:
    """All that is hit: desa by code, and the larger regions by level. `catatan` are keys of warnings.

    `tanpa_data` names desa of which a raster says nothing: they are unknown, not safe.
    """

    desa: list[Terdampak]
    wilayah: Mapping[Level, list[Terdampak]]
    metode_luas: str = METODE_LUAS
    sumber_intensitas: str = ""
    catatan: tuple[str, ...] = ()
    tanpa_data: tuple[str, ...] = ()


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
    shares = {kelas: _shares(index, area) for kelas, area in parts.items()}
    whole = shares[classes[0]] if len(classes) == 1 else _shares(index, _area(list(parts.values())))
    desa = []
    for row in sorted(whole):
        per_class = {kelas: shares[kelas][row] for kelas in classes if row in shares[kelas]}
        highest = next((kelas for kelas in reversed(classes) if kelas in per_class), "")
        desa.append(desa_of(index, row, whole[row], aggregates, kelas=highest, bagian_kelas=per_class))
    return Dampak(desa, roll_up(index, desa, classes, names or {}))


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
    desa = []
    for i in hit:
        degree = roman(float(mmi[i]))
        extra = {"mmi": float(mmi[i]), "sigma": float(deviation[i]), "bagian_kelas": {degree: 1.0}}
        desa.append(desa_of(index, int(near[i]), 1.0, aggregates, kelas=degree, **extra))
    classes = [roman(degree) for degree in range(1, 11)]
    notes = tuple(f"di_luar_relasi.{name}" for name in quake.outside_of_relation())
    return Dampak(desa, roll_up(index, desa, classes, names or {}), METODE_LUAS, SUMBER, notes)


def roll_up(
    index: DesaIndex, desa: Iterable[Terdampak], classes: Sequence[str], names: Mapping[str, str]
) -> dict[Level, list[Terdampak]]:
    """Sum desa up to kecamatan, kabkota and provinsi; shares are of the area of all their desa."""
    hit = list(desa)
    found: dict[Level, list[Terdampak]] = {}
    for level in reversed(LEVELS[:-1]):
        width = width_of(index, level)
        groups: dict[str, list[Terdampak]] = defaultdict(list)
        for one in hit:
            groups[one.kode[:width]].append(one)
        found[level] = [
            _summed(code, level, groups[code], _whole(index, code), classes, names.get(code, ""))
            for code in sorted(groups)
        ]
    return found


def _area(geometries: list[shapely.Geometry]) -> shapely.Geometry:
    """Return one valid area of all, polygons only; QueryError when there is none."""
    area = shapely.union_all(shapely.make_valid(np.array(geometries, object)))
    polygons = [p for p in shapely.get_parts(area) if p.geom_type in {"Polygon", "MultiPolygon"}]
    area = shapely.union_all(polygons) if area.geom_type == "GeometryCollection" else area
    if area.is_empty or area.geom_type not in {"Polygon", "MultiPolygon"}:
        raise QueryError("the geometry is no area", where="area")
    west, south, east, north = area.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise QueryError("the geometry is not in degrees of longitude and latitude", where="area")
    return area


def _shares(index: DesaIndex, area: shapely.Geometry) -> dict[int, float]:
    """Return row -> share of its area, for all rows that share ground with `area`."""
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
    cut = _cut(index, area, rest[edge], polygons[edge])
    return {int(row): 1.0 for row in whole} | cut


def _cut(index: DesaIndex, area: shapely.Geometry, rows: Ints, polygons: Geometries) -> dict[int, float]:
    pieces = np.array([_clipped(area, b) for b in index.boxes[rows].tolist()], object)
    common = shapely.intersection(polygons, pieces) if len(rows) else pieces
    shares = np.minimum(_equal_area(common) / index.areas[rows], 1.0)
    return {int(row): float(s) for row, s in zip(rows, shares, strict=True) if s > _LEAST_SHARE}


def _clipped(area: shapely.Geometry, box: list[float]) -> shapely.Geometry:
    piece = shapely.clip_by_rect(area, *box)
    return piece if shapely.is_valid(piece) else shapely.intersection(area, shapely.box(*box))


def _equal_area(geometries: Geometries) -> Floats:
    flat = Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)
    if not len(geometries):
        return np.empty(0)
    projected = shapely.transform(geometries, lambda c: np.column_stack(flat.transform(c[:, 0], c[:, 1])))
    return cast(Floats, shapely.area(projected))


def desa_of(
    index: DesaIndex, row: int, share: float, aggregates: Aggregates | None, **extra: Any
) -> Terdampak:
    """Return one desa that is hit by `share` of its area, with the people of it."""
    code = index.code(row)
    there = None if aggregates is None else aggregates.get(code)
    estimate = None if there is None else {name: value * share for name, value in there.items()}
    return Terdampak(
        code,
        index.name(row),
        "desa",
        share,
        share * float(index.areas[row]),
        jumlah=there,
        perkiraan=estimate,
        tanpa_data=int(there is None),
        **extra,
    )


def _summed(
    code: str, level: Level, desa: list[Terdampak], area: float, classes: Sequence[str], name: str
) -> Terdampak:
    per_class: dict[str, float] = defaultdict(float)
    for one in desa:
        for kelas, share in one.bagian_kelas.items():
            per_class[kelas] += share * (one.luas_m2 / one.bagian) / area
    highest = next((kelas for kelas in reversed(classes) if kelas in per_class), "")
    hit = sum(one.luas_m2 for one in desa)
    strongest = max(desa, key=lambda one: one.mmi or 0)
    return Terdampak(
        code,
        name,
        level,
        hit / area,
        hit,
        highest,
        dict(per_class),
        _total([one.jumlah for one in desa]),
        _total([one.perkiraan for one in desa]),
        len(desa),
        sum(one.tanpa_data for one in desa),
        strongest.mmi,
        strongest.sigma,
        maksimum=max((one.maksimum for one in desa if one.maksimum is not None), default=None),
    )


def _total(values: Iterable[Mapping[str, float] | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    total: dict[str, float] = defaultdict(float)
    for one in known:
        for name, value in one.items():
            total[name] += value
    return dict(total)


def width_of(index: DesaIndex, level: Level) -> int:
    """Return how many characters of a canonical desa code name the region above it."""
    return len(str(parse(index.code(0), index.info.skema).at(level)))


def _whole(index: DesaIndex, code: str) -> float:
    """Return the area of all desa below a code: they stand together in the order of codes."""
    low, high = index.below(code)
    return float(index.areas[low:high].sum())
