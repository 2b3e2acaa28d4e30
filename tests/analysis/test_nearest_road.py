"""The nearest facilities over roads: against networkx-free brute force, one-way, access, what no road reaches."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from analysis.lookup import GEOD
from analysis.nearest import Asal, FacilityIndex, Fasilitas
from analysis.nearest_road import RoadFinder
from analysis.roads import RoadNetwork, directions
from catalog.errors import QueryError

X, Y, D = 107.0, -6.9, 0.01


def line(*points: tuple[float, float]) -> shapely.LineString:
    """A line on a grid of 0.01 degree."""
    return shapely.LineString([(X + x * D, Y + y * D) for x, y in points])


def store(name: str, x: float, y: float, kind: str = "gudang") -> Fasilitas:
    return Fasilitas(name, name, kind, X + x * D, Y + y * D, {"beras": 5.0}, "buka", {"jam": "08-16"})


def asal(x: float, y: float) -> Asal:
    return Asal("posko", X + x * D, Y + y * D)


def metres(*points: tuple[float, float]) -> float:
    lon, lat = np.array([(X + x * D, Y + y * D) for x, y in points]).T
    return float(sum(GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2]))


def finder(lines: list[shapely.LineString], stores: list[Fasilitas], **more: Any) -> RoadFinder:
    most = more.pop("most_access_m", 5000.0)
    return RoadFinder(FacilityIndex(stores), RoadNetwork(np.array(lines, object), **more), most_access_m=most)


def test_the_way_round_is_longer_than_the_crow_flies() -> None:
    """A river between: B is near, but the bridge is far; A is nearer by road."""
    lines = [line((0, 0), (5, 0)), line((5, 0), (5, 1)), line((5, 1), (0, 1))]
    found = finder(lines, [store("A", 3, 0), store("B", 0, 1)]).nearest([asal(0, 0)], k=2)[0]
    assert [(one.fasilitas.id, one.jarak_jenis, one.urutan) for one in found] == [
        ("A", "jalan", 1),
        ("B", "jalan", 2),
    ]
    assert found[0].jarak_m == pytest.approx(metres((0, 0), (3, 0)), rel=1e-6)
    assert found[1].jarak_m == pytest.approx(metres((0, 0), (5, 0), (5, 1), (0, 1)), rel=1e-6)
    said = found[1].as_dict()
    assert (said["jarak_jenis"], said["stok"], said["status"], said["info"]) == (
        "jalan", {"beras": 5.0}, "buka", {"jam": "08-16"},
    )  # fmt: skip


def test_places_stand_on_the_road_beside_them_and_the_access_counts() -> None:
    """Both are off one long edge: neither goes to a junction first."""
    [[one]] = finder([line((0, 0), (10, 0))], [store("A", 6, -0.1)]).nearest([asal(4, 0.2)])
    legs = metres((4, 0.2), (4, 0)) + metres((6, 0), (6, -0.1))
    assert one.akses_m == pytest.approx(legs, rel=1e-3)
    assert one.jarak_m == pytest.approx(legs + metres((4, 0), (6, 0)), rel=1e-3)
    assert one.as_dict()["akses_m"] == round(one.akses_m or 0, 1)


def test_one_way_roads_are_driven_one_way() -> None:
    ring = [line((0, 0), (2, 0)), line((2, 0), (2, 2)), line((2, 2), (0, 2)), line((0, 2), (0, 0))]
    stores, here = [store("A", 0, 1)], asal(1, 0)
    free = finder(ring, stores).nearest([here])[0][0].jarak_m
    along = finder(ring, stores, oneway=directions(["yes"] * 4)).nearest([here])[0][0].jarak_m
    against = finder(ring, stores, oneway=directions(["-1"] * 4)).nearest([here])[0][0].jarak_m
    assert free == against == pytest.approx(metres((1, 0), (0, 0), (0, 1)), rel=2e-5)
    assert along == pytest.approx(metres((1, 0), (2, 0), (2, 2), (0, 2), (0, 1)), rel=2e-5)
    behind = finder(ring, [store("A", 0.5, 0)], oneway=directions([1] * 4)).nearest([here])[0][0]
    assert behind.jarak_m == pytest.approx(metres((1, 0), (2, 0), (2, 2), (0, 2), (0, 0), (0.5, 0)), rel=2e-5)


def test_lines_join_at_shared_vertices_and_not_where_they_only_cross() -> None:
    cross = [line((0, 0), (4, 0)), line((2, -2), (2, 2))]
    shared = [line((0, 0), (2, 0), (4, 0)), line((2, -2), (2, 0), (2, 2))]
    stores = [store("A", 2, 2)]
    assert finder(cross, stores).nearest([asal(0, 0)])[0][0].jarak_jenis == "geodesik"
    found = finder(shared, stores).nearest([asal(0, 0)])[0][0]
    assert found.jarak_m == pytest.approx(metres((0, 0), (2, 0), (2, 2)), rel=1e-6)


def test_what_no_road_leads_to_says_so() -> None:
    """Across the strait, and in the forest: after the others, as the crow flies."""
    lines = [line((0, 0), (9, 0)), line((0, 3), (9, 3))]
    stores = [store("pulau", 0, 3), store("jauh", 9, 0), store("hutan", 1, 80)]
    many = finder(lines, stores)
    found = many.nearest([asal(0, 0)], k=5)[0]
    assert [(one.fasilitas.id, one.jarak_jenis, one.urutan) for one in found] == [
        ("jauh", "jalan", 1), ("pulau", "geodesik", 2), ("hutan", "geodesik", 3),
    ]  # fmt: skip
    assert found[1].jarak_m == pytest.approx(metres((0, 0), (0, 3)), rel=1e-6)
    assert found[1].akses_m is None
    lost = many.nearest([asal(0, 100)], k=2)[0]
    assert [one.jarak_jenis for one in lost] == ["geodesik", "geodesik"]
    assert lost[0].fasilitas.id == "hutan"


def test_kinds_and_minutes() -> None:
    lines = [line((0, 0), (5, 0)), line((5, 0), (9, 0))]
    stores = [store("A", 2, 0), store("B", 7, 0, "lumbung")]
    two = finder(lines, stores, kmh=np.array([60.0, 30.0]))
    [[one]] = two.nearest([asal(0, 0)], jenis=["lumbung"])
    expected = metres((0, 0), (5, 0)) / 1000 + metres((5, 0), (7, 0)) / 500
    assert one.waktu_menit == pytest.approx(expected, rel=1e-6)
    assert finder(lines, stores).nearest([asal(0, 0)])[0][0].waktu_menit is None
    unknown = finder(lines, stores, kmh=np.array([60.0, np.nan])).nearest([asal(0, 0)], k=2)[0][1]
    assert unknown.waktu_menit == pytest.approx(metres((0, 0), (7, 0)) / 1000, rel=1e-6)
    with pytest.raises(QueryError) as error:
        two.nearest([asal(0, 0)], jenis=["bank"])
    assert error.value.where == "jenis"


def grid(size: int, seed: int, gone: float = 0.15) -> tuple[list[shapely.LineString], np.ndarray]:
    """Streets between jittered crossings, some missing, some one-way."""
    rng = np.random.default_rng(seed)
    at = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1) + rng.normal(0, 0.15, (size, size, 2))
    pairs = [((r, c), (r, c + 1)) for r in range(size) for c in range(size - 1)]
    pairs += [((r, c), (r + 1, c)) for r in range(size - 1) for c in range(size)]
    kept = [pair for pair in pairs if rng.random() > gone]
    lines = [
        line(tuple(at[a]), tuple((at[a] + at[b]) / 2 + rng.normal(0, 0.05, 2)), tuple(at[b])) for a, b in kept
    ]
    return lines, rng.choice([0, 1, -1], len(lines), p=[0.7, 0.2, 0.1])


def brute(
    lines: list[shapely.LineString], oneway: np.ndarray, origin: Asal, stores: list[Fasilitas]
) -> dict[str, float]:
    """Every line is cut at the feet of all places (in Mercator); plain Dijkstra over rounded coordinates."""
    flat = Transformer.from_crs("EPSG:4326", "EPSG:3395", always_xy=True)
    mercator = [
        shapely.LineString(np.column_stack(flat.transform(*shapely.get_coordinates(one).T))) for one in lines
    ]
    arcs: dict[object, list[tuple[object, float]]] = defaultdict(list)
    feet: list[list[tuple[float, object]]] = [[] for _ in lines]
    access = {}
    for name, lon, lat in [("origin", origin.lon, origin.lat), *((s.id, s.lon, s.lat) for s in stores)]:
        point = shapely.Point(*flat.transform(lon, lat))
        number = int(np.argmin([one.distance(point) for one in mercator]))
        part = mercator[number].project(point, normalized=True)
        foot = mercator[number].interpolate(part, normalized=True)
        feet[number].append((part, name))
        access[name] = GEOD.inv(lon, lat, *flat.transform(foot.x, foot.y, direction="INVERSE"))[2]
    for number, one in enumerate(lines):
        ends = [(round(x, 7), round(y, 7)) for x, y in (one.coords[0], one.coords[-1])]
        length = GEOD.geometry_length(one)
        stops = [(0.0, ends[0]), *sorted(feet[number], key=lambda p: p[0]), (1.0, ends[1])]
        for (t0, a), (t1, b) in pairwise(stops):
            if oneway[number] >= 0:
                arcs[a].append((b, (t1 - t0) * length))
            if oneway[number] <= 0:
                arcs[b].append((a, (t1 - t0) * length))
    best: dict[object, float] = {}
    queue: list[tuple[float, int, object]] = [(0.0, 0, "origin")]
    count = 0
    while queue:
        cost, _, node = heapq.heappop(queue)
        if node in best:
            continue
        best[node] = cost
        for goal, more in arcs[node]:
            count += 1
            heapq.heappush(queue, (cost + more, count, goal))
    return {s.id: best[s.id] + access[s.id] + access["origin"] for s in stores if s.id in best}


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_ways_are_those_of_plain_dijkstra(seed: int, k: int) -> None:
    lines, oneway = grid(7, seed)
    rng = np.random.default_rng(seed)
    stores = [store(f"F{n:02}", *rng.uniform(0, 6, 2)) for n in range(12)]
    origin = asal(*rng.uniform(0, 6, 2))
    [found] = finder(lines, stores, oneway=oneway).nearest([origin], k=k)
    expected = sorted((way, name) for name, way in brute(lines, oneway, origin, stores).items())
    by_road = [one for one in found if one.jarak_jenis == "jalan"]
    assert [one.jarak_m for one in by_road] == pytest.approx(
        [way for way, _ in expected[:k]], rel=5e-3, abs=30
    )
    assert len(found) == k
    for one in found:
        straight = GEOD.inv(origin.lon, origin.lat, one.fasilitas.lon, one.fasilitas.lat)[2]
        assert one.jarak_m >= straight - 1.0


def test_many_facilities_on_many_roads_in_moments() -> None:
    """A bound against hangs; benchmarks tell the speed."""
    lines, oneway = grid(60, 1, gone=0.05)
    rng = np.random.default_rng(1)
    stores = [store(f"F{n:05}", *place) for n, place in enumerate(rng.uniform(0, 59, (5000, 2)).tolist())]
    many = finder(lines, stores, oneway=oneway)
    origins = [asal(*place) for place in rng.uniform(0, 59, (50, 2)).tolist()]
    began = time.process_time()
    found = many.nearest(origins, k=5)
    assert time.process_time() - began < 10
    assert all(len(one) == 5 for one in found)


@pytest.mark.parametrize(
    "wrong", [[], [shapely.Point(107, -6)], [shapely.LineString([(7e5, 9e6), (7e5, 9.1e6)])]]
)
def test_what_is_no_network_is_refused(wrong: list[shapely.Geometry]) -> None:
    with pytest.raises(QueryError) as error:
        RoadNetwork(np.array(wrong, object))
    assert error.value.where == "roads"


def test_how_one_way_is_written() -> None:
    written = ["yes", "no", "-1", None, "FT", "TF", "B", 1, 0, "True"]
    assert directions(written).tolist() == [1, 0, -1, 0, 1, -1, 0, 1, 0, 1]
