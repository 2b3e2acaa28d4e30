"""Keeps rasters ready for the first who asks: archives laid out, files open, projections known.

A thread looks every second at the current versions. What costs milliseconds once (opening a GeoTIFF and its
overviews, a projection in each thread of the server) is done here, so that no request pays for it.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from catalog.datasets import Dataset
from catalog.errors import SatuDataError
from catalog.model import VersionInfo
from layers.crs import transform_bounds, transform_coordinates
from layers.raster_archive import native_zoom
from layers.raster_tile import CRS_OF, Drawing
from layers.tiles.grid import GRIDS, Grid
from ogc_server.policy import may_see
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

LOGGER = logging.getLogger(__name__)
_PAUSE = 1.0
_LAID = 128
"""Rasters whose archives are laid out for the short way; those of the others are found by who asks."""
_WARM = 16
"""Rasters whose files are opened ahead; of the others the first request opens them."""
_DEEPER = 2
"""Zooms past the archive's last one from which tiles are drawn: all of them read the finest cells."""
_SPREAD = 0.01
"""Seconds that one thread holds on, so that the next one takes its own turn."""


class RasterWatch:
    """Follows the rasters of a server. One per process."""

    def __init__(self, service: Service, pool: ThreadPoolExecutor, threads: int) -> None:
        """`pool` has the `threads` that answer requests."""
        self._service, self._pool, self._threads = service, pool, threads
        self._warmed: set[tuple[str, str]] = set()
        self._met: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rasters", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, before the files are closed."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception as error:  # whatever it is: what is asked for is then made ready by who asks
                LOGGER.error("rasters could not be made ready: %s", type(error).__name__)
            self._stopping.wait(_PAUSE)

    def look(self) -> None:
        """Look once: lay out the archives, then warm what is new."""
        rasters = current(self._service.live.snapshot, _LAID)
        maps = self._service.tiles().maps
        maps.look(rasters)
        for dataset, info in rasters[:_WARM]:
            if self._stopping.is_set():
                return
            if info.extra.get("bands"):
                self._warm(maps.drawing(dataset, info))

    def _warm(self, drawing: Drawing) -> None:
        code = str(drawing.info.extra.get("crs", ""))
        if code not in self._met:
            self._met.add(code)
            for _ in range(self._threads):
                self._pool.submit(_meet, code)
        maps = self._service.tiles().maps
        for grid in GRIDS.values():
            ready = maps.archive(drawing, grid.id) is not None
            key = (f"{drawing.tag}{grid.id}", "deep" if ready else "all")
            if key not in self._warmed:
                self._warmed.add(key)
                self._draw(drawing, grid, ready=ready)

    def _draw(self, drawing: Drawing, grid: Grid, *, ready: bool) -> None:
        """Draw a tile of each zoom that requests may need drawn, in the middle of the raster."""
        native = native_zoom(drawing.info, grid)
        for zoom in range(native + _DEEPER, native if ready else -1, -1):
            if self._stopping.is_set():
                return
            try:
                drawing.png(self._service.rasters(), grid, *_middle(drawing.info, grid, zoom))
            except (SatuDataError, OSError, ValueError, RuntimeError) as error:
                LOGGER.info("%s is not ready: %s", drawing.info.layer_id, type(error).__name__)
                return  # who asks for it is told


def current(snapshot: Snapshot, most: int) -> list[tuple[Dataset, VersionInfo]]:
    """Return rasters that anybody may see, at their current versions."""
    ids = [
        one
        for one in snapshot.collections
        if (entry := snapshot.listed[one]).kind == "raster" and may_see(entry.access)
    ]
    found = snapshot.datasets([one for one in ids if one not in snapshot.broken][:most])
    return [(dataset, dataset.version) for dataset in found if dataset.version is not None]


def _middle(info: VersionInfo, grid: Grid, zoom: int) -> tuple[int, int, int]:
    west, south, east, north = info.bbox or (-1.0, -1.0, 1.0, 1.0)
    x, y = (west + east) / 2, (south + north) / 2
    row, _, column, _ = grid.limits((x, y, x, y), zoom)
    return zoom, row, column


def _meet(code: str) -> None:
    """Make the projections between a raster and the grids known to this thread (pyproj keeps them apart)."""
    for grid in CRS_OF.values():
        try:
            transform_bounds((0, 0, 1, 1), grid, code)
            transform_coordinates(np.zeros((1, 2)), grid, code)
            transform_bounds((0, 0, 1, 1), code, grid)
        except Exception as error:  # a CRS without places there
            LOGGER.debug("%s: %s", code, type(error).__name__)
    time.sleep(_SPREAD)
