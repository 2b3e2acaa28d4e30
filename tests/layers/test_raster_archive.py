"""Archives of map tiles: every tile that is drawn on request is in them, byte for byte, and nothing half-made."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import Compression, Entry, TileType, serialize_directory, tileid_to_zxy, zxy_to_tileid
from pmtiles.writer import Writer
from pydantic import TypeAdapter
from pyproj import Transformer
from rasterio.transform import from_origin

from catalog.errors import CancelledRunError, ProtocolError
from catalog.model import DatasetRecord, Localized, VersionInfo
from catalog.settings import Settings, TileSettings
from layers.open import open_store
from layers.raster import write_cog
from layers.raster_archive import MapOrder, build_map, map_needed, native_zoom, zooms
from layers.raster_read import RasterPool
from layers.raster_style import style_for
from layers.raster_tile import TILE, Drawing, empty
from layers.tiles.archive import Archive, _directory
from layers.tiles.grid import GRIDS, Grid
from layers.tiles.making import Build
from layers.tiles.state import TileFiles, stored_tiles

MOST = MapOrder.of(TileSettings())
PLACES = {
    "EPSG:4326": from_origin(107.0, -6.5, 0.01, 0.01),
    "EPSG:3857": from_origin(11_900_000, -700_000, 1500, 1200),
    "EPSG:32748": from_origin(700_000, 9_280_000, 900, 900),
}
STYLE = {"ramp": [{"value": 0, "color": "#0000ff"}, {"value": 9, "color": "#ff0000"}]}
OTHER = {"ramp": [{"value": 0, "color": "#000000"}, {"value": 9, "color": "#ffffff"}]}


def values(seed: int = 1, side: tuple[int, int] = (90, 130)) -> Any:
    """Patches of values from 0 to 9, and holes."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 10, (side[0] // 8 + 1, side[1] // 8 + 1)).astype("float32")
    coarse[chance.random(coarse.shape) < 0.4] = -1
    return np.kron(coarse, np.ones((8, 8), "float32"))[: side[0], : side[1]]


def store_raster(
    root: Path, pixels: Any, *, crs: str = "EPSG:4326", layer: str = "suhu", place: Any = None
) -> VersionInfo:
    """Store version 1 of a raster."""
    path = root / f"{layer}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=pixels.shape[1], height=pixels.shape[0], count=1, dtype=pixels.dtype,
        crs=crs, transform=place or PLACES[crs], nodata=-1,
    ) as out:  # fmt: skip
        out.write(pixels, 1)
    return write_cog(path, root / "layers", layer, 1, "")


def drawing(info: VersionInfo, style: dict[str, Any] = STYLE) -> Drawing:
    """Return how a version is drawn in a style."""
    found = style_for(info, DatasetRecord(title=Localized(id="Suhu")), {"style": style})
    assert found is not None
    return Drawing.of(info, found)


def order(root: Path, **more: Any) -> Build:
    return Build(root / "layers", MOST.grids, lambda: datetime.now(UTC), **more)


def opened(root: Path, grid: Grid, layer: str = "suhu") -> Archive:
    return Archive(TileFiles.of(root / "layers", layer, 1).archive(grid.id))


def around(info: VersionInfo, grid: Grid, zoom: int) -> list[tuple[int, int]]:
    """Rows and columns over the raster's box and one more all around, as the box in degrees says."""
    assert info.bbox is not None
    top, bottom, left, right = grid.limits(info.bbox, zoom)
    rows = range(max(0, top - 1), min(grid.rows(zoom), bottom + 2))
    columns = range(max(0, left - 1), min(grid.columns(zoom), right + 2))
    return [(row, column) for row in rows for column in columns]


@settings(max_examples=5, deadline=None)
@given(st.sampled_from(sorted(PLACES)), st.integers(0, 1000), st.integers(9, 70), st.integers(9, 90))
def test_an_archive_holds_what_would_be_drawn(
    tmp_path_factory: pytest.TempPathFactory, crs: str, seed: int, high: int, wide: int
) -> None:
    root = tmp_path_factory.mktemp("arsip")
    pixels = values(seed, (high, wide))
    pixels[0, 0] = 5
    info = store_raster(root, pixels, crs=crs)
    look = drawing(info)
    assert build_map(look, MOST, order(root, threads=1 + seed % 3)).state == "ready"
    pool = RasterPool(root / "layers")
    for grid in GRIDS.values():
        archive = opened(root, grid)
        deepest = archive.header["max_zoom"] - grid.first_zoom
        assert (archive.drawn, deepest) == (look.tag, native_zoom(info, grid))
        for zoom in range(deepest + 1):
            for row, column in around(info, grid, zoom):
                drawn = look.png(pool, grid, zoom, row, column)
                found = archive.get(*grid.stored(zoom, row, column))
                assert (found or empty()) == drawn, (grid.id, zoom, row, column)
                assert found or drawn == empty()
        seen(archive, grid, deepest, pixels, crs)
    pool.close()


