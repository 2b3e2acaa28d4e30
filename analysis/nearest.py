"""bantuan-terdekat: the k nearest facilities to points, areas or desa, in geodesic metres.

A k-d tree over earth-centred (ECEF) coordinates finds k + 4 candidates by chord; pyproj.Geod (WGS84)
puts them in order. Chord and geodesic agree in order to far below the four that are taken too many.
The distance is as the crow flies and the answer says so; `analysis.nearest_road` goes over roads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np
import shapely
from pyproj import Transformer

from analysis.lookup import GEOD, DesaIndex
from analysis.ragged import Floats, Ints
from catalog.codes import parse
from catalog.errors import NotFoundError, QueryError

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

type Jenis = Literal["geodesik", "jalan"]
"""Which distance it is: metres on the WGS84 ellipsoid as the crow flies, or along roads."""
_SPARE = 4
_CLOSE = 1.01
"""Facilities whose chord is longer by more than this are farther, too: the ellipsoid is flat by 0.3 %."""
_K_MAX = 1000


@dataclass(frozen=True, slots=True)
class Fasilitas:
    """One warehouse, lumbung, sentra, office. `info` (stock, opening, ...) is passed on as it is."""

    id: str
    nama: str
    jenis: str
    lon: float
    lat: float
    stok: Mapping[str, float] = field(default_factory=dict)
    status: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asal:
    """Where from: a point inside of what was asked, and the name that the answer gives it."""

    id: str
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Terdekat:
    """One facility of an answer, `urutan` 1 is the nearest.

    Over roads, `akses_m` is the part of `jarak_m` that leads straight to and from the road, and
    `waktu_menit` how long the way on the road takes, where the network has speeds.
    """

    asal: str
    urutan: int
    jarak_m: float
    fasilitas: Fasilitas
    jarak_jenis: Jenis = "geodesik"
    akses_m: float | None = None
    waktu_menit: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        one = self.fasilitas
        way = {"akses_m": self.akses_m, "waktu_menit": self.waktu_menit}
        return {
            "asal": self.asal, "urutan": self.urutan, "jarak_m": round(self.jarak_m, 1),
            "jarak_jenis": self.jarak_jenis, **{k: round(v, 1) for k, v in way.items() if v is not None},
            "id": one.id, "nama": one.nama, "jenis": one.jenis, "status": one.status, "stok": dict(one.stok),
            "lon": one.lon, "lat": one.lat, **({"info": dict(one.info)} if one.info else {}),
        }  # fmt: skip


class Finder(Protocol):
    """What finds the nearest facilities: as the crow flies, or over roads."""

    def nearest(
        self,
        origins: Sequence[Asal],
        *,
        k: int = 1,
        jenis: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Terdekat]]:
        """Return up to `k` facilities of the kinds for each origin, nearest first."""
        ...


class FacilityIndex:
    """Facilities in a tree per kind. Safe for many threads: it is only read."""

    def __init__(self, facilities: Sequence[Fasilitas]) -> None:
        """Take facilities; QueryError when one has no usable place."""
        for one in facilities:
            if not (-180 <= one.lon <= 180 and -90 <= one.lat <= 90):
                raise QueryError(f"facility {one.id!r} has no usable coordinates", where=one.id)
        self.facilities = tuple(facilities)
        self.lon = np.array([one.lon for one in facilities], float)
        self.lat = np.array([one.lat for one in facilities], float)
        self._xyz = _ecef(self.lon, self.lat)
        self._by_id = np.empty(len(facilities), np.int64)
        self._by_id[sorted(range(len(facilities)), key=lambda n: facilities[n].id)] = range(len(facilities))
        self.kinds: Set[str] = frozenset(one.jenis for one in facilities)
        self._trees: dict[tuple[str, ...], tuple[Ints, cKDTree]] = {}

    def nearest(
        self,
        origins: Sequence[Asal],
        *,
        k: int = 1,
        jenis: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Terdekat]]:
        """Return up to `k` facilities for each origin, nearest first, equal distances by id.

        `jenis` empty means all kinds. QueryError for an unknown kind or a `k` outside 1 to 1000.
        """
        lon, lat = np.array([(o.lon, o.lat) for o in origins], float).reshape(-1, 2).T
        metres, numbers = self.ranked(lon, lat, k, jenis)
        return [self.named(o.id, *found) for o, *found in zip(origins, metres, numbers, strict=True)]

    def named(self, origin: str, metres: Floats, numbers: Ints) -> list[Terdekat]:
        """Return one line of `ranked` as an answer."""
        return [
            Terdekat(origin, n, m, self.facilities[i])
            for n, (m, i) in enumerate(zip(metres.tolist(), numbers.tolist(), strict=True), 1)
        ]

    def ranked(self, lon: Floats, lat: Floats, k: int, jenis: Sequence[str] = ()) -> tuple[Floats, Ints]:
        """Return metres and numbers of up to `k` facilities for each place, in the order of `nearest`.

        Both are (places, min(k, facilities)).
        """
        if not 1 <= k <= _K_MAX:
            raise QueryError(f"k must be 1 to {_K_MAX}, not {k}", where="k")
        known, tree = self._tree(jenis)
        k, wanted = min(k, len(known)), min(k + _SPARE, len(known))
        if not len(known) or not len(lon):
            return np.empty((len(lon), k)), np.empty((len(lon), k), np.int64)
        chords, found = (one.reshape(len(lon), wanted) for one in tree.query(_ecef(lon, lat), wanted))
        near = known[found]
        place, rank = np.nonzero(chords <= chords[:, [k - 1]] * _CLOSE)
        number = near[place, rank]
        metres = np.full(near.shape, np.inf)
        metres[place, rank] = GEOD.inv(lon[place], lat[place], self.lon[number], self.lat[number])[2]
        order = np.lexsort((self._by_id[near], metres), axis=1)[:, :k]
        return np.take_along_axis(metres, order, 1), np.take_along_axis(near, order, 1)

    def chosen(self, jenis: Sequence[str] = ()) -> Ints:
        """Return the numbers of the facilities of some kinds (empty: all); QueryError for an unknown kind."""
        return self._tree(jenis)[0]

    def _tree(self, jenis: Sequence[str]) -> tuple[Ints, cKDTree]:
        key = tuple(sorted(set(jenis)))
        if unknown := set(key) - self.kinds:
            known = ", ".join(sorted(self.kinds)) or "-"
            raise QueryError(f"no facility of kind {sorted(unknown)}; there are: {known}", where="jenis")
        if key not in self._trees:
            from scipy.spatial import cKDTree  # heavy, and many servers have no facilities

            chosen = [n for n, one in enumerate(self.facilities) if not key or one.jenis in key]
            numbers = np.array(chosen, np.int64)
            self._trees[key] = numbers, cKDTree(self._xyz[numbers])
        return self._trees[key]


def origins_of_geometry(geometry: shapely.Geometry, name: str = "asal") -> list[Asal]:
    """Return the origins of a geometry (lon/lat): points as they are, one inside of each other part.

    QueryError for an empty one.
    """
    parts = [part for part in shapely.get_parts(geometry) if not part.is_empty]
    if not parts:
        raise QueryError("the geometry is empty", where="asal")
    if geometry.geom_type in {"Polygon", "MultiPolygon", "LineString", "MultiLineString"}:
        parts = [geometry]  # an area is asked from once
    places = shapely.point_on_surface(np.array(parts, object))
    single = len(places) == 1
    return [Asal(name if single else f"{name}-{n}", p.x, p.y) for n, p in enumerate(places, 1)]


def origins_of_codes(index: DesaIndex, codes: Sequence[str]) -> list[Asal]:
    """Return a point inside of each desa; NotFoundError names a code that has no boundary."""
    origins = []
    for text in codes:
        code = str(parse(text, index.info.skema, level="desa"))
        row = index.row(code)
        if row is None:
            raise NotFoundError(f"no boundary of {code}", where="asal")
        origins.append(Asal(code, *index.points[row].tolist()))
    return origins


def _ecef(lon: Floats, lat: Floats) -> Floats:
    to = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    return cast(Floats, np.column_stack(to.transform(lon, lat, np.zeros(len(lon)))))
