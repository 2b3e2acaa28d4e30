"""Statistik zonal: a raster summed up per polygon, e.g. a hazard index per desa.

Cells count by the part of them that a polygon covers (exactextract), not by whether their middle lies
in it: small desa get an answer, and neighbours share the cells of their border.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from shapely.geometry.base import BaseGeometry

from analysis.ragged import Floats
from analysis.raster_cells import Cells, moved, opened
from catalog.errors import QueryError

_BATCH = 256
_MOST_VALUES = 1000
"""Different values in one polygon beyond which they are measurements, and none of them is a majority."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon and its code, in the CRS that `zonal` is told."""

    code: str
    geometry: BaseGeometry


@dataclass(frozen=True, slots=True)
class ZoneStatistics:
    """Figures of one zone. `cells` is the covered area in cells with data, `no_data` the part without.

    What the raster does not reach counts as without data. `deviation` is that of the population.
    `majority` is the value with the most area, the lowest of equals, None where there are too many
    different ones. `classes` are parts of the covered area with data, one per class; all None where
    there is no data at all.
    """

    code: str
    cells: float
    no_data: float
    mean: float | None = None
    deviation: float | None = None
    least: float | None = None
    most: float | None = None
    total: float | None = None
    majority: float | None = None
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
    with opened(raster, band) as source:
        for some in batched(zones, _BATCH, strict=False):
            shapes = moved([zone.geometry for zone in some], crs, source.wkt)
            found = source.each(shapes, areas=False)
            for zone, shape, (cells, _) in zip(some, shapes, found, strict=True):
                yield _one(zone.code, shape.area / source.cell_size, cells, breaks)


def _one(code: str, size: float, found: Iterable[Cells], breaks: Sequence[float]) -> ZoneStatistics:
    """Add up the cells of a polygon that is as large as `size` of them."""
    sums = _Sums(breaks)
    for cells in found:
        sums.add(cells)
    if not sums.cells:
        return _nothing(code, breaks)
    missing = 1 - sums.cells / size
    return ZoneStatistics(
        code,
        sums.cells,
        no_data=0.0 if missing < 1e-9 else missing,
        mean=sums.mean,
        deviation=float(np.sqrt(sums.squares / sums.cells)),
        least=sums.least,
        most=sums.most,
        total=sums.mean * sums.cells,
        majority=sums.majority(),
        classes=tuple((sums.classes / sums.cells).tolist()),
    )


def _nothing(code: str, breaks: Sequence[float]) -> ZoneStatistics:
    return ZoneStatistics(code, 0.0, 1.0, classes=(None,) * max(len(breaks) - 1, 0))


@dataclass(slots=True)
class _Sums:
    """Adds strips of cells up. Mean and squares after Chan, Golub & LeVeque (1979): no cancellation."""

    breaks: Sequence[float]
    cells: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    least: float = np.inf
    most: float = -np.inf
    classes: Floats = field(init=False)
    _values: dict[float, float] | None = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.classes = np.zeros(max(len(self.breaks) - 1, 0))

    def add(self, found: Cells) -> None:
        """Take the cells with data of a strip."""
        good = np.isfinite(found.values) & (found.cover > 0)
        values, cover = found.values[good], found.cover[good]
        weight = float(cover.sum())
        if not weight:
            return
        mean = float(np.average(values, weights=cover))
        apart, together = mean - self.mean, self.cells + weight
        self.squares += (
            float((cover * (values - mean) ** 2).sum()) + apart**2 * self.cells * weight / together
        )
        self.mean += apart * weight / together
        self.cells = together
        self.least, self.most = min(self.least, float(values.min())), max(self.most, float(values.max()))
        if self.breaks:
            self.classes += np.histogram(values, bins=np.asarray(self.breaks, np.float64), weights=cover)[0]
        self._count(values, cover)

    def _count(self, values: Floats, cover: Floats) -> None:
        if self._values is None:
            return
        different, place = np.unique(values, return_inverse=True)
        many = np.bincount(place, cover)
        for value, weight in zip(different[:_MOST_VALUES].tolist(), many.tolist(), strict=False):
            self._values[value] = self._values.get(value, 0.0) + weight
        if max(len(different), len(self._values)) > _MOST_VALUES:
            self._values = None

    def majority(self) -> float | None:
        """Return the value with the most area, the lowest of those that are equal."""
        if not self._values:
            return None
        return min(self._values, key=lambda value: (-self._values[value], value))  # type: ignore[index]


def zonal_table(found: Iterable[ZoneStatistics], breaks: Sequence[float] = ()) -> pa.Table:
    """Return the statistics as Arrow: `kode, sel, tanpa_data, rata_rata, simpangan_baku, ...`."""
    rows = list(found)
    columns: dict[str, pa.Array] = {"kode": pa.array([row.code for row in rows], pa.string())}
    names = {
        "sel": "cells", "tanpa_data": "no_data", "rata_rata": "mean", "simpangan_baku": "deviation",
        "min": "least", "maks": "most", "jumlah": "total", "mayoritas": "majority",
    }  # fmt: skip
    for name, attribute in names.items():
        columns[name] = pa.array([getattr(row, attribute) for row in rows], pa.float64())
    for number, (low, high) in enumerate(pairwise(breaks)):
        columns[f"kelas_{low:g}_{high:g}"] = pa.array([row.classes[number] for row in rows], pa.float64())
    return pa.table(columns)
