"""Map tiles that lie ready: which archive belongs to what a raster looks like now.

A raster's look is its version and its rule of colours (`layers.raster_tile.Drawing`). An archive serves as
long as it was drawn by that look, else tiles are drawn as they are asked for until the next one is there.
`stored` is for the short way, which must not wait for anything: it finds what `look` has laid out, from a
thread of its own, and mapped memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

from catalog.datasets import Dataset
from catalog.model import VersionInfo
from layers.raster_style import style_for
from layers.raster_tile import Drawing, empty, validator
from layers.tiles.archive import Archive
from layers.tiles.grid import GRIDS, Grid
from ogc_server import raster_time
from ogc_server.crs import supported
from ogc_server.errors import LayerBrokenError

_KEPT = 512
type Headers = tuple[tuple[str, str], ...]


class Shelf(Protocol):
    """Where archives and the configuration are: the tile desk."""

    def archive(self, layer_id: str, version: int, grid: str) -> Archive | None:
        """Return an open archive."""

    def options(self, dataset: Dataset) -> Any:
        """Return what the layer's source says of maps."""


@dataclass(frozen=True, slots=True)
class MapTile:
    """A PNG (an empty tile is a transparent one), its strong validator, and the headers of its own."""

    body: bytes
    tag: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class _Ready:
    version: int
    tag: str
    archives: dict[str, Archive]
    headers: dict[str, Headers]


@dataclass(frozen=True, slots=True)
class _Known:
    dataset: Dataset
    said: object
    checksum: str
    drawing: Drawing


class MapBoard:
    """The present look of rasters, and their archives. Safe for threads."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._known: OrderedDict[tuple[str, int], _Known] = OrderedDict()
        self._ready: dict[str, _Ready] = {}
        self._lock = Lock()

    def drawing(self, dataset: Dataset, info: VersionInfo) -> Drawing:
        """Return how a version is drawn now; LayerBrokenError when it does not say its bands."""
        said = self._shelf.options(dataset)
        rule, key = said.get("style"), (info.layer_id, info.version)
        known = self._known.get(key)
        if known and known.dataset is dataset and known.said is rule and known.checksum == info.checksum:
            return known.drawing
        style = style_for(info, dataset.record, said)
        if style is None:
            raise LayerBrokenError("the stored version does not say its bands", where=dataset.id)
        made = Drawing.of(info, style)
        ready = self._ready.get(info.layer_id)
        if ready is not None and ready.version == info.version and ready.tag != made.tag:
            self._ready.pop(info.layer_id, None)  # `look` lays it out again
        with self._lock:
            self._known[key] = _Known(dataset, rule, info.checksum, made)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return made

    def archive(self, drawing: Drawing, grid: str) -> Archive | None:
        """Return the archive of a grid that was drawn like this; None when there is none (yet)."""
        found = self._shelf.archive(drawing.info.layer_id, drawing.info.version, grid)
        return found if found is not None and found.drawn == drawing.tag else None

    def kept(self, drawing: Drawing, grid: Grid, zoom: int, row: int, column: int) -> bytes | None:
        """Return a tile of the archive; None when there is none, or it does not reach so deep."""
        found = self.archive(drawing, grid.id)
        return None if found is None else _tile(found, grid, zoom, row, column)

    def stored(
        self, layer_id: str, version: int, grid: str, zoom: int, row: int, column: int
    ) -> MapTile | None:
        """Return a tile that lies ready, without waiting; None leaves it to the long way.

        The place must be in the grid; who may see the layer is the caller's business.
        """
        ready = self._ready.get(layer_id)
        if ready is None or ready.version != version or (archive := ready.archives.get(grid)) is None:
            return None
        body = _tile(archive, GRIDS[grid], zoom, row, column)
        if body is None:
            return None
        return MapTile(body, validator(ready.tag, grid, zoom, row, column), ready.headers[grid])

    def look(self, rasters: Iterable[tuple[Dataset, VersionInfo]]) -> None:
        """Lay out what is ready of all current versions, and open it."""
        ready: dict[str, _Ready] = {}
        for dataset, info in rasters:
            if not info.extra.get("bands"):
                continue
            drawing = self.drawing(dataset, info)
            archives: dict[str, Archive] = {}
            for grid in GRIDS:
                if (found := self.archive(drawing, grid)) is not None:
                    found.decode()
                    archives[grid] = found
            headers = {grid: tuple(tile_headers(dataset, GRIDS[grid]).items()) for grid in archives}
            ready[dataset.id] = _Ready(info.version, drawing.tag, archives, headers)
        self._ready = ready


def _tile(archive: Archive, grid: Grid, zoom: int, row: int, column: int) -> bytes | None:
    deep, x, y = grid.stored(zoom, row, column)
    return None if deep > archive.header["max_zoom"] else archive.get(deep, x, y) or empty()


def tile_headers(dataset: Dataset, grid: Grid) -> dict[str, str]:
    """Return the headers that map tiles have beside those of any answer."""
    return {"Content-Crs": f"<{supported()[grid.crs].uri}>"} | raster_time.headers(dataset)
