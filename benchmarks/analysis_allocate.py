"""Allocation at the size that was asked for: 200 warehouses, 500 desa, 10 items, in under 10 s."""

from __future__ import annotations

import time

import numpy as np

from analysis.allocate import Need, Plan, Stock, allocate


def problem(
    warehouses: int, desa: int, items: int, *, share: float, seed: int = 1
) -> tuple[list[Stock], list[Need]]:
    """Return a made-up problem over Java where stock is `share` of the need."""
    rng = np.random.default_rng(seed)
    place = {name: (rng.uniform(105, 114), rng.uniform(-8.5, -6)) for name in range(warehouses + desa)}
    needs = [
        Need(f"D{j}", f"I{k}", int(rng.integers(1, 400)), *place[warehouses + j])
        for k in range(items)
        for j in range(desa)
    ]
    mean = 200 * desa * share / warehouses
    stocks = [
        Stock(f"W{i}", f"I{k}", int(rng.integers(0, int(2 * mean))), *place[i])
        for k in range(items)
        for i in range(warehouses)
    ]
    return stocks, needs


def timed(share: float, max_cost: float | None) -> tuple[float, Plan]:
    stocks, needs = problem(200, 500, 10, share=share)
    start = time.perf_counter()
    plan = allocate(stocks, needs, max_cost=max_cost)
    return time.perf_counter() - start, plan


def main() -> None:
    for share, max_cost in ((1.2, None), (0.6, None), (0.6, 150_000.0)):
        seconds, plan = timed(share, max_cost)
        served = sum(item.served for item in plan.items) / sum(item.needed for item in plan.items)
        print(f"stock {share:.0%} of need, reach {max_cost or 'all'}: {seconds:.2f} s, {served:.1%} served")


if __name__ == "__main__":
    main()
