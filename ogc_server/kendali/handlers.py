"""`/kendali`: the page, its state, one answer, and the report of it."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import orjson
import shapely

from catalog.errors import NotFoundError
from catalog.model import BBox, VersionInfo
from ogc_server.answer import NEVER, Answer, content_tag, to_json
from ogc_server.ask import Ask, segment
from ogc_server.errors import ParameterError
from ogc_server.kendali import drawing, report, stream
from ogc_server.kendali.document import document as picture_document
from ogc_server.kendali.events import kind_of, layers
from ogc_server.kendali.making import computed, published
from ogc_server.kendali.picture import Picture
from ogc_server.kendali.state import state as make_state
from ogc_server.links import document as document_links
from ogc_server.negotiation import HTML_OFFER, JSON, JSON_OFFER, Offer
from ogc_server.parameters import COMMON, VERSION, Param
from ogc_server.parameters import text as read_text
from ogc_server.processes.persons import refuse_persons
from ogc_server.response.answer import find_event, layer_of
from ogc_server.response.drawn import area_of
from ogc_server.response.event import event_of_area
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot, missing
from ogc_server.viewer import INDONESIA, words

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OFFERS = (HTML_OFFER, JSON_OFFER)
STATE_OFFERS = (JSON_OFFER,)
REPORT_OFFERS = (Offer("pdf", "application/pdf"), Offer("xlsx", XLSX))
ANSWER_TABLE = (*COMMON, Param("kejadian", read_text, {"type": "string"}), VERSION)
MAX_BODY = 4 << 20


def page(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/kendali`; as JSON, what the page is made of."""
    basemap, zone = _basemap(service, snapshot), service.settings.scheduler.timezone
    doc: dict[str, Any] = {
        "base": ask.base, "basemap": [one.layer_id for one in basemap], "bounds": _bounds(basemap),
        "tiles": {one.layer_id: _tiles(ask, one.layer_id) for one in basemap},
        "zone": zone, "zone_name": service.now().astimezone(ZoneInfo(zone)).tzname(),
        "mmi": {str(degree): colour for degree, colour in drawing.MMI.items()},
        "severity": drawing.SEVERITY,
        "beat": stream.BEAT_SECONDS,
        "links": document_links(ask, OFFERS),
    }  # fmt: skip
    return document(ask, doc, "kendali.html", {"words": words("kendali.", ask.lang)})


def _basemap(service: Service, snapshot: Snapshot) -> list[VersionInfo]:
    names = service.settings.viewer.basemap or [service.settings.processes.boundaries]
    there = snapshot.datasets(one for one in names if one in snapshot.visible())
    return [one.version for one in there if one.version is not None]


def _tiles(ask: Ask, layer_id: str) -> str:
    """Return the address of the current tiles: a page that runs for days outlives a version."""
    return f"{ask.base}/collections/{segment(layer_id)}/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}?f=mvt"


def _bounds(layers: list[VersionInfo]) -> BBox:
    boxes = [one.bbox for one in layers if one.bbox is not None]
    if not boxes:
        return INDONESIA
    west, south, east, north = zip(*boxes, strict=True)
    return (min(west), min(south), max(east), max(north))


def state(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/kendali/state`."""
    body = to_json(make_state(service, snapshot, ask.lang))
    return Answer(body, JSON, tag=content_tag(body))


def answer(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/kendali/jawaban`: of an event or a collection of respons-cepat, or of an area by POST."""
    found = _picture(service, snapshot, ask)
    body = to_json(picture_document(snapshot, found, ask.lang))
    return Answer(body, JSON, tag=content_tag(body)) if found.id else Answer(body, JSON, cache=NEVER)


def situation(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/kendali/laporan`: the situation report as PDF or workbook."""
    found = _picture(service, snapshot, ask)
    made = report.report(service, snapshot, found, ask.lang)
    from ogc_server.kendali import report_pdf, report_xlsx  # they bring reportlab and openpyxl

    body = report_pdf.render(made) if ask.chosen.name == "pdf" else report_xlsx.render(made)
    name = f"laporan-{found.id or found.event_id or 'area'}.{ask.chosen.name}"
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Answer(body, ask.chosen.media, cache=NEVER, headers=headers)


def _picture(service: Service, snapshot: Snapshot, ask: Ask) -> Picture:
    if ask.method == "POST":
        return computed(service, snapshot, event_of_area(_area(ask.body)), drawn=True)
    name = ask.values.get("kejadian")
    if name is None:
        raise ParameterError("process.input.missing", "kejadian")
    if name.startswith("respons-") and name in snapshot.visible():
        return published(service, snapshot, name, ask.values.get("version"))
    return _of_event(service, snapshot, name)


def _of_event(service: Service, snapshot: Snapshot, name: str) -> Picture:
    """Return the published answer to an event, else one that is computed now."""
    try:
        known = service.catalog.responses.get(name).dataset_id
    except NotFoundError:
        known = ""
    if known in snapshot.visible():
        return published(service, snapshot, known)
    for layer, said in layers(service.settings).items():
        info = layer_of(snapshot, layer)
        if info is None:
            continue
        with service.readers.lease(info) as reader:
            event = find_event(reader, kind_of(info, said), name)
        if event is not None:
            return computed(service, snapshot, event)
    raise missing("kejadian", name)


def _area(body: bytes) -> shapely.Geometry:
    """Read `{"area": GeoJSON}`; ParameterError for what is no area in degrees."""
    try:
        request: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ParameterError("process.input.json", "body") from None
    if not isinstance(request, dict) or not isinstance(request.get("area"), dict):
        raise ParameterError("process.input.object", "area")
    refuse_persons(request)
    return area_of(request["area"], "area")
