"""OGC API Records over the catalogue: one record per dataset, whatever its kind.

Our own rather than a pygeoapi record provider: pygeoapi's records have the URIs and links of an old
draft, ignore `ids`, and its providers fail on `q=*`. Search is the catalog's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from catalog.datasets import Dataset
from catalog.errors import QueryError
from catalog.messages import text
from catalog.model import FieldDef, LayerSchema
from catalog.search import SearchQuery
from ogc_server import dcat
from ogc_server.answer import Answer, content_tag, link_header, to_json
from ogc_server.ask import Ask, segment
from ogc_server.basemap import basemap
from ogc_server.errors import ParameterError
from ogc_server.formats import CSV_MEDIA, csv_text
from ogc_server.links import OGC_REL, licence_link, link
from ogc_server.links import document as document_links
from ogc_server.negotiation import CSV_OFFER, GEOJSON, GEOJSON_OFFER, HTML_OFFER, JSON, JSONLD_OFFER, SCHEMA
from ogc_server.parameters import Param
from ogc_server.service import Service, document
from ogc_server.snapshot import CATALOG_ID, VECTORS, Snapshot, missing
from ogc_server.spatial import record_box
from ogc_server.times import Interval

OFFERS = (GEOJSON_OFFER, HTML_OFFER, JSONLD_OFFER)
LIST_OFFERS = (*OFFERS, CSV_OFFER)
CSV_COLUMNS = (
    "type", "title", "description", "keywords", "produsen_data", "walidata", "cakupan", "frekuensi",
    "rights", "license", "created", "updated", "source_id",
)  # fmt: skip
RECORD_CORE = "http://www.opengis.net/spec/ogcapi-records-1/1.0/conf/record-core"
_SORTS = {
    "title": "title",
    "updated": "updated",
    "created": "created",
    "id": "id",
    "produsen_data": "produsen_data",
}

RECORD_QUERYABLES: Mapping[str, Any] = {
    "geometry": {"format": "geometry-any", "x-ogc-role": "primary-geometry"},
    "title": {"type": "string", "title": "Judul / Title"},
    "description": {"type": "string", "title": "Keterangan / Description"},
    "type": {"type": "string", "title": "Jenis / Kind"},
    "keywords": {"type": "array", "items": {"type": "string"}, "title": "Kata kunci / Keywords"},
    "produsen_data": {"type": "string", "title": "Produsen data / Producer"},
    "source_id": {"type": "string", "title": "Sumber / Source"},
}
RECORD_SORTABLES: Mapping[str, Any] = {
    name: {"type": "string", **({"format": "date-time"} if name in ("updated", "created") else {})}
    for name in _SORTS
}


def _word(name: str, value: str) -> str:
    return value


QUERYABLES = tuple(
    Param(name, _word, {"type": "string"}) for name in ("produsen_data", "source_id", "keywords", "kind")
)
DATASETS = ("feature", "table", "raster")
KINDS = ("feature", "table", "raster", "service", "record")


def moments(span: Interval | None) -> tuple[datetime | None, datetime | None]:
    """Return an interval as instants."""
    if span is None:
        return None, None
    start, end = (datetime.fromisoformat(part) if part else None for part in span)
    return start, end


def catalog_collection(service: Service, snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    """Return the description of the catalogue: a collection of records."""
    here = f"/collections/{CATALOG_ID}"
    lang = ask.lang

    def to(path: str, rel: str, media: str, title: str, **params: Any) -> dict[str, Any]:
        return link(ask.href(here + path, params), rel, media, title)

    return {
        "id": CATALOG_ID,
        "type": "Collection",
        "title": text("catalog.title", lang),
        "description": text("catalog.description", lang),
        "itemType": "record",
        "conformsTo": [RECORD_CORE, RECORD_CORE.replace("record-core", "record-collection")],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
        },
        "crs": ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"],
        "links": [
            to("", "self", JSON, text("link.self", lang)),
            *(
                to(
                    "/items",
                    "items",
                    offer.media,
                    text("link.records", lang, **{"as": offer.name}),
                    f=offer.name,
                )
                for offer in LIST_OFFERS
            ),
            to("", f"{OGC_REL}ogc-catalog", JSON, text("link.catalog", lang)),
            to("/schema", f"{OGC_REL}schema", SCHEMA, text("link.schema", lang)),
            to("/queryables", f"{OGC_REL}queryables", SCHEMA, text("link.queryables", lang)),
            to("/sortables", f"{OGC_REL}sortables", SCHEMA, text("link.sortables", lang)),
            link(ask.href("/"), "root", JSON, text("link.root", lang)),
        ],
    }


def records(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/katalog/items`."""
    values = ask.values
    server = service.settings.server
    limit, offset = min(values.get("limit", server.limit_default), server.limit_max), values.get("offset", 0)
    found = service.catalog.datasets.search(_search(ask, limit, offset))
    links = [
        *document_links(ask, LIST_OFFERS),
        link(ask.href(f"/collections/{CATALOG_ID}"), "collection", JSON, text("catalog.title", ask.lang)),
        link(
            ask.href(f"/collections/{CATALOG_ID}/queryables"), f"{OGC_REL}queryables", SCHEMA,
            text("link.queryables", ask.lang),
        ),
    ]  # fmt: skip
    if offset + len(found.items) < found.total and found.items:
        links.append(
            link(ask.here(offset=offset + limit), "next", ask.chosen.media, text("link.next", ask.lang))
        )
    if offset > 0:
        links.append(
            link(
                ask.here(offset=max(0, offset - limit) or None),
                "prev",
                ask.chosen.media,
                text("link.prev", ask.lang),
            )
        )
    headers = {"Link": link_header([one for one in links if one["rel"] != "alternate"])}
    if ask.chosen.name == "jsonld":
        return _linked(ask, dcat.catalogue(ask, found.items, text("catalog.title", ask.lang)), headers)
    if ask.chosen.name == "csv":
        return _csv(ask, found.items, headers)
    doc = {
        "type": "FeatureCollection",
        "numberMatched": found.total,
        "numberReturned": len(found.items),
        "links": links,
        "features": [record(ask, dataset) for dataset in found.items],
    }
    return document(
        ask, doc, "records.html", {"q": values.get("q", ""), "collection_id": CATALOG_ID}, headers=headers
    )


