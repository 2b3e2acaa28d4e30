"""Facts and faults of a raster file: georeferenced, whole, not too large, its nodata sensible."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from catalog.errors import ConfigError, ProtocolError
from catalog.model import BBox
from harvesters.file.crs import authority
from harvesters.file.shape import bbox_of

_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class RasterFacts:
    """What the header of a raster says. `bbox` in degrees, `size` in cells, `cell` in units of the CRS."""

    crs: str
    bbox: BBox | None
    size: tuple[int, int]
    cell: tuple[float, float]
    bands: int
    dtype: str
    nodata: float | None

    def extras(self) -> dict[str, str]:
        """Return the facts as texts for the dataset's record."""
        return {
            "raster_ukuran": f"{self.size[0]} x {self.size[1]}",
            "raster_sel": f"{self.cell[0]:g} x {self.cell[1]:g}",
            "raster_pita": str(self.bands), "raster_jenis": self.dtype,
            "raster_nodata": "" if self.nodata is None else f"{self.nodata:g}",
        }  # fmt: skip


def is_tiff(path: Path) -> bool:
    """Tell a TIFF by its first bytes."""
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def facts(path: Path, crs: str | None, most: int) -> RasterFacts:
    """Read the header; ProtocolError without georeference, without CRS, or above `most` bytes unpacked."""
    with _opened(path) as source:
        _check_size(source, path, most)
        code = _code(source, crs, path)
        bounds = tuple(float(v) for v in source.bounds)
        return RasterFacts(
            crs=code,
            bbox=bbox_of((bounds[0], bounds[1], bounds[2], bounds[3]), code),
            size=(source.width, source.height),
            cell=(abs(source.transform.a), abs(source.transform.e)),
            bands=source.count,
            dtype=str(source.dtypes[0]),
            nodata=source.nodata,
        )


def _opened(path: Path) -> Any:
    try:
        return rasterio.open(path, driver="GTiff")
    except (RasterioError, OSError) as error:
        raise ProtocolError(f"the GeoTIFF can not be read: {error}", where=path.name) from error


def _check_size(source: Any, path: Path, most: int) -> None:
    size = source.width * source.height * sum(np.dtype(t).itemsize for t in source.dtypes)
    if size > most:
        raise ProtocolError(
            f"{source.width} x {source.height} cells are {size:,} bytes unpacked; the limit is {most:,}",
            where=path.name, hint="raise options.max_bytes, or take a part of it",
        )  # fmt: skip


def _code(source: Any, configured: str | None, path: Path) -> str:
    if source.transform.is_identity:
        raise ProtocolError("the raster is not georeferenced", where=path.name)
    if source.crs is None:
        if configured is None:
            raise ProtocolError("the raster names no CRS", where=path.name, hint="set `crs` of the layer")
        return authority(configured, path.name)
    found = source.crs.to_authority(confidence_threshold=70)
    return f"{found[0]}:{found[1]}" if found else str(source.crs.to_wkt())


def with_crs(path: Path, crs: str | None, folder: Path) -> Path:
    """Return the file itself, or a copy in `folder` that bears the configured CRS when it has none."""
    with _opened(path) as source:
        if source.crs is not None or crs is None:
            return path
    copy = folder / f"crs-{path.name}"
    shutil.copyfile(path, copy)
    with rasterio.open(copy, "r+") as target:
        target.crs = rasterio.CRS.from_user_input(authority(crs, path.name))
    return copy


def check_raster(
    path: Path, most: int, progress: Callable[[int, int | None], None], nodata: float | None = None
) -> int:
    """Read every block once; return the count of cells in which a band has a value.

    ProtocolError for a file that was cut (blocks are missing), that has no CRS, or in which every cell
    is nodata; ConfigError for a configured `nodata` that can not occur in the raster's type.
    """
    facts(path, None, most)
    valid = 0
    try:
        with _opened(path) as source:
            _check_nodata(source, nodata, path)
            windows = list(_windows(source))
            for done, window in enumerate(windows, start=1):
                valid += _valid(source, window, nodata)
                progress(done, len(windows))
    except (RasterioError, OSError) as error:
        if isinstance(error, ProtocolError):
            raise
        raise ProtocolError(f"the GeoTIFF is cut or broken: {error}", where=path.name) from error
    if valid == 0:
        raise ProtocolError("every cell of the raster is nodata", where=path.name)
    return valid


def _valid(source: Any, window: Any, nodata: float | None) -> int:
    cells = source.read(window=window)
    mask = source.read_masks(window=window) != 0
    return int(np.count_nonzero((mask if nodata is None else mask & (cells != nodata)).any(axis=0)))


def _windows(source: Any) -> Any:
    """Yield windows of whole blocks, not more than about `_CHUNK` cells wide and high."""
    height, width = source.block_shapes[0]
    high = max(height, _CHUNK // height * height) if width < source.width else max(height, _CHUNK**2 // width)
    wide = max(width, _CHUNK // width * width)
    for row in range(0, source.height, high):
        for column in range(0, source.width, wide):
            yield rasterio.windows.Window(
                column, row, min(wide, source.width - column), min(high, source.height - row)
            )


def _check_nodata(source: Any, nodata: float | None, path: Path) -> None:
    if nodata is None:
        return
    for kind in source.dtypes:
        if np.issubdtype(kind, np.integer):
            limits = np.iinfo(kind)
            if not float(nodata).is_integer() or not limits.min <= nodata <= limits.max:
                raise ConfigError(f"nodata {nodata:g} can not occur in {kind} cells", where=path.name)
