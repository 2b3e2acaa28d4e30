"""Vector tiles: archives against the source, neighbours without gaps, sizes, crashes, tiles on request."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import shape

from catalog.errors import CancelledRunError, ConfigError, PublishError
from catalog.model import FieldDef, FieldType, LayerSchema, VersionInfo
from layers.contract import FeatureBatch, LayerStore
from layers.postgis.reader import PostgisReader
from layers.tiles import postgis, request
from layers.tiles.archive import Archive
from layers.tiles.build import MAX_TILE, Build, build, needed
from layers.tiles.features import label_zoom
from layers.tiles.grid import EXTENT, GRIDS, HALF, Grid
from layers.tiles.options import LayerOptions
from layers.tiles.plan import LABELS, TileOptions, TilePlan, make_plan, numeric_id
from layers.tiles.state import TileFiles, stored_tiles
from tests.layers.conftest import DESA, NOW, batch, publish

MERCATOR, CRS84 = GRIDS["WebMercatorQuad"], GRIDS["WorldCRS84Quad"]
BOTH = ("WebMercatorQuad", "WorldCRS84Quad")
type Shapes = dict[str, shapely.Geometry]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiles")


@pytest.fixture(scope="module")
def store(home: Path) -> Iterator[LayerStore]:
    from catalog.settings import Settings
    from layers.open import open_store

    opened = open_store(Settings(data_dir=home), clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def desa_info(store: LayerStore, desa: FeatureBatch) -> VersionInfo:
    return publish(store, DESA, desa, layer="desa")


def order(home: Path, *grids: str) -> Build:
    return Build(home / "layers", grids or BOTH, lambda: NOW)


@pytest.fixture(scope="module")
def built(home: Path, store: LayerStore, desa_info: VersionInfo) -> TilePlan:
    plan = make_plan(desa_info, TileOptions())
    state = build(store.reader(desa_info), plan, order(home))
    assert state.state == "ready"
    return plan


def archive(home: Path, grid: Grid, layer: str = "desa") -> Archive:
    return Archive(TileFiles.of(home / "layers", layer, 1).archive(grid.id))


def decoded(raw: bytes | None) -> dict[str, Any]:
    if raw is None:
        return {}
    found: dict[str, Any] = mapbox_vector_tile.decode(
        gzip.decompress(raw), default_options={"y_coord_down": True}
    )
    return found


def stored(found: Archive, grid: Grid, zoom: int, row: int, column: int) -> dict[str, Any]:
    return decoded(found.get(*grid.stored(zoom, row, column)))


def places(info: VersionInfo, grid: Grid, zoom: int) -> Iterator[tuple[int, int]]:
    assert info.bbox is not None
    low, high, left, right = grid.limits(info.bbox, zoom)
    for row in range(low, high + 1):
        for column in range(left, right + 1):
            yield row, column


def in_tile(layer: dict[str, Any]) -> list[tuple[str, shapely.Geometry]]:
    """Features of a tile's layer as (fid, shape in tile units), cut to the tile itself."""
    edge = shapely.box(0, 0, layer["extent"], layer["extent"])
    made = []
    for feature in layer["features"]:
        one = shape(feature["geometry"])
        one = one if one.is_valid else shapely.make_valid(one)
        made.append((feature["properties"]["fid"], shapely.intersection(one, edge)))
    return made


# -- the grids


def test_webmercatorquad_is_the_well_known_one() -> None:
    assert MERCATOR.bounds(0, 0, 0) == (-HALF, -HALF, HALF, HALF)
    doc = MERCATOR.definition()
    first = doc["tileMatrices"][0]  # type: ignore[index]
    assert first["scaleDenominator"] == pytest.approx(559082264.028717)  # OGC 17-083r4, annex D
    assert first["cellSize"] == pytest.approx(156543.033928041)


def test_worldcrs84quad_is_the_well_known_one() -> None:
    doc = CRS84.definition()
    first = doc["tileMatrices"][0]  # type: ignore[index]
    assert first["scaleDenominator"] == pytest.approx(279541132.014358)
    assert (first["cellSize"], first["matrixWidth"], first["matrixHeight"]) == (0.703125, 2, 1)