def _csv(ask: Ask, found: Sequence[Dataset], headers: dict[str, str]) -> Answer:
    """Return the records as a table: one row each, with the address of its JSON."""
    schema = LayerSchema(fields=tuple(FieldDef(name) for name in (*CSV_COLUMNS, "href")))
    rows = []
    for dataset in found:
        said = record(ask, dataset)["properties"]
        said["keywords"] = "; ".join(said.get("keywords", ()))
        said["href"] = ask.href(f"/collections/{CATALOG_ID}/items/{segment(dataset.id)}")
        rows.append(to_json({"id": dataset.id, "properties": said}))
    body = csv_text(schema, rows, None)
    return Answer(body, CSV_MEDIA, tag=content_tag(body), headers=headers)


def _search(ask: Ask, limit: int, offset: int) -> SearchQuery:
    values = ask.values
    if (box := values.get("bbox")) is not None:
        record_box(box)
    kinds = values.get("type") or values.get("kind")
    filters: dict[str, Any] = {"access": ["publik"]}
    for name in ("produsen_data", "source_id", "keywords"):
        if name in values:
            filters[name] = [values[name]]
    if kinds is not None:
        filters["kind"] = _kinds((kinds,) if isinstance(kinds, str) else kinds)
    ids = values.get("ids")
    if "externalIds" in values:
        ids = tuple(ids or ()) + values["externalIds"]
    return SearchQuery(
        q="" if values.get("q", "").strip() in ("*", "") else values["q"],
        bbox=box,
        time=moments(values.get("datetime")),
        filters=filters,
        ids=ids,
        sort=_sort(values.get("sortby", ())),
        limit=limit,
        offset=offset,
        facets=False,
    )


def _kinds(asked: tuple[str, ...]) -> list[str]:
    """Return the kinds that the record types asked for stand for; `-`, which none is, for no kind."""
    found = [kind for kind in KINDS if kind in asked or ("dataset" in asked and kind in DATASETS)]
    return found or ["-"]


def _sort(keys: Any) -> str:
    if not keys:
        return ""
    (name, order), *more = keys
    if more or name not in _SORTS:
        raise ParameterError("query.property", "sortby", value=",".join(key for key, _ in keys)[:80])
    return ("-" if order == "desc" else "") + _SORTS[name]


