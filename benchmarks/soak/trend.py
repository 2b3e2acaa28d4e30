"""Tells growth from noise: a line through samples that one odd sample does not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

WARM_UP = 0.25
"""The part of a run that is not judged: caches and pools fill up, code is compiled."""
_FEWEST = 8


@dataclass(frozen=True, slots=True)
class Trend:
    """What a quantity did over the judged part of a run, in its own unit."""

    first: float
    last: float
    growth: float
    sure: bool

    def leaks(self, allowed: float) -> bool:
        """Tell whether it grew for certain, and by more than what is allowed."""
        return self.sure and self.growth > allowed


def trend(times: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Fit samples after the warm-up; None when too few are left to say anything.

    `growth` is the median of all pairwise slopes (Theil and Sen) over the judged time, `first` and `last`
    are medians of its first and last fifth. It is `sure` when Kendall's tau says that later samples are
    larger with less than one chance in a thousand of being wrong.
    """
    known = [(t, v) for t, v in zip(times, values, strict=True) if v is not None]
    begin = times[0] + WARM_UP * (times[-1] - times[0]) if times else 0
    judged = np.array([one for one in known if one[0] >= begin], dtype=float)
    if len(judged) < _FEWEST:
        return None
    at, seen = judged[:, 0], judged[:, 1]
    fifth = max(1, len(judged) // 5)
    first, last = float(np.median(seen[:fifth])), float(np.median(seen[-fifth:]))
    if np.ptp(seen) == 0:
        return Trend(first, last, 0.0, sure=False)
    slope = float(stats.theilslopes(seen, at).slope)
    said = stats.kendalltau(at, seen, alternative="greater")
    return Trend(first, last, slope * float(at[-1] - at[0]), sure=bool(said.pvalue < 0.001))
