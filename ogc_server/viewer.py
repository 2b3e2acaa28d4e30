"""`/peta`: the map viewer. Its page carries all that the map's first picture needs, and no more.

What people see first is in the page: styles, the script that says where the map looks, the picture
(`viewer_picture`). The list of layers comes as JSON from the same address while the map draws.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from catalog.datasets import Dataset
from catalog.messages import catalogue
from catalog.model import BBox
from ogc_server import pages
from ogc_server.answer import Answer
from ogc_server.ask import Ask, segment
from ogc_server.gate import page_policy
from ogc_server.links import document as document_links
from ogc_server.negotiation import HTML_OFFER, JSON_OFFER
from ogc_server.parameters import COMMON
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot
from ogc_server.viewer_picture import Picture

OFFERS = (HTML_OFFER, JSON_OFFER)
TABLE = COMMON
INDONESIA: BBox = (94.0, -11.5, 141.5, 6.5)
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d+)?")


def viewer(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/peta`; as JSON, what the page is made of and the layers."""
    chosen = service.settings.viewer
    basemap = _basemap(service, snapshot)
    doc: dict[str, Any] = {
        "base": ask.base,
        "basemap": [one.id for one in basemap],
        "tiles": {one.id: _tiles(ask, one) for one in basemap},
        "bounds": _bounds(basemap),
        "online": {"url": chosen.online_basemap, "attribution": chosen.online_attribution}
        if chosen.online_basemap else None,
    }  # fmt: skip
    if ask.chosen.name != "html":
        layers = [_layer(ask, one) for one in snapshot.datasets(snapshot.visible())]
        return document(ask, {**doc, "layers": layers, "links": document_links(ask, OFFERS)}, "")
    script = _inline("viewer/first.js")
    context = {
        "words": words("viewer.", ask.lang),
        "first": {"bounds": doc["bounds"], "tiles": list(doc["tiles"].values())},
        "picture": first_picture(service, snapshot),
        "styles": _inline("satudata.css", "viewer/viewer.css"),
        "script": script,
    }
    answer = document(ask, doc, "viewer.html", context)
    origin = _ORIGIN.match(chosen.online_basemap)
    answer.headers["Content-Security-Policy"] = page_policy(origin.group(0) if origin else "", script)
    answer.effort = _EFFORT
    return answer


def first_picture(service: Service, snapshot: Snapshot) -> Picture | None:
    """Return the basemap's first picture; while there is none, it is made in the background."""
    basemap = _basemap(service, snapshot)
    shown = [(one, one.version) for one in basemap if one.version is not None]
    return service.pictures().of(shown, _bounds(basemap))


def _basemap(service: Service, snapshot: Snapshot) -> list[Dataset]:
    """Return the layers that are drawn below all others."""
    visible = frozenset(snapshot.visible())
    wanted = service.settings.viewer.basemap or [service.settings.processes.boundaries]
    return [one for one in snapshot.datasets(one for one in wanted if one in visible) if _drawable(one)]


_EFFORT = 7
"""Brotli's level for the page: it is packed once for all who come, and the first picture waits for it."""


@cache
def _inline(*names: str) -> str:
    """Return texts of our own static files that stand in the page itself."""
    return "".join((pages.STATIC / name).read_text(encoding="utf-8") for name in names)


def _drawable(dataset: Dataset) -> bool:
    schema = dataset.version.schema if dataset.version else None
    return dataset.kind == "feature" and bool(schema and schema.geometry_type)


def _tiles(ask: Ask, dataset: Dataset) -> str:
    """Return the address of the layer's tiles, of this very version, so that browsers keep them."""
    version = dataset.version.version if dataset.version else 0
    path = f"/collections/{segment(dataset.id)}/tiles/WebMercatorQuad/"
    return f"{ask.base}{path}{{z}}/{{y}}/{{x}}?f=mvt&version={version}"


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


def _bounds(basemap: list[Dataset]) -> BBox:
    """Return the extent of the basemap's layers, else Indonesia."""
    boxes = [one.version.bbox for one in basemap if one.version is not None and one.version.bbox]
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
