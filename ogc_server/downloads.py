"""Files to take away: what there is of a collection, and each file in ranges with its checksum."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from catalog.datasets import Dataset
from catalog.errors import RecordError
from catalog.messages import text
from catalog.model import LayerSchema, VersionInfo
from layers.downloads.about import about
from layers.downloads.csvt import SYSTEM, TYPES, companions
from layers.downloads.csvw import MEDIA as CSVM
from layers.downloads.csvw import SUFFIX, csvw
from layers.downloads.extract import Extract, by_region, read_extract, where
from layers.downloads.formats import Format, fitting
from layers.downloads.shelf import Download, Shelf, file_name
from layers.downloads.write import Piece
from ogc_server import qgis
from ogc_server.answer import PINNED, REVALIDATE, Answer, content_tag, link_header
from ogc_server.ask import Ask, segment
from ogc_server.errors import NotReadyError, ParameterError
from ogc_server.links import document as document_links
from ogc_server.links import link
from ogc_server.negotiation import HTML_OFFER, JSON, JSON_OFFER, Offer
from ogc_server.parameters import BBOX, COMMON, VERSION, Param
from ogc_server.parameters import text as read_text
from ogc_server.ranges import file_answer
from ogc_server.region_list import regions_of
from ogc_server.service import Service, document
from ogc_server.snapshot import VECTORS, Snapshot, missing
from ogc_server.spatial import record_box
from ogc_server.styles import qgis_styles

OFFERS = (JSON_OFFER, HTML_OFFER)
FILE_OFFERS = (
    Offer(
        "file",
        "application/octet-stream",
        ("application/geopackage+sqlite3", "application/vnd.apache.parquet", "application/flatgeobuf",
         "application/zip", "application/geo+json", "text/csv", "application/vnd.google-earth.kml+xml",
         "application/json", CSVM, "text/html", "application/xml", "application/x-qgis-layer-definition",
         "text/plain"),
    ),
)  # fmt: skip
TABLE = (*COMMON, VERSION)
FILE_TABLE: tuple[Param, ...] = (
    *COMMON,
    VERSION,
    BBOX,
    Param("wilayah", read_text, {"type": "string", "example": "32.03"}),
)
_MAKING = threading.BoundedSemaphore(2)
"""Files that are written at once in one server process; the others wait for their turn or are told to."""


def downloads(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/downloads`."""
    dataset, info = snapshot.layer(ask.arguments[0], ask.values.get("version"), VECTORS)
    schema = _schema(info)
    files = [_listed(service, ask, dataset, info, kind) for kind in _offered(service, schema)]
    regions = regions_of(service, info) if by_region(schema) else []
    doc: dict[str, Any] = {
        "collection": dataset.id,
        "version": info.version,
        "license": dataset.record.licence or None,
        "downloads": files,
        "regions": [one.as_dict() for one in regions],
        "links": [
            *document_links(ask, OFFERS),
            link(_href(ask, dataset.id, f"{dataset.id}.qlr"), "related", qgis.MEDIA, "QGIS"),
            link(ask.href(f"/collections/{segment(dataset.id)}"), "collection", JSON, dataset.id),
        ],
    }  # fmt: skip
    return document(ask, doc, "downloads.html", {"dataset": dataset, "regions": regions})


def _schema(info: VersionInfo) -> LayerSchema:
    return info.schema or LayerSchema(())


def _offered(service: Service, schema: LayerSchema) -> list[Format]:
    chosen = service.settings.downloads.formats
    return [kind for kind in fitting(schema) if kind.name in chosen]


def _href(ask: Ask, dataset_id: str, name: str, **params: Any) -> str:
    here = f"/collections/{segment(dataset_id)}/downloads/{segment(name)}"
    return ask.href(here, {"version": ask.values.get("version"), **params})


def _listed(service: Service, ask: Ask, dataset: Dataset, info: VersionInfo, kind: Format) -> dict[str, Any]:
    name = file_name(info, kind, Extract())
    ready = shelf_of(service).find(info, name)
    said: dict[str, Any] = {
        "format": kind.name, "title": text(f"download.{kind.name}", ask.lang),
        "description": text(f"download.{kind.name}.text", ask.lang), "type": kind.media,
        "href": _href(ask, dataset.id, f"{dataset.id}.{kind.suffix}"), "fileName": name,
        "ready": ready is not None,
    }  # fmt: skip
    if ready is not None:
        said |= {"length": ready.size, "sha256": ready.sha256, "count": ready.count}
    return said


def shelf_of(service: Service) -> Shelf:
    """Return where the files of this deployment lie."""
    return Shelf(service.settings.data_dir / "downloads")


