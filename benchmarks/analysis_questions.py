"""The nearest over roads, hazard rasters, and registers by H3 cell; made-up data, real boundaries if given.

`python -m benchmarks.analysis_questions [desa_2025.parquet [STEP_DEGREES]]`: with boundaries a national
raster of STEP_DEGREES (0.01) is made in a temporary folder and laid over all desa.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import rasterio
import shapely
from rasterio.transform import from_origin
from rasterio.windows import Window

from analysis.aggregate import Question, aggregate
from analysis.hazard_raster import affected_by_raster, thresholds_of
from analysis.inputs import BoundaryColumns, index_of_file
from analysis.nearest import Asal, FacilityIndex, Fasilitas
from analysis.nearest_road import RoadFinder
from analysis.roads import RoadNetwork

WEST, SOUTH, SIZE, STEP = 107.0, -7.5, 500, 0.004


def network(rng: np.random.Generator) -> RoadNetwork:
    """A jittered grid of 499,000 streets, a tenth of them one-way."""
    x, y = np.meshgrid(WEST + np.arange(SIZE) * STEP, SOUTH + np.arange(SIZE) * STEP)
    at = np.stack([x, y], -1) + rng.normal(0, STEP / 5, (SIZE, SIZE, 2))
    pairs = [(at[:, :-1], at[:, 1:]), (at[:-1], at[1:])]
    lines = [
        np.stack([a, (a + b) / 2 + rng.normal(0, STEP / 8, a.shape), b], -2).reshape(-1, 3, 2)
        for a, b in pairs
    ]
    shapes = shapely.linestrings(np.concatenate(lines))
    oneway = np.where(rng.random(len(shapes)) < 0.1, 1, 0)
    return RoadNetwork(shapes, kmh=rng.uniform(20, 80, len(shapes)), oneway=oneway)


def over_roads() -> None:
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    roads = network(rng)
    built = time.perf_counter()
    places = rng.uniform((WEST, SOUTH), (WEST + SIZE * STEP, SOUTH + SIZE * STEP), (50_200, 2)).tolist()
    stores = [Fasilitas(f"F{n:05}", "", "gudang", *place) for n, place in enumerate(places[:50_000])]
    finder = RoadFinder(FacilityIndex(stores), roads)
    ready = time.perf_counter()
    took = []
    for place in places[50_000:]:
        begin = time.perf_counter()
        [found] = finder.nearest([Asal("x", *place)], k=5)
        took.append(time.perf_counter() - begin)
        assert all(one.jarak_jenis == "jalan" for one in found)
    low, high = np.percentile(np.array(took) * 1000, [50, 99])
    print(
        f"roads: {len(roads)} edges in {built - start:.1f} s, 50,000 facilities on them in {ready - built:.1f} s, "
        f"5 nearest p50 {low:.1f} ms, p99 {high:.1f} ms, at most {peak():.0f} MB"
    )


def by_cell() -> None:
    rng = np.random.default_rng(0)
    rows = 1_000_000
    at = rng.uniform((106, -8), (109, -6), (3000, 2))[rng.integers(0, 3000, rows)] + rng.normal(
        0, 0.01, (rows, 2)
    )
    table = pa.table({"lon": at[:, 0], "lat": at[:, 1], "program": rng.choice(["PKH", "BPNT", "X"], rows)})
    start = time.perf_counter()
    found = aggregate(table, Question(lon="lon", lat="lat", by=("program",), cells=(5, 7)))
    took = time.perf_counter() - start
    print(
        f"1,000,000 points to H3 5 and 7: {took:.1f} s, {found.table.num_rows} rows, {found.suppressed} hidden"
    )


def national(boundaries: Path, step: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = index_of_file(boundaries, Path(folder) / "index", BoundaryColumns(), cells=False)
        raster = made_up(Path(folder) / "bahaya.tif", step)
        start = time.perf_counter()
        found = affected_by_raster(index, raster, thresholds_of([0.33, 0.66]))
        took = time.perf_counter() - start
    cells = int(46 / step) * int(18 / step) / 1e6
    print(
        f"raster of {cells:.0f} million cells over {len(index)} desa: {took:.0f} s, "
        f"{len(found.desa)} hit, at most {peak():.0f} MB"
    )


def made_up(path: Path, step: float) -> Path:
    width, height = int(46 / step), int(18 / step)
    rng = np.random.default_rng(0)
    shape = {"width": width, "height": height, "count": 1, "dtype": "float32", "nodata": -9999}
    place = {"crs": "EPSG:4326", "transform": from_origin(95, 6.5, step, step)}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "DEFLATE"}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **tiles) as file:
        for top in range(0, height, 512):
            rows = min(512, height - top)
            some = rng.random((rows // 32 + 1, width // 32 + 1), np.float32)
            file.write(
                np.kron(some, np.ones((32, 32), np.float32))[:rows, :width],
                1,
                window=Window(0, top, width, rows),
            )
    return path


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    over_roads()
    by_cell()
    if len(sys.argv) > 1:
        national(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.01)
