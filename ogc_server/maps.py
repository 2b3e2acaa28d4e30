"""OGC API - Maps 1.0: pictures of a raster, whole, of a part, or as map tiles; and its legend.

`/map` draws any box at any size or scale in any offered CRS (`maps_frame`, `maps_ground`);
`/map/tiles/{tms}/{z}/{row}/{col}` are XYZ tiles that QGIS and web maps take; colours come from one rule
(`raster_style`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.errors import QueryError
from catalog.messages import text
from layers.raster_grid import Box, Grid, over
from layers.raster_picture import empty_png
from layers.raster_read import read_grid
from layers.tiles.grid import GRIDS
from layers.tiles.plan import DEEPEST
from ogc_server import raster_time
from ogc_server.answer import Answer
from ogc_server.ask import Ask, segment
from ogc_server.coverages import place_headers
from ogc_server.crs import CRS84, Crs, supported
from ogc_server.links import OGC_REL, link
from ogc_server.maps_frame import frame, size
from ogc_server.maps_ground import beyond, ground, paint
from ogc_server.negotiation import JSON, JSON_OFFER, Offer
from ogc_server.raster_layer import RasterLayer, open_layer
from ogc_server.raster_picture import legend_png
from ogc_server.raster_style import Style, legend, style_of
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot, missing
from ogc_server.tiles import limit

PNG = "image/png"
PNG_OFFER = Offer("png", PNG)
JPEG_OFFER = Offer("jpeg", "image/jpeg", ("image/jpg",))
OFFERS = (PNG_OFFER, JPEG_OFFER)
LEGEND_OFFERS = (PNG_OFFER, JSON_OFFER)
TILE_OFFERS = (PNG_OFFER,)
TILESET_OFFERS = (JSON_OFFER,)
TILE = 256


def map_picture(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map`."""
    layer = open_layer(service, snapshot, ask)
    raster_time.check(layer, ask.values)
    style = style_of(layer)
    tag = layer.tag(ask, style)
    crs = layer.pick(ask.values.get("crs"), "crs", layer.crs)
    grids = frame(layer, ask.values, crs)
    ask.check(tag, layer.cache)
    body = _draw(layer, style, grids, crs, ask)
    headers = place_headers(crs, *grids) | raster_time.headers(layer)
    return Answer(body, ask.chosen.media, tag=tag, cache=layer.cache, headers=headers)


def _draw(
    layer: RasterLayer, style: Style, grids: tuple[Grid, ...], crs: Crs, ask: Ask, *, tile: bool = False
) -> bytes:
    """Return the picture of grids side by side in the form asked for."""
    parts = []
    with layer.reading():
        for grid in grids:
            values = read_grid(layer.service.rasters(), layer.info, [style.band.index], grid)[0]
            parts.append(style.indexes(values))
    indexes = parts[0] if len(parts) == 1 else np.hstack(parts)
    # a tile matrix set ends where its CRS does
    void = beyond(grids[0], crs) if len(grids) == 1 and not tile else None
    return paint(indexes, style, void, ground(ask.values), ask.chosen.name)


