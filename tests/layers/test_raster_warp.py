"""Cells below the places of another grid: those that GDAL's own exact warper takes, whatever the two CRS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.warp import reproject

from catalog.model import VersionInfo
from layers.crs import crs_of, transform_coordinates
from layers.raster import write_cog
from layers.raster_grid import Cells, Grid, grid_of, over
from layers.raster_read import RasterPool, read_grid
from layers.raster_warp import below
from layers.tiles.grid import GRIDS
from tests.layers.test_raster import tiff

SIZE = 600
DEGREES = {"crs": "EPSG:4326", "transform": from_origin(106.5, -6.1, 0.002, 0.0015)}
METRES = {"crs": "EPSG:32748", "transform": from_origin(600_000, 9_300_000, 150, 200)}
MERCATOR = {"crs": "EPSG:3857", "transform": from_origin(11_850_000, -700_000, 120, 120)}


def pixels(kind: str) -> Any:
    """A number per cell that no neighbour has, with a hole."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    made = ((x * 37 + y * 101) % 251).astype(kind)
    made[100:180, 200:330] = 255
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rasters")


@pytest.fixture(scope="module")
def stored(root: Path) -> dict[str, VersionInfo]:
    made = {}
    for name, place, kind in (
        ("derajat", DEGREES, "float32"),
        ("meter", METRES, "uint8"),
        ("mercator", MERCATOR, "int16"),
    ):
        source = tiff(root / f"{name}.tif", pixels(kind), nodata=255, **place)
        made[name] = write_cog(source, root, name, 1, "")
    return made


@pytest.fixture(scope="module")
def pool(root: Path) -> Any:
    made = RasterPool(root)
    yield made
    made.close()


def warped(root: Path, info: VersionInfo, grid: Grid) -> Any:
    """What GDAL reads, with every place transformed exactly."""
    found = np.full((grid.height, grid.width), 255, info.extra["dtype"])
    with rasterio.open(root / info.layer_id / "1.tif") as source:
        reproject(
            rasterio.band(source, 1), found, dst_crs=crs_of(grid.crs).to_wkt(), dst_transform=grid.transform,
            src_nodata=255, dst_nodata=255, resampling=Resampling.nearest, tolerance=0,
        )  # fmt: skip
    return found


def sure(info: VersionInfo, grid: Grid, near: float) -> Any:
    """Tell which places lie further than `near` of a cell from any edge between cells."""
    whole = grid_of(info)
    assert whole is not None
    xs, ys = (one.ravel() for one in np.meshgrid(grid.xs(), grid.ys()))
    at = transform_coordinates(np.column_stack([xs, ys]), grid.crs, whole.crs)
    columns, rows = (at[:, 0] - whole.west) / whole.dx, (whole.north - at[:, 1]) / whole.dy
    off = np.maximum(np.abs(columns - np.round(columns)), 0) > near
    return (off & (np.abs(rows - np.round(rows)) > near)).reshape(grid.height, grid.width)


@pytest.mark.parametrize("name", ["derajat", "meter", "mercator"])
@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:3857", "EPSG:32748", "EPSG:23834"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_values_are_those_of_gdals_exact_warper(
    root: Path, stored: dict[str, VersionInfo], pool: RasterPool, name: str, crs: str, data: st.DataObject
) -> None:
    info = stored[name]
    assert info.bbox is not None
    west, south, east, north = info.bbox
    x = data.draw(st.floats(west - 0.05, east - 0.1), "x")
    y = data.draw(st.floats(south - 0.05, north - 0.1), "y")
    side = data.draw(st.floats(0.02, 0.2), "side")
    corners = transform_coordinates(np.array([[x, y], [x + side, y + side]]), "OGC:CRS84", crs)
    grid = over(crs, (*corners[0].tolist(), *corners[1].tolist()), 97, 83)
    found, wanted = read_grid(pool, info, [1], grid)[0].filled(255), warped(root, info, grid)
    # between CRS that are separable every place is exact; else it may be off by an eighth of a cell
    exact = "meter" not in name and crs in ("OGC:CRS84", "EPSG:3857")
    clear = sure(info, grid, 1e-5 if exact else 0.126)
    assert clear.mean() > (0.9 if exact else 0.1)
    assert (found == wanted)[clear].all()
    assert (found == wanted).mean() > 0.95


