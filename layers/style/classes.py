"""Class breaks: natural (Fisher-Jenks), quantiles, equal steps.

Natural breaks minimise the squared distance to the class means, by Fisher's exact method (W. D.
Fisher, "On Grouping for Maximum Homogeneity", JASA 53, 1958, pp. 789-798), over the distinct values;
more than 512 of them are first gathered into as many bins of equal count.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

type Values = npt.NDArray[np.float64]

_BINS = 512


def class_breaks(values: Values, method: Literal["jenks", "quantile", "equal"], classes: int) -> list[float]:
    """Return the inner limits (at most `classes` - 1, growing): class i is limit i-1 <= value < limit i.

    NaN and infinite values count for nothing. Fewer distinct values than classes give fewer classes.
    """
    known = np.sort(values[np.isfinite(values)].astype(float))
    distinct = np.unique(known)
    if len(distinct) <= 1:
        return []
    if method == "equal":
        found = np.linspace(known[0], known[-1], classes + 1)[1:-1]
    elif method == "quantile":
        found = np.quantile(known, np.linspace(0, 1, classes + 1)[1:-1], method="higher")
    else:
        found = _natural(known, distinct, min(classes, len(distinct)))
    inner = np.unique(found)
    return [float(one) for one in inner[(inner > known[0]) & (inner <= known[-1])]]


def _natural(known: Values, distinct: Values, classes: int) -> Values:
    """Return the first value of each class but the first, in the best grouping of sorted values."""
    if len(distinct) > _BINS:
        starts = np.unique(known[np.linspace(0, len(known) - 1, _BINS).astype(int)])
    else:
        starts = distinct
    place = np.searchsorted(known, starts)
    weight = np.diff(np.append(place, len(known))).astype(float)
    total = np.add.reduceat(known, place)
    square = np.add.reduceat(known * known, place)
    n, s, q = (np.concatenate(([0.0], np.cumsum(part))) for part in (weight, total, square))
    count = len(starts)

    def cost(first: npt.NDArray[np.int_], last: int) -> Values:
        """Squared distance to the mean of bins first..last-1."""
        size, summed = n[last] - n[first], s[last] - s[first]
        spread: Values = (q[last] - q[first]) - summed * summed / size
        return spread

    best = np.full((classes + 1, count + 1), np.inf)
    cut = np.zeros((classes + 1, count + 1), dtype=int)
    best[0, 0] = 0
    for k in range(1, classes + 1):
        for last in range(k, count + 1):
            first = np.arange(k - 1, last)
            sums = best[k - 1, first] + cost(first, last)
            at = int(np.argmin(sums))
            best[k, last], cut[k, last] = sums[at], first[at]
    limits, last = [], count
    for k in range(classes, 1, -1):
        last = int(cut[k, last])
        limits.append(starts[last])
    return np.array(limits[::-1])
