"""Reading stored rasters: a pool of open files, and windows of cells at any size and in any CRS.

A COG holds overviews; what is asked for at a coarser scale is read from the overview that is just
finer than the answer, so a picture of the whole country costs no more than one of a village.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from catalog.errors import ProtocolError
from catalog.model import VersionInfo
from layers.crs import crs_of, transform_bounds
from layers.raster import open_raster
from layers.raster_grid import Box, Cells, Grid, grid_of
from layers.raster_warp import Below, Flags, Pixels, below

type Values = Any
"""A masked array (bands, rows, columns); cells without data are masked."""
type Key = tuple[str, int, int]
type Shade = Callable[[Values], Pixels]
"""Makes palette indexes (rows, columns) of masked values."""

_CACHE_MB = "128"
"""Unpacked blocks that a process keeps, unless its environment says otherwise (GDAL: 5 % of memory)."""
_AT_ONCE = 1_000_000
"""Cells of an answer that are looked up at once: a large picture takes little memory beside itself."""
_MOST_TO_PICK_FROM = 16_000_000
"""Cells of a window that is read to pick from. Only an answer far narrower than high needs more."""


@dataclass(slots=True)
class _Open:
    key: Key
    file: Any
    view: Any

    def close(self) -> None:
        if self.view is not self.file:
            self.view.close()
        self.file.close()


class RasterPool:
    """Open rasters, each used by one thread at a time (GDAL's rule); at most `keep` stay open idle.

    When another version of a layer is opened, the idle files of the version before are closed.
    """

    def __init__(self, root: Path, keep: int = 96) -> None:
        os.environ.setdefault("GDAL_CACHEMAX", _CACHE_MB)  # read by GDAL when it keeps its first block
        self._root = root
        self._keep = keep
        self._idle: OrderedDict[Key, list[_Open]] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def lease(self, info: VersionInfo, level: int = -1) -> Iterator[Any]:
        """Yield an open, north-up dataset of a version, or of its overview `level` (0: the finest one).

        PublishError when the version is not stored, ProtocolError when the file can not be read.
        """
        entry = self._take((info.layer_id, info.version, level)) or self._open(info, level)
        try:
            yield entry.view
        except RasterioError as error:
            entry.close()
            raise ProtocolError(f"the raster can not be read: {error}", where=info.layer_id) from error
        except BaseException:
            entry.close()
            raise
        self._give_back(entry)

    def _take(self, key: Key) -> _Open | None:
        with self._lock:
            waiting = self._idle.get(key)
            if not waiting:
                return None
            entry = waiting.pop()
            if not waiting:
                del self._idle[key]
            return entry

    def _open(self, info: VersionInfo, level: int) -> _Open:
        self._forget(info)
        path = open_raster(info, self._root)
        try:
            file = rasterio.open(path) if level < 0 else rasterio.open(path, overview_level=level)
            if file.crs is None:
                file.close()
                raise ProtocolError("the raster has no CRS", where=info.layer_id)
            view = file if _north_up(file) else WarpedVRT(file, **_outside(file))
        except RasterioError as error:
            raise ProtocolError(f"the raster can not be read: {error}", where=info.layer_id) from error
        return _Open((info.layer_id, info.version, level), file, view)

    def _forget(self, info: VersionInfo) -> None:
        with self._lock:
            old = [key for key in self._idle if key[0] == info.layer_id and key[1] != info.version]
            entries = [entry for key in old for entry in self._idle.pop(key)]
        for entry in entries:
            entry.close()

    def _give_back(self, entry: _Open) -> None:
        surplus: list[_Open] = []
        with self._lock:
            if self._closed:
                surplus.append(entry)
            else:
                self._idle.setdefault(entry.key, []).append(entry)
                self._idle.move_to_end(entry.key)
                while sum(map(len, self._idle.values())) > self._keep:
                    key, waiting = next(iter(self._idle.items()))
                    surplus.append(waiting.pop(0))
                    if not waiting:
                        del self._idle[key]
        for one in surplus:
            one.close()

    def idle(self) -> list[Key]:
        """Return which files are open and unused."""
        with self._lock:
            return [key for key, waiting in self._idle.items() for _ in waiting]

    def close(self) -> None:
        """Close all that is idle now, and all else when it comes back."""
        with self._lock:
            self._closed = True
            entries = [entry for waiting in self._idle.values() for entry in waiting]
            self._idle.clear()
        for entry in entries:
            entry.close()


def _north_up(file: Any) -> bool:
    place = file.transform
    return bool(place.a > 0 and place.e < 0 and not place.b and not place.d)


def dataset_grid(source: Any, code: str) -> Grid:
    """Return the grid of an open, north-up dataset whose CRS we call `code`."""
    place = source.transform
    return Grid(code, place.c, place.f, place.a, -place.e, source.width, source.height)


def read_cells(source: Any, bands: Sequence[int], cells: Cells, width: int, height: int) -> Values:
    """Read cells as `width` x `height` values per band: averages of measurements, else the nearest."""
    window = Window(cells.column, cells.row, cells.width, cells.height)
    real = np.dtype(source.dtypes[0]).kind == "f"
    values = source.read(
        list(bands), window=window, out_shape=(len(bands), height, width), masked=True,
        resampling=Resampling.average if real else Resampling.nearest,
    )  # fmt: skip
    return _masked(values)


def read_grid(pool: RasterPool, info: VersionInfo, bands: Sequence[int], grid: Grid) -> Values:
    """Read the values at the middle of each cell of any grid, in any CRS; masked beside the raster."""
    return _read(pool, info, bands, grid, None)


def read_painted(pool: RasterPool, info: VersionInfo, band: int, grid: Grid, shade: Shade) -> Pixels:
    """Return `shade` of the values at the middles of a grid's cells, (rows, columns); 0 beside the raster.

    `shade` makes a byte of each value by itself, 0 of those that are masked. Where a grid is finer than
    the raster, its cells are fewer than the answer's: they are shaded before they are picked.
    """
    found = _read(pool, info, [band], grid, shade)
    return shade(found[0]) if isinstance(found, np.ma.MaskedArray) else np.asarray(found[0])


def _read(
    pool: RasterPool, info: VersionInfo, bands: Sequence[int], grid: Grid, shade: Shade | None
) -> Values:
    """Return masked values; with `shade` perhaps what that made of them, unmasked (never a mixture)."""
    whole = grid_of(info)
    if whole is None:
        return _warped(pool, info, bands, grid)
    inside = _seen(grid, whole.crs)
    if inside is None or whole.cells(inside) is None:
        return _nothing(bands, grid, info.extra["dtype"])
    with pool.lease(info, _level(info.extra.get("overviews") or (), inside, whole, grid)) as source:
        coarse = whole.sized(source.width, source.height)
        parts: list[Values] = []
        for top in range(0, grid.height, rows := max(1, _AT_ONCE // grid.width)):
            strip = grid.part(Cells(0, top, grid.width, min(rows, grid.height - top)))
            values = _pick(source, bands, below(strip, coarse), strip, shade)
            if values is None:
                return _warp(source, bands, grid, CRS.from_wkt(crs_of(grid.crs).to_wkt()))
            parts.append(values)
    if len(parts) == 1:
        return parts[0]
    if shade is not None:
        return np.concatenate([_shaded(part, shade) for part in parts], axis=1)
    return np.ma.concatenate(parts, axis=1)


def _shaded(values: Values, shade: Shade) -> Pixels:
    return shade(values[0])[np.newaxis] if isinstance(values, np.ma.MaskedArray) else values


def _nothing(bands: Sequence[int], grid: Grid, dtype: str) -> Values:
    return np.ma.masked_all((len(bands), grid.height, grid.width), dtype=dtype)


def _pick(source: Any, bands: Sequence[int], cells: Below, grid: Grid, shade: Shade | None) -> Values | None:
    """Read the window that holds the cells, and return theirs; None when it is out of proportion."""
    window = cells.window(source.width, source.height)
    if window is None:
        return _nothing(bands, grid, source.dtypes[0])
    if window.width * window.height > _MOST_TO_PICK_FROM:
        return None
    place = Window(window.column, window.row, window.width, window.height)
    read = source.read(list(bands), window=place)
    flags = source.mask_flag_enums[bands[0] - 1]
    masked = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
    said = source.read_masks(list(bands), window=place) if masked else None
    if shade is not None and window.width * window.height <= grid.width * grid.height:
        shaded = shade(np.ma.array(read, mask=_hidden(source, read, said))[0])
        found, beside = cells.pick(shaded[np.newaxis], window)
        if beside.any():
            found *= ~beside
        return found
    values, beside = cells.pick(read, window)
    picked = None if said is None else cells.pick(said, window)[0]
    return np.ma.array(values, mask=_hidden(source, values, picked) | beside)


def _hidden(source: Any, values: Pixels, said: Pixels | None) -> Flags:
    """Return which values are no data; `said` is the mask that the file itself has for them."""
    hidden: Flags = np.zeros(values.shape, dtype=bool)
    if said is not None:
        hidden |= said == 0
    elif source.nodata is not None and not math.isnan(source.nodata):
        hidden |= values == np.asarray(source.nodata).astype(values.dtype)
    if values.dtype.kind == "f":
        hidden |= ~np.isfinite(values)
    return hidden


def _warped(pool: RasterPool, info: VersionInfo, bands: Sequence[int], grid: Grid) -> Values:
    """Read a raster that is not stored north-up."""
    code = CRS.from_wkt(crs_of(grid.crs).to_wkt())
    with pool.lease(info) as source:
        whole = dataset_grid(source, source.crs.to_wkt())
        inside = _seen(grid, whole.crs)
        if inside is None or whole.cells(inside) is None:
            return _nothing(bands, grid, source.dtypes[0])
        level = _level(source.overviews(1), inside, whole, grid)
        if level < 0:
            return _warp(source, bands, grid, code)
    with pool.lease(info, level) as source:
        return _warp(source, bands, grid, code)


def _seen(grid: Grid, code: str) -> Box | None:
    """Return the grid's area in the raster's CRS; None where that CRS knows no such place."""
    try:
        box = transform_bounds(grid.bounds, grid.crs, code)
    except ProjError:
        return None
    return box if all(map(math.isfinite, box)) and box[0] < box[2] and box[1] < box[3] else None


def _level(overviews: Sequence[int], inside: Box, whole: Grid, grid: Grid) -> int:
    """Return the overview that is just finer than the grid asked for, -1: the full resolution."""
    across = (inside[2] - inside[0]) / whole.dx / grid.width
    down = (inside[3] - inside[1]) / whole.dy / grid.height
    return sum(factor <= min(across, down) for factor in overviews) - 1


def _warp(source: Any, bands: Sequence[int], grid: Grid, crs: CRS) -> Values:
    outside = _outside(source)
    with WarpedVRT(
        source, crs=crs, transform=grid.transform, width=grid.width, height=grid.height,
        resampling=Resampling.nearest, **outside,
    ) as warped:  # fmt: skip
        if "add_alpha" not in outside:
            return _masked(warped.read(list(bands), masked=True))
        read = warped.read([*bands, warped.count])
    beside = np.broadcast_to(read[-1:] == 0, (len(bands), *read.shape[1:]))
    return np.ma.array(read[:-1], mask=beside)


def _outside(source: Any) -> dict[str, Any]:
    """Return how a warp marks cells beside the raster, without taking a value that is data."""
    if source.nodata is not None:
        return {"nodata": source.nodata}
    return {"nodata": math.nan} if np.dtype(source.dtypes[0]).kind == "f" else {"add_alpha": True}


def _masked(values: Values) -> Values:
    """Return the values with NaN and infinity masked as well."""
    if values.dtype.kind == "f":
        return np.ma.array(values.data, mask=np.ma.getmaskarray(values) | ~np.isfinite(values.data))
    return np.ma.array(values.data, mask=np.ma.getmaskarray(values))
