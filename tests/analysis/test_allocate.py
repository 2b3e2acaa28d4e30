"""Allocation: optimal against brute force, nothing made or lost, and every shortage explained."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from analysis.allocate import Need, Plan, Reason, Stock, allocate
from benchmarks.analysis_allocate import problem
from catalog.errors import QueryError


def _served(plan: Plan, needs: list[Need]) -> dict[str, int]:
    served = {need.kode: 0 for need in needs}
    for line in plan.shipments:
        served[line.kode] += line.amount
    return served


@st.composite
def _small(draw: st.DrawFn) -> tuple[list[Stock], list[Need], dict[tuple[str, str], float]]:
    n, m = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    stocks = [Stock(f"W{i}", "beras", draw(st.integers(0, 4))) for i in range(n)]
    needs = [
        Need(f"D{j}", "beras", draw(st.integers(0, 3)), weight=draw(st.sampled_from([1.0, 2.0])))
        for j in range(m)
    ]
    pairs = [(s.warehouse, d.kode) for s in stocks for d in needs]
    costs = {pair: float(draw(st.integers(0, 9))) for pair in pairs if draw(st.integers(0, 3))}
    return stocks, needs, costs


def _all_plans(stocks: list[Stock], needs: list[Need], costs: dict[tuple[str, str], float]):
    ways = list(costs)
    by_name = {s.warehouse: s.amount for s in stocks} | {d.kode: d.amount for d in needs}
    ranges = [range(min(by_name[a], by_name[b]) + 1) for a, b in ways]
    for amounts in itertools.product(*ranges):
        used: dict[str, int] = dict.fromkeys(by_name, 0)
        for (a, b), amount in zip(ways, amounts, strict=True):
            used[a] += amount
            used[b] += amount
        if all(used[name] <= by_name[name] for name in used):
            yield used, sum(costs[way] * amount for way, amount in zip(ways, amounts, strict=True))


def _rank(used: dict[str, int], needs: list[Need], reached: set[str]) -> Fraction:
    """The smallest weighted share, capped where a need is met in full."""
    levels = [
        Fraction(10) if used[d.kode] == d.amount else Fraction(used[d.kode], d.amount) / Fraction(d.weight)
        for d in needs
        if d.amount and d.kode in reached
    ]
    return min(levels, default=Fraction(10))


@settings(max_examples=60)
@given(_small())
def test_the_worst_share_then_the_total_are_those_of_brute_force(case) -> None:
    stocks, needs, costs = case
    plans = list(_all_plans(stocks, needs, costs))
    with_stock = {s.warehouse for s in stocks if s.amount}
    reached = {b for a, b in costs if a in with_stock}
    plan = allocate(stocks, needs, costs=costs)
    served = _served(plan, needs)
    assert _rank(served, needs, reached) == max(_rank(used, needs, reached) for used, _ in plans)
    assert sum(served.values()) == max(sum(used[d.kode] for d in needs) for used, _ in plans)
    same = [cost for used, cost in plans if all(used[kode] == amount for kode, amount in served.items())]
    assert sum(line.cost * line.amount for line in plan.shipments) == pytest.approx(min(same))


@settings(max_examples=60)
@given(_small())
def test_without_fairness_the_plan_is_the_cheapest_of_the_fullest(case) -> None:
    stocks, needs, costs = case
    best = min((-sum(used[d.kode] for d in needs), cost) for used, cost in _all_plans(stocks, needs, costs))
    plan = allocate(stocks, needs, costs=costs, fair=False)
    assert sum(line.amount for line in plan.shipments) == -best[0]
    assert sum(line.cost * line.amount for line in plan.shipments) == pytest.approx(best[1])


@settings(max_examples=25)
@given(
    st.integers(0, 10_000), st.sampled_from([0.4, 0.9, 1.3]), st.sampled_from([None, 150_000.0, 400_000.0])
)
def test_nothing_is_made_or_lost(seed: int, share: float, max_cost: float | None) -> None:
    stocks, needs = problem(8, 15, 2, share=share, seed=seed)
    plan = allocate(stocks, needs, max_cost=max_cost)
    for stock in stocks:
        sent = sum(s.amount for s in plan.shipments if (s.warehouse, s.item) == (stock.warehouse, stock.item))
        assert sent <= stock.amount
    for need in needs:
        got = sum(s.amount for s in plan.shipments if (s.kode, s.item) == (need.kode, need.item))
        left = sum(u.amount for u in plan.unmet if (u.kode, u.item) == (need.kode, need.item))
        assert got + left == need.amount
    assert all(max_cost is None or s.cost <= max_cost for s in plan.shipments)
    assert all(isinstance(s.amount, int) and s.amount > 0 for s in plan.shipments)


def test_the_cost_is_that_of_an_independent_solution_with_all_ways() -> None:
    stocks, needs = problem(20, 40, 1, share=1.6, seed=3)
    plan = allocate(stocks, needs)
    metres = allocate_costs(stocks, needs)
    n, m = metres.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    oracle = linprog(
        metres.ravel(),
        A_ub=rows,
        b_ub=[s.amount for s in stocks],
        A_eq=columns,
        b_eq=[d.amount for d in needs],
        method="highs-ipm",
    )
    assert oracle.success
    assert plan.unmet == []
    assert plan.items[0].cost == pytest.approx(oracle.fun, rel=1e-9)


def allocate_costs(stocks: list[Stock], needs: list[Need]) -> np.ndarray:
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    return np.array([[geod.inv(s.lon, s.lat, d.lon, d.lat)[2] for d in needs] for s in stocks])


def test_one_far_desa_does_not_hold_back_the_others() -> None:
    stocks = [Stock("kecil", "beras", 1), Stock("besar", "beras", 60)]
    needs = [Need("jauh", "beras", 100), Need("a", "beras", 50), Need("b", "beras", 50)]
    costs = {("kecil", "jauh"): 1.0, ("besar", "a"): 1.0, ("besar", "b"): 2.0}
    plan = allocate(stocks, needs, costs=costs)
    assert _served(plan, needs) == {"jauh": 1, "a": 30, "b": 30}


def test_a_weight_is_served_first() -> None:
    needs = [Need("a", "air", 100, weight=3), Need("b", "air", 100)]
    plan = allocate([Stock("w", "air", 80)], needs, costs={("w", "a"): 9.0, ("w", "b"): 1.0})
    assert _served(plan, needs) == {"a": 60, "b": 20}


@pytest.mark.parametrize(
    ("stocks", "reason"),
    [
        ([], Reason.NO_STOCK),
        ([Stock("w", "beras", 0, 107.0, -6.8)], Reason.NO_STOCK),
        ([Stock("w", "beras", 9, 107.0, -6.8, "kosong")], Reason.NOT_RELEASED),
        ([Stock("w", "beras", 9, 120.0, -6.8)], Reason.OUT_OF_REACH),
        ([Stock("w", "beras", 3, 107.0, -6.8)], Reason.SHORT),
    ],
)
def test_what_stays_unmet_says_why(stocks: list[Stock], reason: Reason) -> None:
    plan = allocate(stocks, [Need("32.03.01.1006", "beras", 5, 107.1, -6.8)], max_cost=50_000)
    assert [line.reason for line in plan.unmet] == [reason]


def test_distance_is_geodesic_metres() -> None:
    plan = allocate([Stock("w", "air", 1, 107.0, -6.0)], [Need("d", "air", 1, 108.0, -6.0)])
    assert plan.shipments[0].cost == pytest.approx(110_710, rel=1e-3)


@pytest.mark.parametrize(
    ("stocks", "needs", "where"),
    [
        ([Stock("w", "air", -1, 0, 0)], [], "stok[0].jumlah"),
        ([], [Need("d", "air", 1.5, 0, 0)], "kebutuhan[0].jumlah"),  # type: ignore[arg-type]
        ([], [Need("d", "air", 1)], "kebutuhan[0].lon"),
        ([], [Need("d", "air", 1, 0, 0, weight=0)], "kebutuhan[0].bobot"),
        ([], [Need("d", "air", 1, 0, 0), Need("d", "air", 2, 0, 0)], "kebutuhan[1]"),
        ([Stock("w", "air", 1, 0, 0), Stock("w", "air", 1, 9, 9)], [], "stok[1]"),
    ],
)
def test_a_wrong_input_is_named(stocks: list[Stock], needs: list[Need], where: str) -> None:
    with pytest.raises(QueryError) as caught:
        allocate(stocks, needs)
    assert caught.value.where == where
