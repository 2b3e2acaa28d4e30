"""The first picture of the map: what it shows is where it is on the earth, and it stays small."""

from __future__ import annotations

import re
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from ogc_server.viewer_picture import BUDGET, Frame, Picture, draw
from tests.ogc_server.world import desa


def shapes(path: str) -> list[np.ndarray]:
    """Return the corners of each line of an SVG path of ours."""
    lines = []
    for part in path.split("M")[1:]:
        start, _, steps = part.rstrip("z").partition("l")
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


def in_units(geometries: np.ndarray, frame: Frame) -> np.ndarray:
    """Return degrees in a picture's units, by PROJ: not by the code under test."""
    mercator = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    world = 2 * np.pi * 6_378_137
    side = 2**frame.zoom * 4096

    def change(degrees: np.ndarray) -> np.ndarray:
        x, y = mercator.transform(degrees[:, 0], degrees[:, 1])
        across = (x / world + 0.5) * side - frame.columns[0] * 4096
        return np.column_stack((across, (0.5 - y / world) * side - frame.rows[0] * 4096))

    moved: np.ndarray = shapely.transform(geometries, change)
    return moved


def test_real_desa_lie_where_they_are_and_neighbours_share_their_border(shared_data: Path) -> None:
    villages = desa(shared_data)
    assert villages.geometries is not None
    west, south, east, north = shapely.total_bounds(villages.geometries)
    frame = Frame.of((west, south, east, north))
    true = in_units(villages.geometries, frame)
    picture = draw(true, frame)
    assert picture is not None
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
    assert len(frame.columns) * len(frame.rows) <= 4
    assert frame.zoom == 12 or max(right - left, bottom - top) >= 2000


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
