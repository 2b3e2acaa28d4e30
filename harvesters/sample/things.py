"""What stands and happens on the invented land: facilities, stock, counts per desa, a hazard index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import geometry_mask, shapes
from rasterio.transform import from_bounds
from shapely.geometry import Point, shape

from harvesters.sample.land import Land, Region

NODATA = -9999.0
MARK = "Contoh sintetis, bukan data nyata"
TAHUN = 2026
_SMALLEST_CELL = 5
"""Counts below this are left empty, as published aggregates do (small-cell suppression)."""

# jenis, label, one for how many desa, name template
_FACILITIES = (
    ("puskesmas", "Puskesmas", 8), ("sentra", "Sentra", 40), ("kantor-desa", "Kantor Desa", 1),
    ("sekolah", "Sekolah Dasar", 2), ("pos-pengungsian", "Pos Pengungsian", 6),
)  # fmt: skip
_STOCK = (
    ("makanan_siap_saji", 700), ("lauk_pauk", 400), ("family_kit", 100), ("kidware", 100), ("selimut", 100),
    ("kasur", 100), ("tenda_gulung", 100), ("tenda_keluarga", 10), ("beras_kg", 1000),
)  # fmt: skip
OPENING = {
    "lumbung-sosial": "Mo-Fr 08:00-16:00", "gudang-logistik": "24/7", "sentra": "24/7",
    "pilar-sosial": "Mo-Sa 07:00-17:00",
}  # fmt: skip
"""Kinds of places with stock and when they are open, written as OpenStreetMap's `opening_hours`."""
_STATUS = ("siap", "siap", "siap", "terbatas", "kosong")


@dataclass(frozen=True, slots=True)
class Feature:
    """One generated feature: attributes in order, geometry in EPSG:4326."""

    properties: dict[str, Any]
    geometry: shapely.Geometry


def facilities(rng: np.random.Generator, land: Land) -> list[Feature]:
    """Return public places (points) with capacity and condition."""
    found: list[Feature] = []
    for jenis, label, per in _FACILITIES:
        for number, desa in enumerate(land.desa[::per], start=1):
            properties = {
                "id": f"{jenis}-{number:03d}",
                "nama": f"{label} {desa.name}" if per == 1 else f"{label} Contoh {number}",
                "jenis": jenis,
                "kode_desa": desa.code,
                "nama_desa": desa.name,
                "kapasitas": int(rng.integers(20, 400)),
                "kondisi": str(rng.choice(["baik", "baik", "rusak ringan", "rusak berat"])),
                "keterangan": MARK,
            }
            found.append(Feature(properties, _place(rng, desa)))
    return found


def logistics(rng: np.random.Generator, land: Land) -> list[Feature]:
    """Return lumbung sosial (one a kecamatan) and two gudang logistik with their stock and status."""
    places = [("lumbung-sosial", f"Lumbung Sosial {k.name}", k, 1) for k in land.kecamatan]
    hubs = (land.kecamatan[0], land.kecamatan[-1])
    places += [("gudang-logistik", f"Gudang Logistik Contoh {n}", k, 8) for n, k in enumerate(hubs, start=1)]
    return [stocked(rng, number, *place) for number, place in enumerate(places, start=1)]


