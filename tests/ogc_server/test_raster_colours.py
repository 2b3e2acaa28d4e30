"""Values become colours by the rule as it is written, whatever their type and however many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.raster_style import Band, Style

TYPES = ("uint8", "int8", "int16", "uint16", "int32", "float32", "float64")
BAND = Band("nilai", 1, "float32", "", {})


def style(kind: str, bounds: tuple[float, ...], colours: int) -> Style:
    return Style(BAND, kind, tuple((n, n, n) for n in range(colours + 1)), bounds, ())


def values(kind: str, seed: int, ends: tuple[float, ...]) -> Any:
    """Values around the bounds, the bounds themselves, a third of them masked; some masked ones are NaN."""
    chance = np.random.default_rng(seed)
    some = np.concatenate([chance.uniform(-20, 120, 300), np.repeat(ends, 5)])
    made = np.clip(some, 0, 100).astype(kind) if kind[0] == "u" else some.astype(kind)
    hidden = chance.random(made.shape) < 0.3
    if made.dtype.kind == "f":
        made[hidden & (chance.random(made.shape) < 0.5)] = np.nan
    order = chance.permutation(len(made))
    return np.ma.array(made[order], mask=hidden[order]).reshape(5, -1)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TYPES), st.integers(0, 99), st.booleans(),
    st.lists(st.floats(-10, 110), min_size=1, max_size=40, unique=True),
)  # fmt: skip
def test_classes_reach_up_to_and_with_their_bound(
    kind: str, seed: int, last: bool, ends: list[float]
) -> None:
    bounds = tuple(sorted(ends))
    rule = style("classes", bounds, len(bounds) + last)
    shown = values(kind, seed, bounds)
    found = rule.indexes(shown)
    for value, hidden, index in zip(
        shown.data.ravel().tolist(), np.ma.getmaskarray(shown).ravel(), found.ravel().tolist(), strict=True
    ):
        above = sum(value > bound for bound in bounds)
        assert index == (0 if hidden or above > len(bounds) - (not last) else above + 1)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TYPES), st.integers(0, 99), st.floats(-10, 50), st.floats(0, 60))
def test_a_ramp_has_its_ends_and_grows(kind: str, seed: int, low: float, span: float) -> None:
    high = low + span
    shown = values(kind, seed, (low, high))
    found = style("ramp", (low, high), 254).indexes(shown)
    mask = np.ma.getmaskarray(shown)
    assert (found[mask] == 0).all()
    seen, plain = found[~mask].astype(int), shown.data[~mask].astype("float64")
    assert (seen >= 1).all()
    order = np.argsort(plain)
    assert (np.diff(seen[order]) >= 0).all()
    if span > 1e-3:
        assert (seen[plain <= low - 1e-3] == 1).all()
        assert (seen[plain >= high + 1e-3] == 254).all()
    if span > 1:
        part = np.clip((plain - low) / span, 0, 1)
        assert np.abs(seen - 1 - part * 253).max() <= 0.51


@pytest.mark.parametrize("kind", TYPES)
def test_a_large_picture_has_the_colours_of_its_parts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, shown = style("classes", (10.0, 50.0), 3), values(kind, 4, (10.0, 50.0))
    whole = rule.indexes(shown)
    monkeypatch.setattr("layers.raster_style._AT_ONCE", shown.shape[1])
    assert (rule.indexes(shown) == whole).all()
