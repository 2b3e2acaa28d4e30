"""The last aim of an allocation: the cheapest way to send what is to be sent, by OR-Tools.

A minimum-cost flow in whole units, by the cost-scaling push-relabel method of A. V. Goldberg ("An
efficient implementation of a scaling minimum-cost flow algorithm", Journal of Algorithms 22, 1997),
over all ways at once. Costs are rounded to a billionth of the largest one, half a millimetre on the
farthest way that is usual; that is the only difference from the optimum. The plan is checked against
its bounds all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ortools.graph.python import min_cost_flow

from catalog.errors import SatuDataError

_LEVELS = 2**30
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


def cheapest(bounds: Bounds, cost: _Numbers, reach: _Mask) -> _Amounts:
    """Return whole amounts (warehouses x desa) of least cost within `bounds`, only where `reach`.

    SatuDataError when the solver fails or there is no plan: a defect of the caller, not an input.
    """
    n, m = reach.shape
    desa, source, rest = n + np.arange(m), n + m, n + m + 1
    i, j = np.nonzero(reach & (bounds.supply > 0)[:, np.newaxis] & (bounds.most > 0))
    flow = min_cost_flow.SimpleMinCostFlow()
    ways = flow.add_arcs_with_capacity_and_unit_cost(
        i, n + j, np.minimum(bounds.supply[i], bounds.most[j]), _whole(cost[i, j])
    )
    stock, more = np.zeros(n, np.int64), np.zeros(m, np.int64)
    flow.add_arcs_with_capacity_and_unit_cost(np.full(n, source), np.arange(n), bounds.supply, stock)
    # what a desa gets beyond its least leaves it for the node that takes the rest of all
    flow.add_arcs_with_capacity_and_unit_cost(desa, np.full(m, rest), bounds.most - bounds.least, more)
    flow.set_nodes_supplies(desa, -bounds.least)
    flow.set_node_supply(source, bounds.total)
    flow.set_node_supply(rest, int(bounds.least.sum()) - bounds.total)
    status = flow.solve()
    if status != flow.OPTIMAL:
        raise SatuDataError(f"the solver found no plan: {status}", where="alokasi-bantuan")
    sent = np.zeros((n, m), np.int64)
    sent[i, j] = flow.flows(ways)
    _check(sent, bounds)
    return sent


def _whole(cost: _Numbers) -> _Amounts:
    """Return costs as whole numbers, the largest one 2^30."""
    largest = float(cost.max(initial=0))
    return np.rint(cost * (_LEVELS / largest if largest else 1.0)).astype(np.int64)


def _check(sent: _Amounts, bounds: Bounds) -> None:
    got = sent.sum(axis=0)
    kept = (
        bool((sent >= 0).all())
        and bool((sent.sum(axis=1) <= bounds.supply).all())
        and bool((got <= bounds.most).all())
        and bool((got >= bounds.least).all())
        and int(got.sum()) == bounds.total
    )
    if not kept:
        raise SatuDataError("the solver's plan breaks its bounds", where="alokasi-bantuan")