def seen(archive: Archive, grid: Grid, zoom: int, pixels: Any, crs: str) -> None:
    """What lies in the middle of a patch of data shows at its place at the deepest zoom, by pyproj alone."""
    good = pixels >= 0
    middle = np.zeros_like(good)
    middle[1:-1, 1:-1] = np.lib.stride_tricks.sliding_window_view(good, (3, 3)).all(axis=(2, 3))
    rows, columns = np.nonzero(middle)
    x, y = PLACES[crs] @ (columns + 0.5, rows + 0.5)
    to = Transformer.from_crs(
        crs, "EPSG:3857" if grid.id == "WebMercatorQuad" else "OGC:CRS84", always_xy=True
    )
    x, y = to.transform(x, y)
    across, down = (x + grid.half) / grid.side(zoom), (grid.top - y) / grid.side(zoom)
    pictures: dict[tuple[int, int], Any] = {}
    for a, d in list(zip(across, down, strict=True))[::37]:
        place = (int(d), int(a))
        if place not in pictures:
            body = archive.get(*grid.stored(zoom, *place))
            assert body, (grid.id, place)
            pictures[place] = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))
        assert pictures[place][int(d % 1 * TILE), int(a % 1 * TILE), 3] == 255


def test_the_native_zoom_is_where_a_pixel_is_as_large_as_a_cell(tmp_path: Path) -> None:
    info = store_raster(tmp_path, values())
    for grid in GRIDS.values():
        cell = 0.01 * (grid.half / 180)
        zoom = native_zoom(info, grid)
        assert grid.side(zoom) / TILE <= cell * 1.25 < grid.side(zoom - 1) / TILE * 1.25


def test_a_picture_of_a_street_is_archived_down_to_its_cells(tmp_path: Path) -> None:
    place = from_origin(11_900_000, -700_000, 0.1, 0.1)
    info = store_raster(tmp_path, np.full((300, 300), 4, "float32"), crs="EPSG:3857", place=place)
    state = build_map(drawing(info), MOST, order(tmp_path))
    assert state.grids["WebMercatorQuad"].max_zoom == native_zoom(info, GRIDS["WebMercatorQuad"]) == 21
    assert state.grids["WebMercatorQuad"].tiles < 60


def test_the_pmtiles_package_reads_it(tmp_path: Path) -> None:
    info = store_raster(tmp_path, np.full((700, 900), 4, "float32"))
    look = drawing(info)
    state = build_map(look, MOST, order(tmp_path))
    path = TileFiles.of(tmp_path / "layers", "suhu", 1).archive("WebMercatorQuad")
    pool, grid = RasterPool(tmp_path / "layers"), GRIDS["WebMercatorQuad"]
    with path.open("rb") as file:
        reader = Reader(MmapSource(file))  # type: ignore[no-untyped-call]
        header, said = reader.header(), reader.metadata()  # type: ignore[no-untyped-call]
        tiles = dict(all_tiles(MmapSource(file)))  # type: ignore[no-untyped-call]
        assert header["tile_type"] == TileType.PNG
        assert (header["min_zoom"], header["max_zoom"]) == (0, native_zoom(info, grid))
        assert header["clustered"]
        assert (said["format"], said["drawing"]) == ("png", look.tag)
        assert info.bbox is not None
        assert header["min_lon_e7"] == round(info.bbox[0] * 1e7)
        for (zoom, x, y), body in tiles.items():
            assert reader.get(zoom, x, y) == body == look.png(pool, grid, zoom, y, x)  # type: ignore[no-untyped-call]
    report = state.grids["WebMercatorQuad"]
    assert report.tiles == len(tiles) == header["addressed_tiles_count"]
    assert report.largest_tile == max(map(len, tiles.values()))
    assert header["tile_contents_count"] == len(set(tiles.values())) < len(tiles)  # full ones are stored once


