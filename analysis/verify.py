"""verifikasi-lokasi: does a point lie in the desa that its code claims.

One function for one point (`verify_point`) and one for many (`analysis.verify_batch`), with the same
answers. The method: the claimed polygon is asked first, borders count as inside; else the distance
to it in geodesic metres decides between `dalam_toleransi` and `tidak_sesuai`, and the index tells
in which desa the point really is. Nothing is repaired in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, overload

import numpy as np

from analysis.lookup import DesaIndex
from analysis.ragged import Floats
from analysis.verify_coordinate import Alasan, Usulan, read_coordinate
from catalog.codes import parse
from catalog.errors import QueryError, RecordError
from catalog.model import Scheme

Verdik = Literal[
    "sesuai", "dalam_toleransi", "tidak_sesuai", "kode_tidak_dikenal", "kode_lama",
    "di_luar_wilayah", "koordinat_tidak_sah", "kode_tanpa_poligon",
]  # fmt: skip
VERDIK: tuple[Verdik, ...] = get_args(Verdik)
"""`kode_tanpa_poligon`: a code of the reference whose boundary nobody published; nothing to check against."""
TOLERANSI_M = 100.0

type Moves = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Rujukan:
    """What is known of codes beside the boundaries. All codes canonical.

    `lama`: codes of older vintages and what they became, in the scheme and vintage of the index.
    `alih`: codes of the other scheme and where they lie (certain matches only, never `weak` ones).
    `tanpa_poligon`: codes that exist but have no boundary.
    """

    lama: Moves = field(default_factory=dict)
    alih: Moves = field(default_factory=dict)
    tanpa_poligon: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Klaim:
    """A claimed code, looked up: `rows` of the index that it means (several after a split)."""

    rows: tuple[int, ...] = ()
    menjadi: tuple[str, ...] = ()
    verdik: Verdik | None = None


@dataclass(frozen=True, slots=True)
class Hasil:
    """The answer about one point.

    `kode_nyata` is the desa where the point is, the first by code when it lies on a shared border;
    `jarak_m` the geodesic metres to the border of the claimed desa (0 inside), None when that is not
    known; `menjadi` what an old code became; `alasan` and `usulan` (lon, lat) for bad coordinates.
    """

    verdik: Verdik
    kode_nyata: str | None = None
    nama_nyata: str | None = None
    jarak_m: float | None = None
    menjadi: tuple[str, ...] = ()
    alasan: Alasan | None = None
    usulan: Usulan | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is empty is left out, but for the four fixed outputs."""
        fixed = {name: getattr(self, name) for name in ("verdik", "kode_nyata", "nama_nyata", "jarak_m")}
        if self.jarak_m is not None:
            fixed["jarak_m"] = round(self.jarak_m, 3)
        if self.menjadi:
            fixed["menjadi"] = list(self.menjadi)
        if self.alasan:
            fixed["alasan"] = self.alasan
        if self.usulan:
            fixed["usulan"] = {"lon": self.usulan[0], "lat": self.usulan[1]}
        return fixed


def verify_point(
    index: DesaIndex,
    lon: object,
    lat: object,
    kode: object,
    *,
    skema: Scheme | None = None,
    vintage: int | None = None,
    toleransi_m: float = TOLERANSI_M,
    rujukan: Rujukan | None = None,
) -> Hasil:
    """Verify one point. `lon`, `lat` are numbers or texts, `kode` a code of a desa in any writing.

    `skema` None means the index's own. QueryError for a tolerance that is none, and for a scheme
    that the index can not be asked in. A code that can not be read is `kode_tidak_dikenal`.
    """
    check_tolerance(toleransi_m)
    place = read_coordinate(lon, lat, index.info.bbox)
    if place.alasan is not None:
        return Hasil("koordinat_tidak_sah", alasan=place.alasan, usulan=place.usulan)
    claim = look_up(index, kode, skema, vintage, rujukan or Rujukan())
    actual = int(index.where(np.array([place.lon]), np.array([place.lat]))[0][0])
    verdik, actual, jarak = judge(index, claim, actual, place.lon, place.lat, toleransi_m)
    code, name = (index.code(actual), index.name(actual)) if actual >= 0 else (None, None)
    return Hasil(verdik, code, name, jarak, claim.menjadi)


def judge(
    index: DesaIndex, claim: Klaim, actual: int, lon: float, lat: float, toleransi_m: float
) -> tuple[Verdik, int, float | None]:
    """Return verdict, row where the point is (-1 for none) and metres to what is claimed.

    `actual` is the first row that covers the point: on a shared border, or where desa overlap, the
    claimed one takes its place.
    """
    if not claim.rows:
        return decide(claim.verdik, None, actual >= 0, toleransi_m), actual, None
    rows = np.array(claim.rows)
    x, y = np.full(len(rows), lon), np.full(len(rows), lat)
    inside = index.covers(rows, x, y)
    if inside.any():
        actual, jarak = int(rows[inside][0]), 0.0
    else:
        jarak = outside(float(index.border_distance(rows, x, y).min()))
    return decide(claim.verdik, jarak, actual >= 0, toleransi_m), actual, jarak


@overload
def outside(metres: float) -> float: ...
@overload
def outside(metres: Floats) -> Floats: ...
def outside(metres: float | Floats) -> float | Floats:
    """Keep the distance of a point that is not inside above 0, however near the border it is."""
    return np.maximum(metres, 1e-9)


def decide(fixed: Verdik | None, jarak: float | None, somewhere: bool, toleransi_m: float) -> Verdik:
    """Return the verdict: what the code fixes, else by distance, else by whether the point is anywhere."""
    if fixed is not None:
        return fixed
    if jarak == 0.0:
        return "sesuai"
    if jarak is not None and jarak <= toleransi_m:
        return "dalam_toleransi"
    return "tidak_sesuai" if somewhere else "di_luar_wilayah"


def check_tolerance(toleransi_m: float) -> None:
    """Raise QueryError unless it is between 0 and 100 km."""
    if not 0 <= toleransi_m <= 100_000:
        raise QueryError(f"toleransi_m must be 0 to 100000 metres, not {toleransi_m!r}", where="toleransi_m")


def look_up(
    index: DesaIndex, kode: object, skema: Scheme | None, vintage: int | None, rujukan: Rujukan
) -> Klaim:
    """Find out which polygons a claimed code means."""
    own = index.info.skema
    scheme = skema or own
    if scheme != own and not rujukan.alih:
        raise QueryError(f"the boundaries have {own} codes and no crosswalk from {scheme}", where="skema")
    try:
        code = str(parse(kode if isinstance(kode, int) else str(kode), scheme, level="desa"))
    except RecordError:
        return Klaim(verdik="kode_tidak_dikenal")
    if scheme != own:
        return _rows(index, rujukan.alih.get(code, ()), None)
    became = rujukan.lama.get(code, ())
    row = index.row(code)
    older = vintage is not None and vintage != index.info.vintage
    if became and became != (code,) and (row is None or older):
        return _rows(index, became, "kode_lama", became)
    if row is not None:
        return Klaim((row,))
    return Klaim(verdik="kode_tanpa_poligon" if code in rujukan.tanpa_poligon else "kode_tidak_dikenal")


def _rows(
    index: DesaIndex, codes: tuple[str, ...], verdik: Verdik | None, menjadi: tuple[str, ...] = ()
) -> Klaim:
    found = tuple(row for row in (index.row(code) for code in codes) if row is not None)
    if not found and verdik is None:
        verdik = "kode_tanpa_poligon" if codes else "kode_tidak_dikenal"
    return Klaim(found, menjadi, verdik)
