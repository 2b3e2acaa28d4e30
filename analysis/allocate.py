"""Alokasi bantuan (U7): who sends how much of which item to which desa, from stocks and needs.

A transport problem per item, solved in this order (lexicographic): first the smallest weighted share
of need that anyone gets is made as large as it can be, then the next smallest, and so on (max-min
fairness, `allocate_fair`); then as much as possible is sent; then by the least distance, time or cost
(`allocate_solve`). Amounts are whole numbers all the way. Only stock that is released counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyproj import Geod, Transformer

from catalog.errors import QueryError

RELEASED = frozenset({"dirilis", "siap", "terbatas", "released"})
"""States of stock that may be sent; every other state is counted but stays where it is."""
_MOST = 2**31
_GEOD = Geod(ellps="WGS84")

type Costs = Mapping[tuple[str, str], float]
"""Cost of (warehouse, kode), in whatever unit; a pair that is not there can not be reached."""
type _Cells = npt.NDArray[np.float64]
type _CostsOf = Callable[[Sequence[_Place], Sequence[Need]], _Cells]


class Reason(StrEnum):
    """Why a need stays unmet."""

    NO_STOCK = "tidak_ada_stok"
    NOT_RELEASED = "stok_belum_dirilis"
    OUT_OF_REACH = "di_luar_jangkauan"
    SHORT = "stok_kurang"


@dataclass(frozen=True, slots=True)
class Stock:
    """An amount (whole units) of an item in a warehouse; lon and lat in degrees (CRS84)."""

    warehouse: str
    item: str
    amount: int
    lon: float | None = None
    lat: float | None = None
    status: str = "dirilis"


@dataclass(frozen=True, slots=True)
class Need:
    """An amount (whole units) of an item that a desa needs.

    `weight` > 1 is served before others: shares are made equal in `served / amount / weight`.
    """

    kode: str
    item: str
    amount: int
    lon: float | None = None
    lat: float | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Shipment:
    """One line of the plan. `cost` is per unit: metres, or the unit of the given costs."""

    warehouse: str
    kode: str
    item: str
    amount: int
    cost: float


@dataclass(frozen=True, slots=True)
class Unmet:
    """What a desa does not get, and why."""

    kode: str
    item: str
    amount: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class ItemSummary:
    """Totals of an item; `least_share` is the smallest served part of any need (1 when all is met)."""

    item: str
    stock: int
    released: int
    needed: int
    served: int
    least_share: float
    cost: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer: what is sent, what is not, and the totals per item."""

    shipments: list[Shipment]
    unmet: list[Unmet]
    items: list[ItemSummary]


class _Place(NamedTuple):
    name: str
    lon: float | None
    lat: float | None


