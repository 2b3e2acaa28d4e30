"""The synthetic register: seeded, marked, streamed, and wrong in just the ways that it says."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from analysis.verify_coordinate import read_coordinate
from catalog.errors import QueryError
from harvesters.privacy.numbers import plausible
from harvesters.sample.land import make_land
from harvesters.sample.register import SHARES, TROUBLES, Plan, blocks, write_register
from harvesters.sample.stores import stores
from harvesters.sample.surface import Areas, Surface

LAND = make_land(np.random.default_rng(2026))
AREAS = Areas(
    [d.code for d in LAND.desa], [d.name for d in LAND.desa],
    np.array([d.geometry for d in LAND.desa], dtype=object),
)  # fmt: skip
SHAPES = dict(zip(AREAS.codes, AREAS.shapes, strict=True))
BOX = LAND.provinsi[0].geometry.bounds


@pytest.fixture(scope="module")
def surface() -> Surface:
    return Surface(np.random.default_rng(5), AREAS)


@pytest.fixture(scope="module")
def rows(surface: Surface) -> list[dict[str, Any]]:
    plan = Plan(20_000, 5, truth=True, personal=True)
    return list(pa.Table.from_batches(blocks(plan, surface)).to_pylist())


def test_the_same_seed_writes_the_same_file_and_another_seed_another(
    surface: Surface, tmp_path: Path
) -> None:
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert write_register(Plan(3000, seed), surface, tmp_path / f"{name}.csv") == 3000
        made.append((tmp_path / f"{name}.csv").read_bytes())
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_every_row_says_that_it_is_synthetic(
    rows: list[dict[str, Any]], surface: Surface, tmp_path: Path
) -> None:
    assert {row["keterangan"] for row in rows} == {"SINTETIS"}
    write_register(Plan(10, 1), surface, tmp_path / "r.parquet")
    assert b"SINTETIS" in pq.read_schema(tmp_path / "r.parquet").metadata[b"keterangan"]


def test_shares_are_kept(rows: list[dict[str, Any]]) -> None:
    for name in TROUBLES:
        share = sum(row["masalah"] == name for row in rows) / len(rows)
        assert share == pytest.approx(SHARES[name], abs=0.005), name


def test_rows_without_trouble_lie_in_the_desa_they_claim(rows: list[dict[str, Any]]) -> None:
    good = [row for row in rows if not row["masalah"]]
    points = shapely.points([float(r["lon"]) for r in good], [float(r["lat"]) for r in good])
    claimed = np.array([SHAPES[r["kode_desa"]] for r in good], dtype=object)
    # six decimals may put a point 0.1 m over a border
    assert shapely.dwithin(claimed, points, 2e-6).all()
    assert shapely.contains(claimed, points).mean() > 0.999
    assert len({r["kode_desa"] for r in good}) == 80


@pytest.mark.parametrize("name", ["tertukar", "nol", "kosong", "koma_desimal", "derajat_menit"])
def test_the_verifier_names_the_trouble_and_offers_the_true_place(
    name: str, rows: list[dict[str, Any]]
) -> None:
    some = [row for row in rows if row["masalah"] == name]
    assert some
    for row in some:
        found = read_coordinate(row["lon"], row["lat"], BOX)
        assert found.alasan == name
        if name not in ("nol", "kosong"):
            assert found.usulan is not None
            assert SHAPES[row["kode_sebenarnya"]].distance(shapely.Point(found.usulan)) < 5e-6


def test_other_troubles_are_what_they_say(rows: list[dict[str, Any]]) -> None:
    land = LAND.provinsi[0].geometry
    for row in rows:
        if row["masalah"] == "desa_lain":
            assert row["kode_desa"] in SHAPES
            assert row["kode_desa"] != row["kode_sebenarnya"]
        if row["masalah"] == "kode_lama":
            assert row["kode_desa"] not in SHAPES
        if row["masalah"] == "di_luar":
            assert not land.intersects(shapely.Point(float(row["lon"]), float(row["lat"])))
        if row["masalah"] == "di_batas":
            edge = shapely.boundary(SHAPES[row["kode_sebenarnya"]])
            assert edge.distance(shapely.Point(float(row["lon"]), float(row["lat"]))) < 1e-9


def test_given_old_codes_are_used(surface: Surface) -> None:
    plan = Plan(500, 1, {"kode_lama": 1.0}, old_codes=("91.01.01.2001", "91.01.01.2002"))
    (block,) = blocks(plan, surface)
    assert set(block["kode_desa"].to_pylist()) == {"91.01.01.2001", "91.01.01.2002"}


def test_persons_look_real_and_are_impossible(rows: list[dict[str, Any]]) -> None:
    for row in rows[:2000]:
        for number in (row["nik"], row["no_kk"]):
            assert plausible(number)
            assert number[4:6] == "99"
            assert int(number[6:8]) % 40 in (30, 31)
            assert number[8:10] == "02"
        assert "Contoh" in row["nama_krt"]
        assert row["no_hp"].startswith("0840")


def test_no_kabupaten_has_a_kecamatan_99(shared_data: Path) -> None:
    text = gzip.decompress((shared_data / "kode_wilayah_2025.csv.gz").read_bytes()).decode()
    codes = [line.partition(",")[0] for line in text.splitlines()[1:]]
    assert len(codes) > 90_000
    assert not [code for code in codes if code[6:8] == "99"]


def test_without_the_switch_there_is_no_column_of_persons(surface: Surface) -> None:
    (block,) = blocks(Plan(10, 1), surface)
    assert set(block.schema.names) == {
        "id", "lon", "lat", "kode_desa", "program", "desil", "tahun", "jumlah_anggota", "keterangan",
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 0},
        {"shares": {"lain": 0.1}},
        {"shares": {"nol": 0.6, "kosong": 0.6}},
        {"shares": {"nol": -1}},
    ],
)
def test_wrong_plans_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(QueryError):
        Plan(**{"rows": 5, "seed": 1, **wrong})


def test_another_suffix_is_refused(surface: Surface, tmp_path: Path) -> None:
    with pytest.raises(QueryError):
        write_register(Plan(5, 1), surface, tmp_path / "r.xlsx")


def test_stores_lie_in_the_desa_they_name_and_have_stock(surface: Surface) -> None:
    found = list(stores(np.random.default_rng(1), surface, 400))
    assert len({f.properties["id"] for f in found}) == 400
    assert {f.properties["jenis"] for f in found} == {
        "lumbung-sosial", "gudang-logistik", "sentra", "pilar-sosial",
    }  # fmt: skip
    for feature in found:
        assert SHAPES[feature.properties["kode_desa"]].distance(feature.geometry) < 2e-6
        assert feature.properties["keterangan"] == "Contoh sintetis, bukan data nyata"
