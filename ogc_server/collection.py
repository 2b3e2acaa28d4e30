"""The list of collections, and one collection's description."""

from __future__ import annotations

from typing import Any

from catalog.datasets import Dataset
from catalog.errors import NotFoundError
from catalog.messages import text
from catalog.model import RunState, VersionInfo
from catalog.search import SearchQuery
from ogc_server import raster_collection, raster_page
from ogc_server.answer import Answer, content_tag, link_header
from ogc_server.ask import Ask, segment
from ogc_server.basemap import basemap
from ogc_server.links import OGC_REL, licence_link, link, shown
from ogc_server.links import document as document_links
from ogc_server.negotiation import (
    CSV_OFFER,
    GEOJSON_OFFER,
    HTML_OFFER,
    JSON,
    JSON_OFFER,
    JSONLD_OFFER,
    SCHEMA,
)  # fmt: skip
from ogc_server.records import catalog_collection, moments, records
from ogc_server.service import Service, document
from ogc_server.snapshot import CATALOG_ID, COLLECTIONS, VECTORS, Snapshot
from ogc_server.spatial import record_box
from ogc_server.tiles import collection_links as tile_links

OFFERS = (JSON_OFFER, HTML_OFFER)
ITEM_OFFERS = (GEOJSON_OFFER, HTML_OFFER, JSONLD_OFFER, CSV_OFFER)
MAX_PAGE = 1000
"""Collections in one page of /collections; larger servers are paged by next links."""


