"""OGC API - Tiles Part 1 (20-057): grids, tilesets, vector tiles, TileJSON, and the whole archive.

Tiles come from the version's PMTiles archive as they lie there, gzipped; below its deepest zoom, and
while it is not built, from the layer itself (`tiles_desk`). `tiles_fast` answers the plain case of a
tile before any of this runs.
"""

from __future__ import annotations

import gzip
from typing import Any

from catalog.datasets import Dataset
from catalog.errors import PublishError
from catalog.messages import text
from catalog.model import BBox, VersionInfo
from layers.tiles.features import FIELD_KINDS
from layers.tiles.grid import GRIDS, Grid
from layers.tiles.plan import FID, LABELS, TilePlan
from layers.tiles.state import summary
from ogc_server import tiles_pages
from ogc_server.answer import PINNED, REVALIDATE, Answer, link_header
from ogc_server.ask import Ask, segment
from ogc_server.errors import NotAcceptableError, NotReadyError, ParameterError
from ogc_server.links import OGC_REL, licence_link, link
from ogc_server.links import document as document_links
from ogc_server.negotiation import HTML_OFFER, JSON, JSON_OFFER, Offer, coding
from ogc_server.parameters import whole
from ogc_server.ranges import file_answer
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot, missing
from ogc_server.tiles_desk import Tile, TileDesk, zooms
from ogc_server.tiles_told import generalization

MVT = "application/vnd.mapbox-vector-tile"
PMTILES = "application/vnd.pmtiles"
OFFERS = (JSON_OFFER, HTML_OFFER)
TILEJSON_OFFER = Offer("tilejson", "application/vnd.mapbox.tile+json")
TILESET_OFFERS = (JSON_OFFER, HTML_OFFER, TILEJSON_OFFER)
TILE_OFFERS = (Offer("mvt", MVT, ("application/x-protobuf", "application/octet-stream")),)
ARCHIVE_OFFERS = (Offer("pmtiles", PMTILES, ("application/octet-stream",)),)
TILESETS = f"{OGC_REL}tilesets-vector"
SCHEMES = f"{OGC_REL}tiling-schemes"