@given(st.integers(1, 20), st.floats(-180, 179.99), st.floats(-89.99, 89.99), st.sampled_from(BOTH))
def test_a_place_is_in_the_tile_that_the_limits_name(zoom: int, lon: float, lat: float, name: str) -> None:
    grid = GRIDS[name]
    row, last, column, right = grid.limits((lon, lat, lon, lat), zoom)
    assert (row, column) == (last, right)
    assert grid.holds(zoom, row, column)
    x, y = grid.project(np.array([[lon, lat]]))[0]
    west, south, east, north = grid.bounds(zoom, row, column)
    slack = grid.side(zoom) * 1e-6
    assert west - slack <= x <= east + slack
    assert south - slack <= y <= north + slack
    back = grid.lonlat((x, y, x, y))
    assert back[0] == pytest.approx(lon, abs=1e-9)
    if abs(lat) < 85:
        assert back[1] == pytest.approx(lat, abs=1e-9)


# -- archives


def test_the_archive_holds_every_feature_and_no_large_tile(
    home: Path, built: TilePlan, desa: FeatureBatch
) -> None:
    state = TileFiles.of(home / "layers", "desa", 1).read()
    assert set(state.grids) == set(BOTH)
    for name, report in state.grids.items():
        assert report.largest_tile <= MAX_TILE
        assert {what for told in report.thinned.values() for what in told} == {"without_shape"}, name
        assert max(map(int, report.thinned)) < 6, (
            "desa are larger than a unit from there on, as counted below"
        )
        assert report.max_zoom == 12
    for grid in GRIDS.values():
        found = archive(home, grid)
        for zoom in (6, 9, 12):
            seen: dict[str, int] = {}
            for row, column in places(publish_info(desa), grid, zoom):
                layer = stored(found, grid, zoom, row, column).get("desa", {"features": []})
                seen |= {f["properties"]["fid"]: f["id"] for f in layer["features"]}
            assert set(seen) == set(desa.ids), (grid.id, zoom)
            assert all(seen[fid] == numeric_id(fid) for fid in seen)


def publish_info(desa: FeatureBatch) -> VersionInfo:
    assert desa.geometries is not None
    west, south, east, north = shapely.total_bounds(desa.geometries)
    return VersionInfo("desa", 1, "feature", len(desa), "", bbox=(west, south, east, north))


def test_attributes_are_those_of_the_source(home: Path, built: TilePlan, desa: FeatureBatch) -> None:
    rows = dict(zip(desa.ids, desa.rows, strict=True))
    found = archive(home, MERCATOR)
    for row, column in places(publish_info(desa), MERCATOR, 10):
        for feature in stored(found, MERCATOR, 10, row, column).get("desa", {"features": []})["features"]:
            said = feature["properties"]
            assert {k: v for k, v in rows[said["fid"]].items() if v is not None} == {
                k: v for k, v in said.items() if k != "fid"
            }


def source_in_tile(desa: FeatureBatch, grid: Grid, zoom: int, row: int, column: int, extent: int) -> Shapes:
    """The source's own shapes in a tile's units, not rounded."""
    west, _, east, north = grid.bounds(zoom, row, column)
    scale = extent / (east - west)

    def change(degrees: Any) -> Any:
        units = grid.project(degrees)
        return np.column_stack(((units[:, 0] - west) * scale, (north - units[:, 1]) * scale))

    moved = shapely.transform(desa.geometries, change)
    cut = shapely.intersection(moved, shapely.box(0, 0, extent, extent))
    return {fid: one for fid, one in zip(desa.ids, cut, strict=True) if not one.is_empty}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
def test_deep_geometry_is_the_sources_within_half_a_unit(
    home: Path, store: LayerStore, desa_info: VersionInfo, built: TilePlan, desa: FeatureBatch, grid: Grid
) -> None:
    """Zoom 14 as it is asked for, and the archive's deepest zoom, whose unit is as small as zoom 14's."""
    reader, found = store.reader(desa_info), archive(home, grid)
    deep = list(places(desa_info, grid, 14))[5::31]
    for zoom, tiles in ((14, deep), (12, list(places(desa_info, grid, 12))[::4])):
        compared = 0
        for row, column in tiles:
            tile = (
                decoded(request.make_tile(reader, built, grid, zoom, row, column))
                if zoom == 14
                else stored(found, grid, zoom, row, column)
            )
            if "desa" not in tile:
                continue
            extent = tile["desa"]["extent"]
            assert extent * 2**zoom == EXTENT * 2**14
            wanted = source_in_tile(desa, grid, zoom, row, column, extent)
            for fid, one in in_tile(tile["desa"]):
                if fid not in wanted or wanted[fid].area < 100:
                    continue
                compared += 1
                corner = 0.5 * 2**0.5 + 0.03  # half a unit in x and in y, and the 1 cm of our texts
                assert within(one, wanted[fid], corner), (zoom, row, column, fid)
                assert within(wanted[fid], one, corner), (zoom, row, column, fid)
        assert compared > 10, zoom


