"""`/peta`: the map viewer. Its page carries what the scripts need: layers, texts, where to begin."""

from __future__ import annotations

import re
from typing import Any

from catalog.datasets import Dataset
from catalog.messages import catalogue
from catalog.model import BBox
from ogc_server.answer import Answer
from ogc_server.ask import Ask
from ogc_server.gate import page_policy
from ogc_server.links import document as document_links
from ogc_server.negotiation import HTML_OFFER, JSON_OFFER
from ogc_server.parameters import COMMON
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot

OFFERS = (HTML_OFFER, JSON_OFFER)
TABLE = COMMON
INDONESIA: BBox = (94.0, -11.5, 141.5, 6.5)
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d+)?")


def viewer(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/peta`; as JSON, what the page is made of."""
    chosen = service.settings.viewer
    layers = [_layer(ask, one) for one in snapshot.datasets(snapshot.visible())]
    known = {one["id"] for one in layers}
    basemap = chosen.basemap or [service.settings.processes.boundaries]
    doc: dict[str, Any] = {
        "base": ask.base,
        "layers": layers,
        "basemap": [one for one in basemap if one in known],
        "bounds": _bounds(layers, basemap),
        "online": {"url": chosen.online_basemap, "attribution": chosen.online_attribution}
        if chosen.online_basemap else None,
        "links": document_links(ask, OFFERS),
    }  # fmt: skip
    answer = document(ask, doc, "viewer.html", {"words": words("viewer.", ask.lang)})
    origin = _ORIGIN.match(chosen.online_basemap)
    if origin and ask.chosen.name == "html":
        answer.headers["Content-Security-Policy"] = page_policy(origin.group(0))
    return answer


def _layer(ask: Ask, dataset: Dataset) -> dict[str, Any]:
    info, record = dataset.version, dataset.record
    schema = info.schema if info else None
    said = {
        "id": dataset.id,
        "title": record.title.get(ask.lang) or dataset.id,
        "kind": dataset.kind,
        "group": record.produsen_data or "—",
        "bbox": (info.bbox if info else None) or record.bbox,
        "version": info.version if info else None,
        "updated": info.created.isoformat() if info else None,
        "licence": record.licence,
        "time": schema.time_field if schema else None,
        "span": [info.time_start, info.time_end] if info and schema and schema.time_field else None,
        "codes": bool(schema and schema.region_code),
        "synthetic": record.synthetic,
    }
    return {name: value for name, value in said.items() if value not in (None, "", False)}


def _bounds(layers: list[dict[str, Any]], first: list[str]) -> BBox:
    """Return the extent of the basemap's layers, else Indonesia."""
    boxes = [one["bbox"] for one in layers if one["id"] in first and "bbox" in one]
    if not boxes:
        return INDONESIA
    west, south, east, north = zip(*boxes, strict=True)
    return (min(west), min(south), max(east), max(north))


def words(prefix: str, lang: str) -> dict[str, str]:
    """Return the texts that begin with `prefix`, without it: scripts have no words of their own."""
    return {
        key.removeprefix(prefix): entry.get(lang) or entry["id"]
        for key, entry in catalogue().items()
        if key.startswith(prefix)
    }
