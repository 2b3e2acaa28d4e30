"""OGC API - Maps 1.0, tile sets of a raster's map: from the version's archive, else drawn when asked for.

`/map/tiles/{tms}/{z}/{row}/{col}` are XYZ tiles that QGIS and web maps take. The archive
(`layers.raster_archive`) holds all zooms down to the one where a pixel is as large as a cell; bytes and
validators are the same whether a tile comes from it or is drawn.
"""

from __future__ import annotations

from typing import Any

from catalog.messages import text
from layers.raster_archive import native_zoom
from layers.raster_grid import Box, over
from layers.raster_tile import TILE, Drawing
from layers.tiles.grid import GRIDS, Grid
from layers.tiles.plan import DEEPEST
from layers.tiles.state import summary
from ogc_server.answer import Answer
from ogc_server.ask import Ask, segment
from ogc_server.crs import CRS84, Crs, supported
from ogc_server.errors import NotReadyError
from ogc_server.links import OGC_REL, link
from ogc_server.links import document as document_links
from ogc_server.maps import PNG, PNG_OFFER, draw
from ogc_server.maps_frame import size
from ogc_server.negotiation import HTML_OFFER, JSON, JSON_OFFER
from ogc_server.ranges import file_answer
from ogc_server.raster_board import tile_headers
from ogc_server.raster_layer import RasterLayer, open_layer
from ogc_server.raster_style import style_of
from ogc_server.service import Service, document
from ogc_server.snapshot import Snapshot, missing
from ogc_server.tiles import ARCHIVE_OFFERS, PMTILES, limit

TILE_OFFERS = (PNG_OFFER,)
TILESET_OFFERS = (JSON_OFFER, HTML_OFFER)
ARCHIVES = ARCHIVE_OFFERS
_OFFERED = "WebMercatorQuad"
"""The grid whose archive can be taken away: the only one that readers of PMTiles know."""
_SIZE = ("width", "height", "scale-denominator")
_OTHER = frozenset({*_SIZE, "transparent", "bgcolor", "void-transparent", "void-color"})
type Place = tuple[int, int, int]