def within(one: shapely.Geometry, other: shapely.Geometry, distance: float) -> bool:
    """Tell whether an area, but for its outermost `distance`, lies in another."""
    left = one.buffer(0).buffer(-distance).difference(other.buffer(0))
    return bool(left.area < 0.01)


@pytest.mark.parametrize("zoom", [5, 6, 7, 8, 9, 10, 11, 12])
def test_neighbours_leave_no_gap_and_do_not_overlap(
    home: Path, built: TilePlan, desa_info: VersionInfo, zoom: int
) -> None:
    found = archive(home, MERCATOR)
    total = overlap = gap = 0.0
    for row, column in places(desa_info, MERCATOR, zoom):
        layer = stored(found, MERCATOR, zoom, row, column).get("desa")
        if layer is None:
            continue
        one, over, holes = coverage([part for _, part in in_tile(layer)])
        total, overlap, gap = total + one, overlap + over, gap + holes
    assert total > 0
    most = 3e-4 if zoom < 9 else 1e-5
    assert overlap / total < most, "areas overlap"
    assert gap / total < most, "slivers between neighbours"


@pytest.mark.parametrize("zoom", [13, 14])
def test_neighbours_meet_in_tiles_on_request(
    store: LayerStore, desa_info: VersionInfo, built: TilePlan, zoom: int
) -> None:
    total = overlap = gap = 0.0
    for row, column in list(places(desa_info, MERCATOR, zoom))[::23]:
        tile = decoded(request.make_tile(store.reader(desa_info), built, MERCATOR, zoom, row, column))
        if "desa" in tile:
            one, over, holes = coverage([part for _, part in in_tile(tile["desa"])])
            total, overlap, gap = total + one, overlap + over, gap + holes
    assert total > 0
    assert max(overlap, gap) / total < 1e-5


def coverage(parts: list[shapely.Geometry]) -> tuple[float, float, float]:
    """Area covered, area covered twice, and area of holes in what is covered (Cianjur has none)."""
    covered = shapely.union_all(parts)
    holes = sum(
        shapely.Polygon(ring).area
        for piece in shapely.get_parts(covered)
        if piece.geom_type == "Polygon"
        for ring in piece.interiors
    )
    return covered.area, sum(part.area for part in parts) - covered.area, holes


def test_a_name_stands_once_in_its_area(
    home: Path, built: TilePlan, desa_info: VersionInfo, desa: FeatureBatch
) -> None:
    found = archive(home, MERCATOR)
    names: dict[str, str] = {}
    for row, column in places(desa_info, MERCATOR, 12):
        labels = stored(found, MERCATOR, 12, row, column).get("desa" + LABELS, {})
        for feature in labels.get("features", ()):
            x, y = feature["geometry"]["coordinates"]
            if 0 <= x < labels["extent"] and 0 <= y < labels["extent"]:
                assert feature["properties"]["fid"] not in names
                names[feature["properties"]["fid"]] = feature["properties"]["name"]
    assert names == {fid: row["NAMOBJ"] for fid, row in zip(desa.ids, desa.rows, strict=True)}
    assert label_zoom(0.01, 12) > label_zoom(0.1, 12) > label_zoom(10, 12)


def test_nothing_is_built_twice_and_another_plan_is(home: Path, store: LayerStore, built: TilePlan) -> None:
    root = home / "layers"
    assert not needed(root, built, 1, BOTH)
    assert needed(root, built, 2, BOTH)
    assert not needed(root, built, 1, tuple(reversed(BOTH)))
    info = store.reader(publish_like(store)).info
    assert needed(root, make_plan(info, TileOptions(attributes=["NAMOBJ"])), 1, BOTH)


def publish_like(store: LayerStore) -> VersionInfo:
    return VersionInfo("desa", 1, "feature", 360, "", schema=DESA)


POINTS = LayerSchema((FieldDef("nama"), FieldDef("n", FieldType.INTEGER)), "Point", integer_ids=True)


def test_many_points_are_clustered_and_none_is_lost(home: Path, store: LayerStore) -> None:
    rng = np.random.default_rng(3)
    spots = rng.normal((107.1, -6.9), 0.4, (3_000, 2))
    made = batch(
        {str(i + 1): {"nama": f"Titik {i}", "n": i} for i in range(len(spots))},
        [shapely.Point(*spot) for spot in spots],
    )
    info = publish(store, POINTS, made, layer="titik")
    plan = make_plan(info, TileOptions(max_zoom=10))
    assert plan.clustered
    build(store.reader(info), plan, order(home, "WebMercatorQuad"))
    found = archive(home, MERCATOR, "titik")
    for zoom in (0, 5, 8, 10):
        counted, features = 0, 0
        for row, column in places(info, MERCATOR, zoom):
            layer = stored(found, MERCATOR, zoom, row, column).get("titik", {"features": [], "extent": 0})
            for feature in layer["features"]:
                x, y = feature["geometry"]["coordinates"]
                if 0 <= x < layer["extent"] and 0 <= y < layer["extent"]:
                    counted += feature["properties"].get("point_count", 1)
                    features += 1
        assert counted == 3_000, zoom
        assert features < 3_000 or zoom == 10


