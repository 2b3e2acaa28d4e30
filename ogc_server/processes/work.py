"""The work of each process: inputs to the pure function in `analysis`, its answer to plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.affected import Dampak, affected_by_area, affected_by_earthquake
from analysis.aggregate import Question, aggregate
from analysis.allocate import allocate
from analysis.allocate_tables import costs_of, needs_of, plan_table, stocks_of
from analysis.disclosure import Disclosure
from analysis.earthquake import Gempa
from analysis.inputs import geometry_of, hazards_of
from analysis.lookup import DesaIndex
from analysis.nearest import origins_of_codes, origins_of_geometry
from analysis.reconcile import Compared, Side, reconcile
from analysis.verify import verify_point
from analysis.zonal import Zone, zonal, zonal_table
from catalog.codes import parse
from catalog.errors import NotFoundError, QueryError, RecordError
from catalog.model import Scheme
from ogc_server.errors import ParameterError
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import (
    Agregasi,
    AlokasiBantuan,
    BantuanTerdekat,
    Kebutuhan,
    Kunci,
    Nilai,
    Rekonsiliasi,
    StatistikZonal,
    VerifikasiLokasi,
    WilayahTerdampak,
)

_STEP = 500


def verifikasi_lokasi(bench: Bench, inputs: VerifikasiLokasi) -> list[dict[str, Any]]:
    """Return one verdict per point, in their order."""
    points = inputs.points()
    found = []
    with bench.desk.desa(bench.snapshot, "point" if len(points) == 1 else "area") as index:
        for number, one in enumerate(points):
            rules = bench.desk.rules(bench.snapshot, index, one.skema, one.vintage)
            verdict = verify_point(
                index, one.lon, one.lat, one.kode, skema=one.skema, vintage=one.vintage,
                toleransi_m=one.toleransi_m, rujukan=rules,
            )  # fmt: skip
            found.append(verdict.as_dict())
            if number % _STEP == _STEP - 1:
                bench.report(number + 1, len(points))
    return found


def wilayah_terdampak(bench: Bench, inputs: WilayahTerdampak) -> dict[str, Any]:
    """Return the desa that are hit, the larger regions, and how it was found out."""
    people = bench.desk.people(bench.snapshot)
    area: Mapping[str, Any] | None = inputs.area
    quake: Gempa | None = None
    if inputs.gempa is not None:
        quake = Gempa(**inputs.gempa.model_dump())
    elif inputs.kejadian is not None:
        area, quake = _event(bench.desk.event(bench.snapshot, inputs.kejadian))
    with bench.desk.desa(bench.snapshot, "area") as index:
        if quake is not None:
            found = affected_by_earthquake(index, quake, least_mmi=inputs.mmi_minimum, aggregates=people)
        else:
            found = affected_by_area(index, hazards_of(area or {}), aggregates=people)
    return _impact(found)


def _event(feature: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, Gempa | None]:
    said, geometry = feature.get("properties") or {}, feature.get("geometry") or {}
    magnitude, depth = said.get("magnitudo"), said.get("kedalaman_km")
    if geometry.get("type") == "Point" and magnitude is not None and depth is not None:
        lon, lat = geometry["coordinates"][:2]
        return None, Gempa(float(lon), float(lat), float(magnitude), float(depth))
    if geometry.get("type") in {"Polygon", "MultiPolygon"}:
        return feature, None
    raise QueryError("the event has neither an area nor magnitude and depth", where="kejadian")


def _impact(found: Dampak) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "desa": [one.as_dict() for one in found.desa],
        "wilayah": {level: [one.as_dict() for one in rows] for level, rows in found.wilayah.items()},
        "metode_luas": found.metode_luas,
    }
    if found.sumber_intensitas:
        answer["sumber_intensitas"] = found.sumber_intensitas
    return answer | {"catatan": list(found.catatan)}


def bantuan_terdekat(bench: Bench, inputs: BantuanTerdekat) -> list[dict[str, Any]]:
    """Return the nearest facilities of each origin, one row each."""
    facilities = bench.desk.facilities(bench.snapshot)
    if isinstance(inputs.asal, dict):
        origins = origins_of_geometry(geometry_of(inputs.asal))
    else:
        with bench.desk.desa(bench.snapshot, "area") as index:
            origins = origins_of_codes(index, inputs.asal)
    for one in origins:
        if not (-180 <= one.lon <= 180 and -90 <= one.lat <= 90):
            raise QueryError("the geometry is not in degrees of longitude and latitude", where="asal")
    answers = facilities.nearest(origins, k=inputs.k, jenis=inputs.jenis)
    return [one.as_dict() for found in answers for one in found]


def alokasi_bantuan(bench: Bench, inputs: AlokasiBantuan) -> dict[str, Any]:
    """Return who sends what to whom, what stays unmet and why, and the sums of each item."""
    needs = [one.model_dump() for one in inputs.kebutuhan]
    if inputs.biaya is None and any(one.lon is None or one.lat is None for one in inputs.kebutuhan):
        with bench.desk.desa(bench.snapshot, "area") as index:
            needs = [_placed(index, one, number) for number, one in enumerate(inputs.kebutuhan)]
    plan = allocate(
        stocks_of([one.model_dump() for one in inputs.stok]),
        needs_of(needs),
        costs=None if inputs.biaya is None else costs_of([one.model_dump() for one in inputs.biaya]),
        max_cost=inputs.maks_biaya,
        fair=inputs.tujuan_fungsi == "adil",
        progress=bench.report,
    )
    rows = plan_table(plan).to_pylist()
    return {
        "kiriman": [{k: v for k, v in row.items() if k != "alasan"} for row in rows if row["gudang"]],
        "tidak_terpenuhi": [
            {k: row[k] for k in ("item", "kode", "jumlah", "alasan")} for row in rows if not row["gudang"]
        ],
        "ringkasan": [
            {
                "item": one.item, "stok": one.stock, "dirilis": one.released, "kebutuhan": one.needed,
                "terlayani": one.served, "bagian_terkecil": one.least_share, "biaya": one.cost,
            }
            for one in plan.items
        ],
        "satuan_biaya": "meter geodesik" if inputs.biaya is None else "seperti `biaya`",
    }  # fmt: skip


def _placed(index: DesaIndex, need: Kebutuhan, number: int) -> dict[str, Any]:
    if need.lon is not None and need.lat is not None:
        return need.model_dump()
    try:
        origin = origins_of_codes(index, [need.kode])[0]
    except (RecordError, NotFoundError):
        where = f"inputs.kebutuhan.{number}.kode"
        raise ParameterError("process.input.no-desa", where) from None
    return need.model_dump() | {"lon": origin.lon, "lat": origin.lat}


def rekonsiliasi(bench: Bench, inputs: Rekonsiliasi) -> dict[str, Any]:
    """Return how many rows are of which class, and the rows (without those that agree, unless asked)."""
    compared = [_compared(one) for one in inputs.nilai]
    left = _side(bench, inputs, "a", [one.a for one in compared])
    right = _side(bench, inputs, "b", [one.b for one in compared])
    from_, to = (left.scheme, left.vintage), (right.scheme, right.vintage)
    moves = list(bench.desk.catalog.regions.pairs(from_=from_, to=to)) if from_ != to else []
    found = reconcile(left, right, compared, moves=moves)
    table = found.table()
    if not inputs.semua:
        table = table.filter(pa.array([row.verdict != "cocok" for row in found.rows], pa.bool_()))
    counts = {verdict.value: count for verdict, count in sorted(found.counts.items())}
    return {"jumlah": counts, "baris": table.to_pylist(), "perpindahan_dikenal": len(moves)}


def _side(bench: Bench, inputs: Rekonsiliasi, letter: str, values: Sequence[str]) -> Side:
    source = getattr(inputs, letter)
    key, name = _of(inputs.kunci, letter), _of(inputs.nama, letter)
    columns = list(dict.fromkeys([str(key), *values, *([name] if name else [])]))
    if isinstance(source, str):
        table, declared = bench.desk.table(bench.snapshot, source, columns, letter)
    else:
        table, declared = _rows(source, columns, letter), None
    scheme: Scheme = getattr(inputs, f"skema_{letter}") or (declared.scheme if declared else "kemendagri")
    vintage = getattr(inputs, f"vintage_{letter}") or (declared.vintage if declared else None) or 0
    return Side(table, str(key), scheme, vintage, name)


def _of(chosen: str | Kunci | None, letter: str) -> str | None:
    return chosen if chosen is None or isinstance(chosen, str) else str(getattr(chosen, letter))


def _compared(one: str | Nilai) -> Compared:
    if isinstance(one, str):
        return Compared(one, one)
    return Compared(one.a, one.b or one.a, one.toleransi, one.toleransi_relatif)


def _rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], where: str) -> pa.Table:
    """Return the declared columns of rows as Arrow; the others are not looked at."""
    there = {name for row in rows for name in row}
    for name in columns:
        if name not in there:
            raise ParameterError("process.input.column", f"inputs.{where}", name=name)
    made: dict[str, pa.Array] = {}
    for name in columns:
        cells = [row.get(name) for row in rows]
        if any(isinstance(cell, dict | list) for cell in cells):
            raise ParameterError("process.input.cells", f"inputs.{where}", name=name)
        try:
            made[name] = pa.array(cells)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # mixed: as texts
            made[name] = pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    return pa.table(made)


def agregasi(bench: Bench, inputs: Agregasi) -> dict[str, Any]:
    """Return counts per region, always with disclosure control: what leaves here is public."""
    question = Question(
        inputs.kode, tuple(inputs.menurut), inputs.irisan, inputs.bobot, inputs.skema, tuple(inputs.tingkat)
    )
    if isinstance(inputs.data, str):
        table, _ = bench.desk.table(bench.snapshot, inputs.data, question.columns(), "data")
    else:
        table = _rows(inputs.data, question.columns(), "data")
    texts = [name for name in question.columns() if name != inputs.bobot]
    for name in texts:
        place = table.column_names.index(name)
        cells = [None if v is None else str(v) for v in table[name].to_pylist()]
        table = table.set_column(place, name, pa.array(cells, pa.string()))
    rules = Disclosure(inputs.ambang, rounding=inputs.pembulatan)
    found = aggregate(
        table,
        question,
        access="publik",
        disclosure=rules,
        progress=lambda rows: bench.report(rows, len(table)),
    )
    return {
        "baris": found.table.to_pylist(), "dibaca": found.rows, "tanpa_wilayah": found.without_region,
        "ditekan": found.suppressed, "ambang": inputs.ambang, "pembulatan": inputs.pembulatan,
    }  # fmt: skip


def statistik_zonal(bench: Bench, inputs: StatistikZonal) -> list[dict[str, Any]]:
    """Return the statistics of a raster in each desa, all of them unless codes are named."""
    path = bench.desk.raster(bench.snapshot, inputs.raster)
    with bench.desk.desa(bench.snapshot, "area") as index:
        rows = _chosen(index, inputs.kode)
        zones = (
            Zone(index.code(row), shape)
            for part in np.array_split(np.array(rows), max(1, len(rows) // 256))
            for row, shape in zip(part.tolist(), index.polygons.shapes(part), strict=True)
        )
        found = []
        for one in zonal(zones, path, band=inputs.band, breaks=inputs.batas_kelas):
            found.append(one)
            bench.report(len(found), len(rows))
    table: list[dict[str, Any]] = zonal_table(found, inputs.batas_kelas).to_pylist()
    return table


def _chosen(index: DesaIndex, codes: Sequence[str]) -> list[int]:
    if not codes:
        return list(range(len(index)))
    rows: dict[int, None] = {}
    for number, text in enumerate(codes):
        try:
            low, high = index.below(str(parse(text, index.info.skema)))
        except RecordError:
            low = high = 0
        if low == high:
            raise ParameterError("process.input.no-desa", f"inputs.kode.{number}")
        rows.update(dict.fromkeys(range(low, high)))
    return list(rows)
