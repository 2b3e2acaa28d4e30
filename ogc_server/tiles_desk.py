"""Finds a tile: in the version's archive, else made on request and kept for the next who asks.

Map tiles of rasters have their archives here, too; `maps` knows which of them shows the present colours.

One desk per process, shared by its threads. Archives are opened once; a file that was made anew
(another plan for the same version) is noticed within two seconds.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.datasets import Dataset
from catalog.errors import PublishError
from catalog.model import VersionInfo
from catalog.settings import Settings
from layers.raster_archive import MapOrder, map_tag
from layers.raster_tile import Drawing
from layers.style.rule import StyleRule, columns_of, rules_of
from layers.tiles import request
from layers.tiles.archive import Archive
from layers.tiles.build import plan_tag
from layers.tiles.grid import Grid
from layers.tiles.options import LayerOptions
from layers.tiles.plan import DEEPEST, TilePlan, make_plan
from layers.tiles.request import TileBusyError
from layers.tiles.state import TileFiles, TileState
from ogc_server.raster_board import MapBoard
from ogc_server.readers import Readers

_LOOK_EVERY = 2.0
_KEPT_BYTES = 64 * 2**20
_AT_ONCE = 2
_PATIENCE = 10.0
"""Seconds that a request waits for its turn before it is told to come back."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's gzipped bytes (empty: nothing is there) and its strong validator."""

    body: bytes
    tag: str


NOTHING = Tile(b"", "")


@dataclass(slots=True)
class _Opened:
    archive: Archive | None
    stamp: tuple[int, int] | None
    looked: float


class TileDesk:
    """Archives, tiles made on request, and what the configuration says of tiles and styles."""

    def __init__(self, settings: Settings, readers: Readers) -> None:
        self._root = settings.data_dir / "layers"
        self._readers = readers
        self._postgis = settings.layers is not None
        self._maps_order = MapOrder.of(settings.tiles)
        self._options = LayerOptions(settings.config_dir)
        self._opened: OrderedDict[tuple[str, int, str], _Opened] = OrderedDict()
        self._made: OrderedDict[tuple[object, ...], Tile] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self.maps = MapBoard(self)

    # -- what is known of a layer

    def options(self, dataset: Dataset) -> Mapping[str, Any]:
        """Return what the layer's source says of maps: `tiles`, `style`, `styles`."""
        return self._options.of(dataset.source_id, dataset.remote_id, dataset.id)

    def styles(self, dataset: Dataset) -> dict[str, StyleRule]:
        """Return the layer's configured styles by id."""
        return rules_of(self.options(dataset))

    def plan(self, dataset: Dataset, info: VersionInfo) -> TilePlan:
        """Return what goes into the tiles of a version."""
        options = self._options.tiles(dataset.source_id, dataset.remote_id, dataset.id)
        return make_plan(info, options, columns_of(self.styles(dataset)))

    def state(self, dataset: Dataset, info: VersionInfo) -> TileState:
        """Return how far the version's archives are; `on-request` where there will be none."""
        options = self._options.tiles(dataset.source_id, dataset.remote_id, dataset.id)
        if (options.on_request and self._postgis) or info.bbox is None:
            return TileState(state="on-request")
        return TileFiles.of(self._root, info.layer_id, info.version).read()

    def map_state(self, drawing: Drawing) -> TileState:
        """Return how far the archives of map tiles are; `waiting` while they show other colours."""
        order = self._maps_order
        if not order.tiles:
            return TileState(state="on-request")
        info = drawing.info
        found = TileFiles.of(self._root, info.layer_id, info.version).read()
        return found if found.plan == map_tag(drawing, order) else TileState()

    # -- tiles

    def archive(self, layer_id: str, version: int, grid: str) -> Archive | None:
        """Return the open archive of a version, None when there is none (yet)."""
        key = (layer_id, version, grid)
        now = time.monotonic()
        known = self._opened.get(key)
        if known is None or now - known.looked > _LOOK_EVERY:
            with self._lock:
                known = self._opened[key] = self._look(key, known, now)
                self._opened.move_to_end(key)
                while len(self._opened) > 512:
                    self._opened.popitem(last=False)
        return known.archive

    def _look(self, key: tuple[str, int, str], known: _Opened | None, now: float) -> _Opened:
        path = TileFiles.of(self._root, key[0], key[1]).archive(key[2])
        try:
            found = path.stat()
            stamp = (found.st_ino, found.st_mtime_ns)
            if known is not None and known.stamp == stamp:
                return _Opened(known.archive, stamp, now)
            return _Opened(Archive(path), stamp, now)
        except (OSError, PublishError):
            return _Opened(None, None, now)

    def stored(
        self, layer_id: str, version: int, grid: Grid, zoom: int, row: int, column: int
    ) -> Tile | None:
        """Return a tile of the archive; None when the archive does not hold this zoom."""
        archive = self.archive(layer_id, version, grid.id)
        if archive is None or zoom < grid.first_zoom:
            return None
        deep, x, y = grid.stored(zoom, row, column)
        if deep > archive.header["max_zoom"]:
            return None
        body = archive.get(deep, x, y)
        return Tile(body, _tag(version, body)) if body else NOTHING

    def tile(self, dataset: Dataset, info: VersionInfo, grid: Grid, zoom: int, row: int, column: int) -> Tile:
        """Return a tile; TileBusyError when it can not be made while somebody waits."""
        found = self.stored(info.layer_id, info.version, grid, zoom, row, column)
        if found is not None:
            return found
        plan = self.plan(dataset, info)
        key = (info.layer_id, info.version, info.checksum, plan_tag(plan, ()), grid.id, zoom, row, column)
        with self._lock:
            if (kept := self._made.get(key)) is not None:
                self._made.move_to_end(key)
                return kept
        made = self._make(plan, info, grid, zoom, row, column)
        self._keep(key, made)
        return made

    def _make(self, plan: TilePlan, info: VersionInfo, grid: Grid, zoom: int, row: int, column: int) -> Tile:
        if not self._turns.acquire(timeout=_PATIENCE):
            raise TileBusyError(where=info.layer_id)
        try:
            with self._readers.lease(info) as reader:
                make = _of_database if self._postgis else request.make_tile
                body = make(reader, plan, grid, zoom, row, column)
        finally:
            self._turns.release()
        return Tile(body, _tag(info.version, body)) if body else NOTHING

    def _keep(self, key: tuple[object, ...], tile: Tile) -> None:
        with self._lock:
            if key not in self._made:
                self._made[key] = tile
                self._bytes += len(tile.body) + 500
            while self._bytes > _KEPT_BYTES:
                _, old = self._made.popitem(last=False)
                self._bytes -= len(old.body) + 500


def _of_database(reader: Any, plan: TilePlan, grid: Grid, zoom: int, row: int, column: int) -> bytes | None:
    """Return a tile that PostGIS makes of its own table."""
    from layers.tiles import postgis  # it brings psycopg

    return postgis.make_tile(reader, plan, grid, zoom, row, column)


def _tag(version: int, body: bytes) -> str:
    """Return a strong validator: a gzip stream ends with CRC-32 and length of what it holds."""
    return f"{version:x}.{len(body):x}.{body[-8:].hex()}"


def zooms(grid: Grid) -> tuple[int, int]:
    """Return the first and the last zoom that are served."""
    return grid.first_zoom, DEEPEST