def test_a_large_layer_carries_code_and_name_only(desa_info: VersionInfo) -> None:
    from dataclasses import replace

    large = replace(desa_info, count=83_402)
    assert set(make_plan(large, TileOptions()).names()) == {"NAMOBJ", "KDEPUM"}
    assert set(make_plan(large, TileOptions(), ("LUASWH",)).names()) == {"NAMOBJ", "KDEPUM", "LUASWH"}
    assert set(make_plan(large, TileOptions(attributes=["TIPADM"])).names()) == {"NAMOBJ", "KDEPUM", "TIPADM"}
    with pytest.raises(PublishError, match="salah"):
        make_plan(large, TileOptions(attributes=["salah"]))


# -- crashes


KILLED = """
import sys, os
from pathlib import Path
from catalog.settings import Settings
from catalog.clock import utc_now
from catalog.model import VersionInfo
from layers.open import open_store
from layers.tiles.build import Build, build
from layers.tiles.plan import TileOptions, make_plan
home = Path(sys.argv[1])
store = open_store(Settings(data_dir=home))
reader = store.open_version("desa", 1)
plan = make_plan(reader.info, TileOptions(attributes=["NAMOBJ"]))
def at(percent):
    print(percent, flush=True)
    sys.stdin.readline()
build(reader, plan, Build(home / "layers", ("WebMercatorQuad",), utc_now), at)
"""


def test_a_build_that_is_killed_leaves_what_was_served(
    home: Path, store: LayerStore, built: TilePlan
) -> None:
    files = TileFiles.of(home / "layers", "desa", 1)
    before = files.archive("WebMercatorQuad").read_bytes()
    house = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(house)}, text=True, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    assert float(child.stdout.readline()) > 0
    assert files.read().state == "building"
    with files.alone() as alone:
        assert not alone
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    child.stdin.close()
    assert files.archive("WebMercatorQuad").read_bytes() == before
    with files.alone() as alone:
        assert alone
    reader = store.reader(publish_like(store))
    assert needed(home / "layers", built, 1, BOTH)
    state = build(reader, built, order(home))
    assert state.state == "ready"
    assert not files.work.exists()


def test_a_build_that_is_stopped_says_so(home: Path, store: LayerStore, desa_info: VersionInfo) -> None:
    stop = threading.Event()
    plan = make_plan(desa_info, TileOptions(attributes=["WADMKC"]))
    halted = Build(home / "layers", ("WebMercatorQuad",), lambda: datetime.now(UTC), stop=stop)
    with pytest.raises(CancelledRunError):
        build(store.reader(desa_info), plan, halted, lambda _: stop.set())
    assert TileFiles.of(home / "layers", "desa", 1).read().state == "waiting"


