"""An answer as two layers: the desa that are hit, and the plan. Nothing of persons is in them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from analysis.impact import DesaTerdampak, width_of
from analysis.lookup import DesaIndex
from analysis.ragged import Floats
from analysis.response import Tanggapan
from catalog.codes import LEVELS
from catalog.messages import text
from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from layers.contract import FeatureBatch, Geometries
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
    schema, columns = area_columns(index, found, context, names)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return schema, FeatureBatch(list(found.dampak.desa.kode), rows, shapes_of(index, found.dampak.desa))


def area_columns(
    index: DesaIndex, found: Tanggapan, context: Context, names: Mapping[str, str]
) -> tuple[LayerSchema, dict[str, list[Any]]]:
    """Return the table of `area_layer` column by column, without shapes."""
    desa = found.dampak.desa
    counts = sorted(
        (name, number)
        for number, name in enumerate(desa.hitungan)
        if not _NO_COUNT.search(name) and not np.isnan(desa.jumlah[:, number]).all()
    )
    items = sorted({need.item for need in found.kebutuhan}) if found.tingkat == "desa" else []
    fields = [
        *(_field(name) for name in ("kode", "nama", "kecamatan", "kabkota", "provinsi", "kelas")),
        *(_field(name, REAL) for name in ("bagian", "luas_terdampak_ha", "mmi", "mmi_sigma")),
        *(_count(kind, _short(name)) for kind in ("jumlah", "perkiraan") for name, _ in counts),
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
    made: dict[str, list[Any]] = {
        "kode": desa.kode, "nama": desa.nama, "kelas": desa.named_classes(),
        "bagian": np.round(desa.bagian, 6).tolist(),
        "luas_terdampak_ha": np.round(desa.luas_m2 / 10_000, 2).tolist(),
        **{name: np.round(column, 2).tolist()
           for name, column in (("mmi", desa.mmi), ("mmi_sigma", desa.sigma)) if column is not None},
        **_above(index, desa.kode, names), **_nearest(found), **_amounts(found, items),
        **{name: [value] * len(desa) for name, value in context.row().items()},
    }  # fmt: skip
    for kind, numbers in (("jumlah", desa.jumlah), ("perkiraan", desa.perkiraan)):
        made |= {f"{kind}_{_short(name)}": _whole(numbers[:, number]) for name, number in counts}
    nothing = [None] * len(desa)
    return schema, {name: made.get(name, nothing) for name in schema.names()}


def shapes_of(index: DesaIndex, desa: DesaTerdampak) -> Geometries:
    """Return the desa as MultiPolygons in EPSG:4326."""
    return index.polygons.shapes(desa.rows)


def _region(index: DesaIndex) -> RegionCode | None:
    if not index.info.vintage:
        return None
    return RegionCode(field="kode", scheme=index.info.skema, vintage=index.info.vintage)


def _short(name: str) -> str:
    return name.removeprefix("jumlah_")


def _above(index: DesaIndex, codes: list[str], names: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of the regions above each desa; their codes where they have none."""
    if not codes:
        return {}
    widths = {level: width_of(index, level) for level in LEVELS[:-1]}
    return {
        level: [names.get(code[:width]) or code[:width] for code in codes] for level, width in widths.items()
    }


def _nearest(found: Tanggapan) -> dict[str, list[Any]]:
    """Return the columns of the facilities nearest to each desa."""
    there = found.fasilitas.facilities
    made: dict[str, list[Any]] = {}
    for n, numbers in enumerate(found.nomor.T.tolist(), 1):
        for name in ("id", "nama", "jenis", "status"):
            said = [getattr(one, name) for one in there]
            made[f"bantuan_{n}_{name}"] = [said[number] for number in numbers]
        made[f"bantuan_{n}_jarak_m"] = np.round(found.jarak_m[:, n - 1], 1).tolist()
    return made


def _whole(numbers: Floats) -> list[int | None]:
    return [None if isnan(number) else int(number) for number in np.rint(numbers).tolist()]


def _amounts(found: Tanggapan, items: list[str]) -> dict[str, list[int]]:
    """Return what each desa needs and gets of the items."""
    total: dict[tuple[str, str, str], int] = defaultdict(int)
    for need in found.kebutuhan if items else ():
        total["butuh", need.kode, need.item] = need.amount
    for sent in found.rencana.shipments if items else ():
        total["kirim", sent.kode, sent.item] += sent.amount
    return {
        f"{kind}_{item}": [total.get((kind, code, item), 0) for code in found.dampak.desa.kode]
        for item in items
        for kind in ("butuh", "kirim")
    }


def plan_layer(
    index: DesaIndex, found: Tanggapan, context: Context, names: Mapping[str, str]
) -> tuple[LayerSchema, FeatureBatch]:
    """Return the plan as a table: what is sent, then (no `gudang`) what stays unmet and why."""
    kinds = {"jumlah": INTEGER, "jarak_m": REAL, "gudang_lon": REAL, "gudang_lat": REAL}
    fields = (*(_field(name, kinds.get(name, TEXT)) for name in _PLAN), *context.fields())
    called = dict(zip(found.dampak.desa.kode, found.dampak.desa.nama, strict=True)) | dict(names)
    stores = {one.id: one for one in found.fasilitas.facilities}
    ids: list[str] = []
    rows: list[dict[str, Any]] = []
    for sent in found.rencana.shipments:
        store = stores[sent.warehouse]
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
    total: dict[str, float] = defaultdict(float)
    for name, numbers in zip(desa.hitungan, desa.perkiraan.T, strict=True):
        if not _NO_COUNT.search(name) and not np.isnan(numbers).all():
            total[_short(name)] += float(np.nansum(numbers))
    return {
        "desa": len(desa),
        **{level: len(found.dampak.wilayah.get(level, [])) for level in LEVELS[:-1]},
        "mmi_tertinggi": round(float(desa.mmi.max()), 2) if desa.mmi is not None and len(desa) else None,
        "perkiraan": {name: round(value) for name, value in sorted(total.items())},
        "desa_tanpa_data": int(np.count_nonzero(~desa.dikenal)),
        "tingkat_rencana": found.tingkat,
        "item": [
            {"item": one.item, "kebutuhan": one.needed, "dikirim": one.served, "dirilis": one.released,
             "kurang": one.needed - one.served}
            for one in found.rencana.items
        ],
        "catatan": list(found.catatan),
    }  # fmt: skip