def schemes(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/tileMatrixSets`."""
    grids = [
        {
            "id": grid.id, "title": grid.id, "uri": grid.uri, "crs": grid.crs,
            "links": [link(ask.href(f"/tileMatrixSets/{grid.id}"), "self", JSON, grid.id)],
        }
        for grid in GRIDS.values()
    ]  # fmt: skip
    return document(ask, {"tileMatrixSets": grids, "links": document_links(ask, OFFERS)}, "grids.html")


def scheme(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/tileMatrixSets/{id}`."""
    grid = _grid(ask.arguments[0])
    return document(ask, {**grid.definition(), "links": document_links(ask, OFFERS)}, "grid.html")


def tilesets(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/tiles`."""
    dataset, info, plan = _layer(service, snapshot, ask)
    desk = service.tiles()
    state = desk.state(dataset, info)
    made = [_head(ask, dataset, grid) | {"links": [_self(ask, dataset, grid)]} for grid in GRIDS.values()]
    links = [*document_links(ask, OFFERS), *_collection_links(ask, dataset)]
    if desk.archive(info.layer_id, info.version, "WebMercatorQuad") is not None:
        links.append(_archive_link(ask, dataset))
    doc = {"tilesets": made, "links": links, "status": summary(state)}
    view = tiles_pages.layer(ask, dataset, info, plan, state)
    return document(ask, doc, "tilesets.html", view, headers={"Link": link_header(links)})


def tileset(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/tiles/{grid}`, as OGC tileset metadata or as TileJSON."""
    dataset, info, plan = _layer(service, snapshot, ask)
    grid = _grid(ask.arguments[1])
    if ask.chosen.name == "tilejson":
        if grid.id != "WebMercatorQuad":
            # TileJSON 3.0 has no key for a CRS and bids clients to pass over keys that it does not name
            # (clause 3): whoever reads it draws the tiles as Web Mercator, in the wrong place.
            if "f" in dict(ask.pairs):
                raise ParameterError("query.tilejson-grid", "f", grid=grid.id)
            raise NotAcceptableError(where="Accept", known=JSON)
        return document(ask, tilejson(service, ask, dataset, info, plan), "")
    doc = _metadata(service, ask, dataset, info, plan, grid)
    view = tiles_pages.one(ask, dataset, info, service.tiles().state(dataset, info), grid)
    return document(ask, doc, "tileset.html", view)


def tile(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer one tile: 204 where nothing is, 404 outside of the grid, 400 for what is no number."""
    dataset, info, _ = _layer(service, snapshot, ask, planned=False)
    grid = _grid(ask.arguments[1])
    zoom, row, column = (
        _number(name, given)
        for name, given in zip(("tileMatrix", "tileRow", "tileCol"), ask.arguments[2:], strict=True)
    )
    if not grid.holds(zoom, row, column) or not _served(grid, zoom):
        raise missing("tile", f"{zoom}/{row}/{column}")
    found = service.tiles().tile(dataset, info, grid, zoom, row, column)
    return tile_answer(found, ask, PINNED if "version" in ask.values else REVALIDATE)


def tile_answer(found: Tile, ask: Ask, cache: str) -> Answer:
    """Return a tile as it lies in the archive when the client takes gzip, else unpacked."""
    if not found.body:
        return Answer(b"", MVT, status=204, cache=cache)
    ask.check(found.tag, cache)
    if coding(ask.headers.get("accept-encoding"), ("gzip",)) == "gzip":
        headers = {"Content-Encoding": "gzip"}
        return Answer(found.body, MVT, tag=f"{found.tag}-gzip", cache=cache, headers=headers)
    return Answer(gzip.decompress(found.body), MVT, tag=found.tag, cache=cache)


def archive(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/tiles.pmtiles`: the WebMercatorQuad archive, whole or in ranges."""
    dataset, info, _ = _layer(service, snapshot, ask, planned=False)
    found = service.tiles().archive(info.layer_id, info.version, "WebMercatorQuad")
    if found is None:
        if service.tiles().state(dataset, info).state == "on-request":
            raise missing("archive", dataset.id)
        raise NotReadyError(where=dataset.id)
    try:
        return file_answer(
            ask, found.path, PMTILES, found.tag, cache=PINNED if "version" in ask.values else REVALIDATE,
            filename=f"{dataset.id}.pmtiles",
        )  # fmt: skip
    except OSError as error:
        raise NotReadyError(where=dataset.id) from error


def tilejson(
    service: Service, ask: Ask, dataset: Dataset, info: VersionInfo, plan: TilePlan
) -> dict[str, Any]:
    """Return TileJSON 3.0; its tiles are pinned to the version, so that clients may keep them."""
    first, last = _archived(service.tiles(), info, plan)
    template = _template(ask, dataset, GRIDS["WebMercatorQuad"], "{z}/{y}/{x}", info.version)
    record = dataset.record
    fields = {FID: "String", **{field.name: FIELD_KINDS[field.type] for field in plan.fields}}
    layers = [{"id": dataset.id, "fields": fields, "minzoom": first, "maxzoom": last}]
    if plan.family == "polygon" and plan.label:
        label = {"id": dataset.id + LABELS, "fields": {FID: "String", "name": "String"}}
        layers.append({**label, "minzoom": first, "maxzoom": last})
    west, south, east, north = _box(info)
    doc = {
        "tilejson": "3.0.0", "name": record.title.get(ask.lang) or dataset.id,
        "description": record.description.get(ask.lang) or None, "version": f"{info.version}.0.0",
        "attribution": record.produsen_data or None, "scheme": "xyz", "tiles": [template],
        "minzoom": first, "maxzoom": last, "bounds": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2, min(last, 5)], "vector_layers": layers,
        "satudata:generalization": _left_out(service, ask, dataset, info, plan),
    }  # fmt: skip
    return {key: value for key, value in doc.items() if value is not None}


def _left_out(
    service: Service, ask: Ask, dataset: Dataset, info: VersionInfo, plan: TilePlan
) -> dict[str, Any]:
    report = service.tiles().state(dataset, info).grids.get("WebMercatorQuad")
    return generalization(plan, GRIDS["WebMercatorQuad"], report, info.count, ask.lang)


def _metadata(
    service: Service, ask: Ask, dataset: Dataset, info: VersionInfo, plan: TilePlan, grid: Grid
) -> dict[str, Any]:
    """Return the tileset's metadata (OGC 17-083r4, clause 7), with what was thinned at which zoom."""
    first, last = zooms(grid)
    box = _box(info)
    state = service.tiles().state(dataset, info)
    report = state.grids.get(grid.id)
    template = _template(ask, dataset, grid, "{tileMatrix}/{tileRow}/{tileCol}", ask.values.get("version"))
    links = [
        *document_links(ask, TILESET_OFFERS if grid.id == "WebMercatorQuad" else OFFERS),
        link(template, "item", MVT, text("link.tile", ask.lang), templated=True),
        link(
            ask.href(f"/tileMatrixSets/{grid.id}"), f"{OGC_REL}tiling-scheme", JSON,
            text("link.grid", ask.lang, grid=grid.id),
        ),
        *_collection_links(ask, dataset),
    ]  # fmt: skip
    licence = licence_link(dataset.record.licence, ask.lang)
    if report is not None and grid.id == "WebMercatorQuad":
        links.append(_archive_link(ask, dataset))
    return {
        **_head(ask, dataset, grid),
        "version": str(info.version),
        "attribution": dataset.record.produsen_data,
        "boundingBox": {
            "lowerLeft": list(box[:2]), "upperRight": list(box[2:]),
            "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        },
        "tileMatrixSetLimits": [limit(grid, box, zoom) for zoom in range(first, last + 1)],
        "layers": _layers(ask, dataset, plan, first, last),
        "mediaTypes": [MVT],
        "generalization": generalization(plan, grid, report, info.count, ask.lang),
        "archive": {**summary(state), **(report.model_dump() if report else {})},
        "links": [*links, licence] if licence else links,
    }  # fmt: skip


def _head(ask: Ask, dataset: Dataset, grid: Grid) -> dict[str, Any]:
    title = dataset.record.title.get(ask.lang) or dataset.id
    return {
        "title": text("tiles.title", ask.lang, title=title), "dataType": "vector", "crs": grid.crs,
        "tileMatrixSetURI": grid.uri, "tileMatrixSetId": grid.id,
    }  # fmt: skip


def _layers(ask: Ask, dataset: Dataset, plan: TilePlan, first: int, last: int) -> list[dict[str, Any]]:
    dimension = {"point": 0, "line": 1, "polygon": 2}.get(plan.family)
    kinds = {"String": "string", "Number": "number", "Boolean": "boolean"}
    properties = {FID: {"type": "string", "x-ogc-role": "id"}} | {
        field.name: {"title": field.title or field.name, "type": kinds[FIELD_KINDS[field.type]]}
        for field in plan.fields
    }
    one: dict[str, Any] = {
        "id": dataset.id, "title": dataset.record.title.get(ask.lang) or dataset.id, "dataType": "vector",
        "minTileMatrix": str(first), "maxTileMatrix": str(last),
        "propertiesSchema": {"type": "object", "properties": properties},
    }  # fmt: skip
    if dimension is not None:
        one["geometryDimension"] = dimension
    if plan.family != "polygon" or not plan.label:
        return [one]
    said = {FID: {"type": "string", "x-ogc-role": "id"}, "name": {"type": "string"}}
    label = {
        "id": dataset.id + LABELS, "dataType": "vector", "geometryDimension": 0,
        "minTileMatrix": str(first), "maxTileMatrix": str(plan.max_zoom),
        "propertiesSchema": {"type": "object", "properties": said},
    }  # fmt: skip
    return [one, label]


def limit(grid: Grid, box: BBox, zoom: int) -> dict[str, Any]:
    """Return the rows and columns of a zoom that a box in degrees touches."""
    row_first, row_last, column_first, column_last = grid.limits(box, zoom)
    return {
        "tileMatrix": str(zoom), "minTileRow": row_first, "maxTileRow": row_last,
        "minTileCol": column_first, "maxTileCol": column_last,
    }  # fmt: skip


def _template(ask: Ask, dataset: Dataset, grid: Grid, place: str, version: int | None) -> str:
    query = {"f": "mvt", "version": version}
    bare = ask.href(f"/collections/{segment(dataset.id)}/tiles/{grid.id}/", query)
    head, _, tail = bare.partition("?")
    return f"{head}{place}?{tail}"


def _collection_links(ask: Ask, dataset: Dataset) -> list[dict[str, Any]]:
    here = f"/collections/{segment(dataset.id)}"
    title = dataset.record.title.get(ask.lang) or dataset.id
    return [
        link(ask.href(here), "collection", JSON, title),
        link(ask.href(f"{here}/styles"), f"{OGC_REL}styles", JSON, text("link.styles", ask.lang)),
    ]


def _self(ask: Ask, dataset: Dataset, grid: Grid) -> dict[str, Any]:
    path = f"/collections/{segment(dataset.id)}/tiles/{grid.id}"
    href = ask.href(path, {"f": "json", "version": ask.values.get("version")})
    return link(href, "self", JSON, text("link.tileset", ask.lang, grid=grid.id))


def _archive_link(ask: Ask, dataset: Dataset) -> dict[str, Any]:
    href = ask.href(
        f"/collections/{segment(dataset.id)}/tiles.pmtiles", {"version": ask.values.get("version")}
    )
    return link(href, "enclosure", PMTILES, text("link.archive", ask.lang))


def collection_links(ask: Ask, dataset: Dataset, info: VersionInfo) -> list[dict[str, Any]]:
    """Return the links that a collection with geometry has to its tiles and styles."""
    if info.schema is None or info.schema.geometry_type is None:
        return []
    here = f"/collections/{segment(dataset.id)}"
    return [
        link(ask.href(f"{here}/tiles"), TILESETS, JSON, text("link.tiles", ask.lang)),
        link(ask.href(f"{here}/styles"), f"{OGC_REL}styles", JSON, text("link.styles", ask.lang)),
    ]


def _box(info: VersionInfo) -> BBox:
    return info.bbox or (-180.0, -85.0, 180.0, 85.0)


def _archived(desk: TileDesk, info: VersionInfo, plan: TilePlan) -> tuple[int, int]:
    """Return the zooms that a client should ask for: deeper, it can enlarge what it has."""
    found = desk.archive(info.layer_id, info.version, "WebMercatorQuad")
    return (0, plan.max_zoom) if found is None else found.zooms


def _served(grid: Grid, zoom: int) -> bool:
    first, last = zooms(grid)
    return first <= zoom <= last


def _grid(name: str) -> Grid:
    found = GRIDS.get(name)
    if found is None:
        raise missing("grid", name)
    return found


def _number(name: str, given: str) -> int:
    try:
        return whole(name, given)
    except ParameterError:
        raise ParameterError("query.tile-number", name) from None


def _layer(
    service: Service, snapshot: Snapshot, ask: Ask, *, planned: bool = True
) -> tuple[Dataset, VersionInfo, Any]:
    """Return dataset, version and tile plan (None unless `planned`); 404 for what has no geometry."""
    dataset, info = snapshot.layer(ask.arguments[0], ask.values.get("version"), ("feature",))
    if info.schema is None or info.schema.geometry_type is None:
        raise missing("tiles", dataset.id)
    try:
        return dataset, info, service.tiles().plan(dataset, info) if planned else None
    except PublishError as error:
        raise missing("tiles", dataset.id) from error
