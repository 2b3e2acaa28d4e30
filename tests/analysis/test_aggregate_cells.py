"""Points become H3 cells or desa; of what is published, an attacker's linear programme gets nothing back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
import shapely
from scipy.optimize import linprog

from analysis.aggregate import Aggregate, Question, aggregate
from analysis.disclosure import Disclosure
from analysis.lookup import DesaIndex
from catalog.errors import QueryError

CELLS = Question(lon="lon", lat="lat", by=("program",), cells=(5, 7))


@pytest.fixture(scope="module")
def register(country: DesaIndex) -> pa.Table:
    """Invented families near points of real desa of Cianjur: crowded and lonely ones."""
    rng = np.random.default_rng(11)
    low, high = country.below("32.03")
    rows = rng.choice(np.arange(low, high)[::9], 1500, p=rng.dirichlet(np.full(40, 0.5)))
    lon, lat = country.points[rows].T + rng.normal(0, 0.002, (2, 1500))
    program = rng.choice(["PKH", "SEMBAKO", "ATENSI"], 1500, p=[0.5, 0.47, 0.03])
    return pa.table(
        {"lon": lon, "lat": lat, "program": program, "nama": [f"Nama {n % 700}" for n in range(1500)]}
    )


def rows_of(found: Aggregate) -> dict[tuple[str, str | None], int | None]:
    return {(row["kode"], row["program"]): row["jumlah"] for row in found.table.to_pylist()}


def test_counts_of_cells_are_those_of_the_points(register: pa.Table) -> None:
    found = aggregate(register, CELLS, access="internal", unprotected=True)
    shown = rows_of(found)
    expected: Counter[tuple[str, str | None]] = Counter()
    for row in register.to_pylist():
        finest = h3.latlng_to_cell(row["lat"], row["lon"], 7)
        for cell in (finest, h3.cell_to_parent(finest, 5)):  # hexagons do not nest to the metre
            expected.update([(cell, row["program"]), (cell, None)])
        expected.update([("", row["program"]), ("", None)])
    assert shown == dict(expected)
    levels = {row["kode"]: row["tingkat"] for row in found.table.to_pylist()}
    assert set(levels.values()) == {"semua", "h3-5", "h3-7"}


def test_each_cell_has_its_outline(register: pa.Table) -> None:
    found = aggregate(register, CELLS)
    shapes = found.geometries()
    for row, shape in zip(found.table.to_pylist(), shapes, strict=True):
        if not row["kode"]:
            assert shape is None
            continue
        lat, lon = h3.cell_to_latlng(row["kode"])
        assert shape.is_valid
        assert shapely.Point(lon, lat).within(shape)
        assert 107 - 1 < lon < 107 + 2


def test_points_are_counted_in_the_desa_they_lie_in(register: pa.Table, country: DesaIndex) -> None:
    by_place = Question(lon="lon", lat="lat", by=("program",))
    found = aggregate(register, by_place, access="internal", unprotected=True, index=country)
    shapes = country.polygons.shapes(np.arange(len(country)))
    points = shapely.points(register["lon"].to_numpy(), register["lat"].to_numpy())
    tree = shapely.STRtree(shapes)
    point, row = tree.query(points, predicate="intersects")
    first = dict(sorted(zip(point.tolist(), row.tolist(), strict=True), reverse=True))
    expected = Counter(country.code(r) for r in first.values())
    counted = {k: n for (k, program), n in rows_of(found).items() if program is None and len(k) == 13}
    assert counted == dict(expected)
    assert found.without_region == len(register) - len(first)


def published_attack(
    found: Aggregate, above: dict[str, str]
) -> dict[tuple[str, str | None], tuple[float, float]]:
    """Bounds of each hidden cell from the rows of the answer alone: sums, shares, and that it is 1 or more."""
    rows = found.table.to_pylist()
    shown = {(row["kode"], row["program"]): row["jumlah"] for row in rows}
    hidden = [cell for cell, count in shown.items() if count is None]
    at = {cell: number for number, cell in enumerate(hidden)}
    programmes = {program for _, program in shown if program is not None}
    sums = [(region, None, [(region, p) for p in programmes]) for region in {r for r, _ in shown}]
    for region in set(above.values()):
        below = [part for part, parent in above.items() if parent == region]
        sums += [(region, p, [(part, p) for part in below]) for p in [*programmes, None]]
    matrix, sides = [], []
    for region, program, parts in sums:
        line, side = np.zeros(len(hidden)), 0
        for cell, sign in [((region, program), -1), *((part, 1) for part in parts)]:
            if cell in at:
                line[at[cell]] += sign
            else:
                side -= sign * (shown.get(cell) or 0)
        matrix.append(line)
        sides.append(side)
    for row in rows:  # a share beside a hidden count would give it back
        assert row["bagian"] is None or shown[row["kode"], row["program"]] is not None
    bounds = {}
    for cell in hidden:
        aim = np.zeros(len(hidden))
        aim[at[cell]] = 1
        low, high = (linprog(s * aim, A_eq=np.array(matrix), b_eq=sides, bounds=(1, None)) for s in (1, -1))
        assert low.success
        bounds[cell] = low.fun, -high.fun if high.success else np.inf
    return bounds


@pytest.mark.parametrize("rules", [Disclosure(), Disclosure(10)])
def test_nothing_that_is_hidden_comes_back(register: pa.Table, rules: Disclosure) -> None:
    shown = rows_of(aggregate(register, CELLS, access="internal", unprotected=True))
    found = aggregate(register, CELLS, disclosure=rules)
    cells = {row["kode"] for row in found.table.to_pylist() if row["kode"]}
    above = {c: h3.cell_to_parent(c, 5) if h3.get_resolution(c) == 7 else "" for c in cells}
    true = {cell: count or 0 for cell, count in shown.items()}
    small = {cell for cell, count in true.items() if 0 < count < rules.threshold}
    assert len(small) > 10
    intervals = published_attack(found, above)
    assert small <= set(intervals)
    for cell, (low, high) in intervals.items():
        assert low - 1e-6 <= true[cell] <= high + 1e-6
        assert high - low >= (rules.threshold if cell in small else 1) - 1e-6, cell


def test_without_complementary_suppression_the_attack_succeeds(register: pa.Table) -> None:
    """So the test above can fail."""
    open_ = aggregate(register, CELLS, access="internal", unprotected=True)
    naive = [
        {**row, "bagian": None, "jumlah": None if 0 < row["jumlah"] < 5 else row["jumlah"]}
        for row in open_.table.to_pylist()
    ]
    broken = Aggregate(pa.Table.from_pylist(naive, open_.table.schema), open_.rows, 0, 0, None, True)
    cells = {row["kode"] for row in naive if row["kode"]}
    above = {c: h3.cell_to_parent(c, 5) if h3.get_resolution(c) == 7 else "" for c in cells}
    assert any(high - low < 1e-6 for low, high in published_attack(broken, above).values())


def test_a_rare_value_is_not_told(register: pa.Table) -> None:
    """A column of names: whoever is rare comes out as one group, with no name."""
    some = register.slice(0, 700)
    found = aggregate(some, Question(lon="lon", lat="lat", by=("nama",), slice="program", cells=(4,)))
    text = str(found.table.to_pylist())
    assert "Nama" not in text
    assert "lainnya" in text
    total = [
        r
        for r in found.table.to_pylist()
        if r["kode"] == "" and r["nama"] == "lainnya" and r["program"] == "PKH"
    ]
    assert total[0]["jumlah"] == sum(p == "PKH" for p in some["program"].to_pylist())


def test_points_that_are_none_are_counted_apart(tmp_path: Path) -> None:
    """In a CSV: decimal comma, blanks, null island, swapped, words."""
    table = pa.table({
        "lon": ["107,14", " 107.14 ", "0", "-6.82", "timur", None, "107.14"],
        "lat": ["-6,82", "-6.82", "0", "107.14", "-6.82", "-6.82", ""],
    })  # fmt: skip
    path = tmp_path / "titik.csv"
    pacsv.write_csv(table, path, pacsv.WriteOptions(delimiter=";"))
    found = aggregate(path, Question(lon="lon", lat="lat", cells=(6,)), access="internal", unprotected=True)
    assert (found.rows, found.without_region) == (7, 5)
    cell = h3.latlng_to_cell(-6.82, 107.14, 6)
    assert found.table.to_pylist()[-1]["kode"] == cell


@pytest.mark.parametrize(
    ("question", "where"),
    [
        (Question(lon="lon", lat="lat", cells=(9,)), "h3"),
        (Question(lon="lon", lat="lat", cells=(-1,)), "h3"),
        (Question(lon="lon", cells=(5,)), "lat"),
        (Question("kode", cells=(5,)), "lon"),
        (Question(), "kode"),
        (Question(lon="lon", lat="lat"), "lon"),
        (Question(lon="lon", lat="lat", by=("lon",), cells=(5,)), "by"),
        (Question(lon="lon", lat="program", cells=(5,)), None),
    ],
)
def test_wrong_questions_are_named(register: pa.Table, question: Question, where: str | None) -> None:
    if where is None:
        assert aggregate(register, question).without_region == register.num_rows
        return
    with pytest.raises(QueryError) as error:
        aggregate(register, question)
    assert error.value.where == where


def test_what_may_never_be_public_says_so(register: pa.Table) -> None:
    fine = Question(lon="lon", lat="lat", cells=(10,))
    assert aggregate(register, fine, access="internal").closed, "cells like houses"
    assert aggregate(register, CELLS, access="internal", unprotected=True).closed
    assert not aggregate(register, CELLS, access="internal").closed
    assert not aggregate(register, CELLS).closed
