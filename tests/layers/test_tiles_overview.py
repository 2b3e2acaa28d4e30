"""Overview zooms of areas, by area: the 5,957 desa of Jawa Barat, whose kabupaten do not quite meet."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.model import FieldDef, FieldType, LayerSchema, VersionInfo
from catalog.settings import Settings
from layers.contract import FeatureBatch, LayerStore
from layers.open import open_store
from layers.tiles.archive import Archive
from layers.tiles.build import Build, build, tool
from layers.tiles.coverage import NotCoverageError, Pyramid, degrees_per_unit, in_units
from layers.tiles.features import Areas
from layers.tiles.grid import EXTENT, GRIDS, HALF
from layers.tiles.overview import Overview, metres
from layers.tiles.plan import FULL_ATTRIBUTES, SLIM, TileOptions, make_plan
from layers.tiles.state import TileFiles
from tests.layers.conftest import NOW, batch, publish
from tests.layers.test_tiles import decoded, in_tile, places, stored

MERCATOR = GRIDS["WebMercatorQuad"]
SCHEMA = LayerSchema(
    (FieldDef("NAMOBJ"), FieldDef("KDPKAB"), FieldDef("LUASWH", FieldType.REAL)), "MultiPolygon"
)


@pytest.fixture(scope="module")
def jabar(shared_data: Path) -> FeatureBatch:
    names = ["KDEPUM", "NAMOBJ", "KDPKAB", "LUASWH", "geometry"]
    found = pq.read_table(shared_data / "desa_2025.parquet", columns=names, filters=[("KDPPUM", "=", "32")])
    rows = found.drop_columns(["geometry"]).to_pylist()
    ids = [row.pop("KDEPUM") for row in rows]
    shapes = shapely.from_wkb(found["geometry"].to_numpy(zero_copy_only=False))
    return FeatureBatch(ids, rows, shapes)


@pytest.fixture(scope="module")
def pyramid(jabar: FeatureBatch) -> Pyramid:
    assert jabar.geometries is not None
    return Pyramid(jabar.geometries, 8)


def units(pyramid: Pyramid, zoom: int) -> np.ndarray:
    level = pyramid.level(zoom)
    assert level.features.tolist() == list(range(len(level.shapes)))
    unit = 2 * HALF / (EXTENT << zoom)
    return in_units(level.shapes, lambda degrees: metres(MERCATOR, degrees) / unit)


def ground(shapes: np.ndarray) -> tuple[float, float, float]:
    """Area covered, covered twice, and in holes thinner than half a pixel (8 units are one)."""
    whole = shapely.union_all(shapes)
    areas = [part for part in shapely.get_parts(whole) if part.geom_type == "Polygon"]
    rings = [ring for part in areas for ring in part.interiors]
    holes = [hole for hole in map(shapely.Polygon, rings) if hole.buffer(-2).is_empty]
    return whole.area, shapely.area(shapes).sum() - whole.area, sum(hole.area for hole in holes)


@pytest.mark.parametrize("zoom", [5, 6, 8])
def test_every_desa_is_there_and_none_overlaps_or_leaves_a_sliver(pyramid: Pyramid, zoom: int) -> None:
    shapes = units(pyramid, zoom)
    assert (shapely.area(shapes) > 0).all()
    exact = shapely.area(pyramid.level(zoom).shapes) / degrees_per_unit(zoom) ** 2
    assert (shapely.area(shapes) > exact / 2 - 2).all()
    covered, twice, slivers = ground(shapes)
    assert twice <= 1e-5 * covered
    assert slivers <= 1e-5 * covered


def test_the_ground_is_the_sources(pyramid: Pyramid, jabar: FeatureBatch) -> None:
    """The province keeps its size, and a large desa its own."""
    own = shapely.area(jabar.geometries)
    for zoom in (5, 8):
        made = shapely.area(pyramid.level(zoom).shapes)
        assert made.sum() == pytest.approx(own.sum(), rel=2e-3)
        large = own > (24 * degrees_per_unit(zoom)) ** 2  # three pixels wide
        assert np.abs(made[large] / own[large] - 1).max() < 0.5
        assert np.median(np.abs(made[large] / own[large] - 1)) < 0.05


@pytest.mark.parametrize("zoom", [3, 4])
def test_what_is_merged_stands_for_its_largest(jabar: FeatureBatch, pyramid: Pyramid, zoom: int) -> None:
    assert jabar.geometries is not None
    alone = Pyramid(jabar.geometries[:1500], 6)  # one of its own: merging is kept for the zooms above
    level = alone.level(zoom, merge=1)
    pixel = 8 * degrees_per_unit(zoom)
    own = shapely.area(jabar.geometries[:1500])
    assert 20 < len(level.features) < 1_000
    inside = shapely.point_on_surface(jabar.geometries[:1500])
    area, desa = shapely.STRtree(level.shapes).query(inside, predicate="within")[::-1]
    assert len(np.unique(desa)) > 1_450  # the rest are so small that simplifying moved them
    wrong = own[desa] > own[level.features[area]] * 1.0001
    assert wrong.mean() < 0.02, "an area is shown by one of its smaller desa"
    grown = shapely.area(level.shapes)[own[level.features] > 4 * pixel * pixel]
    assert (grown < 1.5 * own[level.features][own[level.features] > 4 * pixel * pixel]).all()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LayerStore]:
    opened = open_store(Settings(data_dir=tmp_path_factory.mktemp("overview")), clock=lambda: NOW)
    yield opened
    opened.close()


def few(jabar: FeatureBatch) -> FeatureBatch:
    assert jabar.geometries is not None
    return FeatureBatch(jabar.ids[:1200], jabar.rows[:1200], jabar.geometries[:1200])


def test_a_large_layers_archive_is_whole_and_slim_above(
    jabar: FeatureBatch, store: LayerStore, tmp_path: Path
) -> None:
    info = publish(store, SCHEMA, few(jabar), layer="jabar")
    plan = make_plan(dataclasses.replace(info, count=FULL_ATTRIBUTES + 1), TileOptions(max_zoom=9))
    assert plan.slim == ()
    state = build(store.reader(info), plan, Build(tmp_path, ("WebMercatorQuad",), lambda: NOW))
    thinned = state.grids["WebMercatorQuad"].thinned
    assert thinned.keys() == {"0", "1", "2", "3"}  # where a unit is 3 km and more
    found = Archive(TileFiles.of(tmp_path, "jabar", 1).archive("WebMercatorQuad"))
    assert found.zooms == (0, 9)
    metadata = found.metadata()
    assert "generator_options" not in metadata  # it names this machine's folders
    assert {one["id"]: one["minzoom"] for one in metadata["vector_layers"]} == {"jabar": 0, "jabar:label": 0}
    for zoom in (1, 3, 5, 6, 8, 9):
        seen: set[str] = set()
        for row, column in places(info, MERCATOR, zoom):
            layer = stored(found, MERCATOR, zoom, row, column).get("jabar")
            for feature in layer["features"] if layer else ():
                names = set(feature["properties"])
                assert names == ({"fid"} if zoom < SLIM else {"fid", "NAMOBJ"})
                assert ("id" in feature and feature["id"] > 0) == (zoom >= SLIM)
                seen.add(feature["properties"]["fid"])
        assert len(seen) == 1200 - thinned.get(str(zoom), {}).get("without_shape", 0), zoom
        assert zoom < 5 or seen == set(info_ids(jabar))


def info_ids(jabar: FeatureBatch) -> list[str]:
    return list(few(jabar).ids)


def test_a_small_limit_makes_tiles_coarser_and_then_merges(jabar: FeatureBatch, tmp_path: Path) -> None:
    """What 83,402 desa are to 500 KB, these are to 14 KB."""
    chosen = few(jabar)
    assert chosen.geometries is not None
    info = VersionInfo("jabar", 1, "feature", FULL_ATTRIBUTES + 1, "", schema=SCHEMA)
    areas = Areas(ids=list(chosen.ids), rows=[{"fid": fid} for fid in chosen.ids])
    told: dict[int, dict[str, int]] = {}

    def run(given: list[str]) -> None:
        subprocess.run([tool(), "--quiet", *given], check=True, capture_output=True)

    pyramid = Pyramid(chosen.geometries, 6)
    made = Overview(make_plan(info, TileOptions()), MERCATOR, pyramid, areas, tmp_path, 14_000, run).build(
        told
    )
    for zoom, path in enumerate(made):
        found = Archive(path)
        shown: set[str] = set()
        for x, y in ((x, y) for x in range(2**zoom) for y in range(2**zoom)):
            raw = found.get(zoom, x, y)
            assert raw is None or len(raw) <= 14_000
            layer = decoded(raw).get("jabar")
            if layer is None:
                continue
            parts = in_tile(layer)
            shown |= {fid for fid, _ in parts}
            covered, twice, slivers = ground(np.array([one for _, one in parts]))
            assert zoom < 4 or max(twice, slivers) <= 1e-4 * covered + 8, zoom
        lost = told.get(zoom, {})
        assert len(shown) == 1200 - lost.get("merged", 0) - lost.get("without_shape", 0), zoom
    assert told[6].keys() == {"units"}, "coarser comes before merged"
    assert 0 < told[4]["merged"] < 1200


def test_borders_that_do_not_meet_are_joined_and_overlaps_go_to_one() -> None:
    left, right = shapely.box(106, -7, 106.5, -6.5), shapely.box(106.5001, -7, 107, -6.5)
    over = shapely.box(106.9999, -7, 107.5, -6.5)
    shapes = units(Pyramid(np.array([left, right, over], dtype=object), 8), 8)
    covered, twice, _ = ground(shapes)
    assert twice == 0
    assert shapely.union_all(shapes).geom_type == "Polygon"
    assert covered == pytest.approx(shapely.area(shapes).sum())


def test_areas_that_overlap_on_purpose_are_left_to_overlap(store: LayerStore, tmp_path: Path) -> None:
    wide, inner = (
        "POLYGON ((106 -7, 108 -7, 108 -6, 106 -6, 106 -7))",
        "POLYGON ((106.5 -6.8, 107.5 -6.8, 107.5 -6.2, 106.5 -6.2, 106.5 -6.8))",
    )
    shapes = np.array([shapely.from_wkt(wide), shapely.from_wkt(inner)], dtype=object)
    with pytest.raises(NotCoverageError):
        Pyramid(shapes, 8)
    schema = LayerSchema((FieldDef("nama"),), "Polygon", integer_ids=True)
    info: VersionInfo = publish(
        store, schema, batch({"1": {"nama": "zona"}, "2": {"nama": "inti"}}, [wide, inner]), layer="zona"
    )
    build(
        store.reader(info), make_plan(info, TileOptions()), Build(tmp_path, ("WebMercatorQuad",), lambda: NOW)
    )
    found = Archive(TileFiles.of(tmp_path, "zona", 1).archive("WebMercatorQuad"))
    for zoom in (5, 8, 9):
        sizes = {"1": 0.0, "2": 0.0}
        for row, column in places(info, MERCATOR, zoom):
            layer = stored(found, MERCATOR, zoom, row, column).get("zona")
            for fid, one in in_tile(layer) if layer else ():
                sizes[fid] += one.area
        assert sizes["2"] == pytest.approx(sizes["1"] * 0.3, rel=0.05), zoom


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=4, max_size=60, unique=True))
def test_rounding_neither_loses_an_area_nor_covers_ground_twice(spots: list[tuple[int, int]]) -> None:
    """Areas down to a hundredth of a unit, as cities have them at zoom 5."""
    points = shapely.MultiPoint([(x / 60, y / 60) for x, y in spots])
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=shapely.box(-1, -1, 8, 8)))
    if len(cells) < 3:
        return
    made = in_units(cells, lambda numbers: numbers)
    assert (shapely.area(made) > 0).mean() > 0.9
    covered, twice, _ = ground(made)
    assert twice <= 0.02 * covered


def test_where_nearly_all_is_below_a_unit_ground_is_still_covered_once() -> None:
    """A country's villages on one tile: those that keep a shape tile it, and an island is not lost."""
    side = 160
    grid = [(x, y) for x in range(side) for y in range(side)]
    cells = np.array([shapely.box(x, y, x + 1, y + 1) for x, y in grid], dtype=object)
    island = shapely.box(side + 60, 10, side + 60.5, 10.5)
    made = in_units(np.append(cells, island), lambda numbers: numbers * 0.3)
    flat = shapely.area(made) == 0
    assert 10_000 < flat[:-1].sum() < side * side
    covered, twice, _ = ground(made[:-1])
    assert covered == pytest.approx((side * 0.3) ** 2, rel=0.01)
    assert twice == 0
    assert shapely.area(made[-1]) == 1