@pytest.mark.parametrize("name", ["derajat", "meter"])
def test_neighbouring_tiles_fit_together(stored: dict[str, VersionInfo], pool: RasterPool, name: str) -> None:
    """A tile's last columns and rows are what a larger picture over both tiles shows there."""
    grid, zoom = GRIDS["WebMercatorQuad"], 11
    row, _, column, _ = grid.limits(stored[name].bbox or (0, 0, 0, 0), zoom)
    row, column = row + 1, column + 1
    side = 256
    boxes = [[grid.bounds(zoom, row + y, column + x) for x in (0, 1)] for y in (0, 1)]
    tiles = [
        [read_grid(pool, stored[name], [1], over("EPSG:3857", box, side, side))[0] for box in line]
        for line in boxes
    ]
    joined = np.ma.vstack([np.ma.hstack(line) for line in tiles])
    around = (*boxes[1][0][:2], *boxes[0][1][2:])
    whole = read_grid(pool, stored[name], [1], over("EPSG:3857", around, 2 * side, 2 * side))[0]
    same = joined.filled(255) == whole.filled(255)
    assert (whole.filled(255) != 255).mean() > 0.5
    if name == "derajat":
        assert same.all()
    for band in (same[side - 1 : side + 1], same[:, side - 1 : side + 1].T):
        assert band.mean() > 0.98  # a mesh of its own may take the neighbouring cell at a cell's edge


def test_a_mesh_is_as_fine_as_the_places_need() -> None:
    """From UTM to a whole country's degrees lines are curved: nowhere more than an eighth of a cell off."""
    whole = Grid("EPSG:32748", 100_000, 10_000_000, 1000, 1000, 900, 1500)
    for grid in (
        over("OGC:CRS84", (100, -12, 112, 0), 1200, 1000),
        over("EPSG:3857", (1.15e7, -1.3e6, 1.2e7, -1e5), 256, 256),
    ):
        found = below(grid, whole)
        xs, ys = (one.ravel() for one in np.meshgrid(grid.xs(), grid.ys()))
        at = transform_coordinates(np.column_stack([xs, ys]), grid.crs, whole.crs)
        columns = ((at[:, 0] - whole.west) / whole.dx).reshape(grid.height, grid.width)
        rows = ((whole.north - at[:, 1]) / whole.dy).reshape(grid.height, grid.width)
        inside = (columns > 0) & (columns < 1e4) & (rows > 0)
        assert inside.mean() > 0.5
        assert np.abs(found.columns + 0.5 - columns)[inside].max() <= 0.5 + 0.2
        assert np.abs(found.rows + 0.5 - rows)[inside].max() <= 0.5 + 0.2


def test_places_that_do_not_exist_are_beside(stored: dict[str, VersionInfo], pool: RasterPool) -> None:
    whole = grid_of(stored["meter"])
    assert whole is not None
    found = below(over("OGC:CRS84", (-180, -90, 180, 90), 64, 32), whole)
    assert not found.separable
    world = read_grid(pool, stored["meter"], [1], over("OGC:CRS84", (-180, -90, 180, 90), 3600, 1800))[0]
    rows, columns = np.nonzero(~np.ma.getmaskarray(world))
    assert 0 < rows.size < 200
    west, south, east, north = stored["meter"].bbox or (0, 0, 0, 0)
    assert (np.abs(-180 + (columns + 0.5) / 10 - (west + east) / 2) < (east - west) / 2 + 0.1).all()
    assert (np.abs(90 - (rows + 0.5) / 10 - (south + north) / 2) < (north - south) / 2 + 0.1).all()


def test_a_picture_in_strips_is_the_picture(
    stored: dict[str, VersionInfo], pool: RasterPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = grid_of(stored["derajat"])
    assert whole is not None
    grid = whole.part(Cells(50, 50, 300, 200)).sized(450, 300)
    at_once = read_grid(pool, stored["derajat"], [1], grid)
    monkeypatch.setattr("layers.raster_read._AT_ONCE", 450 * 7)
    assert (read_grid(pool, stored["derajat"], [1], grid) == at_once).all()
    monkeypatch.setattr("layers.raster_read._MOST_TO_PICK_FROM", 10)  # the window is refused: GDAL warps
    slow = read_grid(pool, stored["derajat"], [1], grid)
    assert (slow.filled(255) == at_once.filled(255)).mean() > 0.95


def test_a_stored_mask_hides_what_it_covers(root: Path, pool: RasterPool) -> None:
    path = root / "topeng.tif"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", width=SIZE, height=SIZE, count=1, dtype="uint8", **DEGREES
        ) as out,
    ):
        out.write(pixels("uint8")[np.newaxis])
        hidden = np.full((SIZE, SIZE), 255, "uint8")
        hidden[:, :300] = 0
        out.write_mask(hidden)
    info = write_cog(path, root, "topeng", 1, "")
    grid = grid_of(info)
    assert grid is not None
    found = np.ma.getmaskarray(read_grid(pool, info, [1], grid)[0])
    assert found[:, :300].all()
    assert not found[:, 300:].any()
