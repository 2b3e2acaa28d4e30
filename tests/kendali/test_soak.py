"""What the soak calls growth: it must see a leak in noise, and see none in what only moves."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.soak.trend import trend

TIMES = list(range(0, 1800, 15))
NOISE = np.random.default_rng(7).normal(0, 3, len(TIMES))


def leaks(values: np.ndarray, allowed: float = 5.0) -> bool:
    found = trend(TIMES, list(values))
    assert found is not None
    return found.leaks(allowed)


def test_a_slow_leak_is_seen_in_the_noise() -> None:
    assert leaks(100 + NOISE + np.linspace(0, 12, len(TIMES)))


@pytest.mark.parametrize("values", [
    100 + NOISE,
    100 + NOISE + 8 * (np.arange(len(TIMES)) % 10) / 10,  # what a collector takes away again and again
    100 + NOISE + 60 * np.minimum(1, np.array(TIMES) / 300),  # it warms up, then stays
    np.full(len(TIMES), 7.0),
])  # fmt: skip
def test_what_only_moves_is_no_leak(values: np.ndarray) -> None:
    assert not leaks(values)


def test_one_odd_sample_at_the_end_is_no_leak() -> None:
    values = 100 + NOISE / 10
    values[-2:] += 500
    assert not leaks(values)


def test_growth_within_the_allowance_is_no_leak() -> None:
    assert not leaks(100 + NOISE / 10 + np.linspace(0, 3, len(TIMES)))


def test_too_few_samples_say_nothing() -> None:
    assert trend([0, 1, 2], [1, 2, 3]) is None
