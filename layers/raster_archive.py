"""Archives of a raster's map tiles: PMTiles of PNG, all zooms down to where a pixel is as large as a cell.

Each tile is drawn by the function that draws it on request (`layers.raster_tile`), so the bytes are the
same. Tiles are drawn along a Hilbert curve: neighbours follow each other, and a block of the GeoTIFF is
unpacked about once while it is in GDAL's cache. Empty tiles are left out; equal ones are stored once. An
archive ends before the zoom that would be too much, in tiles or in bytes; deeper ones are drawn on request.
Why all tiles over the raster's box are tried: an overview may hide a cell that a deeper zoom shows, so an
empty tile says nothing about those below it.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import PIL
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from pyproj.exceptions import ProjError

from catalog.model import BBox, VersionInfo
from catalog.settings import TileSettings
from catalog.store import Catalog
from layers.crs import CRS84, transform_bounds
from layers.raster_grid import grid_of
from layers.raster_read import RasterPool
from layers.raster_style import style_for
from layers.raster_tile import CRS_OF, TILE, Drawing, empty
from layers.tiles.grid import GRIDS, Grid
from layers.tiles.making import Build, Meter, Progress, is_needed, make
from layers.tiles.options import LayerOptions
from layers.tiles.state import GridReport, TileFiles, TileState

_ALMOST = 1.2
"""A pixel up to so many cells wide counts as being as large as a cell."""
_BATCH_BITS = 6
"""Two to this power tiles, 8 x 8 of a zoom, are drawn by one thread."""
_LAST = 22
"""The deepest zoom of an archive: pixels of 4 cm."""
_GROWTH = 4
"""A zoom has at most about so many times the bytes of the one above it."""
_NICE = 10
type Place = tuple[int, int, int, int]
"""Archive's tile id; zoom, row, column of the grid."""


@dataclass(frozen=True, slots=True)
class MapOrder:
    """What the settings say of archives of map tiles: grids, and the most of one archive."""

    grids: tuple[str, ...]
    tiles: int
    most_bytes: int

    @classmethod
    def of(cls, settings: TileSettings) -> MapOrder:
        """Return what the settings say."""
        return cls(tuple(settings.grids), settings.raster_tiles, settings.raster_megabytes * 1_000_000)


def map_tag(drawing: Drawing, order: MapOrder) -> str:
    """Return a mark of all that decides how the archives come out."""
    said = repr((drawing.tag, sorted(order.grids), order.tiles, order.most_bytes))
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def planned_map(catalog: Catalog, options: LayerOptions, layer_id: str, order: MapOrder) -> Drawing | None:
    """Return how a raster's current version is drawn; None when it is to have no archive."""
    dataset = catalog.datasets.get(layer_id)
    info = dataset.version
    if dataset.kind != "raster" or info is None or info.bbox is None or not order.tiles:
        return None
    style = style_for(info, dataset.record, options.of(dataset.source_id, dataset.remote_id, dataset.id))
    return None if style is None else Drawing.of(info, style)


def map_needed(root: Path, drawing: Drawing, order: MapOrder) -> bool:
    """Tell whether a version's archives are yet to be made: none, or of other colours."""
    files = TileFiles.of(root, drawing.info.layer_id, drawing.info.version)
    return is_needed(files, map_tag(drawing, order), order.grids)


def build_map(drawing: Drawing, most: MapOrder, order: Build, progress: Progress | None = None) -> TileState:
    """Build the archives of a version unless another process is at it; return the state.

    ProtocolError when the raster can not be read; the note then says `failed`.
    """
    info = drawing.info
    files = TileFiles.of(order.root, info.layer_id, info.version)
    pool = RasterPool(order.root)

    def work(meter: Meter) -> None:
        for number, name in enumerate(most.grids):
            meter.part(number, len(most.grids))
            made, report = _Painter(drawing, GRIDS[name], most, order, pool, meter).build(files.work)
            files.place(made, name)
            meter.state.grids[name] = report

    try:
        return make(
            files, info.layer_id, order, map_tag(drawing, most), f"Pillow {PIL.__version__}", work, progress
        )
    finally:
        pool.close()


