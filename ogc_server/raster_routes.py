"""The addresses of rasters: coverages, maps, EDR queries, the COG itself, and STAC."""

from __future__ import annotations

from catalog.settings import ServerSettings
from ogc_server import coverages, edr, maps, maps_tiles, stac
from ogc_server.parameters import COMMON, VERSION, Param
from ogc_server.raster_params import COVERAGE, MAP, MAP_TILE
from ogc_server.route import Route, Table

_AT = ("collections", "{collectionId}")
_TILES = (*_AT, "map", "tiles")
_TILE = (*_TILES, "{tileMatrixSetId}", "{tileMatrix}", "{tileRow}", "{tileCol}")
_STAC = ("stac", "collections", "{collectionId}")


def _table(*params: Param) -> Table:
    def table(_: ServerSettings) -> tuple[Param, ...]:
        return params

    return table


_COMMON, _VERSIONED = _table(*COMMON), _table(*COMMON, VERSION)

RASTER_ROUTES = (
    Route((*_AT, "coverage"), coverages.coverage, coverages.OFFERS, _table(*COVERAGE), summary="coverage"),
    Route((*_AT, "cog"), coverages.cog, coverages.COG_OFFERS, _VERSIONED, summary="cog"),
    Route((*_AT, "map"), maps.map_picture, maps.OFFERS, _table(*MAP), summary="map"),
    Route((*_AT, "map", "legend"), maps.map_legend, maps.LEGEND_OFFERS, _VERSIONED, summary="map-legend"),
    Route(_TILES, maps_tiles.tile_sets, maps_tiles.TILESET_OFFERS, _VERSIONED, summary="map-tilesets"),
    Route(_TILE[:5], maps_tiles.tile_set, maps_tiles.TILESET_OFFERS, _VERSIONED, summary="map-tileset"),
    Route(_TILE, maps_tiles.map_tile, maps_tiles.TILE_OFFERS, _table(*MAP_TILE), summary="map-tile"),
    Route(
        (*_AT, "map", "tiles.pmtiles"),
        maps_tiles.archive,
        maps_tiles.ARCHIVES,
        _VERSIONED,
        summary="map-archive",
    ),
    Route((*_AT, "position"), edr.position, edr.OFFERS, _table(*edr.POSITION), summary="position"),
    Route((*_AT, "area"), edr.area, edr.OFFERS, _table(*edr.AREA), summary="area"),
    Route(("stac",), stac.catalog, stac.OFFERS, _COMMON, summary="stac"),
    Route(_STAC, stac.collection, stac.OFFERS, _COMMON, summary="stac-collection"),
    Route((*_STAC, "items", "{itemVersion}"), stac.item, stac.ITEM_OFFERS, _COMMON, summary="stac-item"),
)
