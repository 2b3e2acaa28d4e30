"""An answer as two layers: the desa that are hit, and the plan. Nothing of persons is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from analysis.affected import Terdampak, width_of
from analysis.lookup import DesaIndex
from analysis.response import Tanggapan
from catalog.codes import LEVELS, Level
from catalog.messages import text
from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from layers.contract import FeatureBatch
from ogc_server.response.event import Event

INTEGER, REAL, TEXT = FieldType.INTEGER, FieldType.REAL, FieldType.TEXT
_PLAN = (
    "item", "satuan", "kode", "nama", "tingkat", "gudang", "gudang_nama", "gudang_lon", "gudang_lat",
    "jumlah", "jarak_m", "alasan",
)  # fmt: skip
_NO_COUNT = re.compile(r"(?i)persen|rata|rasio|indeks")


@dataclass(frozen=True, slots=True)
class Context:
    """What every row says of its event."""

    event: Event
    revision: int
    exercise: bool
    units: Mapping[str, str]
    nearest: int

    def fields(self) -> list[FieldDef]:
        """Return the columns that both layers have."""
        kinds = {"revisi": INTEGER, "latihan": FieldType.BOOLEAN, "waktu_kejadian": FieldType.DATETIME}
        kinds |= {"magnitudo": REAL, "kedalaman_km": REAL}
        names = ("kejadian", "revisi", "waktu_kejadian", "magnitudo", "kedalaman_km", "latihan")
        return [_field(name, kinds.get(name, TEXT)) for name in names]

    def row(self) -> dict[str, Any]:
        """Return their values."""
        quake = self.event.quake
        return {
            "kejadian": self.event.id, "revisi": self.revision, "waktu_kejadian": self.event.at,
            "magnitudo": quake.magnitudo if quake else None,
            "kedalaman_km": quake.kedalaman_km if quake else None, "latihan": self.exercise,
        }  # fmt: skip


def _field(name: str, kind: FieldType = TEXT, **places: Any) -> FieldDef:
    key = "jumlah_kirim" if name == "jumlah" else re.sub(r"_\d+_", "_n_", name)
    return FieldDef(name, kind, text(f"respons.kolom.{key}", "id", **places))


def _count(kind: str, name: str, units: Mapping[str, str] | None = None) -> FieldDef:
    title = text(f"respons.kolom.{kind}", "id", nama=name)
    return FieldDef(f"{kind}_{name}", INTEGER, title, unit=(units or {}).get(name, ""))


def area_layer(
    index: DesaIndex, found: Tanggapan, context: Context, names: Mapping[str, str]
) -> tuple[LayerSchema, FeatureBatch]:
    """Return the desa that are hit as MultiPolygons in EPSG:4326, one row each, by code."""
    counts = sorted({n for one in found.dampak.desa for n in one.jumlah or {} if not _NO_COUNT.search(n)})
    items = sorted({need.item for need in found.kebutuhan}) if found.tingkat == "desa" else []
    fields = [
        *(_field(name) for name in ("kode", "nama", "kecamatan", "kabkota", "provinsi", "kelas")),
        *(_field(name, REAL) for name in ("bagian", "luas_terdampak_ha", "mmi", "mmi_sigma")),
        *(_count(kind, _short(name)) for kind in ("jumlah", "perkiraan") for name in counts),
        *(
            _field(f"bantuan_{n}_{name}", REAL if name == "jarak_m" else TEXT, n=n)
            for n in range(1, context.nearest + 1)
            for name in ("id", "nama", "jenis", "status", "jarak_m")
        ),
        *(_count(kind, item, context.units) for item in items for kind in ("butuh", "kirim")),
        *context.fields(),
    ]  # fmt: skip
    schema = LayerSchema(
        tuple(fields), "MultiPolygon", "EPSG:4326", time_field="waktu_kejadian", region_code=_region(index)
    )
    amounts, widths = _amounts(found), {level: width_of(index, level) for level in LEVELS[:-1]}
    shared = dict.fromkeys(schema.names()) | context.row()
    rows = [
        shared | _above(one.kode, widths, names) | _area_row(one, found, counts, items, amounts)
        for one in found.dampak.desa
    ]
    return schema, FeatureBatch([one.kode for one in found.dampak.desa], rows, _shapes(index, found))


def _region(index: DesaIndex) -> RegionCode | None:
    if not index.info.vintage:
        return None
    return RegionCode(field="kode", scheme=index.info.skema, vintage=index.info.vintage)


def _short(name: str) -> str:
    return name.removeprefix("jumlah_")


def _shapes(index: DesaIndex, found: Tanggapan) -> Any:
    rows = [row for one in found.dampak.desa if (row := index.row(one.kode)) is not None]
    if not rows:
        return np.empty(0, object)
    shapes = index.polygons.shapes(np.array(rows, np.int64))
    single = np.flatnonzero(shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON)
    shapes[single] = shapely.multipolygons(shapes[single], indices=np.arange(len(single)))
    return shapes


def _above(code: str, widths: Mapping[Level, int], names: Mapping[str, str]) -> dict[Level, str]:
    """Return the names of the regions above a desa; their codes where they have none."""
    return {level: names.get(code[:width]) or code[:width] for level, width in widths.items()}


def _area_row(
    one: Terdampak,
    found: Tanggapan,
    counts: list[str],
    items: list[str],
    amounts: Mapping[tuple[str, str, str], int],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kode": one.kode, "nama": one.nama, "kelas": one.kelas, "bagian": round(one.bagian, 6),
        "luas_terdampak_ha": round(one.luas_m2 / 10_000, 2),
        "mmi": None if one.mmi is None else round(one.mmi, 2),
        "mmi_sigma": None if one.sigma is None else round(one.sigma, 2),
    }  # fmt: skip
    for kind, known in (("jumlah", one.jumlah), ("perkiraan", one.perkiraan)):
        for column in counts:
            value = (known or {}).get(column)
            row[f"{kind}_{_short(column)}"] = None if value is None else round(value)
    for near in found.terdekat.get(one.kode, []):
        there, start = near.fasilitas, f"bantuan_{near.urutan}_"
        row |= {f"{start}id": there.id, f"{start}nama": there.nama, f"{start}jenis": there.jenis}
        row |= {f"{start}status": there.status, f"{start}jarak_m": round(near.jarak_m, 1)}
    for item in items:
        for kind in ("butuh", "kirim"):
            row[f"{kind}_{item}"] = amounts.get((kind, one.kode, item), 0)
    return row


def _amounts(found: Tanggapan) -> dict[tuple[str, str, str], int]:
    total: dict[tuple[str, str, str], int] = {}
    for need in found.kebutuhan:
        total["butuh", need.kode, need.item] = need.amount
    for sent in found.rencana.shipments:
        key = "kirim", sent.kode, sent.item
        total[key] = total.get(key, 0) + sent.amount
    return total


def plan_layer(
    index: DesaIndex, found: Tanggapan, context: Context, names: Mapping[str, str]
) -> tuple[LayerSchema, FeatureBatch]:
    """Return the plan as a table: what is sent, then (no `gudang`) what stays unmet and why."""
    kinds = {"jumlah": INTEGER, "jarak_m": REAL, "gudang_lon": REAL, "gudang_lat": REAL}
    fields = (*(_field(name, kinds.get(name, TEXT)) for name in _PLAN), *context.fields())
    called = {one.kode: one.nama for one in found.dampak.desa} | dict(names)
    ids: list[str] = []
    rows: list[dict[str, Any]] = []
    for sent in found.rencana.shipments:
        store = found.fasilitas[sent.warehouse]
        ids.append(f"{sent.item}|{sent.kode}|{sent.warehouse}")
        rows.append(
            {
                "item": sent.item, "kode": sent.kode, "jumlah": sent.amount, "jarak_m": round(sent.cost, 1),
                "gudang": sent.warehouse, "gudang_nama": store.nama, "gudang_lon": store.lon,
                "gudang_lat": store.lat,
            }
        )  # fmt: skip
    for unmet in found.rencana.unmet:
        ids.append(f"{unmet.item}|{unmet.kode}|")
        row = {"kode": unmet.kode, "item": unmet.item, "jumlah": unmet.amount, "alasan": unmet.reason.value}
        rows.append(row)
    shared = context.row() | {"tingkat": found.tingkat}
    done = [
        dict.fromkeys(_PLAN)
        | row
        | {"satuan": context.units.get(str(row["item"]), ""), "nama": called.get(str(row["kode"]), "")}
        | shared
        for row in rows
    ]
    schema = LayerSchema(tuple(fields), None, time_field="waktu_kejadian", region_code=_region(index))
    return schema, FeatureBatch(ids, done)


def summary(found: Tanggapan) -> dict[str, Any]:
    """Return what fits in a notice: how many are hit, how strongly, what is sent and what is not."""
    desa = found.dampak.desa
    total: dict[str, float] = {}
    for one in desa:
        for name, value in (one.perkiraan or {}).items():
            if not _NO_COUNT.search(name):
                total[_short(name)] = total.get(_short(name), 0.0) + value
    strongest = max((one.mmi for one in desa if one.mmi is not None), default=None)
    return {
        "desa": len(desa),
        **{level: len(found.dampak.wilayah.get(level, [])) for level in LEVELS[:-1]},
        "mmi_tertinggi": None if strongest is None else round(strongest, 2),
        "perkiraan": {name: round(value) for name, value in sorted(total.items())},
        "desa_tanpa_data": sum(one.tanpa_data for one in desa),
        "tingkat_rencana": found.tingkat,
        "item": [
            {"item": one.item, "kebutuhan": one.needed, "dikirim": one.served, "dirilis": one.released,
             "kurang": one.needed - one.served}
            for one in found.rencana.items
        ],
        "catatan": list(found.catatan),
    }  # fmt: skip
