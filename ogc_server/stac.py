"""STAC 1.1: our rasters as a catalog that pystac, QGIS and odc-stac walk through by its links.

`/stac` -> one collection per raster -> one item per version that is kept. The asset is the stored
COG, Range-readable. A catalog to walk, not the STAC API: nothing is searched.
"""

from __future__ import annotations

from typing import Any

from catalog.datasets import Dataset
from catalog.messages import text
from catalog.model import VersionInfo
from layers.raster_grid import grid_of
from ogc_server.answer import Answer
from ogc_server.ask import Ask, segment
from ogc_server.links import licence_link, link
from ogc_server.negotiation import GEOJSON, HTML_OFFER, JSON, JSON_OFFER, Offer
from ogc_server.parameters import positive
from ogc_server.raster_layer import Band, RasterLayer, bands_of
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot, missing

VERSION = "1.1.0"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
COG_MEDIA = "image/tiff; application=geotiff; profile=cloud-optimized"
OFFERS = (JSON_OFFER, HTML_OFFER)
ITEM_OFFERS = (Offer("json", GEOJSON, (JSON,)), HTML_OFFER)
_WORLD = (-180.0, -90.0, 180.0, 90.0)


def catalog(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/stac`."""
    ids = [key for key in snapshot.visible() if snapshot.listed[key].kind == "raster"]
    children = [
        link(_at(ask, one.id), "child", JSON, one.record.title.get(ask.lang) or one.id)
        for one in snapshot.datasets(ids)
    ]
    server = service.settings.server
    doc = {
        "type": "Catalog", "stac_version": VERSION, "id": "satudata",
        "title": server.title.get(ask.lang) or text("landing.title", ask.lang),
        "description": text("raster.stac.description", ask.lang),
        "links": [_self(ask, JSON), link(ask.href("/stac"), "root", JSON), *children],
    }  # fmt: skip
    return document(ask, doc, "stac.html", {"trail": []})


def collection(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/stac/collections/{id}`."""
    dataset, info = snapshot.layer(ask.arguments[0], None, ("raster",))
    record = dataset.record
    kept = [
        entry.info for entry in service.catalog.versions.list(dataset.id) if entry.state in ("current", "old")
    ]
    spans = [_time(dataset, one) for one in kept] or [_time(dataset, info)]
    links = [
        _self(ask, JSON), link(ask.href("/stac"), "root", JSON), link(ask.href("/stac"), "parent", JSON),
        *(link(_at(ask, dataset.id, one.version), "item", GEOJSON, _named(one)) for one in kept),
        link(ask.href(f"/collections/{segment(dataset.id)}"), "about", JSON),
    ]  # fmt: skip
    licence = licence_link(record.licence, ask.lang)
    providers = [
        {"name": name, "roles": roles}
        for name, roles in ((record.produsen_data, ["producer"]), (record.walidata, ["host"]))
        if name
    ]
    doc = {
        "type": "Collection", "stac_version": VERSION, "id": dataset.id,
        "title": record.title.get(ask.lang) or dataset.id,
        "description": record.description.get(ask.lang) or record.title.get(ask.lang) or dataset.id,
        "keywords": record.keywords, "license": "other", "providers": providers,
        "extent": {
            "spatial": {"bbox": [list(info.bbox or record.bbox or _WORLD)]},
            "temporal": {"interval": [[min(first for first, _ in spans), max(last for _, last in spans)]]},
        },
        "links": [*links, licence] if licence else links,
    }  # fmt: skip
    said = {key: value for key, value in doc.items() if value != []}
    return document(ask, said, "stac.html", {"trail": _trail(ask)})


def item(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/stac/collections/{id}/items/{version}`."""
    collection_id, version = ask.arguments
    try:
        number = positive("version", version)
    except ValueError:
        raise missing("version", version) from None
    dataset, info = snapshot.layer(collection_id, number, ("raster",))
    layer = RasterLayer(service, snapshot, dataset, info, pinned=True)
    box = info.bbox or dataset.record.bbox or _WORLD
    start, end = _time(dataset, info)
    instant = {"datetime": start} if start == end else {
        "datetime": None, "start_datetime": start, "end_datetime": end,
    }  # fmt: skip
    doc = {
        "type": "Feature", "stac_version": VERSION, "stac_extensions": [PROJECTION, RASTER, FILE],
        "id": str(info.version), "collection": dataset.id, "bbox": list(box), "geometry": _outline(box),
        "properties": {
            **instant, "title": f"{layer.title(ask.lang)}, v{info.version}",
            "created": _instant(info.created), **_projection(layer),
        },
        "assets": _assets(ask, layer),
        "links": [
            _self(ask, GEOJSON), link(ask.href("/stac"), "root", JSON),
            link(_at(ask, dataset.id), "parent", JSON), link(_at(ask, dataset.id), "collection", JSON),
        ],
    }  # fmt: skip
    parent = (layer.title(ask.lang), f"{_at(ask, dataset.id)}?f=html&lang={ask.lang}")
    return document(ask, doc, "stac.html", {"trail": [*_trail(ask), parent]}, cache=layer.cache)


def _trail(ask: Ask) -> list[tuple[str, str]]:
    """Return where a page stands below the catalog."""
    return [("STAC", f"{ask.href('/stac')}?f=html&lang={ask.lang}")]


def _named(info: VersionInfo) -> str:
    return f"v{info.version}, {info.created.date().isoformat()}"


def _assets(ask: Ask, layer: RasterLayer) -> dict[str, Any]:
    here, version = f"/collections/{segment(layer.dataset.id)}", {"version": layer.info.version}
    return {
        "data": {
            "href": ask.href(f"{here}/cog", version), "type": COG_MEDIA, "roles": ["data"],
            "title": text("link.cog", ask.lang), "file:size": layer.info.size_bytes,
            "bands": [_band(layer.info, band) for band in bands_of(layer.info)],
        },
        "thumbnail": {
            "href": ask.href(f"{here}/map", {**version, "width": 320, "f": "png"}), "type": "image/png",
            "roles": ["thumbnail"], "title": text("link.map", ask.lang),
        },
    }  # fmt: skip


def _band(info: VersionInfo, band: Band) -> dict[str, Any]:
    figures = band.statistics
    valid, empty = figures["valid"] or 0, figures["nodata_pixels"] or 0
    share = 100 * valid / (valid + empty) if valid + empty else 0.0
    named = {
        "minimum": figures["min"], "maximum": figures["max"], "mean": figures["mean"],
        "stddev": figures["std"], "valid_percent": share,
    }  # fmt: skip
    said: dict[str, Any] = {"name": band.name, "data_type": band.dtype, "raster:sampling": "area"}
    if info.extra.get("nodata_nan"):
        said["nodata"] = "nan"
    elif info.extra.get("nodata") is not None:
        said["nodata"] = info.extra["nodata"]
    if band.unit:
        said["unit"] = band.unit
    said["statistics"] = {key: value for key, value in named.items() if value is not None}
    if bars := band.histogram:
        said["raster:histogram"] = {
            "count": len(bars["counts"]), "min": bars["min"], "max": bars["max"], "buckets": bars["counts"],
        }  # fmt: skip
    return said


def _projection(layer: RasterLayer) -> dict[str, Any]:
    code, grid = layer.info.extra.get("crs", ""), grid_of(layer.info)
    said: dict[str, Any] = {"proj:code": code} if code.startswith("EPSG:") else {"proj:code": None}
    if code and said["proj:code"] is None:
        said["proj:wkt2"] = code
    if grid is not None:
        said |= {
            "proj:bbox": list(grid.bounds), "proj:shape": [grid.height, grid.width],
            "proj:transform": list(grid.transform)[:6],
        }  # fmt: skip
    return said


def _outline(box: tuple[float, float, float, float]) -> dict[str, Any]:
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _time(dataset: Dataset, info: VersionInfo) -> tuple[str, str]:
    """Return the span of time that the data tell of; when nothing is said, when it was published."""
    start, end = dataset.record.time_start, dataset.record.time_end
    first, last = start or end or info.created, end or start or info.created
    return _instant(first), _instant(last)


def _instant(moment: Any) -> str:
    return str(moment.isoformat().replace("+00:00", "Z"))


def _self(ask: Ask, media: str) -> dict[str, Any]:
    return link(ask.href(ask.path), "self", media)


def _at(ask: Ask, collection_id: str, version: int | None = None) -> str:
    here = f"/stac/collections/{segment(collection_id)}"
    return ask.href(here if version is None else f"{here}/items/{version}")
