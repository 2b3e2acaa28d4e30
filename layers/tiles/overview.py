"""The overview zooms of a layer of areas, as tippecanoe makes them of a coverage; and archives joined.

Each zoom is tried as fine as the zoom below it, and coarser until no tile is above the limit: with fewer
units to a tile first, then with areas below a pixel merged. What is smaller than a unit at a zoom where
that is usual has no shape there; its ground belongs to its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely
from pmtiles.reader import MmapSource, all_tiles
from pmtiles.tile import zxy_to_tileid
from pmtiles.writer import Writer

from layers.crs import Coordinates
from layers.tiles.archive import Archive
from layers.tiles.coverage import Level, Pyramid, in_units
from layers.tiles.features import Areas
from layers.tiles.grid import HALF, Grid
from layers.tiles.plan import FID, SLIM, TilePlan, numeric_id

type Tippecanoe = Callable[[list[str]], None]
"""Runs tippecanoe with these arguments."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A way to make a zoom: 2^detail units a tile, areas merged below so many pixels.

    `shrinks` tells what a tile has, at least, of the bytes of the four below it (of the 83,402 desa: 0.77
    with 12 bits of detail): what would come out too large is not tried.
    """

    detail: int
    merge: int
    shrinks: float


_STEPS = (
    _Step(12, 0, 0.7), _Step(11, 0, 0.6), _Step(10, 0, 0.5), _Step(12, 1, 0), _Step(11, 1, 0),
    _Step(11, 2, 0), _Step(11, 4, 0), _Step(10, 8, 0), _Step(10, 16, 0), _Step(10, 64, 0),
)  # fmt: skip


@dataclass(slots=True)
class Overview:
    """Makes the overview zooms of one grid. `most` bytes a tile; `work` is a folder of its own."""

    plan: TilePlan
    grid: Grid
    pyramid: Pyramid
    areas: Areas
    work: Path
    most: int
    run: Tippecanoe

    def build(self, report: dict[int, dict[str, int]]) -> list[Path]:
        """Return an archive per zoom, first zoom first; `report` gets what each zoom merged or coarsened.

        The last way is kept even if a tile is above the limit: who asked looks at the sizes.
        """
        made: list[Path] = []
        sizes: dict[tuple[int, int], int] = {}
        step = 0
        for zoom in range(self.pyramid.deepest, self.grid.first_zoom - 1, -1):
            if zoom + 1 == SLIM:  # tiles carry less from here on
                sizes, step = {}, 0
            path, step, told = self._zoom(zoom, sizes, step)
            sizes = {(x, y): len(data) for (_, x, y), data in _tiles(path)}
            made.insert(0, path)
            if told:
                report[zoom] = told
        return made

    def _zoom(
        self, zoom: int, below: dict[tuple[int, int], int], first: int
    ) -> tuple[Path, int, dict[str, int]]:
        """Return the archive, the number of the step that fits, and what that merged or coarsened."""
        least = max(_parents(below).values(), default=0)
        for number in range(first, len(_STEPS)):
            step = _STEPS[number]
            if step.shrinks * least > self.most:
                continue
            level = self.pyramid.level(zoom, 2 ** (12 - step.detail), step.merge)
            path, lost = self._encoded(level, zoom, step)
            if max((len(data) for _, data in _tiles(path)), default=0) <= self.most:
                break
        merged = self.pyramid.count - len(level.features)
        told = {"merged": merged, "without_shape": lost, "units": 1 << step.detail}
        return path, number, {k: v for k, v in told.items() if v not in (0, 4096)}

    def _encoded(self, level: Level, zoom: int, step: _Step) -> tuple[Path, int]:
        """Return the zoom's archive, and how many areas are smaller than a unit: they have no shape in it."""
        drawn = 0
        source, made = self.work / f"{zoom}.jsonl", self.work / f"{self.grid.id}.{zoom}.pmtiles"
        with source.open("wb", buffering=1 << 20) as out:
            for line in self._lines(level, zoom, step.detail):
                out.write(line)
                drawn += 1
            out.writelines(line for first, line in self.areas.labels if first <= zoom)
        self.run([
            "--output", str(made), "--force", "--projection", "EPSG:3857", "--name", self.plan.layer,
            "--minimum-zoom", str(zoom), "--maximum-zoom", str(zoom), "--full-detail", str(step.detail),
            "--no-line-simplification", "--no-tiny-polygon-reduction", "--no-tile-size-limit",
            "--preserve-input-order", str(source),
        ])  # fmt: skip
        source.unlink()
        return made, len(level.features) - drawn

    def _lines(self, level: Level, zoom: int, detail: int) -> Iterator[bytes]:
        """Yield features in metres of the Mercator world (see `grid`), at whole units of the tiles."""
        unit = 2 * HALF / (1 << zoom + detail)
        shapes = in_units(level.shapes, lambda degrees: metres(self.grid, degrees) / unit)
        texts = shapely.to_geojson(shapely.transform(shapes, lambda units: np.round(units * unit, 3)))
        kept = set(self.plan.names(zoom))
        slim = kept != set(self.plan.names())
        head = orjson.dumps({"layer": self.plan.layer})
        for index, shape, text in zip(level.features.tolist(), shapes, texts, strict=True):
            if shape is None or shape.is_empty:
                continue
            feature_id = self.areas.ids[index]
            row = self.areas.rows[index]
            values = {name: row[name] for name in row if name in kept or name == FID}
            number = b"" if slim else b'"id":%d,' % numeric_id(feature_id)
            yield b"".join((
                b'{"type":"Feature",', number, b'"tippecanoe":', head, b',"properties":',
                orjson.dumps(values), b',"geometry":', text.encode(), b"}\n",
            ))  # fmt: skip


