"""Rasters: immutable versions as Cloud-Optimised GeoTIFF, with statistics and verified nodata.

`<root>/<layer>/<version>.tif`. Everything is read in strips, so memory stays flat. The checksum is
over pixels, mask, grid, CRS and nodata, not over the file, so the same content is the same version.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.crs
import rasterio.shutil
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from catalog.clock import Clock, utc_now
from catalog.errors import ProtocolError, PublishError, QueryError, StorageFullError
from catalog.model import BBox, VersionInfo
from layers.crs import CRS84, transform_bounds
from layers.files import LayerFiles
from layers.geopackage.sqlite import drop_files, storage_errors, sync
from layers.raster_scale import packed, unpack
from layers.raster_statistics import BandStatistics, Bars

STRIP_BYTES = 16 * 2**20
BLOCK = 256
"""Side of a block in cells: a map tile is drawn from about seven of them, each unpacked whole."""
_TRIED = 4
"""Blocks a side that are packed for a trial."""
_ENDLESS = 1e30
"""A float beyond this is no measurement: it is a nodata value that nobody declared."""


@dataclass(frozen=True, slots=True)
class _Scan:
    checksum: str
    bands: list[BandStatistics]


def write_cog(
    src: Path, root: Path, layer_id: str, version: int, run_id: str, *,
    nodata: float | None = None, crs: str | None = None, clock: Clock = utc_now,
) -> VersionInfo:  # fmt: skip
    """Write a GeoTIFF (or any raster GDAL reads) as version `version` below `root`.

    `nodata` overrides what the file declares; `crs` is used when the file declares none. ProtocolError
    for a file that is corrupt, cut off, without CRS or place, or without one valid pixel; PublishError
    when the version exists.
    """
    files = LayerFiles(root, layer_id)
    final = files.raster(version)
    if final.exists():
        raise PublishError(f"version {version} is there already", where=layer_id)
    part, middle = final.with_name(final.name + ".part"), final.with_name(final.name + ".vrt")
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _reading(src.name):
            _virtual(src, middle, nodata, crs)
            with rasterio.open(middle) as source:
                before = _scan(source, source.nodata)
            _check_pixels(before, src.name)
        with storage_errors(layer_id), _writing(layer_id):
            _convert(middle, part)
        info = _measure(part, layer_id, version, run_id, before, clock)
        with storage_errors(layer_id):
            part.chmod(0o444)
            sync(part)
            part.replace(final)
            sync(final.parent)
        return info
    finally:
        drop_files(part, middle, part.with_name(part.name + ".aux.xml"))


def open_raster(info: VersionInfo, root: Path) -> Path:
    """Return the path of a stored raster; PublishError when it is not there."""
    path = LayerFiles(root, info.layer_id).raster(info.version)
    if not path.is_file():
        raise PublishError(f"version {info.version} is not stored", where=info.layer_id)
    return path


def verify_raster(info: VersionInfo, root: Path) -> None:
    """Read every pixel again; PublishError when the checksum is off or the file is damaged."""
    path, where = open_raster(info, root), f"{info.layer_id} v{info.version}"
    try:
        with _reading(path.name), rasterio.open(path) as stored:
            masked = bool(info.extra.get("masked"))  # versions of before 2026-11-22 have no mask in it
            found = _scan(stored, stored.nodata, masked=masked).checksum
    except ProtocolError as error:
        raise PublishError(f"the raster is damaged: {error.detail}", where=where) from error
    if found != info.checksum:
        raise PublishError("the content is not what was recorded (checksum)", where=where)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """GDAL's errors while reading are the source's fault."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except RasterioError as error:
        message = str(error.__cause__ or error)
        raise ProtocolError(f"the raster is corrupt or cut off: {message}", where=name) from error


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except RasterioError as error:
        text = str(error.__cause__ or error)
        if "space" in text.lower() or "write error" in text.lower():
            raise StorageFullError("the disk is full", where=name) from error
        raise PublishError(f"the raster can not be written: {text}", where=name) from error


