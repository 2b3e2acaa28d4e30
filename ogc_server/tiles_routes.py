"""The addresses of tiles and styles."""

from __future__ import annotations

from catalog.settings import ServerSettings
from ogc_server import choropleth, glyphs, style_parts, styles, tiles
from ogc_server.parameters import COMMON, VERSION, Param
from ogc_server.route import Route


def _common(_: ServerSettings) -> tuple[Param, ...]:
    return COMMON


def _versioned(_: ServerSettings) -> tuple[Param, ...]:
    return (*COMMON, VERSION)


def _style(_: ServerSettings) -> tuple[Param, ...]:
    return choropleth.TABLE


_AT = ("collections", "{collectionId}")
_GRID = (*_AT, "tiles", "{tileMatrixSetId}")

ROUTES = (
    Route(("tileMatrixSets",), tiles.schemes, tiles.OFFERS, _common, summary="tiling-schemes"),
    Route(
        ("tileMatrixSets", "{tileMatrixSetId}"), tiles.scheme, tiles.OFFERS, _common, summary="tiling-scheme"
    ),
    Route((*_AT, "tiles"), tiles.tilesets, tiles.OFFERS, _versioned, summary="tilesets"),
    Route(_GRID, tiles.tileset, tiles.TILESET_OFFERS, _versioned, summary="tileset"),
    Route(
        (*_GRID, "{tileMatrix}", "{tileRow}", "{tileCol}"),
        tiles.tile,
        tiles.TILE_OFFERS,
        _versioned,
        summary="tile",
    ),
    Route((*_AT, "tiles.pmtiles"), tiles.archive, tiles.ARCHIVE_OFFERS, _versioned, summary="tile-archive"),
    Route((*_AT, "styles"), styles.styles, styles.OFFERS, _versioned, summary="styles"),
    Route((*_AT, "styles", "{styleId}"), styles.style, style_parts.STYLE_OFFERS, _style, summary="style"),
    Route(("fonts", "{fontStack}", "{glyphRange}"), glyphs.glyphs, glyphs.OFFERS, _common, summary="glyphs"),
)
