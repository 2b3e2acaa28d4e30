"""Columns say what a plain sum over desa says: counts that are unknown, regions above, needs of regions."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.affected import Bahaya, affected_by_area
from analysis.counts import Counts
from analysis.earthquake import Gempa
from analysis.impact import Terdampak, desa_of, roll_up
from analysis.lookup import DesaIndex
from analysis.nearest import FacilityIndex, Fasilitas
from analysis.response import Aturan, AturanKebutuhan, respond
from catalog.codes import LEVELS

WIDTHS = {"kecamatan": 8, "kabkota": 5, "provinsi": 2}
NUMBERS = st.floats(0, 1e6)
TABLES = st.dictionaries(
    st.text("0123456789.", min_size=1, max_size=13),
    st.dictionaries(st.sampled_from(["jiwa", "keluarga", "balita"]), NUMBERS),
)


@given(TABLES, st.lists(st.text("0123456789.", max_size=13)))
def test_counts_are_the_table_that_they_are_made_of(
    table: dict[str, dict[str, float]], others: list[str]
) -> None:
    counts = Counts.of(table)
    assert counts == table
    assert Counts.of(counts) is counts
    codes = [*table, *others]
    values, known = counts.at(codes)
    assert known.tolist() == [code in table for code in codes]
    for code, row in zip(codes, values.tolist(), strict=True):
        there = {n: v for n, v in zip(counts.names, row, strict=True) if not math.isnan(v)}
        assert there == table.get(code, {})


@settings(max_examples=40)
@given(st.data())
def test_regions_are_the_sums_of_their_desa(country: DesaIndex, data: st.DataObject) -> None:
    rows = sorted(data.draw(st.sets(st.integers(0, len(country) - 1), max_size=60)))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    per_class = random.random((len(rows), 2)) * (random.random((len(rows), 2)) > 0.3)
    kelas = np.where(per_class[:, 1] > 0, 1, np.where(per_class[:, 0] > 0, 0, -1))
    people = {
        country.code(row): {
            name: float(random.integers(1000)) for name in ("jiwa", "kk") if random.random() > 0.2
        }
        for row in rows
        if random.random() > 0.2
    }
    desa = desa_of(
        country,
        np.array(rows, np.int64),
        random.random(len(rows)),
        ["rendah", "tinggi"],
        kelas,
        per_class,
        people,
    )
    assert [one.jumlah for one in desa] == [people.get(country.code(row)) for row in rows]
    for level, regions in roll_up(country, desa, {}).items():
        groups: dict[str, list[Terdampak]] = defaultdict(list)
        for one in desa:
            groups[one.kode[: WIDTHS[level]]].append(one)
        assert [one.kode for one in regions] == sorted(groups)
        for region in regions:
            _same(country, region, groups[region.kode])


def _same(country: DesaIndex, region: Terdampak, desa: list[Terdampak]) -> None:
    area = sum(
        float(country.areas[row]) for row in range(len(country)) if country.code(row).startswith(region.kode)
    )
    assert region.bagian == pytest.approx(sum(one.luas_m2 for one in desa) / area)
    assert (region.desa, region.tanpa_data) == (len(desa), sum(one.jumlah is None for one in desa))
    shares: dict[str, float] = defaultdict(float)
    for one in desa:
        for name, share in one.bagian_kelas.items():
            shares[name] += share * one.luas_m2 / one.bagian / area
    assert region.bagian_kelas == pytest.approx(dict(shares))
    assert region.kelas == max(shares, default="")  # rendah before tinggi
    for kind in ("jumlah", "perkiraan"):
        known = [counts for one in desa if (counts := getattr(one, kind)) is not None]
        sums = {name: sum(one.get(name, 0) for one in known) for name in {n for one in known for n in one}}
        assert getattr(region, kind) == (pytest.approx(sums) if known else None)


def test_a_sequence_of_desa_is_read_like_any_other(squares: DesaIndex) -> None:
    desa = affected_by_area(squares, [Bahaya(shapely.box(*squares.info.bbox))]).desa
    every = list(desa)
    assert len(every) == len(desa) == len(squares)
    assert (desa[0], desa[-1], desa[1:3]) == (every[0], every[-1], every[1:3])
    with pytest.raises(IndexError):
        desa[len(squares)]


@settings(max_examples=30)
@given(most=st.integers(1, 400), magnitude=st.floats(4.5, 7.0), seed=st.integers(0, 2**32))
def test_two_rules_of_an_item_are_one_need_planned_for_the_finest_level_that_is_not_too_many(
    country: DesaIndex, most: int, magnitude: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    people = {
        country.code(row): {"jiwa": float(random.integers(0, 4))}
        for row in range(len(country))
        if random.random() > 0.3
    }
    rules = Aturan(
        (AturanKebutuhan("beras", "jiwa", 0.4, 3), AturanKebutuhan("beras", "jiwa", 1, least_mmi=6)),
        sasaran=most, least_mmi=4,
    )  # fmt: skip
    stores = FacilityIndex([Fasilitas("g", "Gudang", "gudang", 107.1, -6.8, {"beras": 100.0})])
    found = respond(
        country, Gempa(107.05, -6.86, magnitude, 11), facilities=stores, people=people, rules=rules
    )
    needs: dict[str, int] = defaultdict(int)
    for amount, days, least in ((0.4, 3, 1.0), (1, 1, 6.0)):
        for one in found.dampak.desa:
            estimate = (one.perkiraan or {}).get("jiwa", 0.0)
            if (one.mmi or 0) >= least:
                needs[one.kode] += math.ceil(round(estimate * amount * days, 6))
    for level in LEVELS[::-1]:
        regions: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for code in sorted(code for code, amount in needs.items() if amount):
            regions[code[: WIDTHS.get(level, 13)]].append((-needs[code], code))
        if len(regions) <= most:
            break
    assert found.tingkat == level
    assert [one.kode for one in found.kebutuhan] == sorted(regions)
    for need in found.kebutuhan:
        assert need.amount == -sum(amount for amount, _ in regions[need.kode])
        largest = country.row(min(regions[need.kode])[1])
        assert [need.lon, need.lat] == country.points[largest].tolist()