def allocate(
    stocks: Sequence[Stock],
    needs: Sequence[Need],
    *,
    costs: Costs | None = None,
    max_cost: float | None = None,
    fair: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Plan the shipments, least geodesic distance first unless `costs` are given.

    `max_cost` (metres, or the unit of `costs`) is the farthest that is sent. `fair=False` drops the
    first aim: as much as possible, then the least cost. `progress(done, all)` is called per item.
    Raises QueryError, with the field named, for amounts that are no whole number >= 0, weights
    that are not > 0, missing or impossible coordinates, and needs named twice.
    """
    _check(stocks, needs, costs, max_cost)
    metres = None if costs is not None else _Metres(stocks, needs, max_cost)
    by_item: dict[str, list[Need]] = defaultdict(list)
    for need in needs:
        by_item[need.item].append(need)
    plan = Plan([], [], [])
    for number, item in enumerate(sorted(by_item), 1):
        held = [stock for stock in stocks if stock.item == item]
        _plan_item(plan, item, held, by_item[item], metres or _given(costs or {}), max_cost, fair)
        if progress:
            progress(number, len(by_item))
    return plan


def _plan_item(
    plan: Plan,
    item: str,
    held: list[Stock],
    wanted: list[Need],
    costs: _CostsOf,
    max_cost: float | None,
    fair: bool,
) -> None:
    supply: dict[_Place, int] = defaultdict(int)
    for stock in held:
        if stock.status in RELEASED and stock.amount:
            supply[_Place(stock.warehouse, stock.lon, stock.lat)] += stock.amount
    places = sorted(supply, key=lambda place: place.name)
    cost = costs(places, wanted)
    reach = np.isfinite(cost) if max_cost is None else np.isfinite(cost) & (cost <= max_cost)
    amounts = np.array([supply[place] for place in places], dtype=np.int64)
    if amounts.sum() >= _MOST:
        raise QueryError(f"more than {_MOST} units of one item", where="stok")
    asked = np.array([need.amount for need in wanted], dtype=np.int64)
    sent = _flows(amounts, asked, np.array([need.weight for need in wanted]), cost, reach, fair)
    rows, columns = np.nonzero(sent)
    plan.shipments.extend(
        Shipment(places[i].name, wanted[j].kode, item, int(sent[i, j]), float(cost[i, j]))
        for i, j in zip(rows, columns, strict=True)
    )
    served = sent.sum(axis=0)
    for j in np.flatnonzero(served < asked):
        reason = _reason(held, bool(reach[:, j].any()))
        plan.unmet.append(Unmet(wanted[j].kode, item, int(asked[j] - served[j]), reason))
    real = asked > 0
    plan.items.append(
        ItemSummary(
            item,
            stock=sum(stock.amount for stock in held),
            released=int(amounts.sum()),
            needed=int(asked.sum()),
            served=int(served.sum()),
            least_share=float((served[real] / asked[real]).min()) if real.any() else 1.0,
            cost=float(np.where(sent > 0, np.where(reach, cost, 0) * sent, 0).sum()),
        )
    )


def _flows(
    supply: npt.NDArray[np.int64],
    asked: npt.NDArray[np.int64],
    weights: _Cells,
    cost: _Cells,
    reach: npt.NDArray[np.bool_],
    fair: bool,
) -> npt.NDArray[np.int64]:
    if not reach.any():
        return np.zeros(reach.shape, dtype=np.int64)
    from analysis.allocate_fair import Network, fair_shares  # scipy and OR-Tools: heavy, and seldom needed
    from analysis.allocate_solve import Bounds, cheapest

    network = Network(supply, reach)
    total = network.flow(asked)
    least = fair_shares(network, asked, weights, reach) if fair else np.zeros_like(asked)
    return cheapest(Bounds(supply, asked, least, total), np.where(reach, cost, 0.0), reach)


def _reason(held: list[Stock], reached: bool) -> Reason:
    if not any(stock.amount for stock in held):
        return Reason.NO_STOCK
    if not any(stock.amount for stock in held if stock.status in RELEASED):
        return Reason.NOT_RELEASED
    return Reason.SHORT if reached else Reason.OUT_OF_REACH


def _given(costs: Costs) -> _CostsOf:
    """Return given costs as a matrix: warehouses x desa, infinite where there is no way."""

    def matrix(places: Sequence[_Place], wanted: Sequence[Need]) -> _Cells:
        found = [costs.get((place.name, need.kode), np.inf) for place in places for need in wanted]
        return np.array(found, dtype=float).reshape(len(places), len(wanted))

    return matrix


class _Metres:
    """Geodesic metres, measured once for all items: warehouses x desa; infinite beyond `most`.

    A straight line through the ground is shorter than any way over it, so what is too far by that
    need not be measured.
    """

    def __init__(self, stocks: Sequence[Stock], needs: Sequence[Need], most: float | None) -> None:
        self._from = {name: n for n, name in enumerate(dict.fromkeys(one.warehouse for one in stocks))}
        self._to = {place: n for n, place in enumerate(dict.fromkeys((one.lon, one.lat) for one in needs))}
        known = {one.warehouse: (one.lon, one.lat) for one in stocks}
        here = np.array([known[name] for name in self._from], dtype=float).reshape(-1, 2)
        there = np.array(list(self._to), dtype=float).reshape(-1, 2)
        near = np.ones((len(here), len(there)), dtype=np.bool_)
        if most is not None and near.size:
            from scipy.spatial.distance import cdist

            near = cdist(_ecef(here), _ecef(there)) <= most * (1 + 1e-9)
        i, j = np.nonzero(near)
        self._metres = np.full(near.shape, np.inf)
        self._metres[i, j] = _GEOD.inv(here[i, 0], here[i, 1], there[j, 0], there[j, 1])[2]

    def __call__(self, places: Sequence[_Place], wanted: Sequence[Need]) -> _Cells:
        rows = np.array([self._from[place.name] for place in places], np.int64)
        columns = np.array([self._to[one.lon, one.lat] for one in wanted], np.int64)
        return self._metres[rows[:, np.newaxis], columns]


def _ecef(places: _Cells) -> _Cells:
    """Return earth-centred metres of places in degrees on the ellipsoid."""
    to = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    return np.column_stack(to.transform(places[:, 0], places[:, 1], np.zeros(len(places))))


def _check(
    stocks: Sequence[Stock], needs: Sequence[Need], costs: Costs | None, max_cost: float | None
) -> None:
    if max_cost is not None and not max_cost >= 0:
        raise QueryError("the farthest cost must be 0 or more", where="maks_biaya")
    where_is: dict[str, tuple[float | None, float | None]] = {}
    for number, stock in enumerate(stocks):
        _check_amount(stock.amount, f"stok[{number}].jumlah")
        _check_place(stock.lon, stock.lat, f"stok[{number}]", needed=costs is None)
        if where_is.setdefault(stock.warehouse, (stock.lon, stock.lat)) != (stock.lon, stock.lat):
            raise QueryError("one warehouse at two places", where=f"stok[{number}]")
    seen: set[tuple[str, str]] = set()
    for number, need in enumerate(needs):
        _check_amount(need.amount, f"kebutuhan[{number}].jumlah")
        _check_place(need.lon, need.lat, f"kebutuhan[{number}]", needed=costs is None)
        if not 0 < need.weight < float("inf"):
            raise QueryError("a weight must be more than 0", where=f"kebutuhan[{number}].bobot")
        if (need.kode, need.item) in seen:
            raise QueryError("the same desa and item twice", where=f"kebutuhan[{number}]")
        seen.add((need.kode, need.item))
    if any(not cost >= 0 for cost in (costs or {}).values()):
        raise QueryError("a cost must be 0 or more", where="biaya")


def _check_amount(amount: int, where: str) -> None:
    if isinstance(amount, bool) or amount != int(amount) or not 0 <= amount < _MOST:
        raise QueryError("an amount must be a whole number, 0 or more", where=where)


def _check_place(lon: float | None, lat: float | None, where: str, *, needed: bool) -> None:
    if not needed:
        return
    if lon is None or lat is None or not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise QueryError("lon and lat in degrees are needed when no costs are given", where=f"{where}.lon")
