"""wilayah-terdampak from a raster: the share of each desa in each class of a hazard, cell by cell exact.

Thresholds make classes: a class holds the cells from its threshold up to the next one, what lies below
the first is no hazard. Cells count by the part of them that lies in the desa (exactextract) and by
their true area (EPSG:6933), so shares are equal-area in rasters in degrees, too. A cell without data
is neither safe nor hit: `bagian_tanpa_data` says how much of a desa is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import batched, pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import shapely

from analysis.counts import Aggregates
from analysis.impact import Dampak, DesaTerdampak, desa_of, highest, roll_up
from analysis.lookup import DesaIndex
from analysis.ragged import Floats, Ints
from analysis.raster_cells import Cells, Source, moved, opened
from catalog.errors import QueryError

type Rule = Literal["tertinggi", "terbanyak"]
"""Which class a desa gets: the highest that is there, or the one with the most area."""
_MOST_CLASSES = 50
_BATCH = 256
_LEAST = 1e-6
"""A share below this is a border that does not quite meet, not ground."""


@dataclass(frozen=True, slots=True)
class Ambang:
    """A class and the value from which it holds."""

    mulai: float
    kelas: str


@dataclass(frozen=True, slots=True)
class _Share:
    per_class: Floats
    unknown: float
    most: float | None


def thresholds_of(values: Sequence[float], names: Sequence[str] = ()) -> list[Ambang]:
    """Return the classes of growing values; without `names` they are called after their bounds.

    QueryError (`ambang`, `kelas`) when values do not grow or names are not as many.
    """
    if not 1 <= len(values) <= _MOST_CLASSES or not np.isfinite(values).all():
        raise QueryError(f"1 to {_MOST_CLASSES} thresholds are needed", where="ambang")
    if any(not low < high for low, high in pairwise(values)):
        raise QueryError("thresholds must grow", where="ambang")
    if names and (len(names) != len(values) or len(set(names)) != len(names)):
        raise QueryError("one name per threshold, each once", where="kelas")
    made = names or [*(f"{low:g}-{high:g}" for low, high in pairwise(values)), f">={values[-1]:g}"]
    return [Ambang(float(value), name) for value, name in zip(values, made, strict=True)]


def affected_by_raster(
    index: DesaIndex,
    raster: Path | str,
    thresholds: Sequence[Ambang],
    *,
    band: int = 1,
    rule: Rule = "tertinggi",
    aggregates: Aggregates | None = None,
    names: Mapping[str, str] | None = None,
    crs: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dampak:
    """Return the desa with ground at or above the first threshold.

    `Dampak.tanpa_data` names the desa below the raster that have no data at all; desa beside it are
    not looked at. `crs` stands in where the file declares none.
    """
    starts = np.array([one.mulai for one in thresholds], np.float64)
    classes = [one.kelas for one in thresholds]
    hit: list[tuple[int, _Share]] = []
    without: list[str] = []
    with opened(raster, band, crs=crs) as source:
        rows = _below(index, source)
        for done, some in enumerate(batched(rows.tolist(), _BATCH, strict=False)):
            shapes = moved(index.polygons.shapes(np.array(some)), "EPSG:4326", source.wkt)
            for row, (cells, whole) in zip(some, source.each(shapes), strict=True):
                share = _share(cells, whole, float(index.areas[row]), starts)
                if share is None:
                    continue
                if share.unknown >= 1 - _LEAST:
                    without.append(index.code(row))
                elif share.per_class.sum() > _LEAST:
                    hit.append((row, share))
            if progress:
                progress(min((done + 1) * _BATCH, len(rows)), len(rows))
    desa = _desa(index, hit, classes, rule, aggregates)
    return Dampak(desa, roll_up(index, desa, names or {}), tanpa_data=tuple(without))


def _below(index: DesaIndex, source: Source) -> Ints:
    """Return the rows whose box meets the raster's, in the order of codes."""
    ring = shapely.segmentize(shapely.box(*source.dataset.bounds), max(*_sizes(source)) / 32)
    west, south, east, north = moved([ring], source.wkt, "EPSG:4326")[0].bounds
    b = index.boxes
    return np.flatnonzero((b[:, 0] <= east) & (b[:, 2] >= west) & (b[:, 1] <= north) & (b[:, 3] >= south))


def _sizes(source: Source) -> tuple[float, float]:
    west, south, east, north = source.dataset.bounds
    return east - west, north - south


def _share(found_cells: Iterable[Cells], whole: bool, area: float, starts: Floats) -> _Share | None:
    """Return the share of each class and of what is unknown; None when no cell lies below the desa."""
    found, known, covered, most = np.zeros(len(starts)), 0.0, 0.0, -np.inf
    for cells in found_cells:
        good = np.isfinite(cells.values)
        covered += float(cells.area.sum())
        known += float(cells.area[good].sum())
        number = np.searchsorted(starts, cells.values[good], side="right") - 1
        hit = number >= 0
        found += np.bincount(number[hit], cells.area[good][hit], len(starts))
        most = max(most, float(cells.values[good].max(initial=-np.inf)))
    total = covered if whole else max(area, covered)
    if not covered:
        return None
    return _Share(found / total, max(0.0, 1 - known / total), None if np.isinf(most) else most)


def _desa(
    index: DesaIndex,
    hit: Sequence[tuple[int, _Share]],
    classes: Sequence[str],
    rule: Rule,
    aggregates: Aggregates | None,
) -> DesaTerdampak:
    shares = np.array([share.per_class for _, share in hit]).reshape(len(hit), len(classes))
    there = np.where(shares > _LEAST, shares, 0.0)
    top, most = highest(there), shares.argmax(axis=1)
    unknown = np.array([share.unknown for _, share in hit])
    found = desa_of(
        index,
        np.array([row for row, _ in hit], np.int64),
        np.minimum(shares.sum(axis=1), 1.0),
        classes,
        np.where((top >= 0) & (rule == "tertinggi"), top, most),
        there,
        aggregates,
    )
    return replace(
        found,
        bagian_tanpa_data=np.where(unknown > _LEAST, unknown, 0.0),
        maksimum=np.array([share.most for _, share in hit], float),
    )
