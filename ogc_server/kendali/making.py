"""Where pictures come from: read from the collections that respons-cepat published, or computed now.

An event that was not answered and an area drawn by hand are computed through the same two tables, so that
all look the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import shapely

from analysis.impact import DesaTerdampak
from analysis.lookup import DesaIndex
from analysis.nearest import FacilityIndex, Fasilitas
from catalog.errors import GoneError, NotFoundError
from catalog.messages import LANGS, text
from catalog.model import DatasetRecord, VersionInfo
from layers.contract import Geometries
from ogc_server.errors import ParameterError
from ogc_server.kendali.columns import Columns, Row
from ogc_server.kendali.picture import MOST_SHAPES, Picture, simplified
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
MOST_DRAWN = 15_000
"""Desa in an area drawn by hand: more than any province has; a whole country takes minutes."""


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