def _virtual(src: Path, middle: Path, nodata: float | None, crs: str | None) -> None:
    """Write a VRT over the source that carries the nodata and CRS to use; check its place."""
    with rasterio.open(src) as source:
        if source.count == 0:
            raise ProtocolError("the raster has no band", where=src.name)
        if source.crs is None and crs is None:
            hint = "name it under `crs:` in the source"
            raise ProtocolError("the raster has no CRS", where=src.name, hint=hint)
        if source.transform.is_identity or source.transform.determinant == 0:
            raise ProtocolError("the raster does not say where it lies (no geotransform)", where=src.name)
        if any(np.dtype(one).kind not in "iuf" for one in source.dtypes):
            raise ProtocolError(f"a raster of {source.dtypes[0]} is not served", where=src.name)
        value = _nodata(source, nodata, src.name)
        missing_crs, dtypes, scaled = source.crs is None, source.dtypes, packed(source)
    rasterio.shutil.copy(src.resolve(), middle, driver="VRT")
    with rasterio.open(middle, "r+") as virtual:
        if value is not None:
            virtual.nodata = value
        if missing_crs:
            virtual.crs = rasterio.crs.CRS.from_user_input(crs)
    if scaled:
        unpack(middle, dtypes)


def _nodata(source: Any, given: float | None, name: str) -> float | None:
    """Return the nodata value to store; it must be a value that the pixels can have."""
    value = source.nodata if given is None else given
    if value is None:
        return None
    kind = np.dtype(source.dtypes[0])
    fits = kind.kind == "f" or (float(value).is_integer() and _in_range(value, kind))
    if not fits:
        raise ProtocolError(f"nodata {value} can not stand in a raster of {kind}", where=name)
    return float(value)


def _in_range(value: float, kind: np.dtype[Any]) -> bool:
    limits = np.iinfo(kind)
    return bool(limits.min <= value <= limits.max)


