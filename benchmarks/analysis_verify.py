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
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from analysis import verify_register
from analysis.affected import Bahaya, affected_by_area
from analysis.lookup import DesaIndex
from analysis.lookup_build import build, from_parquet
from analysis.nearest import Asal, FacilityIndex, Fasilitas
from analysis.verify import verify_point
from analysis.verify_batch import Verifier
from analysis.verify_register import Tugas
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
    wrong_place = int(
        (got["kode_nyata"].dictionary_decode().to_numpy(zero_copy_only=False) != codes[first]).sum()
    )
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


def make_register(index: DesaIndex, source: Path, rows: int, times: int) -> None:
    """Rows in random order, so that nothing near is near in the file; written `times` times over."""
    schema = pa.schema(
        [("nik", pa.string()), ("lon", pa.float64()), ("lat", pa.float64()), ("kode", pa.string())]
    )
    group = 500_000
    with pq.ParquetWriter(source, schema) as out:
        for number, low in enumerate(range(0, rows, group)):
            size = min(group, rows - low)
            x, y = points(index, size, 100 + number, 0.0)
            kode = index.codes.take(pa.array(claims(index, x, y, 200 + number)))
            batch = pa.record_batch([pa.array(["-"] * size), pa.array(x), pa.array(y), kode], schema=schema)
            for _ in range(times):
                out.write_batch(batch)


class Memory:
    """The most that this process and its children had at once: proportional set size, so shared pages once."""

    def __init__(self) -> None:
        self.most = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(5):
            children = [child.pid for child in multiprocessing.active_children()]
            self.most = max(self.most, sum(map(_pss, [os.getpid(), *children])))


def _pss(pid: int | None) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024


def stages(index: DesaIndex, source: Path, folder: Path, size: int = 250_000) -> None:
    """CPU of each step for one part, in this process, the best of five."""
    pa.set_cpu_count(1)
    verifier, best = (
        Verifier(index),
        dict.fromkeys(("read", "verify", "count", "keep", "fetch", "write"), 9.0),
    )
    for _ in range(5):
        at = [time.process_time()]
        with pq.ParquetFile(source) as file:
            batch = next(file.iter_batches(size, columns=["lon", "lat", "kode"], use_threads=False))
        at.append(time.process_time())
        answer = verifier.verify(batch)
        at.append(time.process_time())
        verify_register.counted(answer, "kode")
        answer = verify_register.numbered(answer, 0)
        at.append(time.process_time())
        with verify_register.part_writer(folder / "part", answer.schema) as out:
            out.write_batch(answer)
        at.append(time.process_time())
        with pa.OSFile(str(folder / "part")) as kept, pa.ipc.open_stream(kept) as parts:
            answer = parts.read_next_batch()
        at.append(time.process_time())
        with verify_register.answer_writer(Path("x.parquet"), folder / "whole", answer.schema) as out:
            out.write_batch(answer)
        at.append(time.process_time())
        for name, (start, end) in zip(best, pairwise(at), strict=True):
            best[name] = min(best[name], (end - start) / batch.num_rows * 1e6)
    shown = ", ".join(f"{name} {value:.2f}" for name, value in best.items())
    print(f"microseconds of CPU a row: {shown}; all {sum(best.values()):.2f}")


def register(index: Path, source: Path, workers: int) -> None:
    rows = pq.read_metadata(source).num_rows
    children, own = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
    with stopwatch() as seconds, Memory() as memory:
        job = Tugas(source, source.with_name("out.parquet"), index, workers=workers)
        summary = verify_register.verify_register(job)
    wall, after = seconds(), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    own = time.process_time() - own
    print(f"register of {rows:,} rows, {workers} processes: {wall:.0f} s, {rows / wall:,.0f} rows/s wall")
    print(f"CPU of the processes {cpu:.0f} s, of the one that joins {own:.0f} s: ", end="")
    print(f"{rows / (cpu + own):,.0f} rows per CPU second; load {os.getloadavg()[0]:.1f}")
    print(f"memory of all together: {memory.most / 2**20:,.0f} MiB at most (shared pages once)")
    print(summary.per_verdict() if summary else "stopped", flush=True)


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
    parser.add_argument(
        "--times", type=int, nargs="*", default=[], help="also registers this many times as long"
    )
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--code", default="KDEPUM")
    parser.add_argument("--name", default="WADMKD")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        with stopwatch() as seconds:
            _alone(_build, given, folder / "index")
        index = DesaIndex(folder / "index")
        print(f"index of {len(index)} desa with cells: {seconds():.1f} s; load {os.getloadavg()[0]:.1f}")
        single(index)
        others(index)
        whole = DesaIndex(folder / "index", cached_vertices=10**9)
        exactness(whole, given.points)
        source = folder / "register.parquet"
        make_register(index, source, given.rows, 1)
        stages(whole, source, folder)
        del whole
        _alone(register, index.folder, source, os.cpu_count() or 1)
        for times in given.times:
            make_register(index, source, given.rows, times)
            _alone(register, index.folder, source, os.cpu_count() or 1)


def _alone(function: Callable[..., None], *arguments: object) -> None:
    """Call in a fresh process, whose memory nothing else has grown."""
    child = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(child.exitcode)


def _build(given: argparse.Namespace, folder: Path) -> None:
    rows = from_parquet(given.boundaries, code=given.code, name=given.name)
    build(rows, folder, skema="kemendagri", vintage=2025, version="benchmark", cells=True)


if __name__ == "__main__":
    main()
