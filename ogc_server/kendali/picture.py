"""One answer as operators see it: who is hit, what is near with its stock, the plan, what stays unmet.

It is read from the collections that respons-cepat published, or computed at once for an event that was
not answered and for an area drawn by hand: through the same two tables, so both look the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import shapely

from analysis.nearest import Fasilitas
from catalog.errors import GoneError, NotFoundError
from catalog.messages import LANGS, text
from catalog.model import DatasetRecord, VersionInfo
from layers.contract import FeatureBatch, Geometries
from ogc_server.errors import ParameterError
from ogc_server.kendali.room import room_of
from ogc_server.processes.desk import Bench
from ogc_server.processes.errors import NotConfiguredError
from ogc_server.response.answer import answer_to, rules_of
from ogc_server.response.event import Event
from ogc_server.response.record import notes
from ogc_server.response.tables import area_layer, plan_layer
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot, missing

type Row = Mapping[str, Any]
_USED = re.compile(r"([a-z0-9][a-z0-9._-]*) v(\d+)")
MOST_SHAPES = 3000
MOST_DRAWN = 15_000
"""Desa in an area drawn by hand: more than any province has; a whole country takes minutes."""
_NEAR = re.compile(r"bantuan_\d+_id")


@dataclass(frozen=True, slots=True)
class Picture:
    """`rows` are the desa (columns of respons-cepat), `shapes` theirs in lon/lat, `plan` the plan's rows.

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
    rows: list[Row]
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
            level: len({tuple(row[name] for name in above) for row in self.rows})
            for level, above in (
                ("kecamatan", ("provinsi", "kabkota", "kecamatan")), ("kabkota", ("provinsi", "kabkota")),
                ("provinsi", ("provinsi",)),
            )
        }  # fmt: skip
        strongest = max((row["mmi"] for row in self.rows if row.get("mmi") is not None), default=None)
        counted = [name for name in columns(self.rows) if name.startswith("perkiraan_")]
        unknown = sum(all(row[name] is None for name in counted) for row in self.rows) if counted else None
        return {
            "desa": len(self.rows), **levels, "mmi_tertinggi": strongest, **totals(self.rows),
            "desa_tanpa_data": len(self.rows) if unknown is None else unknown, "item": self.items(),
        }  # fmt: skip

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
        groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.rows:
            groups[row["provinsi"], row["kabkota"]].append(row)
        return [
            {
                "provinsi": province, "kabkota": name, "desa": len(rows),
                "mmi_tertinggi": max((r["mmi"] for r in rows if r.get("mmi") is not None), default=None),
                **totals(rows),
            }
            for (province, name), rows in sorted(groups.items())
        ]  # fmt: skip

    def near(self) -> list[dict[str, Any]]:
        """Return the facilities named for a desa or in the plan: the nearest first, with their stock."""
        found: dict[str, dict[str, Any]] = {}
        starts = [name.removesuffix("id") for name in columns(self.rows) if _NEAR.fullmatch(name)]
        for row in self.rows:
            for start in starts:
                if row.get(f"{start}id"):
                    said = {key: row[start + key] for key in ("id", "nama", "jenis", "status")}
                    _add(found, said, row[f"{start}jarak_m"], desa=1)
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
        widths = {len(code) for code in codes}
        inside: dict[str, list[tuple[float, float]]] = defaultdict(list)
        places = shapely.get_coordinates(shapely.point_on_surface(self.shapes)).tolist()
        for row, (lon, lat) in zip(self.rows, places, strict=True):
            for region in {str(row["kode"])[:width] for width in widths} & codes:
                inside[region].append((lon, lat))
        return {code: _middle(inside[code]) for code in sorted(inside)}


def _middle(places: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the place that is nearest to the mean of all."""
    x, y = np.mean(places, axis=0)
    return min(places, key=lambda at: (at[0] - x) ** 2 + (at[1] - y) ** 2)


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


def totals(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Return the sums of the counts (`jumlah`) and estimates (`perkiraan`); unknown ones are left out."""
    found: dict[str, dict[str, int]] = {"jumlah": {}, "perkiraan": {}}
    for name in columns(rows):
        kind, _, what = name.partition("_")
        known = [int(row[name]) for row in rows if row[name] is not None] if kind in found and what else []
        if known:
            found[kind][what] = sum(known)
    return found


def columns(rows: Sequence[Row]) -> list[str]:
    """Return the columns of a table: each of its rows has them all."""
    return list(rows[0]) if rows else []


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
        lambda made: len(made.rows) + len(made.plan),
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
    known: Sequence[Fasilitas] = ()
    with suppress(NotConfiguredError):
        known = bench.desk.facilities(snapshot).facilities
    entry = _entry(service, record.extras.get("kejadian", ""))
    kind = "gempa" if any(row.get("magnitudo") is not None for row in rows) else ""
    return Picture(
        info.layer_id, info.version, kind or (entry.kind if entry else "peringatan"),
        record.extras.get("kejadian", ""), _titles(record), record.time_start, info.created,
        entry.lon if entry else None, entry.lat if entry else None,
        int(record.extras.get("revisi") or 1), record.extras.get("latihan") == "true", record.synthetic,
        not rows, rows, shapes, plan, [(n, int(v)) for n, v in _USED.findall(record.lineage)],
        {one.id: one for one in known},
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
        area = area_layer(index, answer.found, context, names)[1]
        plan = plan_layer(index, answer.found, context, names)[1]
    return Picture(
        "", 0, "area" if drawn else event.kind, "" if drawn else event.id, _named(event, drawn),
        None if drawn else event.at, service.now(), event.lon, event.lat, 0, answer.exercise,
        answer.synthetic, event.cancelled, list(area.rows), _shapes(area), list(plan.rows),
        [(info.layer_id, info.version) for info in answer.used.values()], answer.found.fasilitas,
        event.area, {lang: notes(answer.found.catatan, lang) for lang in LANGS},
    )  # fmt: skip


def _refuse_large(bench: Bench, area: shapely.Geometry) -> None:
    """Refuse an area that a screen can not wait for; it would keep all others waiting meanwhile."""
    with bench.desk.desa(bench.snapshot, "area") as index:
        shapely.prepare(area)
        many = int(np.count_nonzero(shapely.contains_xy(area, index.points)))
    if many > MOST_DRAWN:
        raise ParameterError("kendali.area.luas", "area", desa=many, most=MOST_DRAWN)


def _shapes(batch: FeatureBatch) -> Geometries:
    return np.empty(0, object) if batch.geometries is None else simplified(batch.geometries)


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
