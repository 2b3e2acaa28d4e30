"""The first picture of the map: what it shows is where it is on the earth, and it stays small."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import brotli  # type: ignore[import-untyped]
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from layers.tiles.plan import FID
from ogc_server.tiles_desk import Tile
from ogc_server.viewer_picture import BUDGET, Frame, Picture, draw, read
from tests.ogc_server.world import desa

if TYPE_CHECKING:
    from catalog.datasets import Dataset
    from catalog.model import VersionInfo
    from ogc_server.tiles_desk import TileDesk


def shapes(path: str) -> list[np.ndarray]:
    """Return the corners of each line of an SVG path of ours."""
    lines = []
    for part in path.split("M")[1:]:
        start, _, steps = part.rstrip("z ").partition("l")
        numbers = [int(one) for one in re.findall(r"-?\d+", steps)]
        corners = np.array(
            [[int(one) for one in start.split()], *zip(numbers[::2], numbers[1::2], strict=True)]
        )
        lines.append(corners.cumsum(axis=0))
    return lines


def land(picture: Picture) -> shapely.Geometry:
    """Return the picture's land as the even-odd rule fills it."""
    made: shapely.Geometry = shapely.Polygon()
    for ring in shapes(picture.land):
        made = made.symmetric_difference(shapely.Polygon(ring))
    return made


def at_of(frame: Frame) -> str:
    return f"{frame.zoom} {frame.columns[0]} {frame.rows[0]}"


def in_units(geometries: np.ndarray, at: str) -> np.ndarray:
    """Return degrees in the units of a picture or frame, by PROJ: not by the code under test."""
    mercator = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    world = 2 * np.pi * 6_378_137
    zoom, column, row = (float(one) for one in at.split(" ")[:3])
    side = 2**zoom * 4096

    def change(degrees: np.ndarray) -> np.ndarray:
        x, y = mercator.transform(degrees[:, 0], degrees[:, 1])
        across = (x / world + 0.5) * side - column * 4096
        return np.column_stack((across, (0.5 - y / world) * side - row * 4096))

    moved: np.ndarray = shapely.transform(geometries, change)
    return moved


def test_real_desa_lie_where_they_are_and_neighbours_share_their_border(shared_data: Path) -> None:
    villages = desa(shared_data)
    assert villages.geometries is not None
    west, south, east, north = shapely.total_bounds(villages.geometries)
    frame = Frame.of((west, south, east, north))
    picture = draw(in_units(villages.geometries, at_of(frame)), frame)
    assert picture is not None
    true = in_units(villages.geometries, picture.at)
    whole, drawn = shapely.union_all(true), land(picture)
    assert drawn.symmetric_difference(whole).area / whole.area < 0.01
    outlines = shapely.boundary(np.array([drawn, whole]))
    assert (
        shapely.distance(shapely.points(shapely.get_coordinates(drawn)), outlines[1]).max() < 2 * picture.off
    )
    # borders of desa: each corner of the picture lies on a border of the data
    borders = shapely.union_all(shapely.boundary(true))
    corners = shapely.points(np.concatenate(shapes(picture.borders)))
    assert len(corners) > 500
    assert shapely.distance(corners, borders).max() < 2 * picture.off + 1
    assert len(brotli.compress((picture.land + picture.borders).encode())) <= BUDGET
    assert not re.search(r"l(M|z|$)", picture.land + picture.borders)  # a line of no steps is no SVG


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-179, 178), st.floats(-80, 79), st.floats(0.001, 0.9), st.floats(0.001, 0.9)
)  # fmt: skip
def test_a_frame_holds_its_box(west: float, south: float, wide: float, high: float) -> None:
    """Wherever and however large the basemap is: few tiles, fine enough, all of it in them."""
    east, north = west + wide, south + high
    frame = Frame.of((west, south, east, north))
    left, top = frame.units(west, north)
    right, bottom = frame.units(east, south)
    assert 0 <= left <= right <= len(frame.columns) * 4096
    assert 0 <= top <= bottom <= len(frame.rows) * 4096
    assert len(frame.columns) * len(frame.rows) <= 25
    assert frame.zoom == 12 or max(right - left, bottom - top) >= 8000