def test_limits_of_tiles_and_bytes_end_it_at_a_whole_zoom(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    info = store_raster(tmp_path, chance.uniform(0, 9, (400, 500)).astype("float32"))
    look, grid = drawing(info), GRIDS["WebMercatorQuad"]
    native = native_zoom(info, grid)
    whole = zooms(info, grid, 10**9)
    assert [len(zoom) for zoom in zooms(info, grid, sum(map(len, whole)) - 1)] == [
        len(zoom) for zoom in whole[:-1]
    ]
    assert len(zooms(info, grid, 1)) == 1
    build_map(look, MapOrder(("WebMercatorQuad",), 10**6, 10**9), order(tmp_path))
    full = opened(tmp_path, grid)
    sizes = {}
    for most in (60_000, 200_000):
        limited = MapOrder(("WebMercatorQuad",), 10**6, most)
        state = build_map(look, limited, order(tmp_path))
        archive = opened(tmp_path, grid)
        sizes[most] = last = state.grids["WebMercatorQuad"].max_zoom
        assert archive.zooms == (0, last)
        assert archive.path.stat().st_size < most + 20_000
        for zoom in range(last + 1):
            for row, column in around(info, grid, zoom):
                assert archive.get(zoom, column, row) == full.get(zoom, column, row)
    assert sizes[60_000] < sizes[200_000] < native == full.zooms[1]


def test_taking_a_zoom_back_leaves_the_others_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zoom that grows beyond what was foreseen is dropped after some of its tiles were written."""
    monkeypatch.setattr("layers.raster_archive._GROWTH", 0)
    info = store_raster(tmp_path, np.random.default_rng(3).uniform(0, 9, (400, 500)).astype("float32"))
    look, grid = drawing(info), GRIDS["WebMercatorQuad"]
    build_map(look, MapOrder(("WebMercatorQuad",), 10**6, 10**9), order(tmp_path))
    full = opened(tmp_path, grid)
    build_map(look, MapOrder(("WebMercatorQuad",), 10**6, 150_000), order(tmp_path))
    archive = opened(tmp_path, grid)
    last = archive.zooms[1]
    assert 0 < last < full.zooms[1]
    assert archive.path.stat().st_size < 170_000
    for zoom in range(last + 1):
        for row, column in around(info, grid, zoom):
            assert archive.get(zoom, column, row) == full.get(zoom, column, row)


# -- again only when something changed, and never half


def test_it_is_made_again_when_the_colours_change_and_only_then(tmp_path: Path) -> None:
    info = store_raster(tmp_path, values())
    first, other = drawing(info), drawing(info, OTHER)
    root = tmp_path / "layers"
    assert map_needed(root, first, MOST)
    build_map(first, MOST, order(tmp_path))
    assert not map_needed(root, first, MOST)
    named = {"ramp": [{**stop} for stop in STYLE["ramp"]], "band": "1"}
    assert not map_needed(root, drawing(info, named), MOST)  # the same look, written otherwise
    assert map_needed(root, other, MOST)
    assert opened(tmp_path, GRIDS["WebMercatorQuad"]).drawn == first.tag != other.tag
    build_map(other, MOST, order(tmp_path))
    assert opened(tmp_path, GRIDS["WebMercatorQuad"]).drawn == other.tag
    assert map_needed(root, other, MapOrder(MOST.grids, 10, MOST.most_bytes))


def test_an_all_transparent_raster_has_an_archive(tmp_path: Path) -> None:
    info = store_raster(tmp_path, values())
    look = drawing(info, {"classes": [{"up_to": -5, "color": "#000000"}]})
    state = build_map(look, MOST, order(tmp_path))
    assert (state.state, state.grids["WebMercatorQuad"].tiles) == ("ready", 1)
    assert opened(tmp_path, GRIDS["WebMercatorQuad"]).get(0, 0, 0) == empty()


KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import tests.layers.test_raster_archive as here
from pydantic import TypeAdapter
from catalog.model import VersionInfo
root = Path(sys.argv[1])
info = TypeAdapter(VersionInfo).validate_json((root / "info.json").read_text())
def at(percent):
    print(percent, flush=True)
    sys.stdin.readline()
here.build_map(here.drawing(info, here.OTHER), here.MOST, here.order(root), at)
"""


def test_a_build_that_is_killed_leaves_what_was_served(tmp_path: Path) -> None:
    info = store_raster(tmp_path, values())
    first, other = drawing(info), drawing(info, OTHER)
    build_map(first, MOST, order(tmp_path))
    (tmp_path / "info.json").write_text(TypeAdapter(VersionInfo).dump_json(info).decode(), "utf-8")
    house = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(house)}, text=True, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    files = TileFiles.of(tmp_path / "layers", "suhu", 1)
    assert float(child.stdout.readline()) > 0
    assert files.read().state == "building"
    beside = build_map(other, MOST, order(tmp_path))  # another builder leaves it to the one at work
    assert beside.state == "building"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    child.stdin.close()
    assert opened(tmp_path, GRIDS["WebMercatorQuad"]).drawn == first.tag
    assert map_needed(tmp_path / "layers", other, MOST)
    assert build_map(other, MOST, order(tmp_path)).state == "ready"
    assert opened(tmp_path, GRIDS["WebMercatorQuad"]).drawn == other.tag
    assert not files.work.exists()