def social_places(rng: np.random.Generator, land: Land, first: int) -> list[Feature]:
    """Return a sentra with kitchen stock and posts of pilar sosial, numbered from `first` on."""
    places = [("sentra", "Sentra Contoh Terpadu", land.kecamatan[len(land.kecamatan) // 2], 3.0)]
    places += [("pilar-sosial", f"Posko Tagana {k.name}", k, 0.1) for k in land.kecamatan[::3]]
    return [stocked(rng, number, *place) for number, place in enumerate(places, start=first)]


def stocked(
    rng: np.random.Generator, number: int, jenis: str, name: str, where: Region, scale: float
) -> Feature:
    """Return one place with stock somewhere in a kecamatan."""
    properties = {"id": f"logistik-{number:02d}", "nama": name, "jenis": jenis, "kode_kecamatan": where.code}
    return Feature({**properties, **stock(rng, jenis, scale)}, _place(rng, where))


def stock(rng: np.random.Generator, jenis: str, scale: float) -> dict[str, Any]:
    """Return status, opening hours and stock; `scale` 1 is a lumbung sosial, larger ones are always ready."""
    status = "siap" if scale > 1 else str(rng.choice(_STATUS))
    share = {"siap": 1.0, "terbatas": 0.3, "kosong": 0.0}[status]
    items = {k: int(rng.uniform(0.6, 1.1) * typical * scale * share) for k, typical in _STOCK}
    return {
        "status": status, "jam_buka": OPENING[jenis], **items, "diperbarui": "2026-01-01T00:00:00Z",
        "keterangan": MARK,
    }  # fmt: skip


def _place(rng: np.random.Generator, region: Region) -> Point:
    """Return a point in the region, to six decimals."""
    west, south, east, north = region.geometry.bounds
    for _ in range(200):
        point = Point(round(float(rng.uniform(west, east)), 6), round(float(rng.uniform(south, north)), 6))
        if region.geometry.contains(point):
            return point
    return Point(region.geometry.representative_point())


def recipients(rng: np.random.Generator, land: Land) -> list[dict[str, str]]:
    """Return the aggregate per desa in the columns of Satu Data tables; values as text."""
    rows: list[dict[str, str]] = []
    for desa in land.desa:
        families = int(rng.lognormal(6.6, 0.5))
        poor = float(np.clip(rng.beta(2, 6), 0.002, 0.8))
        pkh, sembako = int(families * poor * 0.55), int(families * poor)
        rows.append(
            {
                "kode_provinsi": "99", "nama_provinsi": "PROVINSI CONTOH",
                "kemendagri_kode_kabupaten_kota": "99.01",
                "kemendagri_nama_kabupaten_kota": "KABUPATEN CONTOH",
                "kemendagri_kode_kecamatan": desa.code[:8],
                "kemendagri_nama_kecamatan": desa.parents[2].upper(),
                "kemendagri_kode_desa_kelurahan": desa.code,
                "kemendagri_nama_desa_kelurahan": desa.name.upper(),
                "jumlah_keluarga": str(families), "jumlah_penerima_pkh": _published(pkh),
                "jumlah_penerima_sembako": _published(sembako),
                "persen_penerima_sembako": f"{100 * sembako / families:.1f}".replace(".", ","),
                "satuan": "KELUARGA", "tahun": str(TAHUN), "keterangan": MARK,
            }
        )  # fmt: skip
    return rows


def _published(count: int) -> str:
    return str(count) if count >= _SMALLEST_CELL else ""


def region_codes(land: Land) -> list[dict[str, str]]:
    """Return the code list of the land in the columns of the national list."""
    regions = [*land.provinsi, *land.kabupaten, *land.kecamatan, *land.desa]
    return [
        {
            "kode": r.code, "level": str(r.level), "nama": r.name,
            "induk": r.code.rpartition(".")[0], "kode_tanpa_titik": r.code.replace(".", ""),
        }
        for r in sorted(regions, key=lambda region: region.code)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hazard:
    """A hazard index 0..1 on a north-up grid in EPSG:4326; NODATA off the land. `cell` in degrees."""

    values: npt.NDArray[np.float32]
    bounds: tuple[float, float, float, float]

    @property
    def transform(self) -> Any:
        """Affine transform of the grid."""
        height, width = self.values.shape
        return from_bounds(*self.bounds, width, height)


def hazard(rng: np.random.Generator, land: Land, cell: float = 0.001) -> Hazard:
    """Return a flood index: high along an invented river and the coast, with soft noise."""
    island = land.provinsi[0].geometry
    west, south, east, north = island.bounds
    width, height = int(np.ceil((east - west) / cell)), int(np.ceil((north - south) / cell))
    bounds = (west, north - height * cell, west + width * cell, north)
    x, y = np.meshgrid(west + (np.arange(width) + 0.5) * cell, north - (np.arange(height) + 0.5) * cell)
    middle = (south + north) / 2
    river = (
        middle + 0.03 * np.sin((x - west) * 22 + float(rng.uniform(0, 6))) + 0.012 * np.sin((x - west) * 61)
    )
    index = 0.9 * np.exp(-(((y - river) / 0.014) ** 2)) + 0.15 * _bumps(rng, x, y)
    index = np.clip(index, 0, 1).round(3)
    grid = Hazard(index.astype(np.float32), bounds)
    outside = geometry_mask([island], index.shape, grid.transform)
    return Hazard(np.where(outside, np.float32(NODATA), grid.values), bounds)


def _bumps(rng: np.random.Generator, x: Any, y: Any) -> Any:
    total = np.zeros_like(x)
    for _ in range(14):
        cx, cy = rng.uniform(x.min(), x.max()), rng.uniform(y.min(), y.max())
        total += np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / (2 * float(rng.uniform(0.01, 0.05)) ** 2)))
    return total


def zones(grid: Hazard) -> list[Feature]:
    """Return the hazard classes sedang (over 0.33) and tinggi (over 0.66) as polygons."""
    values = grid.values
    classes = np.where(values > 0.66, 3, np.where(values > 0.33, 2, 0)).astype(np.uint8)
    names = {2: "sedang", 3: "tinggi"}
    found: list[Feature] = []
    for geometry, value in shapes(classes, mask=classes > 0, transform=grid.transform):
        polygon = shapely.set_precision(shape(geometry), 1e-6)
        number = len(found) + 1
        properties = {"id": f"zona-{number:03d}", "kelas": names[int(value)], "ket": MARK}
        found.append(Feature(properties, polygon))
    return found
