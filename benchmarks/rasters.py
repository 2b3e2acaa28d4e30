"""Map tiles of rasters: what each costs the server, drawn anew and from the archive.

    python -m benchmarks.rasters [--land admin_light.gpkg] [--keep DIR] [--tiles 400] [--from drawn archive]

Three synthetic rasters over Java: a hazard index as InaRISK has them (3 seconds of arc, float32, no
data off the land), the same as a ramp of colours, and classes in metres (UTM, one byte). Every tile is
asked for once through the whole application in this process, so that none comes of a memory. In the
rows of zooms they lie anywhere: nearly each unpacks blocks of the file that no tile before it needed. The
row `walk` is people who pan and zoom, whose tiles share blocks. `drawn` is before the archives are made,
`archive` when they are there: tiles deeper than they reach (zoom 12 to 16 here) are drawn even then. `first`
are the first tiles of all that a new server is asked for, once it says that it rests. CPU is the process's own, of all its
threads; on a machine that others work on it grows, too: compare runs at the same load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from catalog.clock import utc_now
from harvesters.sample.hazard import index_over
from layers.crs import transform_coordinates
from layers.raster_archive import MapOrder, build_map, map_needed, planned_map
from layers.tiles.grid import GRIDS
from layers.tiles.making import Build
from layers.tiles.options import LayerOptions
from layers.tiles.state import drop_tiles
from ogc_server.app import create_app
from tests.ogc_server.rasters import publish
from tests.ogc_server.world import World, make_settings, open_world

JAVA = (105.0, -9.0, 115.0, -5.8)
CELL = 1 / 1200
EMPTY = 120
"""A tile without data has fewer bytes; such tiles are asked for, too, but not counted."""
SCREEN = (5, 4)
"""Tiles on a screen, across and down."""
BANDS = {"low": (4, 7), "middle": (8, 11), "deep": (12, 16)}
COLLECTIONS = ("bahaya", "suhu", "kelas")
SOURCES = ["drawn", "archive"]
_REST = 0.03
"""Seconds of CPU in one second below which a process rests."""
type Place = tuple[int, int, int]


def fill(folder: Path, land: Path | None) -> World:
    """Publish the rasters, unless the folder holds them already."""
    made = (folder / "data" / "layers" / "kelas").exists()
    world = open_world(make_settings(folder))
    if made:
        return world
    shapes = []
    if land is not None:
        with fiona.open(land, layer="provinsi") as source:
            shapes = [shapely.geometry.shape(one["geometry"]) for one in source.filter(bbox=JAVA)]
    chance = np.random.default_rng(5)
    index = index_over(chance, JAVA, CELL, shapes)
    rough = np.clip(index.values + chance.normal(0, 0.02, index.values.shape), 0, 1).round(3)
    index.values[:] = np.where(index.values < 0, index.values, rough)  # slopes are no smooth noise
    place = {"crs": "EPSG:4326", "transform": from_origin(JAVA[0], JAVA[3], CELL, CELL), "nodata": -9999}
    publish(world, "bahaya", index.values, folder, title="Indeks bahaya", **place)
    publish(world, "suhu", index.values, folder, title="Suhu", **place)
    classes = (index.values[:, :9000] * 7).clip(0, 7).astype("uint8")
    utm = {"crs": "EPSG:32748", "transform": from_origin(500_000, 9_350_000, 90, 90), "nodata": 0}
    publish(world, "kelas", classes, folder, title="Tutupan lahan", **utm)
    return world


def valid(world: World, collection: str) -> Any:
    """Return Mercator x, y (n, 2) of cells that hold data."""
    path = next((world.settings.data_dir / "layers" / collection).glob("*.tif"))
    with rasterio.open(path) as source:
        small = source.read(1, out_shape=(source.height // 8, source.width // 8), masked=True)
        rows, columns = np.nonzero(~np.ma.getmaskarray(small))
        xs, ys = source.transform @ (columns * 8 + 4, rows * 8 + 4)
        return transform_coordinates(np.column_stack([xs, ys]), source.crs.to_string(), "EPSG:3857")


def anywhere(there: Any, zooms: tuple[int, int], count: int, chance: random.Random) -> list[Place]:
    """Tiles (zoom, row, column) around random cells, each once, in random order."""
    found = set[Place]()
    for _ in range(20 * count):
        x, y = there[chance.randrange(len(there))]
        found.add(tile_at(x, y, chance.randint(*zooms)))
        if len(found) == count:
            break
    asked = sorted(found)
    chance.shuffle(asked)
    return asked


def walk(there: Any, count: int, chance: random.Random) -> list[Place]:
    """The tiles of screens that people pan and zoom, each once, in the order in which they show."""
    asked = dict[Place, None]()
    while len(asked) < count:
        x, y = there[chance.randrange(len(there))]
        zoom = chance.randint(6, 9)
        for _ in range(8):
            zoom = min(max(zoom + chance.choice((-1, 0, 0, 1, 1)), 5), 15)
            side = GRIDS["WebMercatorQuad"].side(zoom)
            x, y = x + chance.uniform(-2, 2) * side, y + chance.uniform(-2, 2) * side
            _, row, column = tile_at(x, y, zoom)
            for down in range(SCREEN[1]):
                for across in range(SCREEN[0]):
                    asked[(zoom, row + down - SCREEN[1] // 2, column + across - SCREEN[0] // 2)] = None
    return list(asked)[:count]


def tile_at(x: float, y: float, zoom: int) -> Place:
    """Return the tile of a place."""
    grid = GRIDS["WebMercatorQuad"]
    return zoom, int((grid.top - y) // grid.side(zoom)), int((x + grid.half) // grid.side(zoom))


async def ask(app: Any, path: str) -> tuple[int, bytes]:
    """Ask the application as a server would; return status and body."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"h"), (b"accept", b"image/*,*/*"), (b"accept-encoding", b"gzip, br")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    status, parts = 0, []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, b"".join(parts)