# -- which tiles


def native_zoom(info: VersionInfo, grid: Grid) -> int:
    """Return the first zoom whose pixels are as small as the raster's cells; at most 22."""
    west, south, east, north = _box(info, grid)
    cell = min((east - west) / info.extra["width"], (north - south) / info.extra["height"])
    return min(max(0, math.ceil(math.log2(grid.side(0) / TILE / (cell * _ALMOST)))), _LAST)


def _box(info: VersionInfo, grid: Grid) -> BBox:
    """Return the raster's box in the grid's units; the world where its CRS does not reach."""
    whole, code = grid_of(info), CRS_OF[grid.id]
    with suppress(ProjError):
        if whole is not None:
            found = transform_bounds(whole.bounds, whole.crs, code)
        else:
            found = transform_bounds(info.bbox or (-180, -85, 180, 85), CRS84, code)
        if all(map(math.isfinite, found)) and found[0] < found[2] and found[1] < found[3]:
            return found
    return -grid.half, -grid.top, grid.half, grid.top


def zooms(info: VersionInfo, grid: Grid, most: int) -> list[list[Place]]:
    """Return the places of each zoom from 0 on, along the curve: at most so many (but always zoom 0)."""
    found: list[list[Place]] = []
    total = 0
    for zoom in range(native_zoom(info, grid) + 1):
        total += _count(info, grid, zoom)
        if found and total > most:
            break
        found.append(_places(info, grid, zoom))
    return found


def _limits(info: VersionInfo, grid: Grid, zoom: int) -> tuple[range, range]:
    """Return rows and columns that the raster's box touches, and one more all around: for rounding."""
    west, south, east, north = _box(info, grid)
    side, rows, columns = grid.side(zoom), grid.rows(zoom), grid.columns(zoom)
    top, bottom = math.floor((grid.top - north) / side), math.floor((grid.top - south) / side)
    left, right = math.floor((west + grid.half) / side), math.floor((east + grid.half) / side)
    return (
        range(max(0, top - 1), min(rows, bottom + 2)), range(max(0, left - 1), min(columns, right + 2)),
    )  # fmt: skip


def _count(info: VersionInfo, grid: Grid, zoom: int) -> int:
    rows, columns = _limits(info, grid, zoom)
    return len(rows) * len(columns)


def _places(info: VersionInfo, grid: Grid, zoom: int) -> list[Place]:
    rows, columns = _limits(info, grid, zoom)
    return sorted(
        (zxy_to_tileid(*grid.stored(zoom, row, column)), zoom, row, column)
        for row in rows
        for column in columns
    )


# -- drawing


class _Shelf(Writer):
    """A writer of PMTiles that keeps what it holds in a folder of ours, and can take a zoom back."""

    def __init__(self, file: Any, spool: Path) -> None:
        super().__init__(file)  # type: ignore[no-untyped-call]
        self.tile_f.close()
        self.tile_f = spool.open("w+b")
        self.largest = 0

    def put(self, tile_id: int, body: bytes) -> None:
        """Take a tile in; tiles come in the order of their ids."""
        self.write_tile(tile_id, body)  # type: ignore[no-untyped-call]
        self.largest = max(self.largest, len(body))

    def drop_from(self, first: int, offset: int, tiles: int) -> None:
        """Forget the tiles from an id on, which were put in when so much was there."""
        kept = [entry for entry in self.tile_entries if entry.tile_id < first]
        if kept:
            kept[-1].run_length = min(kept[-1].run_length, first - kept[-1].tile_id)
        self.tile_entries, self.offset, self.addressed_tiles = kept, offset, tiles
        self.hash_to_offset = {key: at for key, at in self.hash_to_offset.items() if at < offset}
        self.tile_f.seek(offset)
        self.tile_f.truncate()


