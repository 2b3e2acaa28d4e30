"""One answer as operators see it: who is hit, what is near with its stock, the plan, what stays unmet.

It is read from the collections that respons-cepat published, or computed at once for an event that was
not answered and for an area drawn by hand: through the same two tables, so both look the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import shapely

from analysis.impact import DesaTerdampak
from analysis.lookup import DesaIndex
from analysis.nearest import FacilityIndex, Fasilitas
from analysis.ragged import Floats
from catalog.errors import GoneError, NotFoundError
from catalog.messages import LANGS, text
from catalog.model import DatasetRecord, VersionInfo
from layers.contract import Geometries
from ogc_server.errors import ParameterError
from ogc_server.kendali.columns import Columns, Row
from ogc_server.kendali.room import room_of
from ogc_server.processes.desk import Bench
from ogc_server.processes.errors import NotConfiguredError
from ogc_server.response.answer import answer_to, rules_of
from ogc_server.response.event import Event
from ogc_server.response.record import notes
from ogc_server.response.tables import area_columns, plan_layer, shapes_of
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot, missing

_USED = re.compile(r"([a-z0-9][a-z0-9._-]*) v(\d+)")
MOST_SHAPES = 3000
MOST_DRAWN = 15_000
"""Desa in an area drawn by hand: more than any province has; a whole country takes minutes."""
_NEAR = re.compile(r"bantuan_\d+_id")
_COUNTED = ("jumlah_", "perkiraan_")


@dataclass(frozen=True, slots=True)
class Picture:
    """`desa` are those that are hit (as respons-cepat has them), `shapes` theirs in lon/lat, `plan` its rows.

    `id` is the collection, empty for what is not published. `titles` by language; `used` are the
    versions that it was made from. `facilities` stand by id, with the stock of now.
    """

    id: str
    version: int
    kind: str
    event_id: str
    titles: Mapping[str, str]
    at: datetime | None
    made: datetime
    lon: float | None
    lat: float | None
    revision: int
    exercise: bool
    synthetic: bool
    cancelled: bool
    desa: Columns
    shapes: Geometries
    plan: list[Row]
    used: list[tuple[str, int]]
    facilities: Mapping[str, Fasilitas] = field(default_factory=dict)
    area: shapely.Geometry | None = None
    notes: Mapping[str, list[str]] = field(default_factory=dict)

    def shipments(self) -> list[Row]:
        """Return what is sent."""
        return [row for row in self.plan if row["gudang"]]

    def unmet(self) -> list[Row]:
        """Return what stays unmet, the largest first within an item."""
        return sorted(
            (row for row in self.plan if not row["gudang"]), key=lambda row: (row["item"], -row["jumlah"])
        )

    def summary(self) -> dict[str, Any]:
        """Return how many are hit, how strongly, and the sums of each item."""
        levels = {
            level: len(set(self.desa.pairs(*above)))
            for level, above in (
                ("kecamatan", ("provinsi", "kabkota", "kecamatan")), ("kabkota", ("provinsi", "kabkota")),
                ("provinsi", ("provinsi",)),
            )
        }  # fmt: skip
        return {
            "desa": len(self.desa), **levels, "mmi_tertinggi": highest(self.desa), **totals(self.desa),
            "desa_tanpa_data": self._unknown(), "item": self.items(),
        }  # fmt: skip

    def _unknown(self) -> int:
        """Return of how many desa nothing is counted."""
        counted = self.desa.beginning("perkiraan_").values()
        if not counted:
            return len(self.desa)
        return len(set.intersection(*({n for n, one in enumerate(c) if one is None} for c in counted)))

    def items(self) -> list[dict[str, Any]]:
        """Return need, what is sent and what is short, per item."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.plan:
            one = found.setdefault(
                row["item"],
                {"item": row["item"], "satuan": row.get("satuan") or "", "butuh": 0, "kirim": 0, "kurang": 0},
            )
            one["kirim" if row["gudang"] else "kurang"] += row["jumlah"]
            one["butuh"] += row["jumlah"]
        return [found[name] for name in sorted(found)]

    def regions(self) -> list[dict[str, Any]]:
        """Return the kabupaten and kota that are hit, with what is counted in them."""
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, region in enumerate(self.desa.pairs("provinsi", "kabkota")):
            groups[region].append(number)
        counted = Columns({n: c for n, c in self.desa.values.items() if n == "mmi" or n.startswith(_COUNTED)})
        parts = ((region, counted.part(numbers)) for region, numbers in sorted(groups.items()))
        return [
            {"provinsi": province, "kabkota": name, "desa": len(groups[province, name]),
             "mmi_tertinggi": highest(part), **totals(part)}
            for (province, name), part in parts
        ]  # fmt: skip

    def near(self) -> list[dict[str, Any]]:
        """Return the facilities named for a desa or in the plan: the nearest first, with their stock."""
        found: dict[str, dict[str, Any]] = {}
        for start in (name.removesuffix("id") for name in self.desa.values if _NEAR.fullmatch(name)):
            for first, many, metres in _grouped(self.desa.pairs(f"{start}id", f"{start}jarak_m")):
                said = {name: self.desa[start + name][first] for name in ("id", "nama", "jenis", "status")}
                _add(found, said, metres, desa=many)
        for row in self.shipments():
            _add(
                found, {"id": row["gudang"], "nama": row["gudang_nama"]}, row["jarak_m"], kirim=row["jumlah"]
            )
        for one in found.values():
            if known := self.facilities.get(one["id"]):
                one |= {"lon": known.lon, "lat": known.lat, "stok": dict(known.stok)}
                one |= {"jenis": known.jenis, "status": known.status}
        return sorted(found.values(), key=lambda one: (one["jarak_m"], one["id"]))

    def targets(self) -> dict[str, tuple[float, float]]:
        """Return a place for each region that the plan names, inside of a desa of it."""
        codes = {str(row["kode"]) for row in self.plan}
        inside: dict[str, list[int]] = defaultdict(list)
        for width in {len(code) for code in codes}:
            for number, code in enumerate(self.desa["kode"]):
                if (region := code[:width]) in codes:
                    inside[region].append(number)
        places = shapely.get_coordinates(shapely.point_on_surface(self.shapes))
        return {code: _middle(places[inside[code]]) for code in sorted(inside)}


