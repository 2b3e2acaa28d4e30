"""Max-min fair shares of short stock: how much each desa gets at least.

Progressive filling with maximum flows: the level that all can have together is raised as far as a flow
exists; those who hold it back (the minimum cut) are frozen at it, the others go on. After N. Megiddo,
"Optimal flows in networks with multiple sources and sinks", Mathematical Programming 7 (1974), and
Bertsekas & Gallager, Data Networks (2nd ed., 1992), 6.5.2; here for whole units, so a frozen group may
have a remainder of less than one unit a member, which the next aim (send all that can be sent) gives out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

type Amounts = npt.NDArray[np.int64]
type Reach = npt.NDArray[np.bool_]


def fair_shares(network: Network, asked: Amounts, weights: npt.NDArray[np.float64], reach: Reach) -> Amounts:
    """Return the least amount for each desa; the amounts together can be sent.

    `asked` and `weights` (m desa, weights > 0), `reach` (n warehouses x m).
    """
    frozen = np.zeros_like(asked)
    open_ = (asked > 0) & reach.any(axis=0)
    while open_.any():
        level = _highest_level(network, frozen, open_, asked, weights)
        at_level = _amounts(level.reached, frozen, open_, asked, weights)
        if level.missed is None:
            return at_level
        held_back = open_ & network.short_side(_amounts(level.missed, frozen, open_, asked, weights))
        frozen = np.where(held_back, at_level, frozen)
        open_ &= ~held_back
    return frozen


@dataclass(frozen=True, slots=True)
class _Level:
    """The highest level that can be had by all, and a higher one that can not (None: all is met)."""

    reached: float
    missed: float | None


def _amounts(
    level: float,
    frozen: Amounts,
    open_: npt.NDArray[np.bool_],
    asked: Amounts,
    weights: npt.NDArray[np.float64],
) -> Amounts:
    """Return the fewest whole units that are at least `level` x weight of each open need."""
    units = np.ceil(np.minimum(asked * weights * level, asked) - 1e-9).astype(np.int64)
    return np.where(open_, units, frozen)


def _highest_level(
    network: Network,
    frozen: Amounts,
    open_: npt.NDArray[np.bool_],
    asked: Amounts,
    weights: npt.NDArray[np.float64],
) -> _Level:
    low, high = 0.0, float(1 / weights[open_].min())
    if network.can_send(_amounts(high, frozen, open_, asked, weights)):
        return _Level(high, None)
    while _several_steps(low, high, asked, weights, open_):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if network.can_send(_amounts(middle, frozen, open_, asked, weights)):
            low = middle
        else:
            high = middle
    return _Level(low, high)


def _several_steps(
    low: float,
    high: float,
    asked: Amounts,
    weights: npt.NDArray[np.float64],
    open_: npt.NDArray[np.bool_],
) -> bool:
    """Tell whether [low, high) has more than one level above which some need asks for one unit more."""
    rate = (asked * weights)[open_]
    first, last = np.ceil(rate * low - 1e-9), np.ceil(rate * high - 1e-9) - 1
    last = np.minimum(last, asked[open_] - 1)
    some = last >= first
    levels = np.concatenate([first[some] / rate[some], last[some] / rate[some]]).round(12)
    return bool(len(levels) and np.ptp(levels) > 0)


class Network:
    """Source -> warehouses -> desa -> sink; a complete one needs only sums.

    Warehouses that reach the same desa are one to a flow: most of a country's are.
    """

    def __init__(self, supply: Amounts, reach: Reach) -> None:
        alike, group = np.unique(np.packbits(reach, axis=1), axis=0, return_inverse=True)
        self._supply = np.zeros(len(alike), np.int64)
        np.add.at(self._supply, group, supply)
        self._reach = np.unpackbits(alike, axis=1, count=reach.shape[1]).astype(np.bool_)
        self._complete = bool(self._reach[self._supply > 0].all())
        i, j = np.nonzero(self._reach)
        n, m = self._reach.shape
        self._known = np.concatenate([self._supply, self._supply[i]]).astype(np.int32)
        self._heads = np.concatenate([1 + np.arange(n), 1 + n + j, np.full(m, self._sink)]).astype(np.int32)
        sizes = np.concatenate([[n], np.count_nonzero(self._reach, axis=1), np.ones(m, np.int64), [0]])
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)

    def can_send(self, wanted: Amounts) -> bool:
        """Tell whether every desa can get `wanted` at once."""
        return self.flow(wanted) == int(wanted.sum())

    def flow(self, wanted: Amounts) -> int:
        """Return how much of `wanted` can be sent."""
        if self._complete:
            return int(min(self._supply.sum(), wanted.sum()))
        return int(maximum_flow(self._graph(wanted), 0, self._sink).flow_value)

    def short_side(self, wanted: Amounts) -> npt.NDArray[np.bool_]:
        """Return the desa (mask) that the minimum cut shows to be short of `wanted`.

        They are those from which the sink can still be reached: what one of them gets more, another
        of them gets less.
        """
        if self._complete:
            return np.ones(len(wanted), dtype=np.bool_)
        graph = self._graph(wanted)
        residual = csr_array(graph - maximum_flow(graph, 0, self._sink).flow)
        residual.data[residual.data < 0] = 0
        residual.eliminate_zeros()
        back = breadth_first_order(csr_array(residual.T), self._sink, return_predecessors=False)
        reaching = np.zeros(self._sink + 1, dtype=np.bool_)
        reaching[back] = True
        return np.asarray(reaching[1 + len(self._supply) : self._sink], dtype=np.bool_)

    @property
    def _sink(self) -> int:
        return 1 + sum(self._reach.shape)

    def _graph(self, wanted: Amounts) -> csr_array:
        """Return the arcs, by tail: only what the desa ask for differs from one question to the next."""
        most = np.concatenate([self._known, wanted.astype(np.int32)])
        return csr_array((most, self._heads, self._starts), shape=(self._sink + 1, self._sink + 1))
