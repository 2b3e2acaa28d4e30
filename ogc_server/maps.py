"""OGC API - Maps 1.0: pictures of a raster, whole or of a part; and its legend.

`/map` draws any box at any size or scale in any offered CRS (`maps_frame`, `maps_ground`); colours come
from one rule (`layers.raster_style`). Map tiles are in `maps_tiles`.
"""

from __future__ import annotations

import numpy as np

from layers.raster_grid import Grid
from layers.raster_read import read_painted
from ogc_server import raster_time
from ogc_server.answer import Answer
from ogc_server.ask import Ask
from ogc_server.coverages import place_headers
from ogc_server.crs import Crs
from ogc_server.maps_frame import frame
from ogc_server.maps_ground import beyond, ground, paint
from ogc_server.negotiation import JSON_OFFER, Offer
from ogc_server.raster_layer import RasterLayer, open_layer
from ogc_server.raster_picture import legend_png
from ogc_server.raster_style import Style, legend, style_of
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot

PNG = "image/png"
PNG_OFFER = Offer("png", PNG)
JPEG_OFFER = Offer("jpeg", "image/jpeg", ("image/jpg",))
OFFERS = (PNG_OFFER, JPEG_OFFER)
LEGEND_OFFERS = (PNG_OFFER, JSON_OFFER)


def map_picture(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map`."""
    layer = open_layer(service, snapshot, ask)
    raster_time.check(layer.dataset, ask.values)
    style = style_of(layer)
    tag = layer.tag(ask, style)
    crs = layer.pick(ask.values.get("crs"), "crs", layer.crs)
    grids = frame(layer, ask.values, crs)
    ask.check(tag, layer.cache)
    body = draw(layer, style, grids, crs, ask)
    headers = place_headers(crs, *grids) | raster_time.headers(layer.dataset)
    return Answer(body, ask.chosen.media, tag=tag, cache=layer.cache, headers=headers)


def draw(
    layer: RasterLayer, style: Style, grids: tuple[Grid, ...], crs: Crs, ask: Ask, *, tile: bool = False
) -> bytes:
    """Return the picture of grids side by side in the form asked for."""
    parts = []
    with layer.reading():
        for grid in grids:
            pool = layer.service.rasters()
            parts.append(read_painted(pool, layer.info, style.band.index, grid, style.indexes))
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