def _middle(places: Floats) -> tuple[float, float]:
    """Return the place that is nearest to the mean of all."""
    apart = ((places - places.mean(axis=0)) ** 2).sum(axis=1)
    lon, lat = places[apart.argmin()].tolist()
    return lon, lat


def _grouped(pairs: Iterable[tuple[str | None, float]]) -> Iterable[tuple[int, int, float]]:
    """Return for each id its first row, how many rows name it, and the least metres to it."""
    found: dict[str, tuple[int, int, float]] = {}
    for number, (key, metres) in enumerate(pairs):
        if key:
            first, many, least = found.get(key, (number, 0, metres))
            found[key] = first, many + 1, min(least, metres)
    return found.values()


def _add(
    found: dict[str, dict[str, Any]], said: Row, metres: float, *, desa: int = 0, kirim: int = 0
) -> None:
    one = found.setdefault(
        str(said["id"]), {"jenis": "", "status": "", **said, "jarak_m": metres, "desa": 0, "kirim": 0}
    )
    one["jarak_m"] = min(one["jarak_m"], metres)
    one["desa"] += desa
    one["kirim"] += kirim


def simplified(shapes: Geometries) -> Geometries:
    """Return shapes good for one screen: some 1,500 steps across; as points when there are too many."""
    if not len(shapes):
        return shapes
    if len(shapes) > MOST_SHAPES:
        return np.asarray(shapely.point_on_surface(shapes), object)
    west, south, east, north = shapely.total_bounds(shapes)
    drawn = np.asarray(shapely.simplify(shapes, max(east - west, north - south) / 1500), object)
    empty = shapely.is_empty(drawn)
    drawn[empty] = shapes[empty]
    return drawn


def totals(desa: Columns) -> dict[str, dict[str, int]]:
    """Return the sums of the counts (`jumlah`) and estimates (`perkiraan`); unknown ones are left out."""
    found: dict[str, dict[str, int]] = {}
    for kind in ("jumlah", "perkiraan"):
        known = {what: [int(one) for one in column if one is not None]
                 for what, column in desa.beginning(f"{kind}_").items()}  # fmt: skip
        found[kind] = {what: sum(numbers) for what, numbers in known.items() if numbers}
    return found


def highest(desa: Columns) -> float | None:
    """Return the highest intensity."""
    return max((mmi for mmi in desa["mmi"] if mmi is not None), default=None)


def published(service: Service, snapshot: Snapshot, name: str, version: int | None = None) -> Picture:
    """Return the answer in the collection `name`; NotFoundError when nothing public is there."""
    if not name.startswith("respons-") or name.endswith("-rencana") or name not in snapshot.visible():
        raise missing("kejadian", name)
    dataset, info = snapshot.layer(name, version)
    bench = Bench(service.desk(), snapshot)
    plan = snapshot.listed.get(f"{name}-rencana")
    made: Picture = room_of(service).get(
        ("picture", name, info.version, plan and plan.version, _stock_version(bench)),
        lambda: _read(service, snapshot, dataset.record, info),
        lambda made: len(made.desa) + len(made.plan),
    )
    return made


def _stock_version(bench: Bench) -> int:
    try:
        return bench.desk.layer(bench.snapshot, "facilities").version
    except NotConfiguredError:
        return 0


