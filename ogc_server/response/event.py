"""An event of BMKG as the responder sees it: read from a feature, and held against the rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import shapely

from analysis.affected import Bahaya
from analysis.earthquake import Gempa
from catalog.errors import QueryError
from catalog.responses import EventKind
from catalog.settings import Settings
from layers.contract import LayerReader, Query

_MOST = 5000


@dataclass(frozen=True, slots=True)
class Event:
    """One report of an earthquake or a warning.

    `id` is its feature's; `at` when it happened, or when the warning was sent. `refers` are alerts that
    it updates or cancels. `order` puts reports of one event in order: the last one counts.
    `fingerprint` is over what an answer depends on, and on nothing else.
    """

    id: str
    layer: str
    kind: EventKind
    at: datetime
    lon: float
    lat: float
    place: str
    quake: Gempa | None
    area: shapely.Geometry | None
    until: datetime | None
    refers: tuple[str, ...]
    cancelled: bool
    exercise: bool
    order: tuple[Any, ...]
    fingerprint: str
    said: Mapping[str, Any]

    def hazard(self) -> Gempa | list[Bahaya]:
        """Return what hits; nothing when the event was called off. QueryError when it is not known."""
        if self.cancelled:
            return []
        if self.quake is not None:
            return self.quake
        if self.area is None or self.area.is_empty:
            raise QueryError("the event has neither an area nor magnitude and depth", where="kejadian")
        return [Bahaya(self.area, str(self.said.get("tingkat") or ""))]


def read_events(reader: LayerReader, kind: EventKind, since: datetime) -> Iterator[Event]:
    """Yield the events of a layer that began at or after `since`; what can not be read is left out."""
    schema = reader.info.schema
    timed = schema is not None and schema.time_field is not None
    query = Query(limit=_MOST, time=(since.isoformat(), None) if timed else None)
    for text in reader.page(query).features:
        event = event_of(orjson.loads(text), reader.info.layer_id, kind)
        if event is not None and event.at >= since:
            yield event


def event_of(feature: Mapping[str, Any], layer: str, kind: EventKind) -> Event | None:
    """Read a GeoJSON feature; None when it has no time or no place."""
    said: Mapping[str, Any] = feature.get("properties") or {}
    geometry = feature.get("geometry")
    shape = shapely.from_geojson(json.dumps(geometry)) if geometry else None
    at = _instant(said.get("waktu") if kind == "gempa" else said.get("dikirim") or said.get("berlaku"))
    if at is None or shape is None or shape.is_empty:
        return None
    place = shapely.point_on_surface(shape)
    common = {
        "id": str(feature["id"]), "layer": layer, "kind": kind, "at": at, "lon": place.x, "lat": place.y,
        "place": str(said.get("wilayah") or ""), "said": said,
    }  # fmt: skip
    return _quake(common, said) if kind == "gempa" else _warning(common, said, shape)


def _quake(common: dict[str, Any], said: Mapping[str, Any]) -> Event:
    at, lon, lat = common["at"], common["lon"], common["lat"]
    magnitude, depth = said.get("magnitudo"), said.get("kedalaman_km")
    try:
        quake = None if magnitude is None or depth is None else Gempa(lon, lat, magnitude, depth)
    except QueryError:
        quake = None
    feeds = str(said.get("umpan") or "").split(",")
    return Event(
        **common, quake=quake, area=None, until=None, refers=(), cancelled=False, exercise=False,
        order=("autogempa" in feeds, at, common["id"]),  # the feed of the newest one is revised first
        fingerprint=_digest("gempa", at, lon, lat, magnitude, depth),
    )  # fmt: skip


def _warning(common: dict[str, Any], said: Mapping[str, Any], shape: shapely.Geometry) -> Event:
    references = str(said.get("rujukan") or "").split()
    names = ("jenis", "status", "peristiwa", "tingkat", "kemendesakan", "kepastian", "kedaluwarsa")
    outline = shapely.to_wkb(shapely.normalize(shape))
    return Event(
        **common, quake=None, area=shape, until=_instant(said.get("kedaluwarsa")),
        refers=tuple(one.split(",")[1] for one in references if one.count(",") >= 2),
        cancelled=said.get("jenis") == "Cancel", exercise=said.get("status") == "Exercise",
        order=(common["at"], common["id"]),
        fingerprint=_digest("peringatan", outline, *(said.get(name) for name in names)),
    )  # fmt: skip


def _digest(*facts: Any) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def event_of_quake(quake: Gempa) -> Event:
    """Return an earthquake that somebody describes, of no collection and no time."""
    at = datetime.fromtimestamp(0, UTC)
    common = {
        "id": "gempa", "layer": "", "kind": "gempa", "at": at, "lon": quake.lon, "lat": quake.lat,
        "place": "", "said": {},
    }  # fmt: skip
    return _quake(common, {"magnitudo": quake.magnitudo, "kedalaman_km": quake.kedalaman_km})


def event_of_area(area: shapely.Geometry) -> Event:
    """Return an area that somebody draws, of no collection and no time; in lon/lat."""
    place = shapely.point_on_surface(area)
    return Event(
        id="area", layer="", kind="peringatan", at=datetime.fromtimestamp(0, UTC), lon=place.x, lat=place.y,
        place="", quake=None, area=area, until=None, refers=(), cancelled=False, exercise=False, order=(),
        fingerprint=_digest("area", shapely.to_wkb(area)), said={},
    )  # fmt: skip


def _instant(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def unwanted(event: Event, settings: Settings, now: datetime) -> str:
    """Return why the rules leave an event alone (a stable word), or nothing when it is to be answered."""
    if now - event.at > timedelta(hours=settings.response.max_age_hours):
        return "terlalu-lama"
    return (
        _quake_unwanted(event, settings) if event.kind == "gempa" else _warning_unwanted(event, settings, now)
    )


def _quake_unwanted(event: Event, settings: Settings) -> str:
    rule, quake = settings.response.earthquake, event.quake
    west, south, east, north = rule.bbox
    if quake is None:
        return "tanpa-magnitudo"
    if quake.magnitudo < rule.min_magnitude:
        return "magnitudo"
    if quake.kedalaman_km > rule.max_depth_km:
        return "kedalaman"
    return "" if west <= event.lon <= east and south <= event.lat <= north else "di-luar-wilayah"


def _warning_unwanted(event: Event, settings: Settings, now: datetime) -> str:
    rule, said = settings.response.warning, event.said
    if said.get("status") not in (None, "Actual", "Exercise"):
        return "status"
    if event.cancelled:
        return "dibatalkan"
    if event.until is not None and event.until < now:
        return "kedaluwarsa"
    for name, taken in (
        ("tingkat", rule.severity),
        ("kemendesakan", rule.urgency),
        ("kepastian", rule.certainty),
    ):
        if taken and said.get(name) not in taken:
            return name
    names = {name.casefold() for name in rule.events}
    return "" if not names or str(said.get("peristiwa") or "").casefold() in names else "peristiwa"
