"""Checks an archive of areas by area: ground covered twice, slivers, features, bytes, zoom by zoom.

    python -m benchmarks.tiles_area --config DIR --data DIR --collection ID [--grid ID] [--sample 40]

Zooms of up to 400 tiles are read whole, of deeper ones `--sample` tiles, the largest and some more. A
sliver is a hole thinner than half a pixel of a 512 pixel tile. The source's own overlaps and slivers in
the same tiles stand beside those of the sampled tiles (boundaries of neighbouring kabupaten do not quite
meet): deep zooms show the layer as it is. Zooms below the archive's deepest are made from the layer.
Ends with code 1 when a tile is above the limit or ground is covered twice beyond rounding.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import shapely
from pmtiles.reader import MmapSource, all_tiles
from shapely.geometry import shape

from catalog.config import load_settings
from catalog.store import Catalog
from layers.contract import LayerReader, Query
from layers.open import open_store
from layers.tiles.build import MAX_TILE
from layers.tiles.features import lonlat
from layers.tiles.grid import GRIDS, Grid
from layers.tiles.options import LayerOptions, planned
from layers.tiles.plan import FID, TilePlan
from layers.tiles.request import TileBusyError, make_tile
from layers.tiles.state import TileFiles

WHOLE = 400
DEEPEST = 14
ROUNDING = 1e-4
"""Share of the ground that rounding to a tile's units may cover twice."""


@dataclass
class Zoom:
    """Sums over the tiles of a zoom; areas in tiles."""

    tiles: int = 0
    looked_at: int = 0
    largest: int = 0
    features: set[str] = field(default_factory=set)
    covered: float = 0
    twice: float = 0
    slivers: float = 0
    source_twice: float = 0
    source_slivers: float = 0

    def told(self) -> dict[str, Any]:
        ground = self.covered or 1
        ppm = {
            name: round(1e6 * getattr(self, name) / ground, 1)
            for name in ("twice", "slivers", "source_twice", "source_slivers")
        }
        return {
            "tiles": self.tiles, "looked_at": self.looked_at, "largest_bytes": self.largest,
            "features": len(self.features), **{f"{name}_ppm": value for name, value in ppm.items()},
        }  # fmt: skip


def areas(parts: list[shapely.Geometry], extent: int) -> tuple[float, float, float]:
    """Return what is covered, covered twice, and in slivers, in tiles; parts in units of the tile."""
    made = np.array(parts, dtype=object)
    broken = ~shapely.is_valid(made)
    made[broken] = shapely.make_valid(made[broken])
    made = shapely.intersection(made, shapely.box(0, 0, extent, extent))
    whole = shapely.union_all(made)
    rings = [r for one in shapely.get_parts(whole) if one.geom_type == "Polygon" for r in one.interiors]
    holes = np.array([shapely.Polygon(ring) for ring in rings], dtype=object)
    thin = shapely.is_empty(shapely.buffer(holes, -extent / 512 / 4))
    square = extent * extent
    twice = float(shapely.area(made).sum()) - whole.area
    return whole.area / square, twice / square, float(shapely.area(holes[thin]).sum()) / square


def source(reader: LayerReader, grid: Grid, zoom: int, row: int, column: int) -> tuple[float, float, float]:
    """Return the same of the layer itself, not rounded."""
    schema = reader.info.schema
    assert schema is not None
    bounds = grid.bounds(zoom, row, column)
    west, _, east, north = bounds
    scale = 4096 / (east - west)

    def change(degrees: Any) -> Any:
        units = grid.project(degrees)
        return np.column_stack(((units[:, 0] - west) * scale, (north - units[:, 1]) * scale))

    found: list[shapely.Geometry] = []
    for batch in reader.batches([], where=Query(bbox=grid.lonlat(bounds))):
        found += shapely.transform(lonlat(batch, schema), change).tolist()
    return areas(found, 4096) if found else (0, 0, 0)


def place(grid: Grid, zoom: int, x: int, y: int) -> tuple[int, int, int]:
    """Return zoom, row, column of the grid for an address of the archive (see `Grid.stored`)."""
    if grid.id == "WebMercatorQuad":
        return zoom, y, x
    return zoom - 1, y - (1 << (zoom - 1)) // 2, x


