"""Tiles of a PostGIS layer that changes often: made on request, kept, new after each edit, at the same addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import mapbox_vector_tile
import pytest

from layers.tiles import postgis
from layers.tiles.grid import GRIDS
from tests.ogc_server.conftest import running
from tests.ogc_server.world import DESA, World, desa, make_settings, open_world

SOURCE = """
id: cianjur
type: postgis
url: postgresql://tidak-dipakai/x
produsen_data: Badan Informasi Geospasial
layers:
  - {remote: desa, id: desa, tiles: {on_request: true}}
"""
LAYER = "/collections/desa"
PLACE = (107.14, -6.82, 107.14, -6.82)


@pytest.fixture
def world(tmp_path: Path, postgres: Any, shared_data: Path) -> Iterator[World]:
    settings = make_settings(tmp_path, layers=postgres.database(postgis=True))
    (settings.config_dir / "sources" / "cianjur.yml").write_text(SOURCE, "utf-8")
    made = open_world(settings)
    made.publish("desa", DESA, desa(shared_data), title="Desa")
    yield made
    made.close()


def address(grid: str, zoom: int) -> str:
    row, _, column, _ = GRIDS[grid].limits(PLACE, zoom)
    return f"{LAYER}/tiles/{grid}/{zoom}/{row}/{column}"


def features(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """Attributes of a tile's features by fid."""
    found = mapbox_vector_tile.decode(answer.raise_for_status().content)["desa"]["features"]
    return {one["properties"].pop("fid"): one["properties"] for one in found}


def test_tiles_are_made_kept_and_made_anew_after_an_edit(
    world: World, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, int]] = []
    make = postgis.make_tile

    def counted(reader: Any, plan: Any, grid: Any, zoom: int, row: int, column: int) -> bytes | None:
        made.append((reader.info.version, zoom))
        return make(reader, plan, grid, zoom, row, column)

    monkeypatch.setattr(postgis, "make_tile", counted)
    path = address("WebMercatorQuad", 11)
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as web:
        first, again = web.get(path), web.get(path)
        assert made == [(1, 11)], "the second is the first's, kept"
        assert (first.content, first.headers["etag"]) == (again.content, again.headers["etag"])
        assert web.get(path, headers={"if-none-match": first.headers["etag"]}).status_code == 304
        fid = next(iter(features(first)))
        batch = desa(shared_data)
        rows = [
            {**row, "nama": "Nama Baru"} if one == fid else row
            for one, row in zip(batch.ids, batch.rows, strict=True)
        ]
        world.publish("desa", DESA, replace(batch, rows=rows), title="Desa")
        after = _until_new(web, path, first.headers["etag"])
        assert features(after)[fid]["nama"] == "Nama Baru"
        old = web.get(path, params={"version": 1})
        assert features(old)[fid]["nama"] != "Nama Baru"


def _until_new(web: httpx.Client, path: str, tag: str) -> httpx.Response:
    from tests.servers import until

    until(lambda: web.get(path).headers["etag"] != tag, "the new version's tile")
    return web.get(path)


@pytest.mark.parametrize("grid", GRIDS)
def test_every_zoom_has_the_attributes_of_the_items(world: World, grid: str) -> None:
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as web:
        items = {
            one["id"]: {name: value for name, value in one["properties"].items() if value is not None}
            for one in web.get(f"{LAYER}/items?limit=1000").json()["features"]
        }
        for zoom in (GRIDS[grid].first_zoom, 5, 9, 12, 16):
            found = features(web.get(address(grid, zoom)))
            assert found, zoom
            assert {fid: items[fid] for fid in found} == found, zoom
        fid = next(iter(found))
        assert web.get(f"{LAYER}/items/{fid}").json()["id"] == fid


def test_the_documents_say_that_there_is_no_archive(world: World) -> None:
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as web:
        doc = web.get(f"{LAYER}/tiles").json()
        assert doc["status"]["state"] == "on-request"
        assert not [one for one in doc["links"] if one["rel"] == "enclosure"]
        assert "on request" in web.get(f"{LAYER}/tiles?f=html&lang=en").text
        tileset = web.get(f"{LAYER}/tiles/WebMercatorQuad").json()
        assert tileset["generalization"]["completeFrom"] == "0"
        assert tileset["generalization"]["tileMatrices"] == []
        gone = web.get(f"{LAYER}/tiles.pmtiles")
        assert gone.status_code == 404, "it will never be there: nobody is told to come back for it"
        assert web.get(f"{LAYER}/styles/default").json()["sources"]["desa"]["tiles"]
