"""Speed and exactness of `analysis.verify` nationwide: `python -m benchmarks.analysis_verify desa.parquet [rows]`.

Prints single-point latency, rows/s of a register through the process pool, peak memory, and compares
verdicts with a reference that shares no code with the index: shapely STRtree over unprepared polygons.
A quarter of the compared points lie on vertices, on edges, or a hair beside them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from analysis.affected import Bahaya, affected_by_area
from analysis.lookup import DesaIndex
from analysis.lookup_build import build, from_parquet
from analysis.nearest import Asal, FacilityIndex, Fasilitas
from analysis.verify import verify_point
from analysis.verify_batch import Verifier
from analysis.verify_register import Tugas, verify_register
from benchmarks.measure import stopwatch


def points(index: DesaIndex, count: int, seed: int, border: float) -> tuple[np.ndarray, np.ndarray]:
    """Points in the boxes of random desa; the share `border` of them on or next to borders."""
    rng = np.random.default_rng(seed)
    box = index.boxes[rng.integers(0, len(index), count)]
    x, y = (box[:, a] + rng.random(count) * (box[:, a + 2] - box[:, a]) for a in (0, 1))
    near = np.flatnonzero(rng.random(count) < border)
    at = rng.choice(np.flatnonzero(~index.polygons.ring_ends()), len(near))
    a, b = index.polygons.coords[at], index.polygons.coords[at + 1]
    share = rng.choice([0.0, 0.5, 0.31], len(near))[:, None]
    hair = rng.choice([0.0, 1e-10, 1e-6, 1e-4], len(near))[:, None] * rng.choice([-1, 1], (len(near), 2))
    x[near], y[near] = (a + share * (b - a) + hair).T
    return x, y


def claims(index: DesaIndex, x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Mostly right ones, some of the neighbour 100 m to the east, some of anywhere."""
    rng = np.random.default_rng(seed)
    beside = index.where(x + rng.choice([0, 0, 0, 0.001], len(x)), y)[0]
    anywhere = rng.integers(0, len(index), len(x))
    return np.where((beside >= 0) & (rng.random(len(x)) < 0.97), beside, anywhere)


def exactness(index: DesaIndex, count: int) -> None:
    x, y = points(index, count, 11, 0.25)
    claimed = claims(index, x, y, 12)
    batch = pa.record_batch({"lon": x, "lat": y, "kode": index.codes.take(pa.array(claimed))})
    with stopwatch() as seconds:
        got = Verifier(index).verify(batch)
    print(f"{count} points verified in one call: {seconds():.1f} s")
    shapes = index.polygons.shapes(np.arange(len(index)))
    tree = shapely.STRtree(shapes)
    point, row = tree.query(shapely.points(x, y), predicate="intersects")
    inside = np.zeros(count, bool)
    inside[point[row == claimed[point]]] = True
    first = np.full(count, len(index))
    np.minimum.at(first, point, row)
    first[inside] = claimed[inside]
    said = got["verdik"].dictionary_decode().to_numpy(zero_copy_only=False)
    codes = np.array([*index.codes.to_pylist(), None], object)
    wrong_inside = int(((said == "sesuai") != inside).sum())
    wrong_place = int((got["kode_nyata"].to_numpy(zero_copy_only=False) != codes[first]).sum())
    metres = got["jarak_m"].to_numpy()
    expected = np.where(
        metres <= 100, "dalam_toleransi", np.where(first < len(index), "tidak_sesuai", "di_luar_wilayah")
    )
    wrong_rest = int(((said != expected) & ~inside).sum())
    borders = int((np.bincount(point, minlength=count) > 1).sum())
    print(
        f"wrong: {wrong_inside} inside, {wrong_place} place, {wrong_rest} by distance; {borders} points in several desa"
    )