def _read(service: Service, snapshot: Snapshot, record: DatasetRecord, info: VersionInfo) -> Picture:
    rows, shapes = _table(service, info)
    plan: list[Row] = []
    with suppress(NotFoundError, GoneError):  # a plan that is not there, or not for everybody: none
        plan = _table(service, snapshot.layer(f"{info.layer_id}-rencana", None)[1])[0]
    bench = Bench(service.desk(), snapshot)
    known: Mapping[str, Fasilitas] = {}
    with suppress(NotConfiguredError):
        known = _by_id(bench.desk.facilities(snapshot))
    entry = _entry(service, record.extras.get("kejadian", ""))
    kind = "gempa" if any(row.get("magnitudo") is not None for row in rows) else ""
    return Picture(
        info.layer_id, info.version, kind or (entry.kind if entry else "peringatan"),
        record.extras.get("kejadian", ""), _titles(record), record.time_start, info.created,
        entry.lon if entry else None, entry.lat if entry else None,
        int(record.extras.get("revisi") or 1), record.extras.get("latihan") == "true", record.synthetic,
        not rows, Columns.of(rows), shapes, plan, [(n, int(v)) for n, v in _USED.findall(record.lineage)],
        known,
    )  # fmt: skip


def _entry(service: Service, event_id: str) -> Any:
    try:
        return service.catalog.responses.get(event_id)
    except NotFoundError:
        return None


def _titles(record: DatasetRecord) -> dict[str, str]:
    """Return the name of the event: the collection's title without what the collection is."""
    tails = {lang: text("respons.koleksi.wilayah", lang, judul="") for lang in LANGS}
    return {lang: str(record.title.get(lang)).removesuffix(tails[lang]) for lang in LANGS}


def _table(service: Service, info: VersionInfo) -> tuple[list[Row], Geometries]:
    rows: list[Row] = []
    shapes: list[Any] = []
    with service.readers.lease(info) as reader:
        for batch in reader.batches():
            rows += batch.rows
            shapes += [] if batch.geometries is None else list(batch.geometries)
    made = np.empty(len(shapes), object)
    made[:] = shapes
    return rows, simplified(made)


def computed(service: Service, snapshot: Snapshot, event: Event, *, drawn: bool = False) -> Picture:
    """Compute the answer to an event or an area now; nothing is published.

    Raises NotConfiguredError when a layer is missing, QueryError when the event does not fit.
    """
    bench = Bench(service.desk(), snapshot)
    if drawn and event.area is not None:
        _refuse_large(bench, event.area)
    answer, context, names = answer_to(bench, event, rules=rules_of(service.settings), exercise=False)
    with bench.desk.desa(snapshot, "area") as index:
        desa = area_columns(index, answer.found, context, names)[1]
        plan = plan_layer(index, answer.found, context, names)[1]
        shapes = _shapes(index, answer.found.dampak.desa)
    return Picture(
        "", 0, "area" if drawn else event.kind, "" if drawn else event.id, _named(event, drawn),
        None if drawn else event.at, service.now(), event.lon, event.lat, 0, answer.exercise,
        answer.synthetic, event.cancelled, Columns(desa), shapes, list(plan.rows),
        [(info.layer_id, info.version) for info in answer.used.values()], _by_id(answer.found.fasilitas),
        event.area, {lang: notes(answer.found.catatan, lang) for lang in LANGS},
    )  # fmt: skip


def _refuse_large(bench: Bench, area: shapely.Geometry) -> None:
    """Refuse an area that a screen can not wait for; it would keep all others waiting meanwhile."""
    with bench.desk.desa(bench.snapshot, "area") as index:
        shapely.prepare(area)
        many = int(np.count_nonzero(shapely.contains_xy(area, index.points)))
    if many > MOST_DRAWN:
        raise ParameterError("kendali.area.luas", "area", desa=many, most=MOST_DRAWN)


def _by_id(facilities: FacilityIndex) -> dict[str, Fasilitas]:
    return {one.id: one for one in facilities.facilities}


def _shapes(index: DesaIndex, desa: DesaTerdampak) -> Geometries:
    if len(desa) > MOST_SHAPES:  # the index knows a point inside of each
        return np.asarray(shapely.points(index.points[desa.rows]), object)
    return simplified(shapes_of(index, desa))


def _named(event: Event, drawn: bool) -> dict[str, str]:
    if drawn:
        return {lang: text("kendali.area.judul", lang) for lang in LANGS}
    if event.quake is None:
        said = str(event.said.get("peristiwa") or "")
        return {lang: f"{said or text('respons.peringatan', lang)}, {event.place or '-'}" for lang in LANGS}
    magnitude = f"{event.quake.magnitudo:.1f}"
    return {
        lang: text(
            "kendali.gempa.judul", lang, tempat=event.place or "-",
            magnitudo=magnitude.replace(".", ",") if lang == "id" else magnitude,
        )
        for lang in LANGS
    }  # fmt: skip