def download(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/downloads/{file}`: the whole, or a part by `wilayah` or `bbox`."""
    collection_id, name = ask.arguments
    version = ask.values.get("version")
    dataset, info = snapshot.layer(collection_id, version, VECTORS)
    if name == f"{dataset.id}.qlr":
        styles = qgis_styles(service, dataset, info, ask.lang)
        body = qgis.layer_definition(ask, dataset, info, styles[0].qml.encode() if styles else None)
        return Answer(body, qgis.MEDIA, tag=content_tag(body), headers=qgis.as_file(name))
    if (ending := name.removeprefix(dataset.id)) in (TYPES, SYSTEM):
        return _beside_csv(service, dataset, info, name, ending)
    described = name == f"{dataset.id}.csv{SUFFIX}"
    kind = _kind(service, name.removesuffix(SUFFIX) if described else name, dataset, _schema(info))
    part = _part(ask, _schema(info))
    if described:
        return _csv_metadata(ask, dataset, info, part)
    shelf = shelf_of(service)
    found = shelf.find(info, file_name(info, kind, part)) or _made(service, shelf, dataset, info, kind, part)
    headers = {"Repr-Digest": f"sha-256=:{_base64(found.sha256)}:", "X-Checksum-Sha256": found.sha256}
    answer = file_answer(
        ask, shelf.path(info, found.name), kind.media, found.sha256[:32],
        cache=PINNED if version else REVALIDATE, filename=found.name,
    )  # fmt: skip
    answer.headers |= headers
    if kind.name == "csv":
        href = _href(ask, dataset.id, f"{dataset.id}.csv{SUFFIX}", **_chosen(ask))
        answer.headers["Link"] = link_header([{"href": href, "rel": "describedby", "type": CSVM}])
    return answer


def _csv_metadata(ask: Ask, dataset: Dataset, info: VersionInfo, part: Extract) -> Answer:
    """Return the CSVW document of the CSV, or of the part of it that is asked for in the same words."""
    said = about(dataset, info, part.label().removeprefix("-"))
    url = _href(ask, dataset.id, f"{dataset.id}.csv", **_chosen(ask))
    body = csvw(said, _schema(info), url)
    cache = PINNED if ask.values.get("version") else REVALIDATE
    return Answer(body, CSVM, tag=content_tag(body), cache=cache)


def _beside_csv(service: Service, dataset: Dataset, info: VersionInfo, name: str, ending: str) -> Answer:
    """Return what GDAL looks for beside `{id}.csv`, also over the web: types of columns, and the CRS."""
    found = companions(_schema(info)).get(ending)
    if found is None or "csv" not in service.settings.downloads.formats:
        raise missing("download", name)
    body = found.encode()
    return Answer(body, "text/plain; charset=utf-8", tag=content_tag(body))


def _chosen(ask: Ask) -> dict[str, str]:
    """Return the parameters that choose a part, as they were given."""
    return {name: value for name, value in ask.pairs if name in ("wilayah", "bbox")}


def _base64(hexadecimal: str) -> str:
    return b64encode(bytes.fromhex(hexadecimal)).decode()


def _kind(service: Service, name: str, dataset: Dataset, schema: LayerSchema) -> Format:
    for kind in _offered(service, schema):
        if name == f"{dataset.id}.{kind.suffix}":
            return kind
    raise missing("download", name)


def _part(ask: Ask, schema: LayerSchema) -> Extract:
    box = ask.values.get("bbox")
    if box is not None:
        record_box(box)
    try:
        return read_extract(schema, ask.values.get("wilayah"), box)
    except RecordError as error:
        raise ParameterError("download.region", "wilayah") from error


def _made(
    service: Service, shelf: Shelf, dataset: Dataset, info: VersionInfo, kind: Format, part: Extract
) -> Download:
    """Write the file now when it is small enough; else say when to come back, or to ask for less."""
    most = service.settings.downloads.at_once
    condition = where(_schema(info), part)
    with service.readers.lease(info) as reader:
        count = info.count if condition is None else reader.count(condition)
        if part.region is not None and count == 0:
            raise missing("region", part.region)
        if count > most and not part.whole:
            raise ParameterError("download.large", "bbox" if part.bbox else "wilayah", count=count, most=most)
        if count > most:
            raise NotReadyError(where=dataset.id)
        with one_at_a_time(dataset.id):
            if not part.whole:  # anybody may ask for any box: what they leave behind is bounded
                shelf.trim(service.settings.downloads.parts_megabytes << 20)
            said = about(dataset, info, part.label().removeprefix("-"))
            return shelf.make(info, kind, part, Piece(reader, condition, said))


@contextmanager
def one_at_a_time(where: str) -> Iterator[None]:
    """Wait for a turn to write a file; NotReadyError when others take too long."""
    if not _MAKING.acquire(timeout=20):
        raise NotReadyError(where=where)
    try:
        yield
    finally:
        _MAKING.release()