async def measured(app: Any, collection: str, asked: list[Place]) -> dict[str, Any]:
    """Ask for each tile once; of those that show anything: milliseconds of CPU and wall, and sizes."""
    cpu, wall, sizes = [], [], []
    for zoom, row, column in asked:
        path = f"/collections/{collection}/map/tiles/WebMercatorQuad/{zoom}/{row}/{column}"
        before, began = time.process_time(), time.perf_counter()
        status, body = await ask(app, path)
        took = (time.process_time() - before) * 1000, (time.perf_counter() - began) * 1000
        if status != 200 or not body.startswith(b"\x89PNG"):
            raise SystemExit(f"{path}: {status}")
        if len(body) > EMPTY:
            cpu.append(took[0])
            wall.append(took[1])
            sizes.append(len(body))
    return {
        "tiles": len(cpu), "empty": len(asked) - len(cpu), "cpu_p50_ms": centile(cpu, 50), "cpu_p99_ms": centile(cpu, 99),
        "cpu_max_ms": round(max(cpu), 2), "wall_p50_ms": centile(wall, 50), "wall_p99_ms": centile(wall, 99),
        "tiles_per_cpu_second": round(1000 * len(cpu) / sum(cpu)),
        "median_bytes": int(statistics.median(sizes)), "largest_bytes": max(sizes),
    }  # fmt: skip


def centile(values: list[float], part: int) -> float:
    """Return a percentile, rounded."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)], 2)


def rows(world: World, count: int) -> Iterator[tuple[str, str, list[Place]]]:
    """Yield collection, name of the row, and the tiles."""
    for collection in COLLECTIONS:
        there = valid(world, collection)
        for name, zooms in BANDS.items():
            chance = random.Random(f"{collection}{zooms}")
            yield collection, name, anywhere(there, zooms, count, chance)
        yield collection, "walk", walk(there, count, random.Random(collection))


def archives(world: World, wanted: bool) -> dict[str, Any]:
    """Build the archives, or drop them; return what each took."""
    root, most = world.settings.data_dir / "layers", MapOrder.of(world.settings.tiles)
    options, told = LayerOptions(world.settings.config_dir), dict[str, Any]()
    for collection in COLLECTIONS:
        drawing = planned_map(world.catalog, options, collection, most)
        assert drawing is not None
        if not wanted:
            drop_tiles(root, collection, drawing.info.version)
        elif map_needed(root, drawing, most):
            before = time.process_time()
            state = build_map(drawing, most, Build(root, most.grids, utc_now))
            told[f"{collection} archive"] = {
                "cpu_seconds": round(time.process_time() - before, 1),
                **{name: one.model_dump(exclude={"thinned"}) for name, one in state.grids.items()},
            }
            print(f"{collection} archive", json.dumps(told[f"{collection} archive"]), flush=True)
    return told


async def rested() -> None:
    """Wait until the server has made ready what it does before it is asked."""
    await asyncio.sleep(1)
    while (before := time.process_time()) is not None:
        await asyncio.sleep(1)
        if time.process_time() - before < _REST:
            return


async def run(world: World, count: int, wanted: list[str], source: str) -> dict[str, Any]:
    """Measure all rows in one application."""
    app: Any = create_app(world.settings, catalog=world.catalog, store=world.store)
    asked = [row for row in rows(world, count) if row[1] in wanted]
    told: dict[str, Any] = {"load": os.getloadavg()[0]}
    async with app.router.lifespan_context(app):
        await rested()
        for collection in COLLECTIONS:
            told[f"{collection} first {source}"] = await first(app, world, collection)
            print(f"{collection} first {source}", told[f"{collection} first {source}"], flush=True)
        for collection, name, some in asked:
            told[f"{collection} {name} {source}"] = await measured(app, collection, some)
            print(
                f"{collection} {name} {source}", json.dumps(told[f"{collection} {name} {source}"]), flush=True
            )
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return told


async def first(app: Any, world: World, collection: str) -> dict[int, float]:
    """Ask for one tile per zoom, far from the middle; return milliseconds of CPU."""
    x, y = valid(world, collection)[11]
    told = {}
    for zoom in range(4, 17, 2):
        _, row, column = tile_at(x, y, zoom)
        before = time.process_time()
        await ask(app, f"/collections/{collection}/map/tiles/WebMercatorQuad/{zoom}/{row}/{column}")
        told[zoom] = round((time.process_time() - before) * 1000, 2)
    return told


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--land", type=Path, help="GeoPackage with a layer `provinsi`: no data off it")
    parser.add_argument("--keep", type=Path, help="folder for the rasters, kept for the next run")
    parser.add_argument("--tiles", type=int, default=400, help="tiles per row of the table")
    parser.add_argument("--rows", nargs="*", default=[*BANDS, "walk"], choices=[*BANDS, "walk"])
    parser.add_argument("--from", dest="sources", nargs="*", default=SOURCES, choices=SOURCES)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        world = fill(folder, given.land)
        try:
            told: dict[str, Any] = {}
            for source in given.sources:
                told |= archives(world, source == "archive")
                told |= asyncio.run(run(world, given.tiles, given.rows, source))
            print(json.dumps(told))
        finally:
            world.close()


if __name__ == "__main__":
    main()
