"""The abstract tests of OGC API - Tiles 1.0 (20-057) and of tile matrix sets 2.0 (17-083r4) that are claimed.

The JSON of grids is read by morecantile's models and compared with the registered definitions.
"""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import mapbox_vector_tile
import morecantile
import numpy as np
import pytest

from tests.conformance.classes import TILES, TMS, holds

OGC = "http://www.opengis.net/def/rel/ogc/1.0/"
LAYER = "/collections/desa"
GRIDS = ("WebMercatorQuad", "WorldCRS84Quad")
MVT = "application/vnd.mapbox-vector-tile"


def document(client: httpx.Client, path: str) -> dict[str, Any]:
    answer = client.get(path, headers={"accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), path
    doc: dict[str, Any] = answer.json()
    return doc


def linked(doc: dict[str, Any], rel: str) -> str:
    return next(str(link["href"]) for link in doc["links"] if link["rel"] == rel)


@pytest.fixture(scope="module", params=GRIDS)
def tileset(request: pytest.FixtureRequest, client: httpx.Client) -> dict[str, Any]:
    return document(client, f"{LAYER}/tiles/{request.param}")


# -- Tiles ---------------------------------------------------------------------


@holds(f"{TILES}core", "conformance-success")
@holds(f"{TILES}tileset", "conformance-success")
@holds(f"{TILES}tilesets-list", "conformance-success", "tileset-links")
@holds(f"{TILES}geodata-tilesets", "conformance-success", "desc-links", "operation")
def test_from_the_collection_to_the_tilesets(client: httpx.Client) -> None:
    declared = client.get("/conformance").json()["conformsTo"]
    for name in ("core", "tileset", "tilesets-list", "geodata-tilesets"):
        assert f"http://www.opengis.net/spec/{TILES}{name}" in declared
    href = linked(document(client, LAYER), f"{OGC}tilesets-vector")
    assert httpx.URL(href).path == f"{LAYER}/tiles"
    sets = document(client, href)["tilesets"]
    assert {one["tileMatrixSetURI"].rpartition("/")[2] for one in sets} == set(GRIDS)
    for one in sets:
        assert one["dataType"] == "vector"
        assert one["crs"].startswith("http://www.opengis.net/def/crs/")
        assert document(client, linked(one, "self"))["tileMatrixSetURI"] == one["tileMatrixSetURI"]


@holds(f"{TILES}tileset", "tileset-description")
@holds(f"{TMS}tilesetmetadata", "model", "identifier")
@holds(f"{TMS}json-tilesetmetadata", "ietf", "media-type", "model", "schema")
@holds(f"{TMS}tilematrixsetlimits", "model")
@holds(f"{TMS}json-tilematrixsetlimits", "ietf", "model", "schema")
def test_tileset_metadata(client: httpx.Client, tileset: dict[str, Any]) -> None:
    """Required of a tileset: dataType, crs, links; of a limit all five; of a layer id and dataType."""
    scheme = document(client, linked(tileset, f"{OGC}tiling-scheme"))
    assert (scheme["id"], scheme["uri"]) == (tileset["tileMatrixSetId"], tileset["tileMatrixSetURI"])
    assert scheme["crs"] == tileset["crs"]
    template = next(link for link in tileset["links"] if link["rel"] == "item")
    assert (template["templated"], template["type"]) == (True, MVT)
    matrices = {one["id"]: one for one in scheme["tileMatrices"]}
    for limit in tileset["tileMatrixSetLimits"]:
        assert set(limit) == {"tileMatrix", "minTileRow", "maxTileRow", "minTileCol", "maxTileCol"}
        matrix = matrices[limit["tileMatrix"]]
        assert 0 <= limit["minTileRow"] <= limit["maxTileRow"] < matrix["matrixHeight"]
        assert 0 <= limit["minTileCol"] <= limit["maxTileCol"] < matrix["matrixWidth"]
    box = tileset["boundingBox"]
    assert box["lowerLeft"] < box["upperRight"]
    for layer in tileset["layers"]:
        assert layer["id"]
        assert layer["dataType"] == "vector"
        assert layer["propertiesSchema"]["type"] == "object"


@holds(f"{TILES}core", "tc-op", "tc-success", "tc-error", "tc-tilematrix-definition", "tc-tilerow-definition",
       "tc-tilecol-definition")  # fmt: skip
@holds(f"{TILES}mvt", "content")
def test_tiles_are_where_the_limits_say(client: httpx.Client, tileset: dict[str, Any]) -> None:
    template = next(link["href"] for link in tileset["links"] if link["rel"] == "item")
    seen = 0
    for limit in tileset["tileMatrixSetLimits"][6:10]:
        row, column = ((limit[f"minTile{axis}"] + limit[f"maxTile{axis}"]) // 2 for axis in ("Row", "Col"))
        place = {"tileMatrix": limit["tileMatrix"], "tileRow": row, "tileCol": column}
        answer = client.get(template.format(**place), headers={"accept": MVT})
        assert answer.status_code in (200, 204)
        if answer.status_code == 200:
            assert answer.headers["content-type"] == MVT
            seen += len(mapbox_vector_tile.decode(answer.content))
    assert seen
    zoom = tileset["tileMatrixSetLimits"][0]["tileMatrix"]
    for wrong in ({"tileMatrix": "99"}, {"tileRow": "999999"}, {"tileCol": "999999"}, {"tileRow": "x"}):
        answer = client.get(template.format(**{"tileMatrix": zoom, "tileRow": 0, "tileCol": 0, **wrong}))
        assert answer.status_code in (400, 404), wrong
    raw = client.get(template.format(**place), headers={"accept-encoding": "identity"})
    assert not raw.content.startswith(gzip.compress(b"")[:2])


@holds(f"{TILES}oas30", "completeness", "operation-id")
def test_the_api_definition_describes_the_tiles(client: httpx.Client) -> None:
    """Table 11 of 20-057."""
    paths = client.get("/api").json()["paths"]
    here = "/collections/{collectionId}/tiles"
    wanted = {
        "/": "getLandingPage", "/conformance": "getConformance", "/api": "getAPI",
        "/collections": "getCollectionsList", "/collections/{collectionId}": "getCollection",
        "/tileMatrixSets": "getTileMatrixSetsList", "/tileMatrixSets/{tileMatrixSetId}": "getTileMatrixSet",
        here: ".collection.vector.getTileSetsList", f"{here}/{{tileMatrixSetId}}": ".collection.vector.getTileSet",
        f"{here}/{{tileMatrixSetId}}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": ".collection.vector.getTile",
    }  # fmt: skip
    for path, ending in wanted.items():
        assert paths[path]["get"]["operationId"].endswith(ending), path
    tile = paths[f"{here}/{{tileMatrixSetId}}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"]["get"]
    assert MVT in tile["responses"]["200"]["content"]


# -- tile matrix sets --------------------------------------------------------------


@holds(f"{TMS}tilematrixset", "model")
@holds(f"{TMS}json-tilematrixset", "ietf", "media-type", "model", "schema")
@pytest.mark.parametrize("name", GRIDS)
def test_grids_are_the_registered_ones(client: httpx.Client, name: str) -> None:
    listed = document(client, "/tileMatrixSets")["tileMatrixSets"]
    assert {one["id"] for one in listed} == set(GRIDS)
    doc = document(client, next(linked(one, "self") for one in listed if one["id"] == name))
    ours, registered = morecantile.TileMatrixSet.model_validate(doc), morecantile.tms.get(name)
    assert doc["uri"] == f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{name}"
    assert (ours.crs, ours.orderedAxes) == (registered.crs, registered.orderedAxes)
    assert doc["wellKnownScaleSet"] == str(registered.wellKnownScaleSet)
    assert [one.id for one in ours.tileMatrices] == [one.id for one in registered.tileMatrices]
    for one, other in zip(ours.tileMatrices, registered.tileMatrices, strict=True):
        for key in ("cornerOfOrigin", "tileWidth", "tileHeight", "matrixWidth", "matrixHeight"):
            assert getattr(one, key) == getattr(other, key), key
        assert one.pointOfOrigin == pytest.approx(other.pointOfOrigin, rel=1e-12)
        assert np.isclose(one.scaleDenominator, other.scaleDenominator, rtol=1e-12)
        assert np.isclose(one.cellSize, other.cellSize, rtol=1e-12)


def test_tilejson_is_not_made_of_a_grid_that_it_can_not_name(client: httpx.Client) -> None:
    """TileJSON 3.0 has no CRS: what it calls tiles is drawn as Web Mercator by every client."""
    path = f"{LAYER}/tiles/WorldCRS84Quad"
    asked = client.get(path, params={"f": "tilejson"})
    assert (asked.status_code, asked.json()["where"]) == (400, "f")
    assert client.get(path, headers={"accept": "application/vnd.mapbox.tile+json"}).status_code == 406
    types = {link.get("type") for link in document(client, path)["links"]}
    assert "application/vnd.mapbox.tile+json" not in types