@pytest.mark.parametrize("extent", [4096, 1024])
def test_tiles_of_any_number_of_units_lie_where_they_are(extent: int) -> None:
    """Overview tiles have 1,024 units on a side: read as 4,096 the country shrank into a corner."""
    frame = Frame(3, range(6, 8), range(4, 5))
    size = extent // 4

    def tile(dataset: object, info: object, grid: object, zoom: int, row: int, column: int) -> Tile:
        assert (zoom, row) == (3, 4)
        left = {6: extent - size, 7: 0}[column]  # one area on both sides of a tile's edge
        square = shapely.box(left, size, left + size, 2 * size)
        features = [{"geometry": square, "properties": {FID: "a"}}]
        options = {"y_coord_down": True, "extents": extent}
        made = mapbox_vector_tile.encode([{"name": "batas", "features": features}], default_options=options)
        return Tile(gzip.compress(made), "x")

    desk = cast("TileDesk", SimpleNamespace(tile=tile))
    layers = [(cast("Dataset", SimpleNamespace(id="batas")), cast("VersionInfo", None))]
    (area,) = read(desk, layers, frame)
    assert shapely.box(4096 - 1024, 1024, 4096 + 1024, 2048).equals(area)


def test_an_area_that_rounding_has_flattened_does_not_cost_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GDAL refuses such a tile whole, and there was no picture."""
    flat = [[0, 0], [0, 0], [0, 0], [0, 0]]
    bow = [[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]
    drawn = [[1000, 1000], [2000, 1000], [2000, 2000], [1000, 2000], [1000, 1000]]
    features = [
        {"geometry": {"type": kind, "coordinates": found}, "properties": {FID: str(n)}}
        for n, (kind, found) in enumerate(
            [("Polygon", [flat]), ("Polygon", [[[0, 0], [1, 1]]]), ("MultiPolygon", [[bow], [drawn]]),
             ("Point", [5, 5]), ("LineString", [[0, 0], [5, 5]])]
        )
    ]  # fmt: skip
    said = {"batas": {"extent": 4096, "features": features}}
    monkeypatch.setattr(mapbox_vector_tile, "decode", lambda *_, **__: said)
    desk = cast("TileDesk", SimpleNamespace(tile=lambda *_: Tile(gzip.compress(b"x"), "x")))
    layers = [(cast("Dataset", SimpleNamespace(id="batas")), cast("VersionInfo", None))]
    frame = Frame(0, range(1), range(1))
    picture = draw(read(desk, layers, frame), frame)
    assert picture is not None
    assert land(picture).intersects(shapely.Point(1500, 1500))


def test_a_polygon_is_told_from_its_neighbour_and_from_its_holes() -> None:
    """A space between polygons, none before a hole: the map's script builds its areas by that."""
    frame = Frame(0, range(1), range(1))
    ring = shapely.box(0, 0, 4000, 2000) - shapely.box(1000, 500, 2000, 1500)
    picture = draw(np.array([ring, shapely.box(0, 3000, 4000, 4000)]), frame)
    assert picture is not None
    built = [shapes(one) for one in re.split(r" (?=M)", picture.land)]
    areas = [shapely.Polygon(outer, holes) for outer, *holes in built]
    assert sorted(shapely.area(areas)) == [4000 * 1000, 4000 * 2000 - 1000 * 1000]


def test_what_can_not_be_drawn_small_is_drawn_without_borders_or_not_at_all() -> None:
    random = np.random.default_rng(7)
    frame = Frame(0, range(1), range(1))
    many = shapely.box(*(random.uniform(0, 4000, (2, 6000))), *(np.zeros((2, 6000))))
    assert draw(shapely.boundary(many), frame) is None  # lines are no areas
    corner = random.integers(0, 4000, (2, 4000))
    scattered = draw(shapely.box(corner[0], corner[1], corner[0] + 30, corner[1] + 30), frame)
    assert scattered is None or (
        scattered.borders == "" and len(brotli.compress(scattered.land.encode())) < BUDGET * 1.1
    )
    grid = np.meshgrid(np.arange(0, 4000, 100), np.arange(0, 4000, 100))
    squares = shapely.box(grid[0].ravel(), grid[1].ravel(), grid[0].ravel() + 100, grid[1].ravel() + 100)
    picture = draw(squares, frame)
    assert picture is not None
    assert land(picture).equals(shapely.box(0, 0, 4000, 4000))
    assert sum(abs(np.diff(line, axis=0)).sum() for line in shapes(picture.borders)) == 2 * 39 * 4000