def test_a_build_that_is_stopped_says_so(tmp_path: Path) -> None:
    look = drawing(store_raster(tmp_path, values()))
    stop = threading.Event()
    with pytest.raises(CancelledRunError):
        build_map(look, MOST, order(tmp_path, stop=stop), lambda _: stop.set())
    assert TileFiles.of(tmp_path / "layers", "suhu", 1).read().state == "waiting"
    assert map_needed(tmp_path / "layers", look, MOST)


def test_a_failure_is_kept_and_not_tried_for_ever(tmp_path: Path) -> None:
    look = drawing(store_raster(tmp_path, values()))
    path = tmp_path / "layers" / "suhu" / "1.tif"
    path.chmod(0o644)
    path.write_bytes(b"II*\0" + bytes(100))
    with pytest.raises(ProtocolError):
        build_map(look, MOST, order(tmp_path))
    assert TileFiles.of(tmp_path / "layers", "suhu", 1).read().state == "failed"
    assert not map_needed(tmp_path / "layers", look, MOST)


def test_tiles_go_with_their_version(tmp_path: Path) -> None:
    build_map(drawing(store_raster(tmp_path, values())), MOST, order(tmp_path))
    held = opened(tmp_path, GRIDS["WebMercatorQuad"])
    assert stored_tiles(tmp_path / "layers", "suhu") == [1]
    open_store(Settings(data_dir=tmp_path)).remove("suhu", 1)
    assert stored_tiles(tmp_path / "layers", "suhu") == []
    assert held.get(0, 0, 0)  # those who read it keep it


# -- directories


ENTRIES = st.lists(
    st.tuples(st.integers(1, 2**40), st.integers(0, 9), st.integers(1, 2**31), st.integers(0, 2**45)),
    min_size=1, max_size=300,
)  # fmt: skip


@given(ENTRIES, st.booleans())
def test_directories_are_read_as_the_package_writes_them(
    said: Sequence[tuple[int, int, int, int]], packed: bool
) -> None:
    entries, tile_id, end = [], 0, 0
    for step, run, length, offset in said:
        tile_id += step
        entries.append(Entry(tile_id, end if packed and offset % 3 else offset, length, run))
        end = entries[-1].offset + length
    found = _directory(gzip.decompress(serialize_directory(entries)))
    assert list(found.ids) == [one.tile_id for one in entries]
    assert list(found.offsets) == [one.offset for one in entries]
    assert list(found.lengths) == [one.length for one in entries]
    assert list(found.runs) == [one.run_length for one in entries]


def test_leaves_of_a_large_archive_are_found(tmp_path: Path) -> None:
    path, chance = tmp_path / "besar.pmtiles", np.random.default_rng(4)
    ids = np.unique(chance.integers(zxy_to_tileid(9, 0, 0), zxy_to_tileid(10, 0, 0), 40_000)).tolist()
    bodies = {tile_id: b"%d" % (tile_id // 3) for tile_id in ids}
    with path.open("wb") as file:
        writer = Writer(file)  # type: ignore[no-untyped-call]
        for tile_id, body in bodies.items():
            writer.write_tile(tile_id, body)  # type: ignore[no-untyped-call]
        writer.finalize({"tile_type": TileType.PNG, "tile_compression": Compression.NONE}, {})  # type: ignore[no-untyped-call]
    archive = Archive(path)
    assert archive.header["leaf_directory_length"] > 0
    archive.decode()
    for tile_id in chance.integers(zxy_to_tileid(9, 0, 0), zxy_to_tileid(10, 0, 0), 2_000).tolist():
        assert archive.get(*tileid_to_zxy(tile_id)) == bodies.get(tile_id)
