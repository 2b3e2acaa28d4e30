"""Statistik zonal: a raster summed up per polygon, e.g. a hazard index per desa.

Cells count by the part of them that a polygon covers (exactextract), not by whether their middle lies
in it: small desa get an answer, and neighbours share the cells of their border.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rasterio
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from pyproj import CRS, Transformer
from rasterio.windows import Window, from_bounds
from shapely.geometry.base import BaseGeometry

from catalog.errors import ProtocolError, QueryError

_BATCH = 256
_MOST_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon and its code, in the CRS that `zonal` is told."""

    code: str
    geometry: BaseGeometry


@dataclass(frozen=True, slots=True)
class ZoneStatistics:
    """Figures of one zone. `cells` is the covered area in cells with data, `no_data` the part without.

    What the raster does not reach counts as without data. `classes` are parts of the covered area
    with data, one per class; all None where there is no data at all.
    """

    code: str
    cells: float
    no_data: float
    mean: float | None
    least: float | None
    most: float | None
    total: float | None
    classes: tuple[float | None, ...] = ()


def zonal(
    zones: Iterable[Zone],
    raster: Path | str,
    *,
    band: int = 1,
    crs: str = "EPSG:4326",
    breaks: Sequence[float] = (),
) -> Iterator[ZoneStatistics]:
    """Yield the statistics of each zone in order; zones are brought into the raster's CRS.

    `breaks` (growing) make classes [b0, b1), [b1, b2) ... and the last one closed. QueryError for
    breaks that do not grow or a band that is not there, ProtocolError for an unreadable raster.
    """
    if any(not low < high for low, high in pairwise(breaks)) or len(breaks) == 1:
        raise QueryError("class breaks must grow, two at least", where="batas_kelas")
    try:
        source = rasterio.open(raster)
    except rasterio.errors.RasterioIOError as error:
        raise ProtocolError("the raster can not be read", where=str(raster)) from error
    with source:
        if not 1 <= band <= source.count:
            raise QueryError(f"the raster has {source.count} band(s)", where="band")
        if source.crs is None or source.transform.b or source.transform.d or source.transform.e >= 0:
            raise ProtocolError("the raster has no CRS or is not north up", where=str(raster))
        for some in batched(zones, _BATCH, strict=False):
            moved = _moved([zone.geometry for zone in some], crs, source.crs.to_wkt())
            for zone, geometry in zip(some, moved, strict=True):
                yield _one(zone.code, geometry, source, band, breaks)


def _moved(geometries: list[BaseGeometry], crs: str, wanted: str) -> list[BaseGeometry]:
    here, there = CRS.from_user_input(crs), CRS.from_wkt(wanted)
    if here.equals(there, ignore_axis_order=True):
        return geometries
    transform = Transformer.from_crs(here, there, always_xy=True).transform

    def points(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(transform(xy[:, 0], xy[:, 1]))

    return [shapely.transform(geometry, points) for geometry in geometries]


def _one(
    code: str, geometry: BaseGeometry, source: Any, band: int, breaks: Sequence[float]
) -> ZoneStatistics:
    if geometry.is_empty or not geometry.area:
        return _nothing(code, breaks)
    size = abs(source.transform.a * source.transform.e)
    window = _window(source, geometry.bounds)
    values, cover = (np.empty(0), np.empty(0)) if window is None else _cells(source, band, window, geometry)
    good = np.isfinite(values)
    values, cover = values[good], cover[good]
    cells = float(cover.sum())
    if not cells:
        return _nothing(code, breaks)
    missing = 1 - cells / (geometry.area / size)
    return ZoneStatistics(
        code,
        cells,
        no_data=0.0 if missing < 1e-9 else missing,
        mean=float(np.average(values, weights=cover)),
        least=float(values.min()),
        most=float(values.max()),
        total=float((values * cover).sum()),
        classes=_classes(values, cover, breaks),
    )


def _nothing(code: str, breaks: Sequence[float]) -> ZoneStatistics:
    return ZoneStatistics(code, 0.0, 1.0, None, None, None, None, (None,) * max(len(breaks) - 1, 0))


def _window(source: Any, bounds: tuple[float, ...]) -> Window | None:
    """Return the whole cells below a box, None outside. QueryError when they are too many."""
    asked = from_bounds(*bounds, transform=source.transform)
    left, top = max(int(np.floor(asked.col_off)), 0), max(int(np.floor(asked.row_off)), 0)
    right = min(int(np.ceil(asked.col_off + asked.width)), source.width)
    bottom = min(int(np.ceil(asked.row_off + asked.height)), source.height)
    if left >= right or top >= bottom:
        return None
    if (right - left) * (bottom - top) > _MOST_CELLS:
        raise QueryError(f"one polygon covers more than {_MOST_CELLS} cells", where="raster")
    return Window(left, top, right - left, bottom - top)


def _cells(
    source: Any, band: int, window: Window, geometry: BaseGeometry
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return value (NaN without data) and covered part of each cell that the polygon touches."""
    read = source.read(band, window=window, masked=True)
    grid = np.ma.filled(read.astype(np.float64), np.nan)
    west, south, east, north = source.window_bounds(window)
    raster = NumPyRasterSource(grid, west, south, east, north)
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(geometry)}
    found = exact_extract(raster, [feature], ["values", "coverage"])[0]["properties"]
    return np.asarray(found["values"], dtype=np.float64), np.asarray(found["coverage"], dtype=np.float64)


def _classes(
    values: npt.NDArray[np.float64], cover: npt.NDArray[np.float64], breaks: Sequence[float]
) -> tuple[float, ...]:
    if not breaks:
        return ()
    parts, _ = np.histogram(values, bins=np.asarray(breaks, dtype=np.float64), weights=cover)
    return tuple(float(part) for part in parts / cover.sum())


def zonal_table(found: Iterable[ZoneStatistics], breaks: Sequence[float] = ()) -> pa.Table:
    """Return the statistics as Arrow: `kode, sel, tanpa_data, rata_rata, min, maks, jumlah, kelas_*`."""
    rows = list(found)
    columns: dict[str, pa.Array] = {"kode": pa.array([row.code for row in rows], pa.string())}
    names = {
        "sel": "cells", "tanpa_data": "no_data", "rata_rata": "mean", "min": "least", "maks": "most",
        "jumlah": "total",
    }  # fmt: skip
    for name, attribute in names.items():
        columns[name] = pa.array([getattr(row, attribute) for row in rows], pa.float64())
    for number, (low, high) in enumerate(pairwise(breaks)):
        columns[f"kelas_{low:g}_{high:g}"] = pa.array([row.classes[number] for row in rows], pa.float64())
    return pa.table(columns)
