"""Map tiles from archives over HTTP: nobody can tell them from drawn ones, and colours never lie."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from pmtiles.reader import MemorySource, Reader

from cli.main import main
from layers.raster_archive import MapOrder, build_map, native_zoom, planned_map
from layers.raster_read import RasterPool
from layers.raster_tile import empty
from layers.tiles.grid import GRIDS
from layers.tiles.making import Build
from layers.tiles.options import LayerOptions
from layers.tiles.state import TileFiles
from ogc_server.app import create_app
from ogc_server.tiles_desk import TileDesk
from tests.ogc_server.conftest import running
from tests.ogc_server.rasters import fill_rasters, index, publish
from tests.ogc_server.test_maps import styled
from tests.ogc_server.world import World, make_settings, open_world
from tests.servers import until
from tests.servers.thread import in_thread

TILES = "/collections/bahaya/map/tiles"
PLACES = [
    ("WebMercatorQuad", 0, 0, 0), ("WebMercatorQuad", 4, 8, 12), ("WebMercatorQuad", 9, 265, 408),
    ("WebMercatorQuad", 9, 1, 1), ("WebMercatorQuad", 14, 8496, 13056), ("WorldCRS84Quad", 0, 0, 1),
    ("WorldCRS84Quad", 0, 0, 0), ("WorldCRS84Quad", 8, 137, 408), ("WorldCRS84Quad", 13, 4400, 13050),
]  # fmt: skip
WAIT = 60
SAME = ("etag", "cache-control", "content-crs", "content-type", "content-length", "vary", "content-datetime")


def path(grid: str, zoom: int, row: int, column: int, collection: str = "bahaya") -> str:
    return f"/collections/{collection}/map/tiles/{grid}/{zoom}/{row}/{column}"


def build(world: World, *collections: str, **more: Any) -> None:
    """Build the archives in the colours that the configuration says now."""
    root, most = world.settings.data_dir / "layers", MapOrder.of(world.settings.tiles)
    for one in collections:
        drawing = planned_map(world.catalog, LayerOptions(world.settings.config_dir), one, most)
        assert drawing is not None
        state = build_map(drawing, most, Build(root, most.grids, lambda: datetime.now(UTC), **more))
        assert state.state == "ready"


def state(client: httpx.Client, collection: str = "bahaya") -> str:
    return str(client.get(f"/collections/{collection}/map/tiles").json()["status"]["state"])


def until_state(client: httpx.Client, wanted: str) -> None:
    for _ in range(WAIT * 10):
        if state(client) == wanted:
            return
        time.sleep(0.1)
    raise AssertionError(state(client))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("arsip-peta")
    made = open_world(make_settings(folder))
    fill_rasters(made, folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def answers(world: World) -> Iterator[tuple[list[httpx.Response], list[httpx.Response], httpx.Client]]:
    """The same tiles of a server without archives, and of one with them."""
    asked = [(path(*place), {"version": 1} if number % 2 else {}) for number, place in enumerate(PLACES)]
    with running(world) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        assert state(client) == "waiting"
        assert client.get(f"{TILES}.pmtiles").status_code == 503
        drawn = [client.get(place, params=more) for place, more in asked]
    build(world, "bahaya", "kelas")
    with running(world) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield drawn, [client.get(place, params=more) for place, more in asked], client


def test_nobody_can_tell_where_a_tile_came_from(
    answers: tuple[list[httpx.Response], list[httpx.Response], httpx.Client],
) -> None:
    drawn, stored, client = answers
    for one, other in zip(drawn, stored, strict=True):
        assert one.status_code == other.status_code == 200, one.url
        assert one.content == other.content, one.url
        assert [one.headers.get(name) for name in SAME] == [other.headers.get(name) for name in SAME]
        same = client.get(str(other.url), headers={"If-None-Match": one.headers["etag"]})
        assert same.status_code == 304
    assert {answer.content == empty() for answer in stored} == {True, False}
    assert len({answer.headers["etag"] for answer in stored}) == len(stored)


def test_tiles_come_from_the_archive_when_there_is_one(
    world: World, answers: tuple[list[httpx.Response], list[httpx.Response], httpx.Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    client = answers[2]

    def refuse(*_: object) -> bytes:
        raise AssertionError("it was drawn")

    monkeypatch.setattr("layers.raster_tile.Drawing.png", refuse)
    for grid, zoom, row, column in PLACES:
        if zoom < 12:
            assert client.get(path(grid, zoom, row, column)).status_code == 200
    info = world.catalog.datasets.get("bahaya").version
    assert info is not None
    assert 9 < native_zoom(info, GRIDS["WebMercatorQuad"]) < 12
    assert state(client) == "ready"


def test_the_short_way_finds_the_same(
    world: World, answers: tuple[list[httpx.Response], list[httpx.Response], httpx.Client]
) -> None:
    desk = TileDesk(world.settings, None)  # type: ignore[arg-type]
    dataset = world.catalog.datasets.get("bahaya")
    assert dataset.version is not None
    assert desk.maps.stored("bahaya", 1, "WebMercatorQuad", 0, 0, 0) is None
    desk.maps.look([(dataset, dataset.version)])
    for place, answer in zip(PLACES, answers[1], strict=True):
        found = desk.maps.stored("bahaya", 1, *place)
        assert (found is None) == (place[1] > 11)
        if found is not None:
            assert found.body == answer.content
            assert f'"{found.tag}"' == answer.headers["etag"]
            assert all(answer.headers[name] == value for name, value in found.headers)
    assert desk.maps.stored("bahaya", 2, "WebMercatorQuad", 0, 0, 0) is None
    assert desk.maps.stored("kelas", 1, "WebMercatorQuad", 0, 0, 0) is None


def test_the_archive_is_offered_as_a_file(
    answers: tuple[list[httpx.Response], list[httpx.Response], httpx.Client],
) -> None:
    client = answers[2]
    for where in (TILES, f"{TILES}/WebMercatorQuad"):
        links = {link["rel"]: link for link in client.get(where).json()["links"]}
        assert links["enclosure"]["type"] == "application/vnd.pmtiles"
        assert links["enclosure"]["href"].endswith("/map/tiles.pmtiles")
    assert "enclosure" not in {link["rel"] for link in client.get(f"{TILES}/WorldCRS84Quad").json()["links"]}
    whole = client.get(f"{TILES}.pmtiles")
    assert whole.headers["content-type"] == "application/vnd.pmtiles"
    reader = Reader(MemorySource(whole.content))  # type: ignore[no-untyped-call]
    assert reader.get(9, 408, 265) == client.get(path("WebMercatorQuad", 9, 265, 408)).content  # type: ignore[no-untyped-call]
    part = client.get(f"{TILES}.pmtiles", headers={"Range": "bytes=0-126"})
    assert (part.status_code, part.content) == (206, whole.content[:127])
    told = client.get(f"{TILES}/WebMercatorQuad").json()["archive"]
    assert (told["state"], told["bytes"]) == ("ready", len(whole.content))
    assert told["tiles"] > 10


def test_the_page_says_how_far_the_tiles_are(
    answers: tuple[list[httpx.Response], list[httpx.Response], httpx.Client],
) -> None:
    page = answers[2].get("/collections/bahaya", params={"f": "html", "lang": "id"}).text
    assert "/collections/bahaya/map/tiles.pmtiles" in page
    assert "zum 0–10; lebih dalam digambar saat diminta" in page


def test_restricted_rasters_have_no_tiles_for_anybody(
    world: World, answers: tuple[list[httpx.Response], list[httpx.Response], httpx.Client]
) -> None:
    client = answers[2]
    build(world, "bahaya-rahasia")
    assert (
        TileFiles.of(world.settings.data_dir / "layers", "bahaya-rahasia", 1)
        .archive("WebMercatorQuad")
        .is_file()
    )
    for one in (
        path("WebMercatorQuad", 9, 265, 408, "bahaya-rahasia"), "/collections/bahaya-rahasia/map/tiles",
        "/collections/bahaya-rahasia/map/tiles.pmtiles",
    ):  # fmt: skip
        answer = client.get(one)
        assert answer.status_code == 404
        assert "rahasia" not in answer.headers.get("etag", "")


BLUE = "{ramp: [{value: 0, color: '#0000ff'}, {value: 1, color: '#ff0000'}]}"


def test_a_new_style_shows_at_once_and_is_archived_again(fresh: World, tmp_path: Path) -> None:
    publish(fresh, "bahaya", index(), tmp_path, nodata=-9999, title="Indeks bahaya")
    build(fresh, "bahaya")
    where = path("WebMercatorQuad", 9, 265, 408)
    with (
        running(fresh) as url, running(fresh) as other,
        httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
        httpx.Client(base_url=other, timeout=30, trust_env=False) as second,
    ):  # fmt: skip
        until_state(client, "ready")
        old = client.get(where)
        styled(fresh, BLUE)
        until_state(client, "waiting")  # the archive there is shows other colours
        until_state(second, "waiting")
        new = client.get(where, headers={"If-None-Match": old.headers["etag"]})
        assert new.status_code == 200
        assert new.content != old.content
        assert client.get(f"{TILES}.pmtiles").status_code == 503
        build(fresh, "bahaya")
        for one in (client, second):
            until_state(one, "ready")
            stored = one.get(where)
            assert (stored.content, stored.headers["etag"]) == (new.content, new.headers["etag"])
        drawing = planned_map(
            fresh.catalog,
            LayerOptions(fresh.settings.config_dir),
            "bahaya",
            MapOrder.of(fresh.settings.tiles),
        )
        assert drawing is not None
        pool = RasterPool(fresh.settings.data_dir / "layers")
        assert drawing.png(pool, GRIDS["WebMercatorQuad"], 9, 265, 408) == new.content
        pool.close()


def test_a_new_version_is_drawn_until_its_archive_is_there(fresh: World, tmp_path: Path) -> None:
    publish(fresh, "bahaya", index(), tmp_path, nodata=-9999)
    build(fresh, "bahaya")
    where = path("WebMercatorQuad", 9, 265, 408)
    with running(fresh) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        first = client.get(where)
        publish(fresh, "bahaya", index(8), tmp_path, nodata=-9999)
        until_state(client, "waiting")
        second = client.get(where)
        assert second.content != first.content
        build(fresh, "bahaya")
        until_state(client, "ready")
        assert client.get(where).content == second.content
        assert client.get(where, params={"version": 1}).content == first.content


def test_the_command_builds_and_tells(fresh: World, tmp_path: Path) -> None:
    publish(fresh, "bahaya", index(), tmp_path, nodata=-9999)
    folders = ["--config", str(fresh.settings.config_dir), "--data", str(fresh.settings.data_dir), "--json"]

    def run(*arguments: str) -> list[dict[str, Any]]:
        done = CliRunner().invoke(main, [*folders, "tiles", *arguments])
        assert done.exit_code == 0, done.output
        found: list[dict[str, Any]] = json.loads(done.output)
        return found

    assert [one["state"] for one in run("status")] == ["waiting"]
    made = run("build", "--all")
    assert [(one["id"], one["state"], one["grids"]) for one in made] == [
        ("bahaya", "ready", "WebMercatorQuad, WorldCRS84Quad")
    ]
    archive = TileFiles.of(fresh.settings.data_dir / "layers", "bahaya", 1).archive("WebMercatorQuad")
    stamp = archive.stat().st_mtime_ns
    assert run("build", "bahaya") == made
    assert archive.stat().st_mtime_ns == stamp
    styled(fresh, BLUE)
    assert run("build", "--all")[0]["state"] == "ready"
    assert archive.stat().st_mtime_ns != stamp
    (fresh.settings.config_dir / "satudata.yml").write_text("tiles: {raster_tiles: 0}\n", "utf-8")
    assert run("status") == []


def test_files_are_open_before_anybody_asks_but_for_restricted_ones(world: World) -> None:
    build(world, "bahaya", "bahaya-rahasia")
    app: Any = create_app(world.settings, catalog=world.catalog, store=world.store)
    with in_thread(app):
        pool = app.state.service.rasters()
        until(lambda: {"bahaya", "kelas"} <= {key[0] for key in pool.idle()}, "open files", seconds=WAIT)
        maps = app.state.service.tiles().maps
        until(lambda: maps.stored("bahaya", 1, "WebMercatorQuad", 0, 0, 0), "what is laid out", seconds=WAIT)
        assert "bahaya-rahasia" not in {key[0] for key in pool.idle()}
        assert maps.stored("bahaya-rahasia", 1, "WebMercatorQuad", 0, 0, 0) is None
