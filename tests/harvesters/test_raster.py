"""Rasters: files whole and broken, and an image service that exports tiles, misbehaving as real ones do."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import from_bounds, from_origin

from catalog.model import RunState
from catalog.runs import Run
from catalog.sources import SourceConfig
from layers.raster import open_raster
from tests.harvesters.support import World
from tests.servers.loopback import Answer, Asked, serve

WEST, NORTH, CELL = 107.0, -6.0, 0.001
NODATA = -9999.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, retries=0)
    yield world
    world.close()


def cells(width: int = 300, height: int = 200) -> Any:
    y, x = np.mgrid[0:height, 0:width]
    index = ((x + 2 * y) % 101 / 100).astype(np.float32)
    index[:20] = NODATA
    return index


def geotiff(path: Path, data: Any = None, **more: Any) -> Path:
    data = cells() if data is None else data
    profile = {
        "driver": "GTiff", "width": data.shape[1], "height": data.shape[0], "count": 1, "dtype": data.dtype,
        "crs": "EPSG:4326", "transform": from_origin(WEST, NORTH, CELL, CELL), "nodata": NODATA,
        "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate",
    } | more  # fmt: skip
    with rasterio.open(path, "w", **profile) as sink:
        sink.write(data, 1)
    return path


def source(
    url: object, remote: str = "*", options: dict[str, Any] | None = None, **layer: Any
) -> SourceConfig:
    one = {"remote": remote, **({} if remote == "*" else {"id": "bahaya"}), **layer}
    return SourceConfig.model_validate(
        {
            "id": "bnpb", "type": "raster", "url": str(url), "produsen_data": "BNPB", "layers": [one],
            "options": options or {},
        }
    )  # fmt: skip


def stored(world: World, layer: str = "bahaya") -> Any:
    info = world.live(layer)
    assert info is not None
    with rasterio.open(open_raster(info, world.settings.data_dir / "layers")) as raster:
        return raster.read(1), raster.nodata, raster.crs.to_epsg(), raster.transform


def explained(world: World, run: Run) -> str:
    return " ".join([run.reason, *(error.message for error in world.catalog.runs.errors(run.id))])


# -- files ----------------------------------------------------------------------------------------


def test_a_geotiff_is_stored_cell_by_cell(world: World):
    path = geotiff(world.folder / "bahaya.tif")
    run = world.harvest(source(path, "bahaya"))
    assert run.state is RunState.OK, explained(world, run)
    data, nodata, epsg, transform = stored(world)
    assert np.array_equal(data, cells())
    assert (nodata, epsg) == (NODATA, 4326)
    assert transform.c == pytest.approx(WEST)
    record = world.catalog.datasets.get("bahaya").record
    assert record.bbox == pytest.approx((107, -6.2, 107.3, -6))
    assert record.extras["raster_ukuran"] == "300 x 200"
    assert world.harvest(source(path, "bahaya")).state is RunState.UNCHANGED


def test_a_folder_and_an_archive_hold_rasters_by_name(world: World):
    folder = world.folder / "raster"
    folder.mkdir()
    for name in ("banjir", "longsor"):
        geotiff(folder / f"{name}.tif")
    (folder / "BACA.md").write_text("salam")
    assert world.harvest(source(folder)).state is RunState.OK
    assert {"bnpb-banjir", "bnpb-longsor"} <= set(world.catalog.datasets.ids())
    with zipfile.ZipFile(world.folder / "a.zip", "w") as archive:
        archive.write(folder / "banjir.tif", "isi/banjir.tif")
    other = source(world.folder / "a.zip", "banjir").model_copy(update={"id": "bpbd"})
    assert world.harvest(other).state is RunState.OK


@pytest.mark.parametrize("share", [0.9, 0.5, 0.02])
def test_half_a_geotiff_never_replaces_the_good_one(share: float, world: World):
    path = geotiff(world.folder / "bahaya.tif", (cells() * 7).astype(np.float32))
    assert world.harvest(source(path, "bahaya")).state is RunState.OK
    good, version = stored(world)[0], world.live("bahaya")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    run = world.harvest(source(path, "bahaya"))
    assert run.state in {RunState.FAILED, RunState.INCOMPLETE}
    assert len(explained(world, run)) > 20
    assert world.live("bahaya") == version
    assert np.array_equal(stored(world)[0], good)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"crs": None}, "CRS"),
        ({"transform": rasterio.Affine.identity()}, "georeferenced"),
        ({"nodata": float(cells()[50, 0]), "_flat": True}, "nodata"),
    ],
)
def test_rasters_that_can_not_be_placed_or_say_nothing_are_refused(
    more: dict[str, Any], word: str, world: World
):
    data = np.full((50, 50), more["nodata"], np.float32) if more.pop("_flat", False) else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDAL_PAM_ENABLED", "NO")
        path = write_quietly(world.folder / "bahaya.tif", data, **more)
    run = world.harvest(source(path, "bahaya"))
    assert run.state in {RunState.FAILED, RunState.INCOMPLETE}
    assert word in explained(world, run)


def write_quietly(path: Path, data: Any, **more: Any) -> Path:
    """Writing a raster without a place warns, which is what the test wants to write."""
    if "transform" in more:
        with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
            return geotiff(path, data, **more)
    return geotiff(path, data, **more)


def test_a_raster_without_crs_takes_the_configured_one(world: World):
    path = geotiff(world.folder / "bahaya.tif", crs=None)
    run = world.harvest(source(path, "bahaya", crs="EPSG:4326"))
    assert run.state is RunState.OK, explained(world, run)
    assert stored(world)[2] == 4326


def test_configured_nodata_must_fit_the_cells(world: World):
    path = geotiff(world.folder / "bahaya.tif", np.ones((64, 64), np.uint8), nodata=None)
    config = source(path, "bahaya")
    config.layers[0].options = {"nodata": -9999}
    run = world.harvest(config)
    assert run.state is RunState.FAILED
    assert "nodata" in explained(world, run)
    config.layers[0].options = {"nodata": 1}
    assert "nodata" in explained(world, world.harvest(config))  # every cell is it
    config.layers[0].options = {"nodata": 255}
    assert world.harvest(config).state is RunState.OK
    assert stored(world)[1] == 255


def test_a_raster_that_unpacks_to_more_than_the_limit_is_not_read(world: World):
    path = geotiff(world.folder / "bahaya.tif", np.ones((3000, 3000), np.float32))
    assert path.stat().st_size < 1_000_000
    run = world.harvest(source(path, "bahaya", {"max_bytes": 10_000_000}))
    assert run.state in {RunState.FAILED, RunState.INCOMPLETE}
    assert "limit" in explained(world, run)


def test_something_else_than_a_raster_is_named(world: World):
    (world.folder / "bahaya.tif").write_text("<html>masuk</html>")
    run = world.harvest(source(world.folder / "bahaya.tif", "bahaya"))
    assert run.state is RunState.FAILED
    assert "GeoTIFF" in explained(world, run)


def test_wrong_options_name_the_right_ones(world: World):
    path = geotiff(world.folder / "bahaya.tif")
    broken = source(path, "bahaya")
    broken.layers[0].options = {"nodat": 1}
    run = world.harvest(broken)
    assert run.state is RunState.FAILED
    assert "nodat" in explained(world, run)


def test_over_http_once_and_then_only_asked_whether_it_changed(world: World):
    body = gzip.compress(geotiff(world.folder / "x.tif").read_bytes())
    methods: list[str] = []

    def app(asked: Asked) -> Answer:
        methods.append(asked.path)
        return Answer(body, "image/tiff", headers={"ETag": '"satu"'})

    with serve(app) as url:
        config = source(f"{url}/bahaya.tif.gz", "bahaya")
        run = world.harvest(config)
        assert run.state is RunState.OK, explained(world, run)
        assert world.harvest(config).state is RunState.UNCHANGED
    assert np.array_equal(stored(world)[0], cells())


# -- an image service -----------------------------------------------------------------------------


@dataclass
class Images:
    """An ArcGIS ImageServer over one array; the switches are faults seen in the field."""

    data: Any
    limit: int = 128
    fail_above: int = 10**9
    broken: bool = False
    truncated: bool = False
    wrong_size: bool = False
    token: bool = False
    exports: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path.endswith("/exportImage"):
            return self.export(asked.params)
        height, width = self.data.shape
        info = {
            "currentVersion": 10.81, "name": "inarisk/INDEKS_BAHAYA_BANJIR", "pixelType": "F32", "bandCount": 1,
            "pixelSizeX": CELL, "pixelSizeY": CELL, "noDataValue": NODATA, "maxImageWidth": self.limit,
            "maxImageHeight": self.limit, "extent": {
                "xmin": WEST, "ymin": NORTH - height * CELL, "xmax": WEST + width * CELL, "ymax": NORTH,
                "spatialReference": {"wkid": 4326},
            },
        }  # fmt: skip
        return Answer(json.dumps(info), "application/json")

    def export(self, params: dict[str, str]) -> Answer:
        width, height = map(int, params["size"].split(","))
        self.exports.append((width, height))
        if self.token:
            return error(499, "Token Required")
        if self.broken or max(width, height) > self.fail_above:
            return error(500, "Error exporting image")
        west, south, east, north = map(float, params["bbox"].split(","))
        column, row = round((west - WEST) / CELL), round((NORTH - north) / CELL)
        tile = self.data[row : row + height, column : column + width]
        if self.wrong_size:
            tile = tile[:-1]
        with MemoryFile() as memory:
            with memory.open(
                driver="GTiff", width=tile.shape[1], height=tile.shape[0], count=1, dtype="float32", crs="EPSG:4326",
                nodata=NODATA, transform=from_bounds(west, south, east, north, tile.shape[1], tile.shape[0]),
            ) as sink:  # fmt: skip
                sink.write(tile, 1)
            body = bytes(memory.read())
        return Answer(body[: len(body) // 2] if self.truncated else body, "image/tiff")


def error(code: int, message: str) -> Answer:
    return Answer(
        json.dumps({"error": {"code": code, "message": message, "details": []}}), "application/json"
    )


PATH = "arcgis/rest/services/inarisk/INDEKS_BAHAYA_BANJIR/ImageServer"


def test_tiles_are_merged_into_the_same_cells(world: World):
    images = Images(cells())
    with serve(images) as url:
        run = world.harvest(source(f"{url}/{PATH}", "INDEKS_BAHAYA_BANJIR"))
    assert run.state is RunState.OK, explained(world, run)
    data, nodata, epsg, _ = stored(world)
    assert np.array_equal(data, cells())
    assert (nodata, epsg) == (NODATA, 4326)
    assert len(images.exports) == 6
    assert max(max(size) for size in images.exports) <= 128


def test_a_tile_too_much_for_the_server_is_cut_in_four(world: World):
    images = Images(cells(), fail_above=70)
    with serve(images) as url:
        run = world.harvest(source(f"{url}/{PATH}", "INDEKS_BAHAYA_BANJIR"))
    assert run.state is RunState.OK, explained(world, run)
    assert np.array_equal(stored(world)[0], cells())


def test_a_part_in_degrees_stays_on_the_services_grid(world: World):
    with serve(Images(cells())) as url:
        config = source(f"{url}/{PATH}", "INDEKS_BAHAYA_BANJIR")
        config.layers[0].options = {"bbox": [107.1, -6.15, 107.2, -6.05]}
        run = world.harvest(config)
    assert run.state is RunState.OK, explained(world, run)
    data, _, _, transform = stored(world)
    assert np.array_equal(data[:100, :100], cells()[50:150, 100:200])
    assert transform.c == pytest.approx(107.1)


@pytest.mark.parametrize(
    ("fault", "word"),
    [("broken", "exporting"), ("truncated", "cut"), ("wrong_size", "cells"), ("token", "Token")],
)
def test_a_service_that_breaks_keeps_the_good_raster(fault: str, word: str, world: World):
    images = Images(cells(120, 100))
    with serve(images) as url:
        config = source(f"{url}/{PATH}", "INDEKS_BAHAYA_BANJIR")
        assert world.harvest(config).state is RunState.OK
        version = world.live("bahaya")
        setattr(images, fault, True)
        run = world.harvest(config)
        assert run.state is RunState.FAILED
        assert word in explained(world, run)
        assert world.live("bahaya") == version
        setattr(images, fault, False)
        images.data = images.data + np.float32(0)
        assert world.harvest(config).state is RunState.UNCHANGED


@pytest.mark.parametrize("changed", [False, True])
def test_an_interrupted_export_goes_on_where_it_stopped_unless_the_raster_changed(
    changed: bool, world: World
):
    images = Images(cells())
    with serve(images) as url:
        config = source(f"{url}/{PATH}", "INDEKS_BAHAYA_BANJIR")
        real = images.export

        def breaking(params: dict[str, str]) -> Answer:
            return error(500, "berhenti") if len(images.exports) >= 4 else real(params)

        images.export = breaking  # type: ignore[method-assign]
        assert world.harvest(config).state is RunState.FAILED
        before = len(images.exports)
        images.export = real  # type: ignore[method-assign]
        images.exports.clear()
        if changed:
            images.data = np.where(cells() == NODATA, cells(), 1 - cells()).astype(np.float32)
        assert world.harvest(config).state is RunState.OK
    assert before >= 4
    assert (len(images.exports) <= 4) is not changed  # two that were missing, two to be sure
    assert np.array_equal(stored(world)[0], images.data)
