"""Files of the whole server: connections for QGIS, and a field kit per kabupaten."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from catalog.codes import Code, parse
from catalog.datasets import Dataset
from catalog.errors import GoneError, NotFoundError, RecordError
from catalog.messages import text
from catalog.model import VersionInfo
from layers.downloads.about import about
from layers.downloads.kit import KitLayer, write_kit
from layers.downloads.shelf import KITS, REVISION, Download, keep
from ogc_server import qgis
from ogc_server.answer import Answer, content_tag, digest
from ogc_server.ask import Ask, segment
from ogc_server.downloads import FILE_OFFERS, OFFERS, one_at_a_time, shelf_of
from ogc_server.links import document as document_links
from ogc_server.parameters import COMMON
from ogc_server.ranges import file_answer
from ogc_server.region_list import regions_of
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot, missing
from ogc_server.styles import qgis_styles

CONNECTIONS = "qgis-satudata.xml"
GPKG = "application/geopackage+sqlite3"
TABLE = COMMON
_REVISION = 3
"""Raised when a kit of the same layers is written differently."""
_KIT = re.compile(r"paket-lapangan-([0-9.]{4,5})\.gpkg", re.ASCII)

__all__ = ["CONNECTIONS", "FILE_OFFERS", "OFFERS", "TABLE", "download", "downloads"]


def downloads(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/downloads`."""
    kits = [
        {"code": one.code, "name": one.name, "href": ask.href(f"/downloads/paket-lapangan-{one.code}.gpkg")}
        for one in _regions(service, snapshot)
    ]
    doc = {
        "connections": {"href": ask.href(f"/downloads/{CONNECTIONS}"), "type": qgis.XML},
        "fieldKits": kits,
        "links": document_links(ask, OFFERS),
    }
    return document(ask, doc, "server_downloads.html")


def _regions(service: Service, snapshot: Snapshot) -> list[Any]:
    found = _layers(service, snapshot)
    if not found:
        return []
    return [one for one in regions_of(service, found[0][1]) if one.level == "kabkota"]


def _layers(service: Service, snapshot: Snapshot) -> list[tuple[Dataset, VersionInfo]]:
    """Return the public layers of a kit; those that are not there are left out."""
    chosen = service.settings.processes
    names = service.settings.downloads.field_kit or [chosen.boundaries, chosen.facilities, chosen.people]
    found = []
    for name in filter(None, dict.fromkeys(names)):
        try:
            found.append(snapshot.layer(name, None))
        except (NotFoundError, GoneError):
            continue
    return found


def download(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/downloads/{file}`."""
    (name,) = ask.arguments
    if name == CONNECTIONS:
        title = service.settings.server.title.get(ask.lang) or text("landing.title", ask.lang)
        body = qgis.connections(ask, title)
        return Answer(body, qgis.XML, tag=content_tag(body), headers=qgis.as_file(name))
    code = _kabupaten(name)
    layers = _layers(service, snapshot)
    if not layers:
        raise missing("download", name)
    found, folder = _kit(service, code, name, layers)
    answer = file_answer(ask, folder / name, GPKG, found.sha256[:32], filename=name)
    answer.headers["X-Checksum-Sha256"] = found.sha256
    return answer


def _kabupaten(name: str) -> Code:
    matched = _KIT.fullmatch(name)
    try:
        code = parse(matched.group(1), "kemendagri") if matched else None
    except RecordError:
        code = None
    if code is None or code.level != "kabkota":
        raise missing("download", name)
    return code


def _part(service: Service, leases: ExitStack, dataset: Dataset, info: VersionInfo, code: Code) -> KitLayer:
    reader = leases.enter_context(service.readers.lease(info))
    return KitLayer(reader, about(dataset, info, str(code)), qgis_styles(service, dataset, info, "id"))


def _kit(
    service: Service, code: Code, name: str, layers: list[tuple[Dataset, VersionInfo]]
) -> tuple[Download, Path]:
    drawn = [(d.id, info.version, d.updated, service.tiles().styles(d)) for d, info in layers]
    stamp = digest(REVISION, _REVISION, *drawn)
    folder = shelf_of(service).root / KITS / segment(code)

    def make(path: Path) -> int:
        with ExitStack() as leases:
            parts = [_part(service, leases, dataset, info, code) for dataset, info in layers]
            return write_kit(path, code, parts)

    with one_at_a_time(name):
        return keep(folder, name, "kit", stamp, make), folder