def map_legend(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map/legend`."""
    layer = open_layer(service, snapshot, ask)
    doc = legend(style_of(layer), layer.title(ask.lang), ask.lang)
    if ask.chosen.name == "json":
        return document(ask, doc, "", cache=layer.cache)
    tag = layer.tag(ask, doc)
    ask.check(tag, layer.cache)
    return Answer(legend_png(doc), PNG, tag=tag, cache=layer.cache)


# -- tiles --------------------------------------------------------------------


def map_tile(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map/tiles/{tms}/{z}/{row}/{col}`; empty ones are transparent.

    A tile takes the parameters of a map that do not move it: its size or scale, and its background
    (Maps 1.0, `tilesets/tiles-parameters`).
    """
    layer = open_layer(service, snapshot, ask)
    crs, box = tile_box(*ask.arguments[1:])
    style = style_of(layer)
    tag = layer.tag(ask, style)
    ask.check(tag, layer.cache)
    body = service.map_tiles.get(tag)
    if body is None:
        grid = over(crs.code, box, *_tile_size(ask, box, crs))
        plain = not ask.values.keys() & {"width", "height", "scale-denominator", "transparent", "bgcolor",
                                         "void-transparent", "void-color"}  # fmt: skip
        empty = plain and not _touches(layer, crs, box)
        body = empty_png(TILE, TILE) if empty else _draw(layer, style, (grid,), crs, ask, tile=True)
        service.map_tiles.put(tag, body)
    headers = {"Content-Crs": f"<{crs.uri}>"} | raster_time.headers(layer)
    return Answer(body, PNG, tag=tag, cache=layer.cache, headers=headers)


def _tile_size(ask: Ask, box: Box, crs: Crs) -> tuple[int, int]:
    """Return columns and rows of a tile: 256, or as asked for."""
    values = ask.values
    if values.keys().isdisjoint(("width", "height", "scale-denominator")):
        return TILE, TILE
    return size(box, crs, values)


def tile_box(tms: str, matrix: str, row: str, column: str) -> tuple[Crs, Box]:
    """Return the CRS and box of a tile; 404 for one that is not in the tile matrix set."""
    grid = GRIDS.get(tms)
    if grid is None:
        raise missing("tile-matrix-set", tms)
    if all(part.isascii() and part.isdigit() and len(part) <= 9 for part in (matrix, row, column)):
        place = (int(matrix), int(row), int(column))
        if grid.holds(*place):
            return supported()[grid.crs], grid.bounds(*place)
    raise missing("map-tile", f"{matrix}/{row}/{column}")


def _touches(layer: RasterLayer, crs: Crs, box: Box) -> bool:
    try:
        west, south, east, north = layer.extent(crs, "crs")
    except QueryError:  # the raster's edges mean nothing there: look at the pixels
        return True
    return west < box[2] and box[0] < east and south < box[3] and box[1] < north


def tile_sets(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map/tiles`: the list of map tile sets."""
    layer = open_layer(service, snapshot, ask)
    sets = [_tile_set(layer, ask, tms, brief=True) for tms in GRIDS]
    links = [link(ask.url, "self", JSON, text("link.self", ask.lang))]
    return document(ask, {"tilesets": sets, "links": links}, "", cache=layer.cache)


def tile_set(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map/tiles/{tms}`: how to ask for the tiles of one set."""
    layer = open_layer(service, snapshot, ask)
    tms = ask.arguments[1]
    if tms not in GRIDS:
        raise missing("tile-matrix-set", tms)
    return document(ask, _tile_set(layer, ask, tms, brief=False), "", cache=layer.cache)


def _tile_set(layer: RasterLayer, ask: Ask, tms: str, *, brief: bool) -> dict[str, Any]:
    here = f"/collections/{segment(layer.dataset.id)}/map/tiles/{tms}"
    grid = GRIDS[tms]
    version = {"version": layer.info.version} if layer.pinned else None
    template = ask.href(f"{here}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}", version).replace("%7B", "{")
    doc: dict[str, Any] = {
        "title": layer.title(ask.lang), "dataType": "map", "tileMatrixSetURI": grid.uri,
        "tileMatrixSetId": tms,
        "crs": grid.crs,
        "links": [
            link(ask.href(here, version), "self", JSON, text("link.self", ask.lang)),
            link(ask.href(f"/tileMatrixSets/{tms}"), f"{OGC_REL}tiling-scheme", JSON, tms),
            link(template.replace("%7D", "}"), "item", PNG, text("link.map-tiles", ask.lang), templated=True),
        ],
    }  # fmt: skip
    if brief:
        return doc
    if layer.info.bbox:
        west, south, east, north = layer.info.bbox
        doc["boundingBox"] = {"lowerLeft": [west, south], "upperRight": [east, north], "crs": CRS84.uri}
        doc["tileMatrixSetLimits"] = [limit(grid, layer.info.bbox, zoom) for zoom in range(DEEPEST + 1)]
    return doc
