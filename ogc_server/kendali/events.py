"""The newest earthquakes and the warnings in force, from the public collections of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import shapely

from catalog.model import VersionInfo
from catalog.responses import EventKind
from catalog.settings import Settings
from layers.contract import Query
from ogc_server.kendali.room import room_of
from ogc_server.response.answer import layer_of, watched
from ogc_server.response.event import Event, event_of
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

QUAKES, WARNINGS = 20, 50
_READ = 300
_TOLERANCE = 0.005
"""Degrees by which the outline of a warning may differ on the screen: half a kilometre."""
_SAID = {
    "gempa": ("magnitudo", "kedalaman_km", "potensi", "dirasakan"),
    "peringatan": ("peristiwa", "judul", "tingkat", "kemendesakan", "kepastian"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """An event and what the page shows of it, ready for JSON."""

    event: Event
    shown: Mapping[str, Any]


def layers(settings: Settings) -> dict[str, EventKind | None]:
    """Return the collections of events that are set up; the kind where a setting says it."""
    named = settings.processes.events
    found: dict[str, EventKind | None] = dict(watched(settings))
    for name in [named] if isinstance(named, str) else named:
        if name:
            found.setdefault(name, None)
    return found


def kind_of(info: VersionInfo, said: EventKind | None) -> EventKind:
    """Tell what a collection holds, by its columns when no setting says it."""
    names = info.schema.names() if info.schema else ()
    return said or ("gempa" if "magnitudo" in names else "peringatan")


def quakes(service: Service, snapshot: Snapshot) -> list[Seen]:
    """Return the newest earthquakes, newest first."""
    found = [one for one in _all(service, snapshot) if one.event.kind == "gempa"]
    return sorted(found, key=lambda one: (one.event.at, one.event.id), reverse=True)[:QUAKES]


def warnings(service: Service, snapshot: Snapshot, now: datetime) -> list[Seen]:
    """Return the warnings in force at `now`: not over, not called off, not replaced by another."""
    found = [one for one in _all(service, snapshot) if one.event.kind == "peringatan"]
    replaced = {name for one in found for name in one.event.refers}
    current = [
        one
        for one in found
        if not one.event.cancelled
        and one.event.id not in replaced
        and (one.event.until is None or one.event.until >= now)
        and one.event.said.get("status") in (None, "Actual", "Exercise")
    ]
    return sorted(current, key=lambda one: (one.event.at, one.event.id), reverse=True)[:WARNINGS]


def _all(service: Service, snapshot: Snapshot) -> Iterator[Seen]:
    visible = set(snapshot.visible())
    for name, said in layers(service.settings).items():
        info = layer_of(snapshot, name) if name in visible else None
        if info is not None:
            yield from _read(service, info, kind_of(info, said))


def _read(service: Service, info: VersionInfo, kind: EventKind) -> list[Seen]:
    def make() -> list[Seen]:
        names = info.schema.names() if info.schema else ()
        column = "waktu" if kind == "gempa" else "dikirim"
        order = ((column, "desc"),) if column in names else ()
        with service.readers.lease(info) as reader:
            texts = reader.page(Query(limit=_READ, sortby=order)).features  # type: ignore[arg-type]
        found = (event_of(orjson.loads(text), info.layer_id, kind) for text in texts)
        return [Seen(event, _shown(event)) for event in found if event is not None]

    return room_of(service).get(("events", info.layer_id, info.version), make)


def _shown(event: Event) -> dict[str, Any]:
    """Return what the page needs; texts as BMKG gave them."""
    shown = {
        "id": event.id, "koleksi": event.layer, "jenis": event.kind, "waktu": event.at.isoformat(),
        "lon": round(event.lon, 4), "lat": round(event.lat, 4), "wilayah": event.place,
        "latihan": event.exercise, "sampai": event.until.isoformat() if event.until else None,
    }  # fmt: skip
    shown |= {name: event.said.get(name) for name in _SAID[event.kind]}
    if event.area is not None:
        drawn = shapely.set_precision(shapely.simplify(event.area, _TOLERANCE), 0.001)
        shown["geometry"] = orjson.loads(shapely.to_geojson(drawn))
    return {name: value for name, value in shown.items() if value not in (None, "", False)}
