"""The last aim of an allocation: the cheapest way to send what is to be sent, by HiGHS.

The matrix of the problem is that of a network, so it is totally unimodular and the simplex method
gives whole numbers for whole amounts (Hoffman & Kruskal 1956); the result is checked all the same.
Most of the ways between warehouses and desa are never used, so the solver starts with the near ones
and is given others only where the dual prices show that they pay (column generation; when none
does, the optimum is that of all ways).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

from catalog.errors import SatuDataError

_NEAR = 8
_ADDED = 4
_WAYS = 3000
"""Ways to begin with, and to add in a round: few desa that need many warehouses are done in few rounds."""
type _Amounts = npt.NDArray[np.int64]
type _Numbers = npt.NDArray[np.float64]
type _Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Each warehouse sends at most `supply`, each desa gets `least` to `most`, all get `total`."""

    supply: _Amounts
    most: _Amounts
    least: _Amounts
    total: int


def cheapest(bounds: Bounds, cost: _Numbers, reach: _Mask, start: _Amounts) -> _Amounts:
    """Return whole amounts (warehouses x desa) of least cost within `bounds`, only where `reach`.

    `start` is any plan within the bounds. SatuDataError when the solver fails: a defect, not an input.
    """
    scale = max(float(cost.max(initial=0)), 1.0)
    tried = (_nearest(cost, reach) & reach) | (start > 0)
    while True:
        answer, reduced = _solve(bounds, cost / scale, tried)
        paying = np.where(reach & ~tried, reduced, 0.0)
        if paying.min(initial=0) > -1e-9:
            break
        depth = min(max(_ADDED, _WAYS // paying.shape[1]), paying.shape[0])
        best = np.argpartition(paying, depth - 1, axis=0)[:depth]
        fresh = np.zeros_like(tried)
        np.put_along_axis(fresh, best, True, axis=0)
        tried |= fresh & (paying < -1e-9)
    sent = np.rint(answer).astype(np.int64)
    _check(sent, answer, bounds)
    return sent


def _nearest(cost: _Numbers, reach: _Mask) -> _Mask:
    """Mark the cheapest ways of each desa and of each warehouse."""
    near = np.zeros_like(reach)
    reached = np.where(reach, cost, np.inf)
    for axis in (0, 1):
        depth = min(max(_NEAR, _WAYS // cost.shape[1 - axis]), cost.shape[axis])
        best = np.argpartition(reached, depth - 1, axis=axis)
        np.put_along_axis(near, np.take(best, range(depth), axis=axis), True, axis=axis)
    return near


def _solve(bounds: Bounds, cost: _Numbers, tried: _Mask) -> tuple[_Numbers, _Numbers]:
    """Return the plan over the tried ways, and the reduced cost of every way."""
    i, j = np.nonzero(tried)
    ways = len(i)
    ones, at = np.ones(ways), np.arange(ways)
    leaving = csr_array((ones, (i, at)), shape=(tried.shape[0], ways))
    coming = csr_array((ones, (j, at)), shape=(tried.shape[1], ways))
    answer = linprog(
        cost[i, j],
        A_ub=vstack([leaving, coming, -coming]),
        b_ub=np.concatenate([bounds.supply, bounds.most, -bounds.least]),
        A_eq=csr_array(ones[np.newaxis, :]),
        b_eq=np.array([bounds.total]),
        method="highs-ds",
    )
    if not answer.success:
        raise SatuDataError(f"the solver found no plan: {answer.message}", where="alokasi-bantuan")
    plan = np.zeros(tried.shape)
    plan[i, j] = answer.x
    n, m = tried.shape
    prices = answer.ineqlin.marginals
    desa = prices[n : n + m] - prices[n + m :]
    return plan, cost - prices[:n, np.newaxis] - desa[np.newaxis, :] - answer.eqlin.marginals[0]


def _check(sent: _Amounts, answer: _Numbers, bounds: Bounds) -> None:
    got = sent.sum(axis=0)
    kept = (
        float(np.abs(sent - answer).max(initial=0)) < 1e-3
        and bool((sent.sum(axis=1) <= bounds.supply).all())
        and bool((got <= bounds.most).all())
        and bool((got >= bounds.least).all())
        and int(got.sum()) == bounds.total
    )
    if not kept:
        raise SatuDataError("the solver's plan breaks its bounds", where="alokasi-bantuan")