def collections(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections`; kept for the life of the snapshot, as it is costly to make."""
    key = (ask.base, ask.lang, ask.chosen, ask.pairs)
    if (body := snapshot.bodies.get(key)) is not None:
        media = "text/html; charset=utf-8" if ask.chosen.name == "html" else ask.chosen.media
        return Answer(body, media, tag=content_tag(body))
    doc = _listing(service, snapshot, ask)
    answer = document(ask, doc, "collections.html", {"q": ask.values.get("q", "")})
    snapshot.remember(key, answer.body)
    return answer


def _listing(service: Service, snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    ids = _selected(service, snapshot, ask)
    limit = min(ask.values.get("limit", MAX_PAGE), MAX_PAGE)
    offset = ask.values.get("offset", 0)
    page = ids[offset : offset + limit]
    plain = not ask.values.keys() & {"q", "bbox", "datetime"}
    described = [catalog_collection(service, snapshot, ask)] if plain and offset == 0 else []
    for dataset in snapshot.datasets(page):
        if dataset.version is not None:
            try:
                described.append(describe(service, snapshot, ask, dataset, dataset.version))
            except Exception as error:  # one broken layer must not take the list down
                snapshot.mark_broken(dataset.id, error)
    links = [*document_links(ask, OFFERS), link(ask.href("/"), "root", JSON, text("link.root", ask.lang))]
    if offset + limit < len(ids):
        links.append(
            link(ask.here(offset=offset + limit), "next", ask.chosen.media, text("link.next", ask.lang))
        )
    if offset > 0:
        earlier = max(0, offset - limit) or None
        links.append(link(ask.here(offset=earlier), "prev", ask.chosen.media, text("link.prev", ask.lang)))
    extra = 1 if plain else 0
    return {
        "links": links,
        "numberMatched": len(ids) + extra,
        "numberReturned": len(described),
        "collections": described,
    }


def _selected(service: Service, snapshot: Snapshot, ask: Ask) -> tuple[str, ...]:
    visible = snapshot.visible()
    if not ask.values.keys() & {"q", "bbox", "datetime"}:
        return visible
    query = SearchQuery(
        q=ask.values.get("q", ""),
        bbox=_box(ask),
        time=moments(ask.values.get("datetime")),
        filters={"access": ["publik"], "kind": list(COLLECTIONS)},
        sort="id",
        limit=len(snapshot.listed) + 1,
        facets=False,
    )
    allowed = set(visible)
    found = service.catalog.datasets.search(query)
    return tuple(dataset.id for dataset in found.items if dataset.id in allowed)


def _box(ask: Ask) -> Any:
    box = ask.values.get("bbox")
    if box is None:
        return None
    record_box(box)
    return box


def collection(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}`."""
    (collection_id,) = ask.arguments
    if collection_id == CATALOG_ID:
        doc = catalog_collection(service, snapshot, ask)
        doc["links"] = [*document_links(ask, OFFERS), *doc["links"]]
        if ask.chosen.name == "html":
            return records(service, snapshot, ask)
        return document(ask, doc, "collection.html", headers={"Link": link_header(doc["links"])})
    dataset, info = snapshot.layer(collection_id, ask.values.get("version"), COLLECTIONS)
    doc = describe(service, snapshot, ask, dataset, info, ask.values.get("version"))
    doc["links"] = [*document_links(ask, OFFERS), *[one for one in doc["links"] if one["rel"] != "self"]]
    context = {}
    if ask.chosen.name == "html":
        context = _page(service, dataset, info) | {"basemap": basemap(service, snapshot, ask)}
        if dataset.kind == "raster":
            context |= raster_page.page(service, snapshot, ask, dataset, info)
    return document(ask, doc, "collection.html", context, headers={"Link": link_header(doc["links"])})


def describe(
    service: Service,
    snapshot: Snapshot,
    ask: Ask,
    dataset: Dataset,
    info: VersionInfo,
    version: int | None = None,
) -> dict[str, Any]:
    """Return the description of a feature collection: pygeoapi's, with our links and facts."""
    doc = service.api(ask, snapshot).collection(ask, dataset, info)
    record = dataset.record
    vector = dataset.kind in VECTORS
    if vector and info.schema is not None and info.schema.geometry_type is None:
        del doc["extent"]["spatial"], doc["crs"], doc["storageCrs"]
    if not vector:
        del doc["itemType"], doc["crs"], doc["storageCrs"]
        raster_collection.extend(doc, ask, dataset, info)
    if not doc["extent"]:
        del doc["extent"]
    doc["attribution"] = record.produsen_data or None
    doc["license"] = record.licence or None
    doc["itemCount"] = info.count if vector else None
    doc["version"] = info.version
    doc["updated"] = dataset.updated.isoformat().replace("+00:00", "Z")
    doc["links"] = [*_links(ask, dataset, version), *(tile_links(ask, dataset, info) if vector else ())]
    if record.synthetic:
        doc["synthetic"] = True
    return {key: value for key, value in doc.items() if value not in (None, "", [])}


def _links(ask: Ask, dataset: Dataset, version: int | None) -> list[dict[str, Any]]:
    here = f"/collections/{segment(dataset.id)}"
    lang = ask.lang

    def to(path: str, rel: str, media: str, title: str, **params: Any) -> dict[str, Any]:
        return link(ask.href(here + path, {**params, "version": version}), rel, media, title)

    data = [
        *(
            to("/items", "items", offer.media, text("link.items", lang, **{"as": shown(offer)}), f=offer.name)
            for offer in ITEM_OFFERS
        ),
        to("/schema", f"{OGC_REL}schema", SCHEMA, text("link.schema", lang)),
        to("/queryables", f"{OGC_REL}queryables", SCHEMA, text("link.queryables", lang)),
        to("/sortables", f"{OGC_REL}sortables", SCHEMA, text("link.sortables", lang)),
        to("/downloads", "enclosure", JSON, text("page.downloads", lang)),
    ]
    record = ask.href(f"/collections/{CATALOG_ID}/items/{segment(dataset.id)}")
    links = [
        to("", "self", JSON, text("link.self", lang)),
        *(data if dataset.kind in VECTORS else raster_collection.links(ask, dataset, version)),
        link(record, "describedby", GEOJSON_OFFER.media, text("link.record", lang)),
        link(ask.href("/"), "root", JSON, text("link.root", lang)),
    ]
    licence = licence_link(dataset.record.licence, lang)
    return [*links, licence] if licence else links


def _page(service: Service, dataset: Dataset, info: VersionInfo) -> dict[str, Any]:
    """Return what only the page of a collection shows: source health, counts, fields."""
    run = service.catalog.runs.last(dataset.source_id)
    counts = None
    try:
        made_by = service.catalog.runs.get(info.run_id) if info.run_id else None
        counts = made_by.layers.get(dataset.id) if made_by else None
    except NotFoundError:
        made_by = None
    names = ("expected", "seen", "added", "updated", "unchanged", "removed", "repaired", "failed")
    return {
        "dataset": dataset,
        "run": run,
        "healthy": run is None or run.state in (RunState.OK, RunState.UNCHANGED, RunState.RUNNING),
        "counts": {name: getattr(counts, name) for name in names} if counts else None,
        "fields": info.schema.fields if info.schema else (),
        "now": service.now(),
    }
