"""Esri JSON geometries: whatever the order of rings and vertices, the same shape comes out."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from harvesters.arcgis.curves import densify
from harvesters.arcgis.geometry import parse_geometries

POLYGON = "esriGeometryPolygon"


def rings_of(shape: Any) -> list[list[list[float]]]:
    parts = shapely.get_parts(shape)
    return [shapely.get_coordinates(r).tolist() for p in parts for r in shapely.get_rings(p)]


def one(kind: str, raw: Any) -> Any:
    shapes, bad = parse_geometries(kind, [raw])
    assert not bad, bad
    return shapes[0]


def square(x: float, y: float, size: float) -> list[list[float]]:
    return [[x, y], [x, y + size], [x + size, y + size], [x + size, y], [x, y]]


def test_the_captured_page_of_big_keeps_its_area_and_its_holes(shared_samples: Path) -> None:
    page = orjson.loads((shared_samples / "big_desakel_query_esri.assembled.json").read_bytes())
    raw = [f["geometry"] for f in page["features"]]
    shapes, bad = parse_geometries(POLYGON, raw)
    assert not bad
    for shape, geometry in zip(shapes, raw, strict=True):
        assert shape.geom_type == "MultiPolygon"
        assert len(shapely.get_coordinates(shape)) == sum(map(len, geometry["rings"]))


@st.composite
def nested(draw: st.DrawFn) -> Any:
    """Islands with lakes with islands in them, in any number, as a valid MultiPolygon."""
    parts = []
    for column in range(draw(st.integers(1, 4))):
        x, size = column * 20.0, 16.0
        for level in range(draw(st.integers(1, 4))):
            inset = level * 2.0
            outer = square(x + inset, inset, size - 2 * inset)
            if level % 2 == 0:
                has_hole = draw(st.booleans()) or level < 0
                hole = square(x + inset + 2, inset + 2, size - 2 * inset - 4)
                if has_hole and size - 2 * inset - 4 > 0:
                    parts.append(shapely.Polygon(outer, [hole]))
                else:
                    parts.append(shapely.Polygon(outer))
                    break
    return shapely.MultiPolygon(parts)


@settings(max_examples=150)
@given(nested(), st.randoms(use_true_random=False))
def test_order_and_direction_of_rings_do_not_matter(shape: Any, rnd: random.Random) -> None:
    rings = rings_of(shape)
    rnd.shuffle(rings)
    turned = [r[::-1] if rnd.random() < 0.5 else r for r in rings]
    assert shapely.equals(one(POLYGON, {"rings": turned}), shape)


def test_real_villages_with_islands_come_out_as_they_went_in(shared_data: Path) -> None:
    import fiona

    with fiona.open(shared_data / "admin_light.gpkg", layer="kabkota") as layer:
        shapes = [shapely.geometry.shape(f.geometry) for f in layer]
    rnd = random.Random(3)
    raw: list[Any] = []
    for shape in shapes:
        rings = rings_of(shape)
        rnd.shuffle(rings)
        raw.append({"rings": rings})
    got, bad = parse_geometries(POLYGON, raw)
    assert not bad
    assert [g.geom_type for g in got] == ["MultiPolygon"] * len(raw)
    assert shapely.equals(got, np.array(shapes, dtype=object)).all()


def test_a_hole_that_touches_its_shell_is_a_hole() -> None:
    shape = one(POLYGON, {"rings": [square(0, 0, 10), [[0, 0], [5, 2], [2, 5], [0, 0]]]})
    assert len(shape.geoms) == 1
    assert len(shape.geoms[0].interiors) == 1


def test_a_ring_written_twice_does_not_cancel_itself() -> None:
    ring = square(0, 0, 10)
    other_start = [*ring[2:], *ring[1:3]]
    assert one(POLYGON, {"rings": [ring, other_start, ring[::-1]]}).area == pytest.approx(100)


def test_neighbours_that_share_an_edge_stay_two_parts() -> None:
    shape = one(POLYGON, {"rings": [square(0, 0, 1), square(1, 0, 1)]})
    assert len(shape.geoms) == 2


@pytest.mark.parametrize(
    "ring",
    [
        [[0, 0, 5, 1], [0, 1, 5, 1], [1, 1, 5, 1], [0, 0, 5, 1]],
        [[0, 0, 5], [0, 1], [1, 1, None], [0, 0, 5]],
        [[0, 0, None, None], [0, 1, None, None], [1, 1, None, None], [0, 0, None, None]],
        [[0, 0], [0, 1], [1, 1]],
    ],
    ids=["ZM", "Z here and there", "Z and M null", "not closed"],
)
def test_z_and_m_are_dropped_and_rings_closed(ring: list[Any]) -> None:
    shape = one(POLYGON, {"rings": [ring], "hasZ": True})
    assert not shape.has_z
    assert shape.area == pytest.approx(0.5)


def test_no_geometry_is_none_and_a_bad_one_harms_only_itself() -> None:
    good = {"rings": [square(0, 0, 1)]}
    raw: list[Any] = [
        good,
        None,
        {"rings": []},
        {"rings": [[[0, 0], ["x", 1], [1, 1], [0, 0]]]},
        {"rings": [[[0, 0]]]},
        good,
    ]
    shapes, bad = parse_geometries(POLYGON, raw)
    assert list(bad) == [3]
    assert [s is not None for s in shapes] == [True, False, False, False, False, True]
    shapes, bad = parse_geometries(POLYGON, [{"rings": [[[0, 0], [float("nan"), 1], [1, 1]]]}])
    assert list(bad) == [0]


def test_points_lines_and_envelopes() -> None:
    shapes, bad = parse_geometries(
        "esriGeometryPoint", [{"x": 1, "y": 2, "z": 3}, {"x": "NaN", "y": "NaN"}, {"x": None}]
    )
    assert not bad
    assert shapes[0].equals(shapely.Point(1, 2))
    assert [shapes[1], shapes[2]] == [None, None]
    assert one("esriGeometryMultipoint", {"points": [[0, 0], [1, 1]]}).geom_type == "MultiPoint"
    lines = one("esriGeometryPolyline", {"paths": [[[0, 0], [3, 4]], [[9, 9]], [[0, 0], [0, 1]]]})
    assert lines.geom_type == "MultiLineString"
    assert lines.length == pytest.approx(6)
    assert one("esriGeometryEnvelope", {"xmin": 0, "ymin": 0, "xmax": 2, "ymax": 3}).area == pytest.approx(6)
    with pytest.raises(ValueError, match="unknown geometry type"):
        parse_geometries("esriGeometryMultiPatch", [{}])


def test_curves_are_densified_on_the_true_arc() -> None:
    half = {"c": [[2, 0], [1, 1]]}
    shape = one(POLYGON, {"curveRings": [[[0, 0], half, [0, 0]]]})
    assert shape.area == pytest.approx(math.pi / 2, rel=2e-3)
    xy = shapely.get_coordinates(shape)
    assert np.allclose(np.hypot(xy[:-2, 0] - 1, xy[:-2, 1]), 1)
    by_centre = {"a": [[2, 0], [1, 0], 1, 1]}
    assert one(POLYGON, {"curveRings": [[[0, 0], by_centre, [0, 0]]]}).area == pytest.approx(
        math.pi / 2, rel=2e-3
    )
    circle = {"c": [[0, 0], [2, 0]]}
    assert one(POLYGON, {"curveRings": [[[0, 0], circle]]}).area == pytest.approx(math.pi, rel=2e-3)
    line = one("esriGeometryPolyline", {"curvePaths": [[[0, 0], {"b": [[3, 0], [1, 2], [2, 2]]}]]})
    assert line.bounds[3] == pytest.approx(1.5, rel=1e-3)
    assert densify([[0, 0], {"c": [[2, 2], [1, 1]]}]) == [[0, 0], [1, 1], [2, 2]]


@given(st.floats(0.1, 6.2), st.booleans(), st.floats(0.1, 50), st.floats(-3.1, 3.1))
def test_an_arc_keeps_its_radius_its_end_and_its_direction(
    turn: float, clockwise: bool, radius: float, start: float
) -> None:
    def at(angle: float) -> list[float]:
        return [radius * math.cos(angle), radius * math.sin(angle)]

    end = start + (-turn if clockwise else turn)
    path = densify([at(start), {"a": [at(end), [0, 0], 0, int(clockwise)]}])
    assert np.allclose([math.hypot(x, y) for x, y in path], radius)
    assert path[-1] == at(end)
    assert shapely.LineString(path).length == pytest.approx(radius * turn, rel=1e-3)


def test_an_ellipse_is_stretched_and_turned() -> None:
    # half of an ellipse with axes 2 and 1 along the diagonal
    a, rotation = 2.0, math.pi / 4
    p = [a * math.cos(rotation), a * math.sin(rotation)]
    q = [-p[0], -p[1]]
    path = densify([p, {"a": [q, [0, 0], 0, 0, rotation, a, 0.5]}])
    assert shapely.Polygon(path).area == pytest.approx(math.pi * 2 * 1 / 2, rel=2e-3)


@pytest.mark.parametrize("path", [[{"c": [[1, 1], [0, 1]]}], [[0, 0], {"z": []}]])
def test_unknown_curves_are_said(path: list[Any]) -> None:
    with pytest.raises(ValueError, match="curve"):
        densify(path)
