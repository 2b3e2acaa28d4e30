"""The quick way to write MultiPolygons says the same as GEOS does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers.crs import to_geojson
from layers.geojson_text import multipolygon_texts

NUMBER = st.floats(-180, 180, allow_subnormal=False)


@st.composite
def multipolygons(draw: st.DrawFn) -> Any:
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        rings = draw(
            st.lists(st.lists(st.tuples(NUMBER, NUMBER), min_size=3, max_size=6), min_size=1, max_size=3)
        )
        parts.append(shapely.Polygon(rings[0], rings[1:]))
    return shapely.MultiPolygon(parts)


def array(*shapes: Any) -> Any:
    out = np.empty(len(shapes), dtype=object)
    out[:] = shapes
    return out


@given(st.lists(st.one_of(st.none(), multipolygons()), min_size=1, max_size=4))
def test_any_multipolygons_read_back_as_geos_writes_them(shapes: list[Any]) -> None:
    texts = multipolygon_texts(array(*shapes), lambda c: c)
    if all(s is None for s in shapes):
        assert texts is None
        return
    assert texts is not None
    for text, shape in zip(texts, shapes, strict=True):
        assert json.loads(text) == (None if shape is None else json.loads(shapely.to_geojson(shape)))


@pytest.mark.parametrize(
    "shape",
    [
        shapely.Point(1, 2),
        shapely.box(0, 0, 1, 1),
        shapely.MultiPolygon(),
        shapely.force_3d(shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])),
    ],
    ids=["point", "polygon", "empty", "3D"],
)
def test_anything_else_is_left_to_geos(shape: Any) -> None:
    assert (
        multipolygon_texts(array(shapely.MultiPolygon([shapely.box(0, 0, 1, 1)]), shape), lambda c: c) is None
    )


def test_rounding_and_axis_order_hold_on_the_quick_way() -> None:
    shape = shapely.MultiPolygon([shapely.box(107.123456789, -7.0, 108.0, -6.0)])
    (lonlat,) = to_geojson(array(shape), "EPSG:4326")
    assert [107.1234568, -7.0] in json.loads(lonlat)["coordinates"][0][0]
    (latlon,) = to_geojson(array(shape), "EPSG:4326", "EPSG:4326")
    assert [-7.0, 107.1234568] in json.loads(latlon)["coordinates"][0][0]