def single(index: DesaIndex, count: int = 5000) -> None:
    x, y = points(index, count, 21, 0.25)
    claimed = claims(index, x, y, 22)
    walls, cpu = [], []
    for px, py, row in zip(x.tolist(), y.tolist(), claimed.tolist(), strict=True):
        code, start, before = index.code(row), time.perf_counter(), time.thread_time()
        verify_point(index, px, py, code)
        walls.append(time.perf_counter() - start)
        cpu.append(time.thread_time() - before)
    for name, values in (("wall", walls), ("cpu", cpu)):
        p50, p99 = np.percentile(np.array(values) * 1e6, [50, 99])
        print(f"single point, {name}: p50 {p50:.0f} us, p99 {p99:.0f} us")
    print(f"memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB peak")


def register(index: DesaIndex, folder: Path, rows: int, workers: int) -> None:
    source, group = folder / "register.parquet", 500_000
    schema = pa.schema(
        [("nik", pa.string()), ("lon", pa.float64()), ("lat", pa.float64()), ("kode", pa.string())]
    )
    with pq.ParquetWriter(source, schema) as out:
        for number, low in enumerate(range(0, rows, group)):
            size = min(group, rows - low)
            x, y = points(index, size, 100 + number, 0.0)
            kode = index.codes.take(pa.array(claims(index, x, y, 200 + number)))
            out.write_batch(
                pa.record_batch([pa.array(["-"] * size), pa.array(x), pa.array(y), kode], schema=schema)
            )
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    with stopwatch() as seconds:
        summary = verify_register(Tugas(source, folder / "out.parquet", index.folder, workers=workers))
    wall, after = seconds(), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    print(f"register of {rows} rows, {workers} processes: {rows / wall:,.0f} rows/s wall")
    print(
        f"CPU of the processes {cpu:.1f} s: {rows / cpu:,.0f} rows/s a core; largest {after.ru_maxrss / 1024:.0f} MiB"
    )
    print(summary.per_verdict() if summary else "stopped")


def others(index: DesaIndex) -> None:
    angle = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    for radius in (0.5, 2.0):
        r = radius * (1 + 0.2 * np.sin(5 * angle))
        area = shapely.Polygon(np.column_stack([107.14 + r * np.cos(angle), -6.82 + r * np.sin(angle)]))
        with stopwatch() as seconds:
            found = affected_by_area(index, [Bahaya(area)])
        print(f"affected, 5000 vertices, {len(found.desa)} desa: {seconds() * 1000:.0f} ms")
    rng = np.random.default_rng(1)
    some = index.points[rng.integers(0, len(index), 50_000)] + rng.normal(0, 0.01, (50_000, 2))
    facilities = FacilityIndex([Fasilitas(str(n), "", "gudang", *p) for n, p in enumerate(some.tolist())])
    facilities.nearest([Asal("x", 107, -7)], k=5)
    walls = []
    for p in index.points[rng.integers(0, len(index), 1000)].tolist():
        with stopwatch() as seconds:
            facilities.nearest([Asal("x", *p)], k=5)
        walls.append(seconds() * 1000)
    print(
        f"5 nearest of 50,000: p50 {np.percentile(walls, 50):.2f} ms, p99 {np.percentile(walls, 99):.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("boundaries", type=Path)
    parser.add_argument("rows", type=int, nargs="?", default=2_000_000)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--code", default="KDEPUM")
    parser.add_argument("--name", default="WADMKD")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        with stopwatch() as seconds:
            builder = multiprocessing.get_context("spawn").Process(
                target=_build, args=(given, folder / "index")
            )
            builder.start()
            builder.join()
        index = DesaIndex(folder / "index")
        print(f"index of {len(index)} desa with cells: {seconds():.1f} s; load {os.getloadavg()[0]:.1f}")
        single(index)
        others(index)
        register(index, folder, given.rows, os.cpu_count() or 1)
        exactness(DesaIndex(folder / "index", cached_vertices=10**9), given.points)


def _build(given: argparse.Namespace, folder: Path) -> None:
    rows = from_parquet(given.boundaries, code=given.code, name=given.name)
    build(rows, folder, skema="kemendagri", vintage=2025, version="benchmark", cells=True)


if __name__ == "__main__":
    main()