def test_a_failure_is_kept_and_not_tried_for_ever(
    home: Path, store: LayerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = batch({"1": {"nama": "a", "n": 1}}, ["POINT (107 -7)"])
    info = publish(store, POINTS, made, layer="rusak")
    plan = make_plan(info, TileOptions())
    monkeypatch.setattr("layers.tiles.build.tool", lambda: "/bin/false")
    with pytest.raises(PublishError, match="ended with code 1"):
        build(store.reader(info), plan, order(home))
    state = TileFiles.of(home / "layers", "rusak", 1).read()
    assert (state.state, "code 1" in state.reason) == ("failed", True)
    assert not needed(home / "layers", plan, 1, BOTH)


def test_tiles_go_with_their_version(home: Path, store: LayerStore) -> None:
    made = batch({"1": {"nama": "a", "n": 1}}, ["POINT (107 -7)"])
    info = publish(store, POINTS, made, layer="sementara")
    build(store.reader(info), make_plan(info, TileOptions()), order(home))
    root = home / "layers"
    held = archive(home, MERCATOR, "sementara")
    assert stored_tiles(root, "sementara") == [1]
    assert store.versions("sementara") == [1]
    store.remove("sementara", 1)
    assert stored_tiles(root, "sementara") == []
    assert held.get(0, 0, 0) is not None  # those who read it keep it


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PMTiles", b"x" * 200):
        path = tmp_path / "1.pmtiles"
        path.write_bytes(content)
        with pytest.raises(PublishError):
            Archive(path)


# -- on request


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
def test_on_request_and_archive_hold_the_same(
    home: Path, store: LayerStore, desa_info: VersionInfo, built: TilePlan, grid: Grid
) -> None:
    found, reader = archive(home, grid), store.reader(desa_info)
    for row, column in places(desa_info, grid, 9):
        kept = stored(found, grid, 9, row, column).get("desa", {"features": []})
        made = decoded(request.make_tile(reader, built, grid, 9, row, column)).get("desa", {"features": []})
        # the rims differ (tippecanoe keeps 5 of 256, we 64 of 4096), so only what is in the tile counts
        want, got = (
            {fid: one.area for fid, one in in_tile(t)} if t["features"] else {} for t in (kept, made)
        )
        for fid in want.keys() | got.keys():  # the archive is simplified by half a pixel, 4 units
            assert abs(want.get(fid, 0) - got.get(fid, 0)) < 0.02 * got.get(fid, 0) + 400, fid


def test_too_much_at_once_is_refused(
    store: LayerStore, desa_info: VersionInfo, built: TilePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "MOST_FEATURES", 300)
    with pytest.raises(request.TileBusyError):
        request.make_tile(store.reader(desa_info), built, MERCATOR, 3, 4, 6)


def test_postgis_makes_the_same_tiles(postgres: Any, desa: FeatureBatch, tmp_path: Path) -> None:
    from catalog.settings import Settings
    from layers.open import open_store

    grown = open_store(Settings(layers=postgres.database(postgis=True), data_dir=tmp_path), clock=lambda: NOW)
    try:
        info = publish(grown, DESA, desa, layer="desa")
        plan, reader = make_plan(info, TileOptions()), grown.reader(info)
        assert isinstance(reader, PostgisReader)
        for grid in GRIDS.values():
            for zoom in (0 + grid.first_zoom, 9, 14):
                for row, column in list(places(info, grid, zoom))[:400:40]:
                    ours = tile_facts(request.make_tile(reader, plan, grid, zoom, row, column))
                    theirs = tile_facts(postgis.make_tile(reader, plan, grid, zoom, row, column))
                    for fid in ours.keys() | theirs.keys():  # each rounds what it cuts in its own way
                        one, other = ours.get(fid), theirs.get(fid)
                        assert one is None or other is None or one[:2] == other[:2]
                        areas = [0 if known is None else known[2] for known in (one, other)]
                        assert areas[0] == pytest.approx(areas[1], rel=2e-3, abs=60)
    finally:
        grown.close()


def tile_facts(raw: bytes | None) -> dict[str, tuple[int, dict[str, Any], float]]:
    """Feature id -> number, attributes and area within the tile, of what has an area there."""
    layer = decoded(raw).get("desa")
    if layer is None:
        return {}
    areas = dict(in_tile(layer))
    return {
        f["properties"]["fid"]: (f["id"], f["properties"], areas[f["properties"]["fid"]].area)
        for f in layer["features"]
        if areas[f["properties"]["fid"]].area > 4
    }


# -- what the source's file says


def test_options_of_a_layer_are_read_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    file = tmp_path / "sources" / "a.yml"
    text = (
        "id: a\ntype: file\nurl: x.gpkg\nprodusen_data: B\nlayers:\n"
        "  - {remote: desa, id: batas, tiles: {max_zoom: 9}}\n  - {remote: '*'}\n"
    )
    file.write_text(text, "utf-8")
    options = LayerOptions(tmp_path)
    assert options.tiles("a", "desa", "batas").max_zoom == 9
    assert options.tiles("a", "lain", "lain").max_zoom == 12
    assert options.of("b", "x", "x") == {}
    file.write_text("id: [", "utf-8")
    options._looked = -100.0
    assert options.tiles("a", "desa", "batas").max_zoom == 9  # broken just now: what was known holds
    file.write_text(text.replace("max_zoom: 9", "maxzoom: 9"), "utf-8")
    options._looked = -100.0
    with pytest.raises(ConfigError, match="maxzoom"):
        options.tiles("a", "desa", "batas")


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_features_number_tells_features_apart(one: str, other: str) -> None:
    assert 0 <= numeric_id(one) < 2**53
    if one.replace(".", "") != other.replace(".", ""):
        assert numeric_id(one) != numeric_id(other)
    assert numeric_id("32.03.01.1006") == 3203011006


def test_the_note_is_readable_json(home: Path, built: TilePlan) -> None:
    note = json.loads(TileFiles.of(home / "layers", "desa", 1).note.read_text("utf-8"))
    assert note["tool"].startswith("tippecanoe")
