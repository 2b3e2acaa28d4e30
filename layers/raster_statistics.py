"""Statistics of the bands of a raster, taken in strip by strip; a histogram on a second reading."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

_BARS = 20
"""Bars of a histogram, unless whole numbers have few values: then each has its own."""
_FEW = 32


@dataclass(frozen=True, slots=True)
class Bars:
    """`count` bars of equal width from `low` to `high`."""

    low: float
    high: float
    count: int


@dataclass(slots=True)
class BandStatistics:
    """Of the valid pixels of one band; None when there is none. With `bars` they are counted, too."""

    valid: int = 0
    nodata: int = 0
    minimum: float | None = None
    maximum: float | None = None
    bars: Bars | None = None
    _sum: float = field(default=0.0, repr=False)
    _squares: float = field(default=0.0, repr=False)
    _counts: npt.NDArray[np.int64] | None = field(default=None, repr=False)

    def add(self, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> None:
        """Take a strip in."""
        good = pixels[valid].astype(np.float64)
        self.valid += good.size
        self.nodata += int(valid.size - good.size)
        if not good.size:
            return
        low, high = float(good.min()), float(good.max())
        self.minimum = low if self.minimum is None else min(self.minimum, low)
        self.maximum = high if self.maximum is None else max(self.maximum, high)
        self._sum += float(good.sum())
        self._squares += float(np.square(good).sum())
        if self.bars is not None:
            counts, _ = np.histogram(good, self.bars.count, (self.bars.low, self.bars.high))
            self._counts = counts if self._counts is None else self._counts + counts

    def suits(self, *, whole: bool) -> Bars | None:
        """Return the bars that fit what was seen; None when nothing was, or when they are too near."""
        if self.minimum is None or self.maximum is None:
            return None
        low, high = self.minimum, self.maximum
        if whole and high - low < _FEW:
            return Bars(low - 0.5, high + 0.5, int(high - low) + 1)
        wide = high - low
        tells = math.isfinite(wide) and wide / _BARS > np.spacing(max(abs(low), abs(high)))
        return Bars(low, high, _BARS) if tells else None

    def summary(self) -> dict[str, Any]:
        """Return plain numbers: min, max, mean, std (population), valid and nodata pixels, histogram."""
        mean = self._sum / self.valid if self.valid else None
        spread = None if mean is None else math.sqrt(max(0.0, self._squares / self.valid - mean * mean))
        said = {"min": self.minimum, "max": self.maximum, "mean": mean, "std": spread,
                "valid": self.valid, "nodata_pixels": self.nodata}  # fmt: skip
        if self.bars is None or self._counts is None:
            return said
        histogram = {"min": self.bars.low, "max": self.bars.high, "counts": self._counts.tolist()}
        return said | {"histogram": histogram}