def look(
    zoom: Zoom, data: bytes, layer: str, at: tuple[int, int, int], reader: LayerReader | None, grid: Grid
) -> None:
    """Add a tile to its zoom; beside the source where `reader` is given."""
    found = mapbox_vector_tile.decode(gzip.decompress(data), default_options={"y_coord_down": True}).get(
        layer
    )
    if not found:
        return
    zoom.looked_at += 1
    zoom.features |= {one["properties"][FID] for one in found["features"]}
    covered, twice, slivers = areas([shape(one["geometry"]) for one in found["features"]], found["extent"])
    zoom.covered, zoom.twice, zoom.slivers = (
        zoom.covered + covered,
        zoom.twice + twice,
        zoom.slivers + slivers,
    )
    if reader is not None:
        _, twice, slivers = source(reader, grid, *at)
        zoom.source_twice, zoom.source_slivers = zoom.source_twice + twice, zoom.source_slivers + slivers


def below(
    plan: TilePlan, grid: Grid, reader: LayerReader, deepest: list[tuple[int, int]], first: int
) -> Iterator[tuple[int, Zoom]]:
    """Look at tiles made on request, one under each of the deepest zoom's tiles."""
    for zoom in range(first, DEEPEST + 1):
        sums, deeper = Zoom(), zoom - first + 1
        for row, column in deepest:
            at = (zoom, (row << deeper) + 1, (column << deeper) + 1)
            try:
                data = make_tile(reader, plan, grid, *at)
            except TileBusyError:
                continue
            if data:
                sums.largest = max(sums.largest, len(data))
                look(sums, data, plan.layer, at, reader, grid)
        yield zoom, sums


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "collection"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--grid", default="WebMercatorQuad", choices=sorted(GRIDS))
    parser.add_argument("--sample", type=int, default=40)
    given = parser.parse_args()
    grid = GRIDS[given.grid]
    settings = load_settings(given.config, given.data)
    catalog, store = Catalog.open(settings.database_url()), open_store(settings)
    known = planned(catalog, LayerOptions(Path(given.config)), given.collection, postgis=False)
    assert known is not None, "the collection has no geometry"
    info, plan = known
    reader = store.reader(info)
    path = TileFiles.of(settings.data_dir / "layers", given.collection, info.version).archive(grid.id)
    by_zoom: dict[int, list[tuple[int, int, int, bytes]]] = defaultdict(list)
    with path.open("rb") as file:
        for (zoom, x, y), data in all_tiles(MmapSource(file)):  # type: ignore[no-untyped-call]
            by_zoom[zoom].append((len(data), x, y, data))
    failed, spots = False, list[tuple[int, int]]()
    sums = Zoom()
    for zoom, tiles in sorted(by_zoom.items()):
        sums = Zoom(tiles=len(tiles), largest=max(size for size, *_ in tiles))
        chosen = tiles
        if len(tiles) > WHOLE:
            by_size = sorted(tiles, reverse=True, key=lambda one: one[0])
            half = given.sample // 2
            chosen = by_size[:half] + random.Random(zoom).sample(by_size[half:], half)
        spots = []
        for _, x, y, data in chosen:
            at = place(grid, zoom, x, y)
            spots.append(at[1:])
            look(sums, data, plan.layer, at, reader if chosen is not tiles else None, grid)
        print(json.dumps({"zoom": zoom - grid.first_zoom} | sums.told()), flush=True)
        failed |= sums.largest > MAX_TILE or sums.twice - sums.source_twice > ROUNDING * sums.covered
    last = max(by_zoom) - grid.first_zoom
    for zoom, sums in below(plan, grid, reader, spots, last + 1):
        print(json.dumps({"zoom": zoom} | sums.told()), flush=True)
        failed |= sums.largest > MAX_TILE or sums.twice - sums.source_twice > ROUNDING * sums.covered
    sys.exit(failed)


if __name__ == "__main__":
    main()
