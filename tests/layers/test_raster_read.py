"""Windows of stored rasters: at any size and in any CRS they hold what rasterio itself reads."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.windows import Window

from catalog.errors import ProtocolError, PublishError
from catalog.model import VersionInfo
from layers.raster import write_cog
from layers.raster_grid import Cells, Grid, grid_of, over
from layers.raster_read import RasterPool, dataset_grid, read_cells, read_grid
from tests.layers.test_raster import tiff

SIZE = 700


def pixels(kind: str = "float32") -> Any:
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    made = ((x * 3 + y * 7) % 250).astype(kind)
    made[:40, :60] = 255
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rasters")


@pytest.fixture(scope="module")
def stored(root: Path) -> VersionInfo:
    return write_cog(tiff(root / "a.tif", pixels(), nodata=255), root, "indeks", 1, "")


@pytest.fixture(scope="module")
def classes(root: Path) -> VersionInfo:
    """Whole numbers in UTM, with no value kept for "no data"."""
    place = {"crs": "EPSG:32748", "transform": from_origin(700_000, 9_300_000, 100, 100)}
    return write_cog(tiff(root / "b.tif", pixels("uint8"), **place), root, "kelas", 1, "")


@pytest.fixture(scope="module")
def pool(root: Path) -> Any:
    made = RasterPool(root)
    yield made
    made.close()


# -- grids --------------------------------------------------------------------


@given(
    st.integers(0, 49), st.integers(0, 39), st.integers(1, 50), st.integers(1, 40),
    st.floats(-180, 170), st.floats(1e-4, 10),
)  # fmt: skip
def test_the_bounds_of_cells_select_those_cells(
    column: int, row: int, width: int, height: int, west: float, cell: float
) -> None:
    whole = Grid("EPSG:4326", west, 10.0, cell, cell, 50, 40)
    wanted = Cells(column, row, min(width, 50 - column), min(height, 40 - row))
    assert whole.cells(whole.part(wanted).bounds) == wanted


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_box_takes_every_cell_whose_middle_it_holds(x: float, y: float, wide: float, high: float) -> None:
    whole = Grid("EPSG:3857", -1000.0, 500.0, 10.0, 5.0, 200, 160)
    found = whole.cells((x, y, x + wide, y + high))
    columns = np.flatnonzero((whole.xs() >= x) & (whole.xs() <= x + wide))
    rows = np.flatnonzero((whole.ys() >= y) & (whole.ys() <= y + high))
    if columns.size and rows.size:
        assert found is not None
        assert found.column <= columns[0] <= columns[-1] < found.column + found.width
        assert found.row <= rows[0] <= rows[-1] < found.row + found.height
    if found is not None:
        assert 0 <= found.column < found.column + found.width <= 200
        assert 0 <= found.row < found.row + found.height <= 160


def test_the_grid_of_a_version_is_the_grid_of_its_file(
    stored: VersionInfo, classes: VersionInfo, pool: RasterPool
) -> None:
    for info in (stored, classes):
        with pool.lease(info) as source:
            assert grid_of(info) == dataset_grid(source, info.extra["crs"])
    assert grid_of(VersionInfo("x", 1, "raster", 1, "")) is None


# -- cells --------------------------------------------------------------------


@settings(max_examples=40)
@given(st.data())
def test_cells_at_any_scale_are_rasterios_own(
    stored: VersionInfo, pool: RasterPool, data: st.DataObject
) -> None:
    column, row = data.draw(st.integers(0, SIZE - 1)), data.draw(st.integers(0, SIZE - 1))
    wide, high = data.draw(st.integers(1, SIZE - column)), data.draw(st.integers(1, SIZE - row))
    out_w, out_h = data.draw(st.integers(1, wide)), data.draw(st.integers(1, high))
    with pool.lease(stored) as source:
        found = read_cells(source, [1], Cells(column, row, wide, high), out_w, out_h)
    with rasterio.open(pool._root / "indeks" / "1.tif") as plain:
        wanted = plain.read(
            [1], window=Window(column, row, wide, high), out_shape=(1, out_h, out_w), masked=True,
            resampling=Resampling.average,
        )  # fmt: skip
    assert found.shape == (1, out_h, out_w)
    assert (np.ma.getmaskarray(found) == np.ma.getmaskarray(wanted)).all()
    assert (found.filled(0) == wanted.filled(0)).all()
    if (out_w, out_h) == (wide, high):
        truth = pixels()[row : row + high, column : column + wide]
        assert (found[0].filled(255) == truth).all()


# -- other grids --------------------------------------------------------------


def test_the_same_grid_gives_the_same_values(stored: VersionInfo, pool: RasterPool) -> None:
    grid = grid_of(stored)
    assert grid is not None
    found = read_grid(pool, stored, [1], grid)
    assert (found[0].filled(255) == pixels()).all()


@pytest.mark.parametrize("crs", ["EPSG:3857", "OGC:CRS84", "EPSG:4326", "EPSG:32748"])
def test_another_crs_shows_the_cell_below_each_place(
    stored: VersionInfo, classes: VersionInfo, pool: RasterPool, crs: str
) -> None:
    for info, truth in ((stored, pixels()), (classes, pixels("uint8"))):
        whole = grid_of(info)
        assert whole is not None
        west, south, east, north = Transformer.from_crs(whole.crs, crs, always_xy=True).transform_bounds(
            *whole.bounds
        )
        wide, high = east - west, north - south
        grid = over(crs, (west - wide / 5, south, east - wide / 3, north + high / 5), 61, 47)
        found = read_grid(pool, info, [1], grid)[0]
        xs, ys = np.meshgrid(grid.xs(), grid.ys())
        x, y = Transformer.from_crs(crs, whole.crs, always_xy=True).transform(xs, ys)
        column, row = (x - whole.west) / whole.dx, (whole.north - y) / whole.dy
        inside = (column >= 0) & (column < SIZE) & (row >= 0) & (row < SIZE)
        assert inside.any()
        assert not inside.all()
        sure = (np.abs(column - np.round(column)) > 0.3) & (np.abs(row - np.round(row)) > 0.3)
        at = truth[np.clip(row, 0, SIZE - 1).astype(int), np.clip(column, 0, SIZE - 1).astype(int)]
        has = inside & (at != 255) if info.layer_id == "indeks" else inside
        # 61 columns of 700: the values come of an overview, so here only where there are values is compared
        edge = (column < 8) | (column > SIZE - 8) | (row < 8) | (row > SIZE - 8)
        near_hole = (column < 72) & (row < 52) if info.layer_id == "indeks" else np.zeros_like(edge)
        clear = ~edge & ~near_hole
        assert (~np.ma.getmaskarray(found) == has)[clear].all()
        fine = over(
            crs, (west + wide * 0.4, south + high * 0.4, west + wide * 0.45, south + high * 0.45), 61, 47
        )
        close = read_grid(pool, info, [1], fine)[0]
        xs, ys = np.meshgrid(fine.xs(), fine.ys())
        x, y = Transformer.from_crs(crs, whole.crs, always_xy=True).transform(xs, ys)
        column, row = (x - whole.west) / whole.dx, (whole.north - y) / whole.dy
        sure = (np.abs(column - np.round(column)) > 0.2) & (np.abs(row - np.round(row)) > 0.2)
        assert sure.sum() > 500
        assert (close.filled(255) == truth[row.astype(int), column.astype(int)])[sure].all()


def test_places_beside_the_raster_or_beyond_its_crs_have_no_values(
    classes: VersionInfo, pool: RasterPool
) -> None:
    boxes: list[tuple[float, float, float, float]] = [
        (10, 10, 11, 11),
        (-180, -90, 180, 90),
        (-75, 40, -74, 41),
    ]
    for box in boxes:
        found = read_grid(pool, classes, [1], over("OGC:CRS84", box, 8, 8))
        assert found.shape == (1, 8, 8)
        if box[2] != 180:
            assert np.ma.getmaskarray(found).all()


def test_a_small_picture_is_read_from_an_overview(root: Path, pool: RasterPool) -> None:
    """The overviews of this file hold another value than its pixels, so one sees which was read."""
    size = 2048
    src = root / "c.tif"
    with rasterio.open(
        src, "w", driver="GTiff", width=size, height=size, count=1, dtype="uint8", crs="EPSG:4326",
        transform=from_origin(107, -6, 0.001, 0.001), tiled=True, blockxsize=512, blockysize=512,
    ) as out:  # fmt: skip
        out.write(np.full((1, size, size), 7, "uint8"))
    info = write_cog(src, root, "tinjauan", 1, "")
    path = root / "tinjauan" / "1.tif"
    path.chmod(0o644)
    with rasterio.open(path, "r+", overview_level=0, IGNORE_COG_LAYOUT_BREAK="YES") as half:
        half.write(np.full((1, half.height, half.width), 99, "uint8"))
    whole = grid_of(info)
    assert whole is not None
    assert read_grid(pool, info, [1], whole.part(Cells(0, 0, 64, 64))).max() == 7
    assert read_grid(pool, info, [1], whole.sized(1000, 1000)).min() == 99
    with pool.lease(info) as source:
        assert read_cells(source, [1], Cells(0, 0, size, size), 1000, 1000).min() == 99


# -- files that stand otherwise -----------------------------------------------


def test_a_raster_that_is_not_north_up_is_read_north_up(root: Path, pool: RasterPool) -> None:
    upside = from_origin(107, -6.0, 0.001, -0.001)  # row 0 is the southern one
    info = write_cog(tiff(root / "d.tif", pixels(), nodata=255, transform=upside), root, "terbalik", 1, "")
    assert grid_of(info) is None
    with pool.lease(info) as source:
        grid = dataset_grid(source, "EPSG:4326")
        assert grid.bounds == pytest.approx((107, -6, 107.7, -5.3))
        assert (source.read(1)[:, :] == pixels()[::-1]).all()
    assert (read_grid(pool, info, [1], grid)[0].filled(255) == pixels()[::-1]).all()


def test_nan_is_no_value(root: Path, pool: RasterPool) -> None:
    holes = pixels()
    holes[100:200, 100:200] = np.nan
    info = write_cog(tiff(root / "e.tif", holes), root, "bolong", 1, "")
    with pool.lease(info) as source:
        assert np.ma.getmaskarray(read_cells(source, [1], Cells(100, 100, 100, 100), 100, 100)).all()
    grid = grid_of(info)
    assert grid is not None
    found = read_grid(pool, info, [1], grid)[0]
    assert np.ma.getmaskarray(found).sum() == 10_000


# -- the pool -----------------------------------------------------------------


def test_a_file_is_opened_once_and_closed_when_the_version_changes(root: Path) -> None:
    pool = RasterPool(root, keep=3)
    one = write_cog(root / "a.tif" if (root / "a.tif").exists() else tiff(root / "a.tif", pixels(), nodata=255),
                    root, "ganti", 1, "")  # fmt: skip
    with pool.lease(one) as first:
        pass
    with pool.lease(one) as again:
        assert again is first
    two = write_cog(root / "a.tif", root, "ganti", 2, "")
    with pool.lease(two):
        assert first.closed
        assert pool.idle() == []
    assert pool.idle() == [("ganti", 2, -1)]
    pool.close()
    assert pool.idle() == []


def test_many_threads_read_the_same_raster(stored: VersionInfo, root: Path) -> None:
    pool, wrong = RasterPool(root, keep=2), []

    def work(seed: int) -> None:
        for step in range(10):
            at = (seed * 37 + step * 61) % 600
            with pool.lease(stored) as source:
                found = read_cells(source, [1], Cells(at, at, 50, 50), 50, 50)[0].filled(255)
            if not (found == pixels()[at : at + 50, at : at + 50]).all():
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(pool.idle()) <= 2
    pool.close()


def test_a_missing_and_a_damaged_file_are_told_apart(
    root: Path, stored: VersionInfo, pool: RasterPool
) -> None:
    with (
        pytest.raises(PublishError, match="not stored"),
        pool.lease(VersionInfo("indeks", 9, "raster", 1, "")),
    ):
        pass
    (root / "indeks" / "5.tif").write_bytes(b"II*\x00 no more")
    with (
        pytest.raises(ProtocolError, match="can not be read"),
        pool.lease(VersionInfo("indeks", 5, "raster", 1, "")),
    ):
        pass


def test_a_process_keeps_few_blocks_unless_told_otherwise(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    RasterPool(root).close()
    assert int(os.environ["GDAL_CACHEMAX"]) <= 256  # MiB
    monkeypatch.setenv("GDAL_CACHEMAX", "7")
    RasterPool(root).close()
    assert os.environ["GDAL_CACHEMAX"] == "7"