def one_record(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/katalog/items/{id}`."""
    (record_id,) = ask.arguments
    try:
        dataset = snapshot.dataset(record_id)
    except QueryError:
        raise missing("record", record_id) from None
    if ask.chosen.name == "jsonld":
        return _linked(ask, dcat.dataset(ask, dataset, context=True), {})
    doc = record(ask, dataset)
    doc["links"] = [
        *document_links(ask, OFFERS),
        link(ask.href(f"/collections/{CATALOG_ID}"), "collection", JSON, text("catalog.title", ask.lang)),
        *doc["links"],
    ]
    headers = {"Link": link_header(doc["links"])}
    context = {"dataset": dataset, "basemap": basemap(service, snapshot, ask)}
    return document(ask, doc, "record.html", context, headers=headers)


def _linked(ask: Ask, doc: dict[str, Any], headers: dict[str, str]) -> Answer:
    body = to_json(doc)
    return Answer(body, ask.chosen.media, tag=content_tag(body), headers=headers)


def record(ask: Ask, dataset: Dataset) -> dict[str, Any]:
    """Return a dataset as a record (GeoJSON Feature of Records Part 1)."""
    said = dataset.record
    contact = said.contact
    properties = {
        "type": "dataset" if dataset.kind in DATASETS else dataset.kind,
        "kind": dataset.kind,
        "title": said.title.get(ask.lang) or dataset.id,
        "description": said.description.get(ask.lang),
        "keywords": said.keywords,
        "language": {"code": said.language} if said.language else None,
        "created": _stamp(said.created or dataset.created),
        "updated": _stamp(dataset.updated),
        "license": said.licence,
        "rights": said.access,
        "contacts": _contacts(dataset) or None,
        "themes": [{"concepts": [{"id": topic} for topic in said.topic], "scheme": "ISO 19115"}]
        if said.topic
        else None,
        "externalIds": [{"scheme": dataset.source_id, "value": dataset.remote_id}],
        "produsen_data": said.produsen_data,
        "walidata": said.walidata,
        "kode_referensi": said.kode_referensi.model_dump() if said.kode_referensi else None,
        "cakupan": said.cakupan,
        "frekuensi": said.frekuensi,
        "lineage": said.lineage,
        "synthetic": said.synthetic or None,
        "also_at": dataset.also_at,
        "source_id": dataset.source_id,
        "contact_organisation": contact.organisation,
    }
    return {
        "id": dataset.id,
        "type": "Feature",
        "conformsTo": [RECORD_CORE],
        "geometry": _footprint(dataset),
        "time": _time(dataset),
        "properties": {key: value for key, value in properties.items() if value not in (None, "", [])},
        "links": _links(ask, dataset),
    }


def _footprint(dataset: Dataset) -> dict[str, Any] | None:
    box = (dataset.version.bbox if dataset.version else None) or dataset.record.bbox
    if box is None:
        return None
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _time(dataset: Dataset) -> dict[str, Any] | None:
    start, end = dataset.record.time_start, dataset.record.time_end
    if start is None and end is None:
        return None
    return {"interval": [_stamp(start) or "..", _stamp(end) or ".."]}


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _contacts(dataset: Dataset) -> list[dict[str, Any]]:
    contact, made = dataset.record.contact, []
    if dataset.record.produsen_data:
        made.append({"organization": dataset.record.produsen_data, "roles": ["producer"]})
    if contact.organisation or contact.email:
        one: dict[str, Any] = {
            "organization": contact.organisation or dataset.record.walidata,
            "roles": ["pointOfContact"],
        }
        if contact.email:
            one["emails"] = [{"value": contact.email}]
        if contact.phone:
            one["phones"] = [{"value": contact.phone}]
        made.append(one)
    return made


def _links(ask: Ask, dataset: Dataset) -> list[dict[str, Any]]:
    title = dataset.record.title.get(ask.lang) or dataset.id
    links = []
    here = f"/collections/{segment(dataset.id)}"
    if dataset.version is not None and dataset.kind in DATASETS:
        links.append(link(ask.href(here), "item", JSON, text("link.collection", ask.lang)))
    if dataset.version is not None and dataset.kind in VECTORS:
        links += [
            link(ask.href(f"{here}/items", {"f": "json"}), "data", GEOJSON, title),
            link(ask.href(f"{here}/items", {"f": "csv"}), "data", "text/csv", title),
        ]
    for one in dataset.record.links:
        made = link(one.href, one.rel or "related", one.type or "application/octet-stream", one.title)
        if one.protocol:
            made["protocol"] = one.protocol
        links.append(made)
    licence = licence_link(dataset.record.licence, ask.lang)
    return [*links, licence] if licence else links