def map_tile(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map/tiles/{tms}/{z}/{row}/{col}`; empty ones are transparent.

    A tile takes the parameters of a map that do not move it: its size or scale, and its background
    (Maps 1.0, `tilesets/tiles-parameters`); such a tile is always drawn.
    """
    layer = open_layer(service, snapshot, ask)
    grid, place = tile_at(*ask.arguments[1:])
    plain = ask.values.keys().isdisjoint(_OTHER)
    tag, body = (_plain if plain else _sized)(layer, ask, grid, place)
    return Answer(body, PNG, tag=tag, cache=layer.cache, headers=tile_headers(layer.dataset, grid))


def _plain(layer: RasterLayer, ask: Ask, grid: Grid, place: Place) -> tuple[str, bytes]:
    service, maps = layer.service, layer.service.tiles().maps
    drawing = maps.drawing(layer.dataset, layer.info)
    tag = drawing.validator(grid.id, *place)
    ask.check(tag, layer.cache)
    body = maps.kept(drawing, grid, *place) or service.map_tiles.get(tag)
    if body is None:
        with layer.reading():
            body = drawing.png(service.rasters(), grid, *place)
        service.map_tiles.put(tag, body)
    return tag, body


def _sized(layer: RasterLayer, ask: Ask, grid: Grid, place: Place) -> tuple[str, bytes]:
    style, crs, box = style_of(layer), supported()[grid.crs], grid.bounds(*place)
    tag = layer.tag(ask, style)
    ask.check(tag, layer.cache)
    body = layer.service.map_tiles.get(tag)
    if body is None:
        pixels = over(crs.code, box, *_tile_size(ask, box, crs))
        body = draw(layer, style, (pixels,), crs, ask, tile=True)
        layer.service.map_tiles.put(tag, body)
    return tag, body


def _tile_size(ask: Ask, box: Box, crs: Crs) -> tuple[int, int]:
    """Return columns and rows of a tile: 256, or as asked for."""
    values = ask.values
    if values.keys().isdisjoint(_SIZE):
        return TILE, TILE
    return size(box, crs, values)


def tile_at(tms: str, matrix: str, row: str, column: str) -> tuple[Grid, Place]:
    """Return grid, zoom, row and column of a tile; 404 for one that is not in the tile matrix set."""
    grid = _grid(tms)
    if all(part.isascii() and part.isdigit() and len(part) <= 9 for part in (matrix, row, column)):
        place = (int(matrix), int(row), int(column))
        if grid.holds(*place):
            return grid, place
    raise missing("map-tile", f"{matrix}/{row}/{column}")


def _grid(tms: str) -> Grid:
    found = GRIDS.get(tms)
    if found is None:
        raise missing("tile-matrix-set", tms)
    return found


def tile_sets(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map/tiles`: the list of map tile sets, and how far their archives are."""
    layer = open_layer(service, snapshot, ask)
    drawing = _drawing(layer)
    links = [*document_links(ask, TILESET_OFFERS), *_archive_links(layer, ask, drawing)]
    doc = {
        "tilesets": [_brief(layer, ask, grid) for grid in GRIDS.values()],
        "links": links,
        "status": summary(service.tiles().map_state(drawing)),
    }
    return document(ask, doc, "map_tilesets.html", _page(layer, ask, None), cache=layer.cache)


def tile_set(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map/tiles/{tms}`: how to ask for the tiles of one set, and its archive."""
    layer = open_layer(service, snapshot, ask)
    grid = _grid(ask.arguments[1])
    drawing = _drawing(layer)
    doc = _brief(layer, ask, grid)
    if grid.id == _OFFERED:
        doc["links"] += _archive_links(layer, ask, drawing)
    if layer.info.bbox:
        west, south, east, north = layer.info.bbox
        doc["boundingBox"] = {"lowerLeft": [west, south], "upperRight": [east, north], "crs": CRS84.uri}
        last = max(DEEPEST, native_zoom(layer.info, grid))
        doc["tileMatrixSetLimits"] = [limit(grid, layer.info.bbox, zoom) for zoom in range(last + 1)]
    state = service.tiles().map_state(drawing)
    report = state.grids.get(grid.id)
    doc["archive"] = {**summary(state), **(report.model_dump(exclude={"thinned"}) if report else {})}
    doc["links"] = [*document_links(ask, TILESET_OFFERS), *doc["links"][1:]]
    return document(ask, doc, "map_tilesets.html", _page(layer, ask, grid), cache=layer.cache)


def _page(layer: RasterLayer, ask: Ask, grid: Grid | None) -> dict[str, Any]:
    """Return what the page of all sets (`grid` None) or of one shows beside its document."""
    drawing = _drawing(layer)
    links = _archive_links(layer, ask, drawing)
    return {
        "dataset": layer.dataset, "title": layer.title(ask.lang), "grid": grid, "grids": list(GRIDS.values()),
        "state": layer.service.tiles().map_state(drawing), "archive": links[0]["href"] if links else None,
    }  # fmt: skip


def _drawing(layer: RasterLayer) -> Drawing:
    return layer.service.tiles().maps.drawing(layer.dataset, layer.info)


def _version(layer: RasterLayer) -> dict[str, Any]:
    return {"version": layer.info.version if layer.pinned else None}


def _brief(layer: RasterLayer, ask: Ask, grid: Grid) -> dict[str, Any]:
    here = f"/collections/{segment(layer.dataset.id)}/map/tiles/{grid.id}"
    version = _version(layer)
    template = ask.href(f"{here}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}", version).replace("%7B", "{")
    return {
        "title": layer.title(ask.lang), "dataType": "map", "tileMatrixSetURI": grid.uri,
        "tileMatrixSetId": grid.id,
        "crs": grid.crs,
        "links": [
            link(ask.href(here, version), "self", JSON, text("link.self", ask.lang)),
            link(ask.href(f"/tileMatrixSets/{grid.id}"), f"{OGC_REL}tiling-scheme", JSON, grid.id),
            link(template.replace("%7D", "}"), "item", PNG, text("link.map-tiles", ask.lang), templated=True),
        ],
    }  # fmt: skip


def told(layer: RasterLayer, ask: Ask) -> dict[str, Any]:
    """Return what the page of a raster says of its tiles: the state, and the archive once it is ready."""
    drawing = _drawing(layer)
    state = layer.service.tiles().map_state(drawing)
    links = _archive_links(layer, ask, drawing)
    report = state.grids.get(_OFFERED) if links else None
    return {**summary(state), "href": links[0]["href"] if links else "", "report": report}


def _archive_links(layer: RasterLayer, ask: Ask, drawing: Drawing) -> list[dict[str, Any]]:
    if layer.service.tiles().maps.archive(drawing, _OFFERED) is None:
        return []
    href = ask.href(f"/collections/{segment(layer.dataset.id)}/map/tiles.pmtiles", _version(layer))
    return [link(href, "enclosure", PMTILES, text("link.map-archive", ask.lang))]


def archive(service: Service, snapshot: Snapshot, ask: Ask) -> Answer:
    """Answer `/collections/{id}/map/tiles.pmtiles`: the WebMercatorQuad archive, whole or in ranges."""
    layer = open_layer(service, snapshot, ask)
    found = service.tiles().maps.archive(_drawing(layer), _OFFERED)
    if found is None:
        raise NotReadyError(where=layer.dataset.id)
    filename = f"{layer.dataset.id}-peta.pmtiles"
    try:
        return file_answer(ask, found.path, PMTILES, found.tag, cache=layer.cache, filename=filename)
    except OSError as error:
        raise NotReadyError(where=layer.dataset.id) from error