@dataclass(frozen=True, slots=True)
class _Painter:
    """Draws one archive."""

    drawing: Drawing
    grid: Grid
    most: MapOrder
    order: Build
    pool: RasterPool
    meter: Meter

    def build(self, work: Path) -> tuple[Path, GridReport]:
        """Return the archive, whole, and what it holds."""
        began = time.monotonic()
        made, spool = work / f"{self.grid.id}.pmtiles", work / f"{self.grid.id}.tiles"
        wanted = zooms(self.drawing.info, self.grid, self.most.tiles)
        with made.open("wb") as file:
            shelf = _Shelf(file, spool)
            try:
                last = self._paint(shelf, wanted)
                shelf.finalize(self._header(last), self._metadata(last))  # type: ignore[no-untyped-call]
            finally:
                shelf.tile_f.close()
        spool.unlink()
        return made, GridReport(
            bytes=made.stat().st_size, tiles=shelf.addressed_tiles, largest_tile=shelf.largest, max_zoom=last,
            seconds=round(time.monotonic() - began, 1),
        )  # fmt: skip

    def _paint(self, shelf: _Shelf, wanted: Sequence[Sequence[Place]]) -> int:
        """Draw zoom after zoom; return the last one that is kept."""
        total, done, before = sum(map(len, wanted)), 0, 0
        with ThreadPoolExecutor(self.order.threads, initializer=_give_way) as threads:
            for zoom, places in enumerate(wanted):
                start, tiles, first = shelf.offset, shelf.addressed_tiles, places[0][0]
                if zoom and start + _GROWTH * before > self.most.most_bytes:
                    return zoom - 1
                for batch in self._drawn(threads, places):
                    for tile_id, body in batch:
                        shelf.put(tile_id, body)
                    if zoom and shelf.offset > self.most.most_bytes:
                        shelf.drop_from(first, start, tiles)
                        return zoom - 1
                    done += 2**_BATCH_BITS
                    self.meter.at(100 * done / total)
                    self.order.check(self.drawing.info.layer_id)
                before = shelf.offset - start
        return len(wanted) - 1

    def _drawn(
        self, threads: ThreadPoolExecutor, places: Sequence[Place]
    ) -> Iterator[list[tuple[int, bytes]]]:
        """Yield the tiles of a zoom in order, some batches ahead of who takes them."""
        base = zxy_to_tileid(self.grid.stored(places[0][1], 0, 0)[0], 0, 0)
        batches = (list(some) for _, some in groupby(places, lambda place: place[0] - base >> _BATCH_BITS))
        waiting: deque[Future[list[tuple[int, bytes]]]] = deque()
        try:
            for batch in islice(batches, 2 * self.order.threads):
                waiting.append(threads.submit(self._draw, batch))
            while waiting:
                done = waiting.popleft().result()
                for batch in islice(batches, 1):
                    waiting.append(threads.submit(self._draw, batch))
                yield done
        finally:
            for one in waiting:
                one.cancel()

    def _draw(self, batch: list[Place]) -> list[tuple[int, bytes]]:
        found = []
        for tile_id, zoom, row, column in batch:
            body = self.drawing.png(self.pool, self.grid, zoom, row, column)
            if body is not empty() or zoom == 0:  # an archive holds one tile at least
                found.append((tile_id, body))
        return found

    def _header(self, last: int) -> dict[str, Any]:
        west, south, east, north = self.drawing.info.bbox or (-180.0, -85.0, 180.0, 85.0)
        places = {
            "min_lon": west, "min_lat": south, "max_lon": east, "max_lat": north,
            "center_lon": (west + east) / 2, "center_lat": (south + north) / 2,
        }  # fmt: skip
        return {f"{name}_e7": round(value * 1e7) for name, value in places.items()} | {
            "tile_type": TileType.PNG, "tile_compression": Compression.NONE, "center_zoom": min(last, 5),
        }  # fmt: skip

    def _metadata(self, last: int) -> Mapping[str, Any]:
        """Return what the archive says of itself; `drawing` decides whether it may be served."""
        return {
            "name": self.drawing.info.layer_id, "type": "overlay", "format": "png", "tilesize": TILE,
            "version": str(self.drawing.info.version), "drawing": self.drawing.tag, "grid": self.grid.id,
            "maxzoom": last,
        }  # fmt: skip


def _give_way() -> None:
    """Let the thread step back for requests (Linux: priorities are of threads)."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