def _strips(source: Any) -> Iterator[Window]:
    row = source.width * np.dtype(source.dtypes[0]).itemsize
    rows = max(1, STRIP_BYTES // max(1, row))
    for top in range(0, source.height, rows):
        yield Window(0, top, source.width, min(rows, source.height - top))


def _scan(
    source: Any, nodata: float | None, bars: list[Bars | None] | None = None, *, masked: bool = True
) -> _Scan:
    """Read all pixels once: checksum and statistics. NaN is never valid, nor what a mask or alpha hides.

    `bars` of each band are counted on the way; with `masked` False the mask is no part of the checksum.
    """
    grid = [source.width, source.height, source.count, list(source.dtypes), _crs(source), nodata]
    digest = blake2b(repr([*grid, [round(v, 9) for v in source.transform[:6]]]).encode(), digest_size=32)
    bands = [BandStatistics(bars=bars[at] if bars else None) for at in range(source.count)]
    hidden = [masked and _has_mask(flags) for flags in source.mask_flag_enums]
    for window in _strips(source):
        for number, band in enumerate(bands, start=1):
            pixels = source.read(number, window=window)
            digest.update(np.ascontiguousarray(pixels))
            valid = _valid(pixels, nodata)
            if hidden[number - 1]:
                shown = source.read_masks(number, window=window) != 0
                digest.update(np.packbits(shown))
                valid &= shown
            band.add(pixels, valid)
    return _Scan(digest.hexdigest(), bands)


def _has_mask(flags: Any) -> bool:
    return MaskFlags.per_dataset in flags or MaskFlags.alpha in flags


def _valid(pixels: npt.NDArray[Any], nodata: float | None) -> npt.NDArray[np.bool_]:
    valid: npt.NDArray[np.bool_] = np.ones(pixels.shape, dtype=bool)
    if pixels.dtype.kind == "f":
        valid = np.isfinite(pixels)
    if nodata is not None and not math.isnan(nodata):
        valid &= pixels != np.asarray(nodata).astype(pixels.dtype)
    return valid


def _check_pixels(scan: _Scan, name: str) -> None:
    if not any(band.valid for band in scan.bands):
        raise ProtocolError("the raster has no valid pixel", where=name)
    for number, band in enumerate(scan.bands, start=1):
        for value in (band.minimum, band.maximum):
            if value is not None and abs(value) > _ENDLESS:
                raise ProtocolError(
                    f"band {number} holds {value:g}: a nodata value that the file does not declare",
                    where=name, hint=f"set `options: {{nodata: {value!r}}}` in the source",
                )  # fmt: skip


def _convert(middle: Path, part: Path) -> None:
    """Write the COG: DEFLATE loses nothing, averages only where values are measurements."""
    with rasterio.open(middle) as virtual:
        real = np.dtype(virtual.dtypes[0]).kind == "f"
        predictor = _predictor(virtual)
    rasterio.shutil.copy(
        middle, part, driver="COG", compress="DEFLATE", predictor=predictor, blocksize=BLOCK,
        overview_resampling="AVERAGE" if real else "NEAREST", bigtiff="IF_SAFER", statistics="YES",
    )  # fmt: skip


def _predictor(source: Any) -> str:
    """Return `NO` or `YES`: what makes some blocks of the raster smaller (rounded values like none)."""
    side, wide = BLOCK, _TRIED * BLOCK
    trial = np.zeros((wide, wide), dtype=source.dtypes[0])
    for row, column in np.ndindex(_TRIED, _TRIED):
        top, left = ((length - side) * at // (_TRIED - 1) for length, at in
                     ((max(side, source.height), row), (max(side, source.width), column)))  # fmt: skip
        found = source.read(1, window=Window(left, top, side, side).intersection(_all(source)))
        trial[row * side :, column * side :][: found.shape[0], : found.shape[1]] = found
    sizes = {name: _packed(trial, name) for name in ("NO", "YES")}
    return min(sizes, key=lambda name: sizes[name])


def _all(source: Any) -> Window:
    return Window(0, 0, source.width, source.height)


def _packed(pixels: npt.NDArray[Any], predictor: str) -> int:
    """Return the bytes that pixels take in blocks."""
    number = 1 if predictor == "NO" else 3 if pixels.dtype.kind == "f" else 2
    height, width = pixels.shape
    with MemoryFile() as memory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(
                driver="GTiff", width=width, height=height, count=1, dtype=pixels.dtype, tiled=True,
                blockxsize=BLOCK, blockysize=BLOCK, compress="DEFLATE", predictor=number,
            ) as out:  # fmt: skip
                out.write(pixels, 1)
        return len(memory)


def _measure(
    part: Path, layer_id: str, version: int, run_id: str, before: _Scan, clock: Clock
) -> VersionInfo:
    """Read the written file back: same pixels, laid out as COG."""
    with _reading(part.name), rasterio.open(part) as stored:
        whole = np.dtype(stored.dtypes[0]).kind != "f"
        after = _scan(stored, stored.nodata, [band.suits(whole=whole) for band in before.bands])
        layout = stored.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
        if after.checksum != before.checksum or layout != "COG":
            raise PublishError("the written raster is not what was read", where=layer_id)
        return VersionInfo(
            layer_id=layer_id, version=version, kind="raster", count=1, checksum=after.checksum,
            bbox=_bbox(stored), size_bytes=part.stat().st_size, created=clock(), run_id=run_id,
            extra=_describe(stored, after),
        )  # fmt: skip


def _describe(stored: Any, scan: _Scan) -> dict[str, Any]:
    bands = [
        {"name": stored.descriptions[i] or f"band{i + 1}", "dtype": stored.dtypes[i],
         "unit": stored.units[i] or "", **scan.bands[i].summary()}
        for i in range(stored.count)
    ]  # fmt: skip
    return {
        "crs": _crs(stored), "width": stored.width, "height": stored.height,
        "resolution": [abs(stored.transform.a), abs(stored.transform.e)],
        "transform": list(stored.transform[:6]), "bounds": list(stored.bounds),
        "nodata": None if stored.nodata is None or math.isnan(stored.nodata) else stored.nodata,
        "nodata_nan": stored.nodata is not None and math.isnan(stored.nodata),
        "dtype": stored.dtypes[0], "bands": bands, "overviews": stored.overviews(1),
        "masked": any(_has_mask(flags) for flags in stored.mask_flag_enums),
    }  # fmt: skip


def _crs(source: Any) -> str:
    number = source.crs.to_epsg()
    return f"EPSG:{number}" if number else str(source.crs.to_wkt())


def _bbox(source: Any) -> BBox | None:
    try:
        return transform_bounds(tuple(source.bounds), _crs(source), CRS84)
    except QueryError:
        return None
