"""`/places`: the search box of the maps asks for places by name or region code."""

from __future__ import annotations

from typing import Any

from analysis.gazetteer import Gazetteer, Place
from ogc_server.answer import Answer, content_tag, to_json
from ogc_server.ask import Ask
from ogc_server.negotiation import GEOJSON_OFFER
from ogc_server.parameters import COMMON, Param, limit
from ogc_server.parameters import text as read_text
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

OFFERS = (GEOJSON_OFFER,)
MOST = 50
TABLE: tuple[Param, ...] = (*COMMON, Param("q", read_text, {"type": "string"}), limit(10, MOST))


def places(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/places?q=`: regions as features, the best first; without `q` none."""
    text = ask.values.get("q", "")
    found = _index(service, snapshot).search(text, min(ask.values.get("limit", 10), MOST)) if text else []
    doc = {"type": "FeatureCollection", "features": [_feature(one) for one in found]}
    body = to_json(doc)
    return Answer(body, ask.chosen.media, tag=content_tag(body))


def _index(service: Service, snapshot: Snapshot) -> Gazetteer:
    desk = service.desk()
    with desk.desa(snapshot, "area") as index:
        key = (index.info.version, snapshot.generation)
        if service.places is None or service.places[0] != key:
            service.places = (key, Gazetteer(index, desk.names(snapshot, index)))
        found: Gazetteer = service.places[1]
        return found


def _feature(place: Place) -> dict[str, Any]:
    west, south, east, north = place.bbox
    return {
        "type": "Feature", "id": place.code, "bbox": list(place.bbox),
        "geometry": {"type": "Point", "coordinates": [(west + east) / 2, (south + north) / 2]},
        "properties": {
            "kode": place.code, "nama": place.name, "tingkat": place.level, "di": ", ".join(place.within),
        },
    }  # fmt: skip
