"""The attack: from what is published, an LP over all sums tries to get suppressed counts back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from analysis.disclosure import ROOT, TOTAL, Cell, CountTable, Disclosure, categories, protected, suppressed
from catalog.errors import QueryError


def equations(table: CountTable) -> list[dict[Cell, int]]:
    """Every sum the publication states, at every level: written anew, not taken from the network."""
    names, found = categories(table), []
    regions = [*table.parent, ROOT]
    for region in regions:
        found.append({(region, TOTAL): -1} | {(region, name): 1 for name in names})
        parts = [part for part, above in table.parent.items() if above == region]
        if parts:
            for name in [*names, TOTAL]:
                found.append({(region, name): -1} | {(part, name): 1 for part in parts})
    return found


def attack(table: CountTable, shown: dict[Cell, int | None]) -> dict[Cell, tuple[float, float]]:
    """Return the narrowest interval that follows for each suppressed cell (at least 1 each)."""
    unknown = [cell for cell, count in shown.items() if count is None]
    at = {cell: number for number, cell in enumerate(unknown)}
    rows, sides = [], []
    for equation in equations(table):
        row, side = np.zeros(len(unknown)), 0
        for cell, sign in equation.items():
            count = shown.get(cell, 0)
            if count is None:
                row[at[cell]] = sign
            else:
                side -= sign * count
        rows.append(row)
        sides.append(side)
    found = {}
    for cell in unknown:
        aim = np.zeros(len(unknown))
        aim[at[cell]] = 1
        ends = [linprog(s * aim, A_eq=np.array(rows), b_eq=sides, bounds=(1, None)) for s in (1, -1)]
        assert ends[0].success
        high = -ends[1].fun if ends[1].success else float("inf")
        found[cell] = (ends[0].fun, high)
    return found


@st.composite
def tables(draw: st.DrawFn) -> CountTable:
    parent: dict[str, str] = {}
    for kabupaten in "AB"[: draw(st.integers(1, 2))]:
        parent[kabupaten] = ROOT
        for kecamatan in "12"[: draw(st.integers(1, 2))]:
            parent[kabupaten + kecamatan] = kabupaten
            for desa in "xyz"[: draw(st.integers(1, 3))]:
                parent[kabupaten + kecamatan + desa] = kabupaten + kecamatan
    count = st.one_of(st.just(0), st.integers(1, 6), st.integers(0, 60))
    leaves = {(r, c): draw(count) for r in parent if len(r) == 3 for c in "pqr"[: draw(st.integers(1, 3))]}
    return CountTable(leaves, parent)


@settings(max_examples=50)
@given(tables(), st.sampled_from([3, 5]))
def test_no_suppressed_cell_can_be_derived(table: CountTable, threshold: int) -> None:
    rules = Disclosure(threshold)
    shown = protected(table, rules)
    small = {cell for cell, count in table.counts.items() if 0 < count < threshold}
    assert small <= {cell for cell, count in shown.items() if count is None}
    for cell, (low, high) in attack(table, shown).items():
        assert low <= table.counts[cell] + 1e-6
        assert high >= table.counts[cell] - 1e-6
        assert high - low > 0.5, f"{cell} follows exactly"
        if cell in small:
            assert high - low >= threshold - 1e-6, f"{cell} follows within {low}..{high}"


def test_primary_suppression_alone_falls_to_the_attack() -> None:
    """The attack is able: without complementary suppression it finds the cell."""
    table = CountTable(
        {("a", "p"): 2, ("a", "q"): 20, ("b", "p"): 30, ("b", "q"): 40}, {"a": ROOT, "b": ROOT}
    )
    shown = {cell: None if 0 < n < 5 else n for cell, n in table.counts.items()}
    assert list(attack(table, shown)[("a", "p")]) == pytest.approx([2, 2])
    assert len(suppressed(table, Disclosure())) == 4


def test_a_table_without_small_cells_is_published_whole() -> None:
    table = CountTable({("a", "p"): 5, ("a", "q"): 0, ("b", "p"): 9}, {"a": ROOT, "b": ROOT})
    assert suppressed(table, Disclosure()) == set()


def test_rounding_is_of_what_is_published() -> None:
    table = CountTable({("a", "p"): 12, ("b", "p"): 13}, {"a": ROOT, "b": ROOT})
    shown = protected(table, Disclosure(rounding=5))
    assert shown == {
        ("a", "p"): 10,
        ("b", "p"): 15,
        ("a", TOTAL): 10,
        ("b", TOTAL): 15,
        (ROOT, "p"): 25,
        (ROOT, TOTAL): 25,
    }


@pytest.mark.parametrize("wrong", [{"threshold": 2}, {"protection": 4}, {"rounding": 0}])
def test_rules_that_protect_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(QueryError):
        Disclosure(**wrong)
