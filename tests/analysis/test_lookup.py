"""The index gives what GEOS and the geodesic say, on squares, on real desa, in any order."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from analysis.lookup import GEOD, DesaIndex
from analysis.lookup_build import Boundaries, build, from_reader, opened
from analysis.lookup_cells import BORDER, OUTSIDE
from analysis.ragged import Ragged, spans
from catalog.errors import NotFoundError, RecordError
from catalog.model import FieldDef, LayerSchema
from catalog.settings import Settings
from layers.contract import FeatureBatch
from layers.open import open_store
from tests.analysis.boundaries import DEGREE, SOUTH, WEST, square


def sample(index: DesaIndex, count: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Points all over, a quarter of them on vertices, on edges, and a hair beside them."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(index), count)
    box = index.boxes[rows]
    x = box[:, 0] + rng.random(count) * (box[:, 2] - box[:, 0])
    y = box[:, 1] + rng.random(count) * (box[:, 3] - box[:, 1])
    near = np.arange(0, count, 4)
    starts = np.flatnonzero(~index.polygons.ring_ends())
    at = rng.choice(starts, len(near))
    share = rng.choice([0.0, 0.5, 0.3], len(near))[:, None]
    a, b = index.polygons.coords[at], index.polygons.coords[at + 1]
    hair = rng.choice([0.0, 1e-9, 1e-5], len(near))[:, None] * rng.choice([-1, 1], (len(near), 2))
    x[near], y[near] = (a + share * (b - a) + hair).T
    return x, y


def test_points_are_where_a_plain_tree_says(country: DesaIndex) -> None:
    x, y = sample(country, 20_000)
    shapes = country.polygons.shapes(np.arange(len(country)))
    pairs = shapely.STRtree(shapes).query(shapely.points(x, y), predicate="intersects")
    expected = np.full(len(x), -1)
    for point, row in sorted(zip(*pairs.tolist(), strict=True), reverse=True):
        expected[point] = row
    found, covering = country.where(x, y)
    assert np.array_equal(found, expected)
    assert np.array_equal(covering, np.bincount(pairs[0], minlength=len(x)))
    assert (covering > 1).any()
    assert (found < 0).any()


def test_the_fine_grid_never_contradicts_the_polygons(country: DesaIndex) -> None:
    x, y = sample(country, 40_000, seed=8)
    assert country.grid is not None
    owner = country.grid.owners(x, y)
    found, covering = country.where(x, y)
    sure = owner != BORDER
    assert sure.mean() > 0.2
    assert np.array_equal(np.where(owner[sure] == OUTSIDE, -1, owner[sure]), found[sure])
    assert (covering[sure] <= 1).all()


def test_distance_is_the_geodesic_to_the_nearest_border_point(country: DesaIndex) -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(0, len(country), 60)
    away = rng.choice([0.0, 0.001, 0.01, 0.3], 60)
    angle = rng.random(60) * 2 * np.pi
    vertex = country.polygons.coords[country.polygons.vertex_spans(rows)[0]]
    x, y = vertex[:, 0] + away * np.cos(angle), vertex[:, 1] + away * np.sin(angle)
    found = country.border_distance(rows, x, y)
    for row, px, py, metres in zip(rows, x, y, found, strict=True):
        border = country.polygons.shapes(np.array([row]))[0].boundary
        dense = shapely.get_coordinates(shapely.segmentize(border, 2e-4))
        many = np.full(len(dense), px), np.full(len(dense), py)
        oracle = Geod(ellps="WGS84").inv(*many, dense[:, 0], dense[:, 1])[2].min()
        # the oracle steps along the border by up to 22 m, so it can only be too long
        assert metres <= oracle * 1.0005 + 1e-3
        assert metres >= oracle * 0.9995 - 12 * min(1.0, 12 / max(metres, 1e-9)) - 1e-3


def test_distance_across_the_country_stays_within_half_a_percent(country: DesaIndex) -> None:
    rows = np.arange(0, len(country), 37)
    x, y = np.full(len(rows), 118.0), np.full(len(rows), -2.0)
    found = country.border_distance(rows, x, y)
    for row, metres in zip(rows, found, strict=True):
        vertices = shapely.get_coordinates(country.polygons.shapes(np.array([row]))[0])
        many = np.full(len(vertices), 118.0), np.full(len(vertices), -2.0)
        oracle = GEOD.inv(*many, vertices[:, 0], vertices[:, 1])[2].min()
        assert metres == pytest.approx(oracle, rel=5e-3)


def test_a_known_distance(squares: DesaIndex) -> None:
    x, y = np.array([WEST - 0.001]), np.array([SOUTH + 0.005])
    expected = GEOD.inv(WEST - 0.001, SOUTH + 0.005, WEST, SOUTH + 0.005)[2]
    assert squares.border_distance(np.array([0]), x, y)[0] == pytest.approx(expected, abs=1e-3)


def test_the_distance_to_a_desa_of_two_islands_goes_to_the_nearer(squares: DesaIndex) -> None:
    x, y = np.array([WEST + 7.9 * DEGREE]), np.array([SOUTH + 8.5 * DEGREE])
    expected = GEOD.inv(x[0], y[0], WEST + 8 * DEGREE, y[0])[2]
    assert squares.border_distance(np.array([2]), x, y)[0] == pytest.approx(expected, abs=1e-3)


def test_areas_are_equal_area(country: DesaIndex) -> None:
    for row in range(0, len(country), 97):
        geodesic = abs(GEOD.geometry_area_perimeter(country.polygons.shapes(np.array([row]))[0])[0])
        assert country.areas[row] == pytest.approx(geodesic, rel=2e-4)


def test_few_cached_polygons_give_the_same_answers(country: DesaIndex) -> None:
    poor = DesaIndex(country.folder, cached_vertices=500)
    x, y = sample(country, 2_000, seed=9)
    assert np.array_equal(poor.where(x, y)[0], country.where(x, y)[0])


def test_features_of_one_code_become_one_region_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    shapes = np.array([square(3, 0), square(0, 0), None, square(1, 0)], object)
    codes = ["3203012002", "32.03.01.2001", "32.03.01.2003", "32.03.01.2001"]
    index = build(
        [Boundaries(codes, ["b", "a", "c", "a"], shapes)],
        tmp_path / "i",
        skema="kemendagri",
        vintage=2025,
        version="1",
    )
    assert index.codes.to_pylist() == ["32.03.01.2001", "32.03.01.2002"]
    assert index.where(np.array([WEST + 1.5 * DEGREE]), np.array([SOUTH + 0.001]))[0].tolist() == [0]


def test_an_index_of_another_version_is_made_again(tmp_path: Path) -> None:
    one = Boundaries(["32.03.01.2001"], ["a"], np.array([square(0, 0)], object))
    make = partial(opened, folder=tmp_path / "i", skema="kemendagri", vintage=2025)
    make([one], version="1")
    assert make([], version="1").info.version == "1"  # not read again
    two = Boundaries(["32.03.01.2002"], ["b"], np.array([square(0, 0)], object))
    assert make([two], version="2").code(0) == "32.03.01.2002"


def test_what_can_not_be_indexed_is_said(tmp_path: Path) -> None:
    make = partial(build, folder=tmp_path / "i", skema="kemendagri", vintage=2025, version="1")
    with pytest.raises(RecordError, match="no boundaries"):
        make([])
    with pytest.raises(RecordError, match="kabkota"):
        make([Boundaries(["32.03"], ["x"], np.array([square(0, 0)], object))])
    with pytest.raises(NotFoundError):
        DesaIndex(tmp_path / "i")
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 9)), max_size=20))
def test_spans(pairs: list[tuple[int, int]]) -> None:
    starts, lengths = np.array([p[0] for p in pairs], int), np.array([p[1] for p in pairs], int)
    expected = [start + i for start, length in pairs for i in range(length)]
    assert spans(starts, lengths).tolist() == expected


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0, 1, 2, 3, 4]), min_size=1, max_size=8))
def test_polygons_come_back_as_they_went_in(squares: DesaIndex, rows: list[int]) -> None:
    shapes = squares.polygons.shapes(np.array(rows))
    again = Ragged.join([Ragged.of(shapes[:1]), Ragged.of(shapes)])
    assert shapely.equals_identical(again.shapes(np.arange(1, len(rows) + 1)), shapes).all()
    assert len(again) == len(rows) + 1


def test_boundaries_come_from_a_stored_layer(tmp_path: Path) -> None:
    store = open_store(Settings(data_dir=tmp_path))
    schema = LayerSchema(fields=(FieldDef("kode"), FieldDef("nama")), geometry_type="MultiPolygon")
    writer = store.writer("desa", schema, "s")
    rows = [{"kode": "32.03.01.2001", "nama": "Satu"}, {"kode": "32.03.01.2002", "nama": "Dua"}]
    shapes = np.array([shapely.MultiPolygon([square(0, 0)]), shapely.MultiPolygon([square(1, 0)])], object)
    writer.write("1", FeatureBatch(["a", "b"], rows, shapes))
    reader = store.reader(writer.finish(1, "run"))
    made = build(
        from_reader(reader, code="kode", name="nama"),
        tmp_path / "i",
        skema="kemendagri",
        vintage=2025,
        version="1",
    )
    assert made.names.to_pylist() == ["Satu", "Dua"]
    store.close()


def test_stretches_leave_the_distance_as_it_is(country: DesaIndex) -> None:
    """Without the boxes, over all vertices at once, the nearest border point is the same to the last digit."""
    rng = np.random.default_rng(13)
    rows = rng.integers(0, len(country), 400)
    box = country.boxes[rows]
    spread = rng.choice([0.5, 3.0, 300.0], 400)
    x, y = ((box[:, a] + box[:, a + 2]) / 2 + rng.normal(0, 0.01, 400) * spread for a in (0, 1))
    whole = DesaIndex(country.folder)
    _, lengths = country.polygons.vertex_spans(rows)
    everything = SimpleNamespace(
        counts=lambda r: np.ones(len(r), int),
        near=lambda r, *_: (np.arange(len(r)), *country.polygons.vertex_spans(r)),
    )
    whole.__dict__["_stretches"] = everything
    assert (lengths > 16).any()
    assert np.array_equal(country.border_distance(rows, x, y), whole.border_distance(rows, x, y))