def metres(grid: Grid, degrees: Coordinates) -> Coordinates:
    """Return degrees in metres of the Mercator world, as an archive of the grid holds them."""
    return degrees * (HALF / 180) if grid.id == "WorldCRS84Quad" else grid.project(degrees)


def _tiles(path: Path) -> Iterator[tuple[tuple[int, int, int], bytes]]:
    with path.open("rb") as file:
        yield from all_tiles(MmapSource(file))  # type: ignore[no-untyped-call]


def _parents(sizes: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    made: dict[tuple[int, int], int] = {}
    for (x, y), size in sizes.items():
        made[x // 2, y // 2] = made.get((x // 2, y // 2), 0) + size
    return made


def joined(parts: Sequence[Path], made: Path) -> None:
    """Write archives of different zooms, first zoom first, as one; the last describes it."""
    archives = [Archive(path) for path in parts]
    metadata = {k: v for k, v in archives[-1].metadata().items() if k != "generator_options"}
    first = archives[0].zooms[0]
    metadata["strategies"] = [{}] * first + [one for archive in archives for one in _strategies(archive)]
    known = {one["id"]: one for archive in archives for one in archive.metadata().get("vector_layers", ())}
    known |= {one["id"]: one for one in metadata.get("vector_layers", ())}
    metadata["vector_layers"] = [{**one, "minzoom": first} for one in known.values()]
    boxes = np.array([archive.bounds for archive in archives])
    west, south = boxes[:, :2].min(axis=0)
    east, north = boxes[:, 2:].max(axis=0)
    header = {**archives[-1].header, "min_zoom": first}
    box = {"min_lon": west, "min_lat": south, "max_lon": east, "max_lat": north}
    header |= {f"{name}_e7": math.floor(value * 1e7) for name, value in box.items()}
    with made.open("wb") as file:
        writer = Writer(file)  # type: ignore[no-untyped-call]
        for path in parts:
            for (zoom, x, y), data in _tiles(path):
                writer.write_tile(zxy_to_tileid(zoom, x, y), data)  # type: ignore[no-untyped-call]
        writer.finalize(header, metadata)  # type: ignore[no-untyped-call]


def _strategies(archive: Archive) -> list[dict[str, Any]]:
    """Return what was thinned at an archive's own zooms (tippecanoe lists all from zoom 0 on)."""
    first, last = archive.zooms
    told = archive.metadata().get("strategies") or []
    return [told[zoom] if zoom < len(told) else {} for zoom in range(first, last + 1)]
